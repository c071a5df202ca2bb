"""Tables on a screen, and as lines that stay whole in a pipe."""

import sys

from rich.console import Console


def console() -> Console:
    """A console for standard output; a pipe has no width, so there lines are not folded."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240)
