"""The grid of prediction cells: every map position of every level, in one fixed order.

A map of stride s has a cell at each position (row i, column j) with centre ((j + 0.5) s, (i + 0.5) s) in input
pixels. Cells are numbered level by level, row by row.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Cells(NamedTuple):
    """N cells of all levels."""

    centres: Tensor  # (N, 2) float32 x, y in input pixels
    strides: Tensor  # (N,) float32 in input pixels


def make_cells(sizes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device) -> Cells:
    """Cells of maps with the given (height, width) and strides."""
    centres, cell_strides = [], []
    for (height, width), stride in zip(sizes, strides, strict=True):
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) * stride  # (h,)
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) * stride  # (w,)
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        centres.append(torch.stack((grid_x, grid_y), dim=-1).reshape(-1, 2))  # (h w, 2)
        cell_strides.append(torch.full((height * width,), float(stride), device=device))
    return Cells(torch.cat(centres), torch.cat(cell_strides))


def map_sizes(outputs: Sequence[Tensor]) -> list[tuple[int, int]]:
    """(height, width) of each level's (B, K, h, w) map."""
    return [(output.shape[-2], output.shape[-1]) for output in outputs]


def flatten_levels(outputs: Sequence[Tensor]) -> Tensor:
    """Levels of (B, K, h_l, w_l) -> (B, N, K), in the order of ``make_cells``."""
    return torch.cat([output.flatten(2) for output in outputs], dim=2).transpose(1, 2)


def centres_inside(centres: Tensor, regions: Tensor) -> Tensor:
    """Which of (N, 2) centres lie in each of (M, 4) xyxy regions -> (M, N) bool."""
    x, y = centres.T  # (N,)
    left, top, right, bottom = regions.T[..., None]  # (M, 1)
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)
