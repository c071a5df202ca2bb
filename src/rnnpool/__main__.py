"""``python -m rnnpool``: the same as the ``rnnpool`` command."""

import sys

from rnnpool.cli import main

if __name__ == "__main__":
    sys.exit(main())
