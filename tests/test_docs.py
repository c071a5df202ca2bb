"""What the README and the guides show works: Python runs, commands parse, links lead somewhere.

A block marked ```python no-run is not run: it needs the network, or a file that only its reader has.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from rnnpool.cli import VERBS, verb_parser
from rnnpool.models.weights import find_shipped_weights

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def with_blocks(language: str) -> list:
    return [pytest.param(page, id=page.name) for page in PAGES if blocks(page, language)]


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n".join(blocks(page, "python"))
    if "photo.jpg" in code:
        if find_shipped_weights("face-tiny") is None:
            pytest.skip("no weights of face-tiny in weights/")
        matplotlib = pytest.importorskip("matplotlib")
        shutil.copy(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", with_blocks("sh"))
def test_commands_parse(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in "\n".join(blocks(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), line
        elif "rnnpool" in words:
            check_command(words[words.index("rnnpool") + 1 :])


def test_commands_of_the_help_parse() -> None:
    for verb in VERBS:
        text = verb_parser(verb).format_help().replace("\\\n", " ")  # commands over several lines
        for line in re.findall(r"^  rnnpool (.*)$", text, re.MULTILINE):
            check_command(shlex.split(re.split(r" \||   ", line)[0]))


def check_command(words: list[str]) -> None:
    """Parse what follows ``rnnpool``; an unknown verb or option raises InputError."""
    assert words[0] in VERBS
    parser = verb_parser(words[0])
    if words[1:] != ["--help"]:
        parser.parse_intermixed_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target.split("#")[0]).exists(), target
