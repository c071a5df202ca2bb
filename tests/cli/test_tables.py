"""``rnnpool tables`` and ``rnnpool sweep``."""

import json
from pathlib import Path

import pytest

from rnnpool.cli import main
from rnnpool.commands.tables import NAMES
from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.cost.tables.render import WIDEST, console
from rnnpool.cost.tables.table import Figure
from rnnpool.graph import lower
from rnnpool.models import create_model


def tables(capsys: pytest.CaptureFixture, *names: str) -> dict[str, dict]:
    """Rows by name, of one or more tables."""
    assert main(["tables", *names, "--json"]) == 0
    return {row["name"]: row for table in json.loads(capsys.readouterr().out) for row in table["rows"]}


def test_exact_figures_have_no_difference(capsys: pytest.CaptureFixture) -> None:
    """Issue and specification name them: they must print as the paper's do."""
    rows = tables(capsys, "2", "3", "4")
    assert rows["densenet121-rnnpool"]["figures"]["params, M"]["difference"] == 0
    for name in ("mobilenet_v2", "efficientnet_b0", "resnet18", "densenet121", "googlenet", "mobilenet_v1"):
        assert rows[f"{name}-rnnpool"]["figures"]["peak, MiB"]["difference"] == 0
    v1 = rows["mobilenet_v1-rnnpool"]
    assert [figure["difference"] for figure in v1["figures"].values()] == [0, 0, 0]
    assert v1["note"] == ""
    for name in ("C (float32)", "Quant (int8)"):
        assert rows[f"RNNPool-Face-{name}"]["figures"]["peak, MiB"]["difference"] == 0
    assert rows["densenet121"]["note"] == ""  # 2,833.1M: the paper's 2.83G
    assert rows["EXTD"]["quoted"]
    assert all(figure["ours"] is None for figure in rows["EXTD"]["figures"].values())


def test_every_difference_of_the_classifiers_has_a_footnote(capsys: pytest.CaptureFixture) -> None:
    for row in tables(capsys, "2", "18").values():
        differs = any(figure["difference"] for figure in row["figures"].values())
        assert bool(row["note"]) == differs or row["name"].startswith("mobilenet_v2_035")


def test_every_difference_of_any_table_has_a_footnote(capsys: pytest.CaptureFixture) -> None:
    assert main(["tables", "1", "3", "4", "5", "8", "--json"]) == 0
    for table in json.loads(capsys.readouterr().out):
        for row in table["rows"]:
            assert row["note"] or not any(figure["difference"] for figure in row["figures"].values())
            assert row["note"] != "unknown"


def test_ours_beside_the_papers_as_text(capsys: pytest.CaptureFixture) -> None:
    assert main(["tables", "3", "5"]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("mobilenet_v1-rnnpool")]
    assert line.split()[1:] == ["0.766", "0.77", "=", "4.118", "4.118", "=", "417.0", "417", "="]
    assert "MobileNetV2-SSDLite (quoted)" in out
    assert "[1]" in out


def test_the_known_peaks_to_three_digits(capsys: pytest.CaptureFixture) -> None:
    assert main(["tables", "2", "4"]) == 0
    printed = {}
    for line in capsys.readouterr().out.splitlines():
        name, *figures = line.replace(" (float32)", "").replace(" (int8)", "").split() or [""]
        printed[name] = " ".join(figures)
        assert len(line) <= 112
    networks = {"mobilenet_v2": "0.239", "efficientnet_b0": "0.251", "resnet18": "0.383", "densenet121": "0.766"}
    known = {f"{name}-rnnpool": peak for name, peak in (networks | {"googlenet": "0.778"}).items()}
    known |= {"RNNPool-Face-C": "6.445", "RNNPool-Face-Quant": "225.0 KiB 225 KiB ="}
    for name, peak in known.items():
        assert printed[name].startswith(peak)


@pytest.mark.parametrize(
    ("ours", "paper", "digits", "alike"),
    [(3.0625, 3.06, 2, True), (6.445, 6.44, 2, True), (2833.1, 2830.0, -1, True), (0.287, 0.296, 3, False)],
)
def test_alike_is_rounded_or_cut(ours: float, paper: float, digits: int, alike: bool) -> None:
    """As the paper prints 3.0625 MiB, 6.445 MiB and 2.833G."""
    assert (Figure(ours * 1e6, paper * 1e6, 1e6, 3, digits).difference == 0) == alike


def test_a_narrow_screen_loses_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert console().width == WIDEST


def test_streaming_is_told_for_base_baselines_and_rnnpool() -> None:
    """The whole table takes long; its rows are made of these."""
    from rnnpool.cost.tables import ours

    families = ours.FAMILIES
    try:
        ours.FAMILIES = ("mobilenet_v1_025",)
        table = ours.streaming()
    finally:
        ours.FAMILIES = families
    assert [row.name.removeprefix("mobilenet_v1_025") for row in table.rows] == list(ours.VARIANTS)
    for row in table.rows:
        figures = dict(zip(table.columns, row.figures, strict=True))
        assert 0 < figures["bound, KiB"].ours <= figures["rows, KiB"].ours
    (renet,) = [row for row in table.rows if row.name.endswith("renet")]
    assert "forced whole" in renet.note


def test_unknown_table_is_named(capsys: pytest.CaptureFixture) -> None:
    assert main(["tables", "7"]) == 2
    error = capsys.readouterr().err
    assert all(name in error for name in NAMES)


GRID = ["--patch", "4,6", "--stride", "4,5", "--hidden", "4,8", "--size", "64"]


def test_sweep(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    picture = tmp_path / "front.svg"
    assert main(["sweep", "mobilenet_v2_035-rnnpool", *GRID, "--json", "--plot", str(picture)]) == 0
    result = json.loads(capsys.readouterr().out)
    points = result["points"]
    settings = {(point["kernel"], point["stride"], point["hidden"]) for point in points}
    assert settings == {(4, 4, 4), (4, 4, 8), (6, 4, 4), (6, 4, 8)}
    assert len(result["impossible"]) == 4
    assert all("stride is 5" in line for line in result["impossible"])
    for point in points:
        beaten = any(
            other["hidden"] >= point["hidden"] and other["madds"] <= point["madds"] and other["ram"] <= point["ram"]
            for other in points if other is not point
        )  # fmt: skip
        assert point["front"] != beaten
    assert {point["hidden"] for point in points if point["front"]} == {4, 8}
    assert "<svg" in picture.read_text()


def test_sweep_as_a_table(capsys: pytest.CaptureFixture) -> None:
    assert main(["sweep", "mobilenet_v2_035-rnnpool", "--patch", "6", "--hidden", "8", "--size", "64"]) == 0
    said = capsys.readouterr().out
    assert "*      6       4       8     64" in said
    assert "costs less" in said


def test_sweep_by_the_standard_convention(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Both peaks are those of the profile; the front, the budget and the picture go by the one asked for."""
    picture = tmp_path / "front.svg"
    sweep = ["sweep", "mobilenet_v2_035-rnnpool", *GRID, "--by", "standard", "--json"]
    assert main([*sweep, "--plot", str(picture)]) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert all(point["ram"] == point["standard"] != point["rows"] for point in points)
    plain = {(point["hidden"], point["standard"]) for point in points}
    assert len(plain) == 2  # the patch costs no memory by this convention
    assert "standard convention" in picture.read_text()
    ram = min(point["standard"] for point in points)
    assert main([*sweep, "--ram", str(ram)]) == 0
    assert {point["hidden"] for point in json.loads(capsys.readouterr().out)["points"]} == {4}
    graph = lower(create_model("mobilenet_v2_035-rnnpool", kernel=4, hidden=4, input_size=64), (3, 64, 64))
    (first,) = [point for point in points if (point["kernel"], point["hidden"]) == (4, 4)]
    assert first["standard"] == standard_peak(graph, dtype="int8").peak
    assert first["rows"] == plan_rows(graph, dtype="int8").peak


def test_sweep_within_a_budget(capsys: pytest.CaptureFixture) -> None:
    assert main(["sweep", "mobilenet_v2_035-rnnpool", *GRID, "--json"]) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    ram = sorted(point["ram"] for point in points)[1]
    assert main(["sweep", "mobilenet_v2_035-rnnpool", *GRID, "--json", "--ram", str(ram)]) == 0
    assert json.loads(capsys.readouterr().out)["points"] == [point for point in points if point["ram"] <= ram]
    assert main(["sweep", "mobilenet_v2_035-rnnpool", *GRID, "--ram", "1000"]) == 2
    assert "nothing fits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mobilenet_v2"], "'kernel'"),
        (["mobilenet_v2-rnnpool", "--patch", "six"], "'six'"),
        (["mobilenet_v2-rnnpool", "--stride", "5"], "stride is 5"),
    ],
)
def test_mistakes_are_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["sweep", *arguments]) == 2
    assert words in capsys.readouterr().err
