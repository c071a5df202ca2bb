"""rnnpool: accurate computer vision in tens of kilobytes of RAM."""

__version__ = "0.1.0"
