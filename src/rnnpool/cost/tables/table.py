"""A table of figures, ours beside the paper's."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One number in base units (numbers, bytes), ours and the paper's; None where there is none.

    ``unit`` is what one printed unit stands for; ``suffix`` names it where it is not the column's. ``digits`` behind
    the point are printed of ours, ``paper_digits`` (if it is not the same) are what the paper prints: -1 for tens.
    """

    ours: float | None
    paper: float | None
    unit: float = 1.0
    digits: int = 2
    paper_digits: int | None = None
    suffix: str = ""

    @property
    def difference(self) -> float | None:
        """Ours over the paper's, less one; None where one of them is missing, 0 where both print alike.

        The paper rounds some numbers (3.0625 MiB to 3.06) and cuts others (6.445 MiB to 6.44): either way is alike.
        """
        if self.ours is None or not self.paper:
            return None
        scale = 10.0**self._paper_digits / self.unit
        if round(self.paper * scale) in (round(self.ours * scale), math.floor(self.ours * scale)):
            return 0.0
        return self.ours / self.paper - 1

    @property
    def _paper_digits(self) -> int:
        return self.digits if self.paper_digits is None else self.paper_digits

    def texts(self) -> tuple[str, str, str]:
        """Ours, the paper's, the difference, as printed."""
        difference = self.difference
        gap = "" if difference is None else "=" if difference == 0 else f"{difference:+.1%}"
        return self._text(self.ours, self.digits), self._text(self.paper, max(0, self._paper_digits)), gap

    def _text(self, value: float | None, digits: int) -> str:
        return "" if value is None else f"{value / self.unit:,.{digits}f}{self.suffix}"


@dataclass(frozen=True)
class Row:
    """A network's figures; ``quoted`` marks rivals of which only the paper's figures are given."""

    name: str
    figures: tuple[Figure, ...]
    note: str = ""
    quoted: bool = False


@dataclass(frozen=True)
class CostTable:
    """``columns`` name the figures with their unit; ``notes`` hold for the whole table."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """For JSON, in base units."""
        return {
            "table": self.key,
            "title": self.title,
            "rows": [
                {
                    "name": row.name,
                    "quoted": row.quoted,
                    "note": row.note,
                    "figures": {
                        column: {"ours": figure.ours, "paper": figure.paper, "difference": figure.difference}
                        for column, figure in zip(self.columns, row.figures, strict=True)
                    },
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
        }
