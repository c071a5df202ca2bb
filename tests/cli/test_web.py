"""``rnnpool web``: its files, errors and server, as a process of its own where that matters."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.cli import main
from rnnpool.integer.convert import convert
from rnnpool.integer.storage import save_network
from rnnpool.target.toolchain import WASM_TOOLS, missing_tools

WEB = [sys.executable, "-m", "rnnpool", "web"]
needs_clang = pytest.mark.skipif(missing_tools(WASM_TOOLS) is not None, reason=f"wasm: {missing_tools(WASM_TOOLS)}")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A classifier's integers in the working folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    images = list(np.random.default_rng(0).integers(0, 256, (4, 1, 16, 20)).astype(np.uint8))
    save_network(convert(net, (1, 16, 20), images, name="two-classes", method="minmax").network, "two.safetensors")
    return "two.safetensors"


def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    return subprocess.run([*WEB, *arguments], capture_output=True, text=True, timeout=120, env=environment)


@needs_clang
def test_a_page_of_a_file(file: str) -> None:
    done = run(file, "-o", "page")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    size = Path("page/two_classes.wasm").stat().st_size
    assert re.fullmatch(
        rf"page/two_classes.wasm: {size:,} bytes of WebAssembly, [\d,]+ bytes of RAM in its arena", first
    )
    assert second == "open page/index.html in a browser; for the camera add --serve"


def test_without_a_compiler(file: str) -> None:
    done = run(file, "-o", "page", path="/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rnnpool: error: clang is not installed; on Debian: apt-get install clang lld\n"
    assert list(Path("page").iterdir()) == []


@needs_clang
def test_the_page_is_served_here_until_it_is_interrupted(file: str) -> None:
    process = subprocess.Popen(
        [*WEB, file, "-o", "page", "--serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        line = process.stdout.readline()
        url = line.split()[0]
        assert re.fullmatch(r"http://localhost:\d+/ until Ctrl-C\n", line)
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.read() == Path("page/index.html").read_bytes()
        with urllib.request.urlopen(f"{url}two_classes.wasm", timeout=20) as answer:
            assert answer.headers["Content-Type"] == "application/wasm"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}../two.safetensors", timeout=20)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    finally:
        process.kill()
    assert process.returncode == 0


def test_mistakes(file: str, capsys: pytest.CaptureFixture) -> None:
    def error(*arguments: str) -> str:
        assert main(["web", *arguments]) == 2
        return capsys.readouterr().err

    assert error(file, "-o", "page", "--port", "80") == (
        "rnnpool: error: --port says where --serve shows the page; add --serve\n"
    )
    beyond = error(file, "-o", "page", "--serve", "--port", "65536")
    assert "--port is 65536; ports are 0..65535, 0 takes a free one" in beyond
    with socket.create_server(("localhost", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: Address already in use" in error(file, "-o", "page", "--serve", "--port", port)
    assert "nothing: no such file, and no network whose integers are shipped" in error("nothing", "-o", "page")
