"""Where windows along an axis have their entries."""


def entries(length: int, position: int, kernel: int, stride: int) -> slice:
    """The slice of an axis of ``length`` that holds the ``position``-th entry of every window of ``kernel``.

    It ends where the last position that a window may start at has its entry: ``torch.export`` can tell that this lies
    within any length, which it cannot of an end computed from the number of windows.
    """
    return slice(position, length - (kernel - 1 - position), stride)
