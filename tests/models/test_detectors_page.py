"""docs/detectors.md says what the code counts."""

from pathlib import Path

import pytest

from rnnpool.cost import count
from rnnpool.models import create_model, list_models, model_info

PAGE = Path(__file__).resolve().parents[2] / "docs" / "detectors.md"


def table() -> dict[str, list[str]]:
    """name -> the cells of its row in the page's first table."""
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return {row[0]: [cell.strip() for cell in row] for row in rows if row[0].startswith("face-") and len(row) > 5}


def test_every_detector_has_its_row():
    assert sorted(table()) == list_models("face-*")


@pytest.mark.parametrize("name", list_models("face-*"))
def test_the_row_is_what_the_code_counts(name):
    cells = table()[name]
    channels, height, width = model_info(name).input_size
    model = create_model(name)
    cost = count(model, (channels, height, width))
    assert cells[1] == f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"
    assert cells[3] == f"{cost.parameters:,}"
    assert cells[6] == f"{cost.madds.shared / 1e6:.1f}M"
    assert cells[7] == f"{cost.madds.paper / 1e6:.1f}M"
    if cells[5] != "-":
        assert cells[5] == cells[3]  # the reference code's count is met exactly
