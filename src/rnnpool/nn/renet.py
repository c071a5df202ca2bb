"""ReNet layer: two bidirectional GRU sweeps over a grid of flattened patches, the recurrent rival of RNNPool.

Visin, Kastner, Cho, Matteucci, Courville, Bengio, "ReNet: A Recurrent Neural Network Based Alternative to Convolutional
Networks", 2015 (arXiv:1505.00393), section 2: first every column of the grid is swept down and up, then every row of
the resulting map rightward and leftward. Here as the RNNPool paper compares it (Saha et al., NeurIPS 2020, table 1):
GRU cells, half of the output channels a direction in both sweeps. Unlike RNNPool's, its receptive field is the whole
image and its sequential depth grows with the image, so it needs the whole map in memory.
"""

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError


class ReNet2d(nn.Module):
    """Pool (B, in_channels, H, W) to (B, out_channels, H // kh, W // kw); rows and columns left over are dropped.

    Args:
        in_channels: channels of the input, at least 1.
        out_channels: channels of the output: even, half of them for each direction of a sweep.
        kernel_size: the patch, int or (kh, kw); patches do not overlap.

    Raises:
        InputError: an argument or an input shape that does not fit.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        kh, kw = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        if in_channels < 1:
            raise InputError(f"ReNet2d: in_channels is {in_channels}; it must be at least 1")
        if out_channels < 2 or out_channels % 2:
            raise InputError(
                f"ReNet2d: out_channels is {out_channels}; it must be even and at least 2 (half a direction)"
            )
        if kh < 1 or kw < 1:
            raise InputError(f"ReNet2d: kernel_size is {kernel_size}; both sides must be at least 1")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, (kh, kw)
        self.vertical = nn.GRU(in_channels * kh * kw, out_channels // 2, batch_first=True, bidirectional=True)
        self.horizontal = nn.GRU(out_channels, out_channels // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H // kh, W // kw): channels are [forward, backward] of the row sweep."""
        kh, kw = self.kernel_size
        if x.dim() != 4 or x.shape[1] != self.in_channels or x.shape[2] < kh or x.shape[3] < kw:
            raise InputError(
                f"ReNet2d: the input has shape {tuple(x.shape)}; "
                f"it must be (B, {self.in_channels}, H, W) with H >= {kh} and W >= {kw}"
            )
        b, c, h, w = x.shape
        rows, columns = h // kh, w // kw
        x = x[:, :, : rows * kh, : columns * kw].reshape(b, c, rows, kh, columns, kw)
        patches = x.permute(0, 4, 2, 1, 3, 5).reshape(b * columns, rows, c * kh * kw)  # (B*OW, OH, C*kh*kw)
        down_up, _ = self.vertical(patches)  # (B*OW, OH, out)
        grid = down_up.reshape(b, columns, rows, -1).transpose(1, 2).reshape(b * rows, columns, -1)  # (B*OH, OW, out)
        right_left, _ = self.horizontal(grid)  # (B*OH, OW, out)
        return torch.movedim(right_left.reshape(b, rows, columns, -1), -1, 1).contiguous()  # (B, out, OH, OW)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
