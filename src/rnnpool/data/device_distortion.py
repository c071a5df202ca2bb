"""The colour distortion of ``rnnpool.data.photometric`` for a batch on its device."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.data.photometric import Distortion, PhotometricConfig


class PackedDistortions(NamedTuple):
    """What was drawn for B samples."""

    exposures: Tensor  # float32 (B, 3): gamma, contrast, shift
    colours: Tensor  # float32 (B, 3, 3): matrices to multiply RGB rows with
    blurred: Tensor  # int64 (K,): the samples that are blurred
    blur_radii: Tensor  # float32 (K,)
    noisy: list[tuple[int, float, int]]  # samples, standard deviations and seeds


def pack_distortions(drawn: Sequence[Distortion]) -> PackedDistortions:
    """In the processor's memory."""
    blurred = [number for number, each in enumerate(drawn) if each.blur_radius > 0]
    return PackedDistortions(
        torch.tensor([(each.gamma, each.contrast, each.shift) for each in drawn], dtype=torch.float32),
        torch.from_numpy(np.stack([each.colour_matrix() for each in drawn])),
        torch.tensor(blurred, dtype=torch.int64),
        torch.tensor([drawn[number].blur_radius for number in blurred], dtype=torch.float32),
        [(number, each.noise_sigma, each.noise_seed) for number, each in enumerate(drawn) if each.noise_sigma > 0],
    )


@torch.no_grad()
def distort_batch(values: Tensor, drawn: PackedDistortions, config: PhotometricConfig) -> Tensor:
    """Distorted levels in 0..255, of levels float32 (B, C, H, W); all on one device. ``config`` drew them."""
    if len(drawn.blurred):
        reach = math.ceil(3 * config.blur_radius)
        values = values.index_copy(0, drawn.blurred, _blur(values[drawn.blurred], drawn.blur_radii, reach))
    values = _expose(values.clamp(0, 255), drawn.exposures)
    if values.shape[1] == 3:
        values = torch.einsum("bchw,bcd->bdhw", values, drawn.colours)
    for number, sigma, seed in drawn.noisy:
        generator = torch.Generator(values.device).manual_seed(seed)
        noise = torch.randn(values.shape[1:], generator=generator, device=values.device)
        values[number].add_(noise, alpha=sigma)
    return values.clamp(0, 255)


def _blur(values: Tensor, radii: Tensor, reach: int) -> Tensor:
    """Gaussians of standard deviations ``radii`` (B,), cut off ``reach`` pixels from their centre."""
    offsets = torch.arange(-reach, reach + 1, device=values.device)
    taps = torch.exp(-0.5 * (offsets / radii[:, None]) ** 2)  # (B, 2 reach + 1)
    taps = (taps / taps.sum(1, keepdim=True))[..., None, None, None]  # (B, 2 reach + 1, 1, 1, 1)
    # Sums of shifted images: convolutions would be tuned anew for every number of samples.
    padded = F.pad(values, (reach,) * 4, mode="replicate")
    rows = sum(taps[:, k] * padded[:, :, k : k + values.shape[2]] for k in range(2 * reach + 1))
    assert isinstance(rows, Tensor)
    blurred = sum(taps[:, k] * rows[..., k : k + values.shape[3]] for k in range(2 * reach + 1))
    assert isinstance(blurred, Tensor)
    return blurred


def _expose(values: Tensor, exposures: Tensor) -> Tensor:
    """Gamma, then contrast about the mean, then brightness."""
    gamma, contrast, shift = (each.view(-1, 1, 1, 1) for each in exposures.T)
    pivot = 255 * (values.mean(dim=(1, 2, 3), keepdim=True) / 255) ** gamma
    return (pivot + contrast * (255 * (values / 255) ** gamma - pivot) + shift).clamp(0, 255)
