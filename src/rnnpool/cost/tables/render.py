"""Tables on a screen, and as lines that stay whole in a pipe."""

import sys

from rich.console import Console
from rich.table import Table

from rnnpool.cost.tables.table import CostTable

WIDEST = 120  # characters; on a narrower screen the terminal folds lines, where rich would cut figures off


def console() -> Console:
    """A console for standard output; a pipe has no width, so there lines are not folded."""
    screen = Console(file=sys.stdout)
    return Console(file=sys.stdout, width=max(WIDEST, screen.width) if sys.stdout.isatty() else 240)


def fits(table: Table) -> bool:
    """Whether the screen is wide enough for the table; a pipe always is."""
    return not sys.stdout.isatty() or Console(width=1000).measure(table).maximum <= Console(file=sys.stdout).width


def print_table(table: CostTable, screen: Console) -> None:
    """Ours, the paper's and the difference for each figure; footnotes below."""
    drawn = Table(title=f"{table.title}", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    drawn.add_column("network", no_wrap=True)
    papers = [any(row.figures[i].paper is not None for row in table.rows) for i in range(len(table.columns))]
    for column, paper in zip(table.columns, papers, strict=True):
        drawn.add_column(column, justify="right", no_wrap=True)
        if paper:
            drawn.add_column("paper", justify="right", no_wrap=True, style="dim")
            drawn.add_column("diff.", justify="right", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    notes: dict[str, int] = {}
    for row in table.rows:
        cells = [row.name + (" (quoted)" if row.quoted else "")]
        for figure, paper in zip(row.figures, papers, strict=True):
            ours, theirs, gap = figure.texts()
            cells += [ours, theirs, gap] if paper else [ours]
        cells.append(f"\\[{notes.setdefault(row.note, len(notes) + 1)}]" if row.note else "")
        drawn.add_row(*cells, style="italic" if row.quoted else None)
    screen.print(drawn)
    for note, number in notes.items():
        screen.print(f"  [{number}] {note}", markup=False, highlight=False, soft_wrap=True)
    for note in table.notes:
        screen.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)
    screen.print()
