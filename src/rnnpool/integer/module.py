"""An integer network as a torch module: for code that evaluates modules, whatever they compute with."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnpool.data.samples import normalise
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import load_network


class IntModule(nn.Module):
    """(B, C, H, W) of (v - 128) / 128 -> what the network returns, in float32: a tensor, or a list of several."""

    def __init__(self, network: IntNetwork) -> None:
        super().__init__()
        self.network = network

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The network of a file that ``rnnpool quantize`` wrote; InputError as of ``load_network``."""
        return cls(load_network(path))

    def run(self, image: NDArray[np.uint8]) -> list[NDArray]:
        """Bytes (C, H, W) -> the stored outputs."""
        return self.network.run(image)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        outputs = run_batch(self.network, self.run, x)
        return outputs[0] if len(outputs) == 1 else outputs


def run_batch(network: IntNetwork, run: Callable[[NDArray[np.uint8]], Sequence[NDArray]], x: Tensor) -> list[Tensor]:
    """Network inputs (B, C, H, W) -> every output (B, ...), float32; ``run`` computes the stored ones of an image."""
    images = [network.real_outputs(run(image)) for image in to_bytes(x)]
    return [torch.from_numpy(np.stack(output)).float() for output in zip(*images, strict=True)]


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """The camera's bytes of network inputs (v - 128) / 128, rounded and cut to 0..255."""
    return (images.detach().cpu() * 128).round().add(128).clamp(0, 255).to(torch.uint8).numpy()


def from_bytes(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Tensor:
    """(B, C, H, W) bytes -> network inputs."""
    return normalise(torch.from_numpy(np.array(images)))


class Viewed(nn.Module):
    """A network behind a normalisation of its own: takes (v - 128) / 128 where ``network`` takes (v - mean) / std.

    Args:
        mean, std: grey levels, one number for all channels or one a channel.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        centre, spread = (torch.tensor(values).reshape(-1, 1, 1) for values in (mean, std))
        self.scale, self.offset = 128 / spread, (128 - centre) / spread

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x * self.scale + self.offset)


def viewed(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """``Viewed``, or the network itself where that is how it takes images anyway."""
    return network if {128.0} >= {*mean, *std} else Viewed(network, mean, std)
