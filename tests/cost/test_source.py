"""Networks that the command line names, and names that are none."""

from pathlib import Path

import pytest
from torch import nn

from rnnpool.cost.profile import profile
from rnnpool.cost.source import input_shape, load_network
from rnnpool.errors import InputError


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "source_good.py").write_text(
        "from torch import nn\n\nbuild = lambda: nn.Conv2d(3, 4, 1)\nready = build()\n"
    )
    (tmp_path / "source_odd.py").write_text(
        "def number():\n    return 3\n\n\ndef broken():\n    return 1 / 0\n\n\nsize = 3\n"
    )
    (tmp_path / "source_failing.py").write_text("raise RuntimeError('no luck')\n")
    (tmp_path / "source_unwritten.py").write_text("def build(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))  # also takes the folder off the path again
    return tmp_path


def test_functions_and_modules_of_the_users_own(modules: Path) -> None:
    for name in ("source_good:build", "source_good:ready"):
        network, registered = load_network(name)
        assert isinstance(network, nn.Conv2d)
        assert registered is None
    assert load_network("mlperf_vww")[1] == (3, 96, 96)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "did you mean resnet18"),
        ("source_nowhere:build", "'source_nowhere' cannot be imported"),
        ("source_failing:build", "RuntimeError: no luck"),
        ("source_unwritten:build", "SyntaxError"),
        ("source_odd:numbr", "has no function 'numbr'; it has number, broken"),
        ("source_odd:size", "has no function 'size'"),
        ("source_odd:number", "returned a int"),
        ("source_odd:broken", r"broken\(\) failed \(ZeroDivisionError"),
    ],
)
def test_names_of_no_network(modules: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_network(name)


def test_input_shapes() -> None:
    assert input_shape("x", "3x32x48", (1, 2, 3)) == (3, 32, 48)
    assert input_shape("x", None, (1, 2, 3)) == (1, 2, 3)
    with pytest.raises(InputError, match="x has no registered input"):
        input_shape("x", None, None)
    for text in ("3x224", "3x0x4", "axbxc"):
        with pytest.raises(InputError, match=f"--input is '{text}'"):
            input_shape("x", text, None)


def test_a_network_without_values_costs_the_same() -> None:
    bare, shape = load_network("mobilenet_v2_035-rnnpool", values=False)
    assert all(parameter.is_meta for parameter in bare.parameters())
    full, _ = load_network("mobilenet_v2_035-rnnpool")
    ours, theirs = (profile(network, shape, dtype="int8").to_dict() for network in (bare, full))
    assert ours == theirs
