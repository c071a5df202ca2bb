"""Pictures for files, and the sweep's: multiply-adds against RAM."""

from pathlib import Path
from typing import Any

from rnnpool.cost.sweep import Sweep
from rnnpool.errors import InputError
from rnnpool.files import atomic_path

SUFFIXES = (".png", ".svg", ".pdf")


def new_figure(size: tuple[float, float]) -> Any:
    """An empty figure for a file.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError('plots need matplotlib: pip install "rnnpool[plot]"') from error
    return Figure(figsize=size, layout="constrained")


def figure(rows: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure of ``rows`` axes below each other; errors as of ``new_figure``."""
    drawn = new_figure(size)
    axes = drawn.subplots(rows, 1)
    return drawn, [axes] if rows == 1 else list(axes)


def save(drawn: Any, path: Path) -> None:
    """Write a figure; InputError for a suffix that no picture has."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: a plot is written as {', '.join(SUFFIXES)}")
    with atomic_path(path) as temporary:
        drawn.savefig(temporary, dpi=140)


def plot_sweep(name: str, sweep: Sweep, path: Path) -> None:
    """Every point, a colour for each input size, and rings around those worth having (``Sweep.front``)."""
    drawn, (axes,) = figure(1, (8, 6))
    sizes = sorted({point.settings.get("input_size", 0) for point in sweep.points})
    for size in sizes:
        points = [point for point in sweep.points if point.settings.get("input_size", 0) == size]
        label = f"input {size}x{size}" if size else None
        axes.scatter([p.madds / 1e6 for p in points], [p.ram / 1024 for p in points], s=22, label=label)
    front = sweep.front
    ring = {"marker": "o", "s": 110, "facecolors": "none", "edgecolors": "tab:red"}
    axes.scatter(
        [p.madds / 1e6 for p in front], [p.ram / 1024 for p in front], label="none as large costs less", **ring
    )
    for point in front:
        place = (point.madds / 1e6, point.ram / 1024)
        axes.annotate(point.label, place, xytext=(8, -14), textcoords="offset points", fontsize=7)
    axes.set_title(f"{name}: multiply-adds against memory")
    axes.set_xlabel("MAdds, M")
    how = "by rows" if sweep.points[0].by == "rows" else "by the standard convention"
    axes.set_ylabel(f"peak RAM {how}, KiB")
    axes.set_ylim(bottom=0)
    axes.legend()
    save(drawn, path)
