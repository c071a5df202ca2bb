"""Write the tables of docs/networks.md anew: ``python docs/make_networks.py``.

Everything between the two markers is replaced; the counts come from the networks themselves.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from rnnpool.cost import count
from rnnpool.cost.tables.table import Figure
from rnnpool.files import write_text
from rnnpool.models import create_model, list_models, model_info
from rnnpool.models.classification.published import AGREE_BY_CHANCE, PUBLISHED, reason

PAGE = Path(__file__).with_name("networks.md")
BEGIN, END = "<!-- tables: python docs/make_networks.py -->", "<!-- end of tables -->"

Counts = tuple[float, float, float]  # parameters, multiply-adds as the paper counts, as computed here: millions


def counts(name: str) -> Counts:
    info = model_info(name)
    assert info.input_size is not None
    with torch.device("meta"):
        network = create_model(name)
    cost = count(network, info.input_size)
    return cost.parameters / 1e6, cost.madds.paper / 1e6, cost.madds.shared / 1e6


def all_networks(found: dict[str, Counts]) -> list[str]:
    """The first table: every classifier."""
    rows = []
    for name, (parameters, paper, shared) in found.items():
        c, h, w = model_info(name).input_size or (0, 0, 0)
        rows.append((f"`{name}`", f"{c}x{h}x{w}", f"{parameters:.4g}", f"{paper:.4g}", f"{shared:.4g}"))
    return table(("network", "input", "parameters, M", "MAdds, M: the paper's count", "MAdds, M: as computed"), rows)


def beside_the_paper(found: dict[str, Counts]) -> list[str]:
    """The second table: what the paper prints, and why where ours differs."""
    rows = []
    for name, published in PUBLISHED.items():
        printed = zip(found[name][:2], (published.parameters, published.madds), (3, 1), published.digits, strict=True)
        figures = [Figure(ours, theirs, 1, digits, theirs_digits) for ours, theirs, digits, theirs_digits in printed]
        cells = [text for figure in figures for text in figure.texts()]
        differs = any(figure.difference for figure in figures)
        rows.append(
            (
                f"`{name}`",
                published.table,
                *cells,
                reason(name) if differs or name in AGREE_BY_CHANCE else "",
            )
        )
    head = ("network", "table", "parameters, M", "paper", "difference", "MAdds, M", "paper", "difference", "why")
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


def tables(names: Sequence[str]) -> str:
    found = {name: counts(name) for name in names}
    paper = beside_the_paper(found) if PUBLISHED.keys() <= found.keys() else []
    return "\n".join([*all_networks(found), "", "### Beside the paper", "", *paper])


def main() -> None:
    classifiers = [name for name in list_models() if model_info(name).task == "classification"]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    write_text(PAGE, f"{before}{BEGIN}\n\n{tables(classifiers)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
