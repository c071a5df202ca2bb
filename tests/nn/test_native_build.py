"""Building the native sweep: what is kept, what happens without a compiler, a cache or a home, and all at once.

Compilers here are shell scripts that copy the library that the real one built, so that a build takes no time.
"""

import ctypes
import multiprocessing
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rnnpool.nn import RNNPool2d, native
from rnnpool.nn.native import build

BUILT = re.search(r"compiled with .*, (/.*\.so)$", native.status())
pytestmark = pytest.mark.skipif(BUILT is None, reason=native.status())
Compiler = Callable[[str], Path]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Puts a c++ on an otherwise almost empty PATH; the script given runs before the copy, $calls counts calls."""
    assert BUILT is not None
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("CXX", str(folder / "c++"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_loaded", None)

    def install(script: str = "") -> Path:
        calls = tmp_path / "calls"
        lines = ["#!/bin/sh", '[ "$1" = --version ] && echo 1 && exit', f'echo "$@" >> {calls}']
        lines += [f"library={BUILT[1]}", script, 'for last; do :; done; cp "$library" "$last"', ""]
        (folder / "c++").write_text("\n".join(lines))
        (folder / "c++").chmod(0o755)
        return calls

    return install


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "rnnpool").iterdir())


def works() -> bool:
    """A sweep through whatever ``library()`` gives now equals the torch path."""
    torch.manual_seed(0)
    layer, x = RNNPool2d(2, 4, 4, 3, 2), torch.randn(1, 2, 7, 7)
    y = layer(x)
    with native.disabled():
        return torch.allclose(y, layer(x), rtol=0, atol=1e-6)


def test_built_once_and_kept(compiler: Compiler, tmp_path: Path) -> None:
    calls = compiler("")
    first, why = build.build()
    assert first is not None
    (library,) = kept(tmp_path)
    assert why == f"compiled with {tmp_path}/bin/c++, {library}"
    assert "-march=native" in calls.read_text()
    assert build.build()[0] is not None
    assert len(calls.read_text().splitlines()) == 1
    assert native.status() == f"native: {why}"
    assert works()


def test_another_processor_builds_anew(compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-march=native code of one machine may not run on another that shares the home folder."""
    compiler("")
    build.build()
    monkeypatch.setattr(build, "processor", lambda: "flags : another")
    build.build()
    assert len(kept(tmp_path)) == 2


def test_another_source_builds_anew(compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler("")
    build.build()
    sources = tmp_path / "sources"
    sources.mkdir()
    for path in build.FOLDER.glob("*.[ch]*"):
        (sources / path.name).write_text(path.read_text())
    (sources / "gates.h").write_text("// changed\n")
    monkeypatch.setattr(build, "FOLDER", sources)
    build.build()
    assert len(kept(tmp_path)) == 2


def test_a_compiler_without_native_tuning(compiler: Compiler) -> None:
    calls = compiler('case "$*" in *=native*) echo "bad value for -march" >&2; exit 1;; esac')
    assert build.build()[0] is not None
    assert ["=native" in line for line in calls.read_text().splitlines()] == [True, True, False]


def test_without_openmp(compiler: Compiler) -> None:
    calls = compiler('case "$*" in *-fopenmp*) echo "unsupported option" >&2; exit 1;; esac')
    assert build.build()[0] is not None
    assert ["-fopenmp" in line for line in calls.read_text().splitlines()] == [True, True, True, False]
    assert "-march=native" in calls.read_text().splitlines()[-1]


def test_threads_of_its_own_where_there_is_no_openmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real source, built without OpenMP: the same gradients to the bit on three threads."""
    found = build.find_compiler()
    assert found is not None
    library = tmp_path / "sweep.so"
    sources = map(str, sorted(build.FOLDER.glob("*.cpp")))
    subprocess.run([*found, *build.FLAGS, "-O1", "-march=native", *sources, "-o", str(library)], check=True)
    monkeypatch.setattr(build, "_loaded", (ctypes.CDLL(str(library)), "built by the test"))
    torch.manual_seed(0)
    layer, x = RNNPool2d(2, 4, 4, 3, 2), torch.randn(1, 2, 9, 40, requires_grad=True)
    before = torch.get_num_threads()
    gradients = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            gradients.append(torch.autograd.grad(layer(x).square().sum(), x)[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*gradients)


def test_no_compiler(compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler("")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "")
    assert native.status() == "torch: no C++ compiler found (CXX, c++, g++ or clang++)"
    assert not native.available(torch.zeros(1))
    assert works()


def test_a_compiler_that_fails_is_quoted(compiler: Compiler, tmp_path: Path) -> None:
    compiler('echo "sweep.cpp:7: error: no such luck" >&2; exit 1')
    status = native.status()
    assert status.startswith(f"torch: {tmp_path}/bin/c++ -O3")
    assert status.endswith("failed: sweep.cpp:7: error: no such luck")
    assert kept(tmp_path) == []
    assert works()


def test_a_library_that_does_not_load(compiler: Compiler) -> None:
    compiler("library=/bin/sh")
    assert re.search(
        r"^torch: cannot keep it in the cache: .*; nor build it in a temporary folder: .*sweep\.so", native.status()
    )
    assert works()


def test_a_cache_that_cannot_be_written(compiler: Compiler, tmp_path: Path) -> None:
    compiler("")
    (tmp_path / "cache").write_text("a file where the folder should be")
    status = native.status()
    assert status.startswith(
        f"native: compiled with {tmp_path}/bin/c++ for this process alone, cannot keep it in the cache:"
    )
    assert works()


def test_no_home(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler("")
    monkeypatch.delenv("XDG_CACHE_HOME")

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert "for this process alone, cannot keep it in the cache: Could not determine home" in native.status()


def test_several_threads_build_once(compiler: Compiler) -> None:
    calls = compiler("sleep 0.2")
    threads = [threading.Thread(target=build.library) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert native.status().startswith("native: ")
    assert len(calls.read_text().splitlines()) == 1


def test_several_processes_build_at_once(compiler: Compiler, tmp_path: Path) -> None:
    """Each may compile, none may load half a file; one library is left and nothing else."""
    calls = compiler("sleep 0.3")
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def first_use() -> None:
        results.put(build.build()[0] is not None)

    processes = [context.Process(target=first_use) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [results.get() for _ in processes] == [True] * 3
    assert 1 <= len(calls.read_text().splitlines()) <= 3
    assert [path.suffix for path in kept(tmp_path)] == [".so"]
    assert not kept(tmp_path)[0].name.startswith(".")
