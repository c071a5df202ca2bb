"""What an image takes in WebAssembly: python benchmarks/web.py [NETWORK ...]

The modules of ``rnnpool web`` in node, whose engine is Chrome's, and in wasmtime, beside the same C compiled by gcc for
this machine (detectors). Milliseconds of processor time, the median of 50 images; without node that column is empty.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import wasmtime

from rnnpool.commands.integer_files import open_integers
from rnnpool.compile.emit import compile_network
from rnnpool.compile.host import HostLibrary, build_library
from rnnpool.integer.detector import find_integer_head
from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork
from rnnpool.web.module import build_module
from rnnpool.web.self_check import check_image

NETWORKS = ("face-tiny", "face-m4", "face-quant", "vww-rnnpool")
RUNS, WARM = 50, 20
_NODE = f"""
const fs = require("fs");
const spent = () => {{ const {{ user, system }} = process.cpuUsage(); return (user + system) / 1000; }};
(async () => {{
  const {{ instance }} = await WebAssembly.instantiate(fs.readFileSync(process.argv[1]));
  const {{ memory, image, run }} = instance.exports;
  const pixels = fs.readFileSync(process.argv[2]);
  new Uint8Array(memory.buffer, image(), pixels.length).set(pixels);
  const times = [];
  for (let i = 0; i < {RUNS + WARM}; i++) {{
    const before = spent();
    run(0);
    times.push(spent() - before);
  }}
  console.log(JSON.stringify(times.slice({WARM})));
}})();
"""


def median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS + WARM):
        before = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - before))
    return statistics.median(times[WARM:])


def in_node(wasm: Path, pixels: Path) -> float | None:
    """Processor time of all of node's threads, of which one works once the module is compiled."""
    if (node := shutil.which("node")) is None:
        return None
    done = subprocess.run([node, "-e", _NODE, wasm, pixels], capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout))


def in_wasmtime(wasm: bytes, pixels: bytes) -> float:
    store = wasmtime.Store()
    exports = wasmtime.Instance(store, wasmtime.Module(store.engine, wasm), []).exports(store)
    exports["memory"].write(store, pixels, exports["image"](store))
    return median_ms(lambda: exports["run"](store, 0))


def host_detector(network: IntNetwork, head: IntHead, folder: Path) -> HostLibrary:
    """As ``rnnpool detect --engine c`` builds it."""
    compiled = compile_network(network, folder / "c", head=head)
    library = build_library(compiled, folder / "network.so", ("-O3", "-march=native"))
    return HostLibrary(library, compiled.name, network, head)


def main() -> None:
    print(f"{'network':<14} {'wasm, bytes':>12} {'node, ms':>9} {'wasmtime, ms':>13} {'gcc -O3, ms':>12}")
    for name in sys.argv[1:] or NETWORKS:
        network = open_integers(name)
        head = find_integer_head(network)
        module = build_module(network, head)
        image = check_image(network.image.shape, 0)
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0)).tobytes()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "module.wasm").write_bytes(module.wasm)
            (folder / "image").write_bytes(pixels)
            node = in_node(folder / "module.wasm", folder / "image")
            gcc = None if head is None else median_ms(partial(host_detector(network, head, folder).detect, image))
        words = ["-" if value is None else f"{value:.1f}" for value in (node, in_wasmtime(module.wasm, pixels), gcc)]
        print(f"{name:<14} {len(module.wasm):>12,} {words[0]:>9} {words[1]:>13} {words[2]:>12}", flush=True)


if __name__ == "__main__":
    main()
