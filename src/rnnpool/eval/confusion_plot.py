"""Which class is taken for which, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np

from rnnpool.eval.pr_plot import require_matplotlib
from rnnpool.files import atomic_path

_NUMBERS_UP_TO = 20  # classes; with more, the cells are too small for text
_NAMES_UP_TO = 100  # and the ticks for names


def save_confusion(path: Path, confusion: np.ndarray, classes: Sequence[str], title: str) -> None:
    """Write a PNG: shares of each true class (rows) by predicted class (columns), with the counts where they fit.

    Args:
        confusion: int (K, K), row the true class.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    count = len(classes)
    side = min(16.0, 3.5 + 0.45 * count)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title("\n".join(wrap(title, width=round(9 * side))), fontsize=10)  # 9 characters an inch at that size
    if count <= _NAMES_UP_TO:
        size = 10 if count <= _NUMBERS_UP_TO else 6
        axes.set_xticks(range(count), classes, rotation=60, ha="right", fontsize=size)
        axes.set_yticks(range(count), classes, fontsize=size)
    if count <= _NUMBERS_UP_TO:
        for row, column in np.ndindex(count, count):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
