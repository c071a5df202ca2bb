"""A compiled network in a browser: its C as WebAssembly, in a page of static files that needs no network."""
