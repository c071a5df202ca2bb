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
    noises: Tensor  # float32 (B,): standard deviations, 0 where none
    noise_seed: int  # of the whole batch


def pack_distortions(drawn: Sequence[Distortion]) -> PackedDistortions:
    """In the processor's memory."""
    blurred = [number for number, each in enumerate(drawn) if each.blur_radius > 0]
    return PackedDistortions(
        torch.tensor([(each.gamma, each.contrast, each.shift) for each in drawn], dtype=torch.float32),
        torch.from_numpy(np.stack([each.colour_matrix() for each in drawn])),
        torch.tensor(blurred, dtype=torch.int64),
        torch.tensor([drawn[number].blur_radius for number in blurred], dtype=torch.float32),
        torch.tensor([each.noise_sigma for each in drawn], dtype=torch.float32),
        max(each.noise_seed for each in drawn),
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
    if config.noise_probability > 0:
        generator = torch.Generator(values.device).manual_seed(drawn.noise_seed)
        noise = torch.randn(values.shape, generator=generator, device=values.device)
        values = values + noise * drawn.noises[:, None, None, None]
    return values.clamp(0, 255)


def _blur(values: Tensor, radii: Tensor, reach: int) -> Tensor:
    """Gaussians of standard deviations ``radii`` (B,), cut off ``reach`` pixels from their centre."""
    offsets = torch.arange(-reach, reach + 1, device=values.device)
    taps = torch.exp(-0.5 * (offsets / radii[:, None]) ** 2)  # (B, 2 reach + 1)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(values.shape[1], dim=0)[:, None]  # (B C, 1, taps)
    flat = F.pad(values.flatten(0, 1)[None], (reach,) * 4, mode="replicate")  # (1, B C, H + 2 reach, W + 2 reach)
    flat = F.conv2d(F.conv2d(flat, taps[..., None], groups=len(taps)), taps[..., None, :], groups=len(taps))
    return flat.view(values.shape)


def _expose(values: Tensor, exposures: Tensor) -> Tensor:
    """Gamma, then contrast about the mean, then brightness."""
    gamma, contrast, shift = (each.view(-1, 1, 1, 1) for each in exposures.T)
    pivot = 255 * (values.mean(dim=(1, 2, 3), keepdim=True) / 255) ** gamma
    return (pivot + contrast * (255 * (values / 255) ** gamma - pivot) + shift).clamp(0, 255)
