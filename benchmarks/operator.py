"""Time and memory of the RNNPool operator beside other ways to pool: runs pooling.py, which explains itself.

    python benchmarks/operator.py --help

The standard library has a module of this name, which every script started in this folder would import from here. So
this file steps out of the way: it takes the folder off the path and hands the import over.
"""

import os
import sys

folder = os.path.dirname(__file__)
sys.path[:] = [path for path in sys.path if path != folder]

if __name__ == "operator":
    del sys.modules[__name__]
    import operator  # noqa: F401
elif __name__ == "__main__":
    import runpy

    runpy.run_path(os.path.join(folder, "pooling.py"), run_name="__main__")
