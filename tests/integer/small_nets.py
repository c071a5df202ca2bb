"""Small networks with everything that has integers, and images for them."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.integer.convert import Conversion, convert
from rnnpool.models.blocks import ConvNormAct, DepthwiseFirst, MBConv
from rnnpool.models.s3fd_predictor import L2Norm
from rnnpool.nn import RNNPool2d


class Pyramid(nn.Module):
    """face-tiny in small: RNNPool with batch norm, residuals, a level enlarged by 2 and cut, two outputs."""

    def __init__(self, gates: str = "smooth") -> None:
        super().__init__()
        self.stem = ConvNormAct(1, 4, 3, 2)
        self.pool = RNNPool2d(4, 6, 4, 4, 2, 1, gates=gates, init="orthogonal")
        self.norm = nn.BatchNorm2d(16)
        self.block = DepthwiseFirst(16, 24, 16)
        self.down = DepthwiseFirst(16, 24, 16, 2)
        self.fine = nn.Conv2d(16, 5, 1)
        self.coarse = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.block(self.norm(self.pool(self.stem(x))))
        coarse = self.down(fine)
        up = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + up[..., : fine.shape[2], : fine.shape[3]]
        return [self.fine(fine), self.coarse(coarse)]


class Anchors(nn.Module):
    """An S3FD level in small: RNNPool with a replicated border, L2 norm with scales, a 3x3 predictor in two groups."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = RNNPool2d(1, 4, 4, 4, 2, output_padding="replicate", trainable_mix=True, init="orthogonal")
        self.block = MBConv(16, 24, 16, act="relu6")
        self.norm = L2Norm(16, 10.0)
        self.out = nn.Conv2d(16, 6, 3, padding=1, groups=2)
        nn.init.uniform_(self.norm.weight, 5, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.block(self.pool(x))))


class Classifier(nn.Module):
    """MobileNets in small: strides, ReLU6, a clip of its own, a mean, dropout, a linear layer."""

    def __init__(self, in_channels: int = 3, num_classes: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvNormAct(in_channels, 8, 3, 2, act="relu6"),
            MBConv(8, 24, 8, act="relu6"),
            nn.Conv2d(8, 12, 3, padding=1, groups=2),
            nn.Hardtanh(-1.5, 2.0),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(12, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Flattened(nn.Module):
    """A linear layer over a whole map, and a batch norm in front of which no convolution stands."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.conv = nn.Conv2d(2, 3, 3, 2)
        self.linear = nn.Linear(3 * 5 * 7, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.relu(self.conv(torch.relu(self.norm(x)))).flatten(1))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "pyramid": (Pyramid, (1, 38, 50)),
    "piecewise": (lambda: Pyramid("piecewise"), (1, 38, 50)),
    "anchors": (Anchors, (1, 22, 30)),
    "classifier": (Classifier, (3, 32, 24)),
    "flattened": (Flattened, (2, 11, 15)),
}


def images_of(shape: tuple[int, int, int], count: int = 6, seed: int = 0) -> list[np.ndarray]:
    """Bytes: soft blobs of all contrasts, with some noise."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    coarse = torch.rand(count, channels, -(-height // 6), -(-width // 6), generator=generator)
    smooth = F.interpolate(coarse, size=(height, width), mode="bilinear")
    noise = 0.05 * torch.randn(smooth.shape, generator=generator)
    return list(((smooth + noise) * 255).clamp(0, 255).byte().numpy())


def build(name: str, seed: int = 0) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network in evaluation mode whose batch norms have the statistics of its images."""
    make, shape = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = None  # plain averages
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.uniform_(norm.bias, -0.3, 0.3)
        with torch.no_grad():
            module((torch.from_numpy(np.stack(images_of(shape, 16, seed=99))).float() - 128) / 128)
    return module.eval(), shape


def converted(name: str, method: str | None = "minmax", narrow: bool = False) -> Conversion:
    module, shape = build(name)
    return convert(module, shape, images_of(shape), method=method, narrow=narrow)


def outputs_of(module: nn.Module, image: np.ndarray) -> list[np.ndarray]:
    """The module's own outputs for one image of bytes."""
    with torch.no_grad():
        result = module((torch.from_numpy(image[None]).to(next(module.parameters()).dtype) - 128) / 128)
    return [value[0].double().numpy() for value in (result if isinstance(result, list) else [result])]
