"""A plan drawn: memory over time, below it when each buffer is in use, beside them what other plans need."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnpool.cost.arena import Span, usage
from rnnpool.cost.plot import new_figure, save

MOST_BUFFERS = 40
WIDTH = 1500  # moments nearer to each other than one in so many are drawn as one


@dataclass(frozen=True)
class PlannedBuffer:
    """``bytes`` of each of its pieces, and when they are in use."""

    name: str
    bytes: int
    pieces: Sequence[Sequence[Span]]


@dataclass(frozen=True)
class PlanPicture:
    """What ``draw_plan`` shows.

    Attributes:
        title: the network.
        bytes: the plan's arena.
        buffers: everything in it.
        phase_ends: the moment after the last of each phase.
        others: names and bytes of what the plan is compared with (other plans, published figures, bounds).
    """

    title: str
    bytes: int
    buffers: Sequence[PlannedBuffer]
    phase_ends: Sequence[int]
    others: Sequence[tuple[str, int]]

    @property
    def used(self) -> list[int]:
        """Bytes in use at each moment."""
        pieces = [(buffer.bytes, spans) for buffer in self.buffers for spans in buffer.pieces]
        return usage([size for size, _ in pieces], [spans for _, spans in pieces])


def draw_plan(picture: PlanPicture, path: Path) -> None:
    """Write the picture (.png, .svg or .pdf).

    Raises:
        InputError: matplotlib is not installed, or another suffix.
    """
    shown = sorted(picture.buffers, key=lambda buffer: -buffer.bytes * len(buffer.pieces))[:MOST_BUFFERS]
    shown = [buffer for buffer in picture.buffers if buffer in shown]
    drawn = new_figure((13, 5.5 + 0.17 * len(shown)))
    grid = drawn.add_gridspec(2, 2, width_ratios=[3.4, 1], height_ratios=[1.2, max(1.0, len(shown) / 16)])
    over_time = drawn.add_subplot(grid[0, 0])
    _memory(over_time, picture)
    rows = drawn.add_subplot(grid[1, 0], sharex=over_time)
    _buffers(rows, shown, len(picture.buffers), picture.phase_ends)
    _beside(drawn.add_subplot(grid[0, 1]), picture)
    save(drawn, path)


def _memory(axes: Any, picture: PlanPicture) -> None:
    used = picture.used
    peak = max(used)
    at = used.index(peak)
    axes.fill_between(range(len(used)), [value / 1024 for value in used], step="post", color="tab:blue", alpha=0.45)
    axes.axhline(picture.bytes / 1024, color="tab:red", linestyle="--", linewidth=0.9)
    axes.plot([at], [peak / 1024], "o", color="tab:red")
    phases = len(picture.phase_ends)
    axes.set_title(
        f"{picture.title}: {picture.bytes:,} bytes in {phases} phase{'s' if phases > 1 else ''};"
        f" at most {peak:,} in use at once (red)",
        fontsize=10,
    )
    axes.set_ylabel("KiB in use")
    axes.set_ylim(bottom=0)
    axes.tick_params(labelbottom=False)
    _phases(axes, picture.phase_ends)


def _buffers(axes: Any, shown: Sequence[PlannedBuffer], count: int, phase_ends: Sequence[int]) -> None:
    largest = max(buffer.bytes * len(buffer.pieces) for buffer in shown)
    gap = max(1, phase_ends[-1] // WIDTH)
    for row, buffer in enumerate(shown):
        size = buffer.bytes * len(buffer.pieces)
        bars = [(first, last - first + 1) for first, last in _joined(buffer.pieces, gap)]
        axes.broken_barh(bars, (row - 0.4, 0.8), color="tab:blue", alpha=0.3 + 0.7 * size / largest, linewidth=0)
    labels = [f"{buffer.name}, {buffer.bytes * len(buffer.pieces):,}" for buffer in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=6)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("moments: a row computed or arrived")
    if len(shown) < count:
        axes.set_title(f"when the {len(shown)} largest of {count} buffers are in use (bytes)", fontsize=9)
    else:
        axes.set_title("when each buffer is in use (bytes)", fontsize=9)
    _phases(axes, phase_ends)


def _phases(axes: Any, ends: Sequence[int]) -> None:
    for end in ends[:-1]:
        axes.axvline(end, color="grey", linewidth=0.6)


def _joined(pieces: Sequence[Sequence[Span]], gap: int) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(span for spans in pieces for span in spans):
        if found and first <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _beside(axes: Any, picture: PlanPicture) -> None:
    """Bars of the plan and what it is compared with, on a logarithmic scale where they differ much."""
    bars = [("this plan", picture.bytes), *picture.others]
    colours = ["tab:red", *(["tab:grey"] * len(picture.others))]
    axes.barh(range(len(bars)), [size / 1024 for _, size in bars], color=colours)
    if max(size for _, size in bars) > 8 * min(size for _, size in bars):
        axes.set_xscale("log")
    for row, (_, size) in enumerate(bars):
        axes.annotate(f" {size / 1024:,.1f}", (size / 1024, row), va="center", fontsize=7)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlabel("KiB")
    axes.set_title("beside", fontsize=9)
