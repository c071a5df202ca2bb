"""The RNNPool that maps one size to another: its patch, stride and padding found from the shapes."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from torch import nn

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d

Shape = tuple[int, int, int]  # (C, H, W)
Pair = tuple[int, int]


@dataclass(frozen=True)
class PoolFit:
    """An RNNPool, and the 1x1 convolution that follows it where 4 * hidden is not the number of channels wanted."""

    in_channels: int
    out_channels: int
    hidden: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    output_padding: str

    def build(self, *, norm: bool = False, **options: str) -> nn.Module:
        """The module: an RNNPool2d alone, or a Sequential of "rnnpool", "norm", "project".

        Args:
            norm: batch norm after the RNNPool.
            options: more arguments of RNNPool2d (cell, gates, init).
        """
        pool = RNNPool2d(
            self.in_channels,
            *self.hidden,
            self.kernel,
            self.stride,
            self.padding,
            output_padding=self.output_padding,
            **options,  # type: ignore[arg-type]
        )
        parts: OrderedDict[str, nn.Module] = OrderedDict(rnnpool=pool)
        if norm:
            parts["norm"] = nn.BatchNorm2d(pool.out_channels)
        if pool.out_channels != self.out_channels:
            parts["project"] = nn.Conv2d(pool.out_channels, self.out_channels, 1)
        return nn.Sequential(parts) if len(parts) > 1 else pool


def fit_rnnpool(
    in_shape: Shape,
    out_shape: Shape,
    *,
    hidden: int | Pair | None = None,
    kernel: int | Pair | None = None,
    stride: int | Pair | None = None,
) -> PoolFit:
    """An RNNPool that maps (C, H, W) ``in_shape`` to ``out_shape``.

    The stride is what the sizes ask for. The patch is 1.5 times the stride as in the published networks (6 at stride 4,
    12 at stride 8) unless ``kernel`` says otherwise, or the whole map where one position is wanted; a pixel more or
    less where only that gives the size. Of the paddings that give it, none is preferred, then the published networks'
    replicated last row and column of the output, then zeros around the input.

    Args:
        hidden: h1 and h2, or one number for both; by default a quarter of the output's channels, rounded up.

    Raises:
        InputError: the output is not smaller than the input, or no stride and padding give its size.
    """
    (c_in, *sizes), (c_out, *wanted) = in_shape, out_shape
    what = f"{'x'.join(map(str, in_shape))} to {'x'.join(map(str, out_shape))}"
    if any(b > a for a, b in zip(sizes, wanted, strict=True)):
        raise InputError(f"RNNPool cannot map {what}: the output is larger than the input")
    if sizes == wanted:
        raise InputError(f"RNNPool cannot map {what}: nothing is pooled, the stride would be 1")
    kernels, strides = _axes("kernel", kernel), _axes("stride", stride)
    hiddens = _axes("hidden", hidden)
    h2 = hiddens[1] or -(-c_out // 4)
    axes = zip(sizes, wanted, kernels, strides, strict=True)
    vertical, horizontal = (list(_candidates(*axis)) for axis in axes)
    # sorted is stable: among equals the first candidates, nearest to the sizes' own ratio, win
    pairs = sorted(
        (pair for pair in product(vertical, horizontal) if pair[0].replicate == pair[1].replicate),
        key=lambda pair: (pair[0].odd + pair[1].odd, pair[0].padding + pair[1].padding > 0, pair[0].replicate),
    )
    if not pairs:
        asked = f" with patch {kernel}" * (kernel is not None) + f" with stride {stride}" * (stride is not None)
        raise InputError(
            f"RNNPool cannot map {what}{asked}: {_nearest(sizes, wanted, kernels, strides)}; "
            "another kernel or stride may fit, or an input_size that the strides divide"
        )
    (v, h) = pairs[0]
    return PoolFit(
        *(c_in, c_out),
        hidden=(hiddens[0] or h2, h2),
        kernel=(v.kernel, h.kernel),
        stride=(v.stride, h.stride),
        padding=(v.padding, h.padding),
        output_padding="replicate" if v.replicate else "none",
    )


@dataclass(frozen=True)
class _Axis:
    """One axis' patch, stride and padding; ``odd`` if the patch is not the usual one for the stride."""

    kernel: int
    stride: int
    padding: int
    replicate: bool
    odd: bool = False

    def size(self, n: int) -> int:
        """Positions along an axis of n pixels."""
        return (n + 2 * self.padding - self.kernel) // self.stride + 1 + self.replicate


def _candidates(n: int, wanted: int, kernel: int | None, stride: int | None) -> Iterator[_Axis]:
    """Patches of one axis that give ``wanted`` positions of ``n``."""
    for s in _strides(n, wanted, stride):
        usual = _kernel(n, wanted, s)
        for k in (usual, usual + 1, max(usual - 1, s)) if kernel is None else (kernel,):
            for replicate in (False, True):
                for padding in range(min(k, n) // 2 + 1):
                    axis = _Axis(min(k, n), s, padding, replicate, odd=kernel is None and k != usual)
                    if axis.size(n) == wanted:
                        yield axis
                        break


def _strides(n: int, wanted: int, stride: int | None) -> list[int]:
    return [stride] if stride is not None else list(dict.fromkeys((-(-n // wanted), n // wanted)))


def _kernel(n: int, wanted: int, stride: int) -> int:
    return n if wanted == 1 else stride + stride // 2


def _nearest(sizes: list[int], wanted: list[int], kernels: tuple, strides: tuple) -> str:
    """What the first stride that fails would give, for the message."""
    for n, size, kernel, stride in zip(sizes, wanted, kernels, strides, strict=True):
        if not any(_candidates(n, size, kernel, stride)):
            s = _strides(n, size, stride)[0]
            k = min(n, kernel or _kernel(n, size, s))
            reach = sorted({_Axis(k, s, p, r).size(n) for p in range(k // 2 + 1) for r in (False, True)})
            return f"patches of {k} every {s} of {n} pixels give {' or '.join(map(str, reach))} positions, not {size}"
    return "one axis needs the replicated row and the other cannot have it"


def _axes(name: str, value: int | Pair | None) -> tuple[int | None, int | None]:
    if value is None:
        return None, None
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(entry, int) and entry >= 1 for entry in pair):
        raise InputError(f"{name} is {value!r}; it must be a positive integer or a pair of them")
    return pair
