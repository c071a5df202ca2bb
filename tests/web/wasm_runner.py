"""A page's module without a browser: wasmtime runs it, and gives the results as arrays."""

import numpy as np
import wasmtime

from rnnpool.compile.results import read_detections
from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork


class WasmNetwork:
    """A module of ``rnnpool web`` in wasmtime."""

    def __init__(self, wasm: bytes, network: IntNetwork, head: IntHead | None) -> None:
        self._store = wasmtime.Store()
        module = wasmtime.Module(self._store.engine, wasm)
        assert not module.imports  # a page has nothing to give it
        self._exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._network, self._head = network, head

    def run(self, image: np.ndarray, threshold: int = 0) -> np.ndarray:
        """Bytes (C, H, W) -> detections (n, 5) as ``IntHead.detect`` gives them, or stored scores (K,)."""
        assert image.shape == self._network.image.shape
        memory = self._exports["memory"]
        memory.write(self._store, np.ascontiguousarray(image.transpose(1, 2, 0)).tobytes(), self.call("image"))
        count, begin = self.call("run", threshold), self.call("results")
        if count < 0:
            raise RuntimeError(f"status {count}")
        if self._head is not None:
            return read_detections(bytes(memory.read(self._store, begin, begin + 12 * self._head.candidates)), count)
        size = self._network.nodes[self._network.outputs[0]].shape[0]
        return np.frombuffer(memory.read(self._store, begin, begin + 2 * size), "<i2")

    def call(self, function: str, *arguments: int) -> int:
        return self._exports[function](self._store, *arguments)
