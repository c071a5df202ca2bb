"""The tables of docs/networks.md are what docs/make_networks.py writes."""

import importlib.util
from pathlib import Path

import pytest

from rnnpool.models import list_models, model_info
from rnnpool.models.classification.published import PUBLISHED, REASONS, reason

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_networks():
    spec = importlib.util.spec_from_file_location("make_networks", DOCS / "make_networks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(make_networks) -> None:
    page = (DOCS / "networks.md").read_text(encoding="utf-8").splitlines()
    names = [*list_models("mobilenet_v1_025*"), "resnet18-rnnpool", "mobilenet_v2-rnnpool", "densenet121-allpool-half"]
    written = make_networks.all_networks({name: make_networks.counts(name) for name in names})
    assert [line for line in written if line not in page] == []
    classifiers = [name for name in list_models() if model_info(name).task == "classification"]
    missing = [name for name in classifiers if not any(line.startswith(f"| `{name}` |") for line in page)]
    assert missing == [], "run python docs/make_networks.py"


def test_differences_from_the_paper_have_a_reason(make_networks) -> None:
    assert set(PUBLISHED) <= set(list_models())
    assert all(any(name.startswith(start) for name in PUBLISHED) for start in REASONS)
    invented = dict.fromkeys(PUBLISHED, (1000.0, 1000000.0, 1000000.0))
    rows = make_networks.beside_the_paper(invented)[2:]
    assert len(rows) == len(PUBLISHED)
    assert all("%" in row for row in rows)
    assert [name for name in PUBLISHED if not reason(name)] == ["mobilenet_v1-rnnpool"]  # this one agrees
