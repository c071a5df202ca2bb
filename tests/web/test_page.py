"""The files of a page: complete, of one piece, and without a word of elsewhere."""

import base64
import json
import re
from pathlib import Path

import pytest

from rnnpool.errors import InputError
from rnnpool.web.module import Module
from rnnpool.web.page import write_page


def network_of(page: Path) -> dict:
    """What the page's script knows of its network."""
    (line,) = re.findall(r"^const NETWORK = (.*);$", (page / "page.js").read_text(), re.MULTILINE)
    return json.loads(line)


def test_files(face_module: Module, face_page: Path) -> None:
    assert sorted(path.name for path in face_page.iterdir()) == [
        "index.html",
        "page.js",
        "small_face.wasm",
        "style.css",
    ]
    assert (face_page / "small_face.wasm").read_bytes() == face_module.wasm
    assert base64.b64decode(network_of(face_page)["wasm"]) == face_module.wasm


def test_the_page_says_what_it_costs(face_module: Module, face_page: Path) -> None:
    text = (face_page / "index.html").read_text()
    assert f"{face_module.arena_bytes:,} bytes" in text
    assert "1,536 bytes" in text
    assert "Finds faces from 64\u00d748 grey pixels" in text


@pytest.mark.parametrize("page", ["face_page", "pets_page"])
def test_nothing_is_loaded_from_elsewhere(page: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(page)
    html = (folder / "index.html").read_text()
    assert sorted(re.findall(r'(?:src|href)="([^"]*)"', html)) == ["data:,", "page.js", "style.css"]
    assert "connect-src 'none'" in html
    for name in ("index.html", "page.js", "style.css"):
        text = (folder / name).read_text()
        assert not re.findall(r"https?://|//[a-z]+\.[a-z]", text), name
        assert not re.findall(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", text), name


@pytest.mark.parametrize("page", ["face_page", "pets_page"])
def test_the_script_finds_what_it_looks_for(page: str, request: pytest.FixtureRequest) -> None:
    """Every id of the script is one of the page, but for those of the other kind of network."""
    folder = request.getfixturevalue(page)
    ids = set(re.findall(r'id="([^"]+)"', (folder / "index.html").read_text()))
    other = {"classes"} if page == "face_page" else {"threshold", "threshold-value", "faces"}
    assert set(re.findall(r'element\("([^"]+)"\)', (folder / "page.js").read_text())) - ids == other


def test_labels_name_their_controls(face_page: Path) -> None:
    html = (face_page / "index.html").read_text()
    ids = set(re.findall(r'id="([^"]+)"', html))
    references = re.findall(r'(?:for|aria-labelledby)="([^"]+)"', html)
    assert references
    assert set(references) <= ids


def test_classes_and_view_come_from_the_file(pets_page: Path, face_page: Path) -> None:
    pets, face = network_of(pets_page), network_of(face_page)
    assert pets["classes"] == ["cat", "<b>dog</b>", "no_pet"]
    assert (pets["crop"], pets["kind"]) == (0.8, "scores")
    assert (face["crop"], face["kind"], face["classes"]) == (None, "detections", [])
    assert "<b>dog" not in (pets_page / "index.html").read_text()


def test_a_page_is_written_again_but_no_other_is_lost(face_module: Module, pets_module: Module, tmp_path: Path) -> None:
    write_page(face_module, tmp_path / "page")
    write_page(pets_module, tmp_path / "page")
    assert network_of(tmp_path / "page")["name"] == "pets"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "style.css").write_text("mine")
    with pytest.raises(InputError, match="holds style.css, which is not of an earlier page; give a folder of its own"):
        write_page(face_module, tmp_path / "own")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["style.css"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file; the page is written into a folder"):
        write_page(face_module, tmp_path / "file")
