"""Accuracy against memory and against multiply-adds: what the paper's figure 3 shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from rnnpool.cost.plot import figure, save
from rnnpool.experiments.statistics import Estimate

# Okabe and Ito's palette for all kinds of colour vision; markers tell apart what has one colour, and what is printed.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


@dataclass(frozen=True)
class Point:
    """One row: a share 0..1 with its interval, the paper's standard RAM in bytes, multiply-adds as computed."""

    label: str
    value: Estimate
    ram: int
    madds: int


def plot_costs(points: Sequence[Point], title: str, metric: str, path: Path) -> None:
    """Write a picture: above against RAM, below against multiply-adds, both on a logarithmic axis."""
    drawn, (above, below) = figure(2, (9, 10))
    for number, point in enumerate(points):
        interval = 100 * point.value.half_width if point.value.half_width is not None else None
        style = {"color": _COLOURS[number % len(_COLOURS)], "marker": _MARKERS[number % len(_MARKERS)], "alpha": 0.85}
        for axes, x in ((above, point.ram / 1024), (below, point.madds / 1e6)):
            axes.errorbar(
                x, 100 * point.value.mean, yerr=interval, capsize=3, markersize=8, ls="", label=point.label, **style
            )
    for axes, label in ((above, "peak RAM, KiB (the paper's convention, float32)"), (below, "MAdds, M (as computed)")):
        axes.set_xlabel(label)
        axes.set_ylabel(f"{metric}, %")
        axes.grid(alpha=0.3)
        _logarithmic(axes)
    drawn.suptitle("\n".join(wrap(title, width=80)))
    drawn.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    save(drawn, path)


def _logarithmic(axes: Any) -> None:
    """Ticks with plain numbers, so many that any range has some; room for a row that is alone."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.margins(x=0.1)
    low, high = axes.get_xlim()
    if high < 4 * low:
        axes.set_xlim(low / 1.5, high * 1.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
