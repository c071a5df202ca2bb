"""A network as layers in real numbers: what integers are made from, calibrated on and compared with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnpool.integer.layers import Layer


@dataclass(eq=False)
class RealNetwork:
    """Layers in an order in which they can run, the image first; ``outputs`` as the network returns them.

    ``vectors`` says which outputs the network returns as (B, C); the layers have (B, C, 1, 1).
    """

    name: str
    layers: list[Layer]
    outputs: list[Layer]
    vectors: list[bool]

    def consumers(self, layer: Layer) -> list[Layer]:
        return [each for each in self.layers if layer in each.inputs]

    @torch.no_grad()
    def run(
        self, image: Tensor, watch: Callable[[Layer, Tensor], None] | None = None, *, observe: bool = False
    ) -> list[Tensor]:
        """Execute on (B, C, H, W) of any size; ``watch`` sees every layer's result, ``observe`` lets layers observe."""
        uses = {layer: len(self.consumers(layer)) + (layer in self.outputs) for layer in self.layers}
        values: dict[Layer, Tensor] = {}
        for layer in self.layers:
            inputs = [values[source] for source in layer.inputs]
            if observe:
                layer.observe(*inputs)
            values[layer] = layer.run(*inputs) if inputs else image
            if watch is not None:
                watch(layer, values[layer])
            for source in set(layer.inputs):
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        pairs = zip(self.outputs, self.vectors, strict=True)
        return [values[layer].flatten(1) if vector else values[layer] for layer, vector in pairs]
