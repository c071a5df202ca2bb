"""The command line around the verbs: help, errors of one line, exit statuses."""

import re

import pytest

from rnnpool import __version__
from rnnpool.cli import VERBS, main


@pytest.fixture(autouse=True)
def ordinary_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_without_arguments_it_says_where_to_begin(capsys: pytest.CaptureFixture) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for line in ("rnnpool demo", "rnnpool detect PHOTO", "rnnpool models", "rnnpool --help"):
        assert line in out


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnpool {__version__}\n"


def test_help_lists_every_verb(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for verb, summary in VERBS.items():
        assert re.search(rf"^ +{verb} +{re.escape(summary)}$", out, re.MULTILINE), verb


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: rnnpool {verb} ")
    assert VERBS[verb][1:] in out
    # Every option says what it is for.
    undocumented = re.findall(r"^  (?:-\S+,? ?)+(?:[A-Z|]+)?$(?!\n {10,}\S)", out, re.MULTILINE)
    assert not undocumented
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detcet"], "no verb 'detcet', did you mean 'detect'? (rnnpool --help lists them)"),
        (["xyz"], "no verb 'xyz' (rnnpool --help lists them)"),
        (["--colour"], "unrecognized arguments: --colour (rnnpool --help explains)"),
        (["detect"], "the following arguments are required: IMAGE|DIR (rnnpool detect --help explains)"),
        (["detect", "a.jpg", "--sise", "3"], "unrecognized arguments: --sise 3 (rnnpool detect --help explains)"),
        (
            ["detect", "a.jpg", "--threshold", "high"],
            "argument --threshold: invalid float value: 'high' (rnnpool detect --help explains)",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err == f"rnnpool: error: {message}\n"
    assert captured.out == ""


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def interrupted(pattern: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnpool.models.list_models", interrupted)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "rnnpool: interrupted\n"


def test_the_help_of_train_names_the_recipes(capsys):
    assert main(["train", "--help"]) == 0
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert {"face-tiny", "imagenette", "pictures"} <= set(last.split(", "))
