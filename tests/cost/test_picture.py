"""Pictures of plans: what they are told is what they show."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rnnpool.cost.picture import PlannedBuffer, PlanPicture, draw_plan
from rnnpool.cost.profile import profile
from rnnpool.cost.tables.published import published_peak
from rnnpool.errors import InputError
from rnnpool.models import create_model


def text_of(path: Path) -> str:
    """Everything that an SVG made of text says (matplotlib writes glyphs as shapes, with the text in comments)."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.parse(path, parser).getroot()
    return "\n".join(node.text for node in root.iter() if node.tag is ET.Comment and node.text)


def test_use_at_each_moment_is_drawn(tmp_path: Path) -> None:
    buffers = [PlannedBuffer("ring", 100, [[(0, 3)], [(1, 4)]]), PlannedBuffer("held", 50, [[(2, 2), (4, 4)]])]
    picture = PlanPicture("net", 300, buffers, [3, 5], [("layer by layer", 5000), ("proved bound", 200)])
    assert picture.used == [100, 200, 250, 200, 150]
    draw_plan(picture, tmp_path / "plan.svg")
    said = text_of(tmp_path / "plan.svg")
    for part in ("net: 300 bytes in 2 phases", "at most 250 in use", "ring, 200", "held, 50", "layer by layer", "4.9"):
        assert part in said


def test_a_profile_shows_the_paper_beside_its_own_plan() -> None:
    result = profile(create_model("face-m4"), (1, 240, 320), dtype="int8")
    picture = result.picture
    assert max(picture.used) == max(result.rows.used)
    assert dict(picture.others) == {
        "layer by layer": result.whole.peak, "the paper": 188 * 1024, "proved bound": result.bound.bytes
    }  # fmt: skip


def test_published_peaks_are_for_their_own_type_and_size() -> None:
    assert published_peak("face-m4", "int8", (1, 240, 320)) == 192512
    assert published_peak("face-m4", "float32", (1, 240, 320)) is None
    assert published_peak("mobilenet_v2_035", "int8", (3, 144, 144)) is None
    assert published_peak("mobilenet_v1-rnnpool", "float32", (3, 224, 224)) == round(0.77 * 2**20)
    assert published_peak("a net of one's own", "int8", (3, 224, 224)) is None


def test_a_suffix_that_no_picture_has_is_refused(tmp_path: Path) -> None:
    picture = PlanPicture("net", 300, [PlannedBuffer("ring", 100, [[(0, 3)]])], [4], [])
    with pytest.raises(InputError, match="written as"):
        draw_plan(picture, tmp_path / "plan.jpeg")
