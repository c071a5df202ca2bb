"""``rnnpool web``: a page that runs an integer network's C in a browser."""

import argparse
from pathlib import Path

from rnnpool.commands.integer_files import HELP, open_integers
from rnnpool.errors import InputError

PORT = 8000

EPILOG = """\
The folder holds index.html, style.css, page.js and the network as WebAssembly, the very C of rnnpool compile. Open
index.html: it needs no server and no network, and photos stay on the machine. Browsers give the camera to pages from
https or localhost only; --serve is such a page. Detectors and classifiers have pages. Needs clang and wasm-ld.

examples:
  rnnpool web face-tiny -o face-tiny-web
  rnnpool web face-tiny -o face-tiny-web --serve
  rnnpool web my-net-int8.safetensors -o my-web
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", metavar="NETWORK", help=HELP)
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    parser.add_argument("--name", help="of the .wasm file (default: the network's name)")
    parser.add_argument("--serve", action="store_true", help="then show it at localhost, until Ctrl-C")
    parser.add_argument(
        "--port", metavar="N", type=int, help=f"with --serve: where (default: {PORT}; 0: one that is free)"
    )


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.output import check_folder
    from rnnpool.integer.detector import find_integer_head
    from rnnpool.web.module import build_module
    from rnnpool.web.page import write_page
    from rnnpool.web.server import open_server

    if args.port is not None and not args.serve:
        raise InputError("--port says where --serve shows the page; add --serve")
    network = open_integers(args.network)
    check_folder(args.out, "-o")
    # Before the work: a port that is in use shows at once.
    server = open_server(args.out, PORT if args.port is None else args.port) if args.serve else None
    module = build_module(network, find_integer_head(network), args.name)
    index, *_, wasm = write_page(module, args.out)
    print(f"{wasm}: {len(module.wasm):,} bytes of WebAssembly, {module.arena_bytes:,} bytes of RAM in its arena")
    if server is None:
        print(f"open {index} in a browser; for the camera add --serve")
        return 0
    with server:
        print(f"http://localhost:{server.server_port}/ until Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # the way to end it, no interruption of work
            return 0
    return 0
