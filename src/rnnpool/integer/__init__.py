"""Integer networks: the arithmetic that the C kernels execute, defined here once and simulated bit for bit in NumPy."""
