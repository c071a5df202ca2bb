"""A table of figures, ours beside the paper's."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One number in base units (numbers, bytes), ours and the paper's; None where there is none.

    ``unit`` is what one printed unit stands for, ``digits`` how many digits behind the point the paper prints.
    """

    ours: float | None
    paper: float | None
    unit: float = 1.0
    digits: int = 2

    @property
    def difference(self) -> float | None:
        """Ours over the paper's, less one; None where one of them is missing, 0 where both print alike."""
        if self.ours is None or not self.paper:
            return None
        if round(self.ours / self.unit, self.digits) == round(self.paper / self.unit, self.digits):
            return 0.0
        return self.ours / self.paper - 1

    def texts(self) -> tuple[str, str, str]:
        """Ours, the paper's, the difference, as printed."""
        difference = self.difference
        gap = "" if difference is None else "=" if difference == 0 else f"{difference:+.1%}"
        return self._text(self.ours), self._text(self.paper), gap

    def _text(self, value: float | None) -> str:
        return "" if value is None else f"{value / self.unit:,.{self.digits}f}"


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
