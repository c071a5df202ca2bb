"""A network as layers in real numbers: what integers are made from, calibrated on and compared with."""

from collections.abc import Callable, Sequence
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

        def compute(layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
            if observe:
                layer.observe(*inputs)
            value = layer.run(*inputs) if inputs else image
            if watch is not None:
                watch(layer, value)
            return value

        return self.walk(compute)

    def walk(self, compute: Callable[[Layer, Sequence[Tensor]], Tensor]) -> list[Tensor]:
        """The outputs, each layer's result by ``compute`` from those of its inputs; the image's has none."""
        uses = {layer: len(self.consumers(layer)) + (layer in self.outputs) for layer in self.layers}
        values: dict[Layer, Tensor] = {}
        for layer in self.layers:
            values[layer] = compute(layer, [values[source] for source in layer.inputs])
            for source in set(layer.inputs):
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        pairs = zip(self.outputs, self.vectors, strict=True)
        return [values[layer].flatten(1) if vector else values[layer] for layer, vector in pairs]
