"""FastGRNN's sweep and its gradient as Triton kernels.

A program advances BLOCK sequences together: a sequence is one window of one line of one image, its state a column of a
tile (UNITS, BLOCK), UNITS being the state size rounded up to a power of two. Steps are unrolled: the loads of a window,
which do not depend on its states, can be in flight together, and the states that the backward pass needs stay in
registers. The second dimension of the grid is the direction.

A product of 16 units or more is one of the tensor cores, as three tf32 products of two parts a number, about 22 of
its 24 bits; smaller ones, which tensor cores do not take, are sums within a lane. Nothing is atomic: the same input
gives the same bits on every run.
"""

# Triton's language is not Python's: it has no annotations of tensors and no starred expressions.
# mypy: disable-error-code="no-untyped-def,assignment"
# ruff: noqa: RUF005, SIM108

import triton
import triton.language as tl


@triton.jit
def _times(u, h, DOT: tl.constexpr):
    """u (I, J) times h (J, N) -> (I, N)."""
    if DOT:
        return tl.dot(u, h, input_precision="tf32x3", out_dtype=h.dtype)
    return tl.sum(u[:, :, None] * h[None, :, :], axis=1)


@triton.jit
def _transposed_times(u, d, DOT: tl.constexpr):
    """u (I, J) transposed, times d (I, N) -> (J, N)."""
    if DOT:
        return tl.dot(tl.trans(u), d, input_precision="tf32x3", out_dtype=d.dtype)
    return tl.sum(u[:, :, None] * d[:, None, :], axis=0)


@triton.jit
def _gates(pre, bias_gate, bias_candidate, PIECEWISE: tl.constexpr):
    """z and c (UNITS, BLOCK); NaN stays NaN."""
    gate, candidate = pre + bias_gate, pre + bias_candidate
    if PIECEWISE:
        z = tl.clamp((gate + 1) * 0.5, 0.0, 1.0, propagate_nan=tl.PropagateNan.ALL)
        c = tl.clamp(candidate, -1.0, 1.0, propagate_nan=tl.PropagateNan.ALL)
    else:  # an exponential that overflows is infinity, whose reciprocal is the right zero
        z = 1 / (1 + tl.exp(-gate))
        c = 2 / (1 + tl.exp(-2 * candidate)) - 1
    return z, c


@triton.jit
def _places(sequences, windows, lines, first, every, across, BLOCK: tl.constexpr):
    """Image, line and window of each of the program's sequences (BLOCK,), and which of them there are.

    The windows are first, first + every, ... Neighbours in a tile are lines of one window, or, with across, windows of
    one line: whichever are closer in memory.
    """
    sequence = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inner = tl.where(across != 0, windows, lines)
    outer = tl.where(across != 0, lines, windows)
    near, far, image = sequence % inner, sequence // inner % outer, sequence // inner // outer
    line, window = tl.where(across != 0, far, near).to(tl.int64), tl.where(across != 0, near, far).to(tl.int64)
    return image.to(tl.int64), line, first + every * window, sequence < sequences


@triton.jit
def _pointers(base, channel, channel_stride, image, image_stride, line, line_stride, position, position_stride):
    """(UNITS, BLOCK) from channels (UNITS,) and the image, line and position of sequences (BLOCK,)."""
    start = image * image_stride + line * line_stride + position * position_stride
    # A hint that a warp's threads are to lie along the sequences, as a rule neighbours in memory: told nothing, Triton
    # 3.6 lays them along the channels. No access becomes wider by it, since nothing is known of the alignment.
    start = tl.max_contiguous(start, 2)
    return base + channel.to(tl.int64)[:, None] * channel_stride + start[None, :]


@triton.jit(do_not_specialize=list(range(20)))
def forward(
    p, p_image, p_channel, p_position, p_line,
    y, y_image, y_channel, y_window, y_line,
    weight, bias_gate, bias_candidate, zeta, nu,
    sequences, windows, lines, stride, across,
    H: tl.constexpr, UNITS: tl.constexpr, KERNEL: tl.constexpr, PIECEWISE: tl.constexpr,
    DOT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """p (B, H, L, I) -> y (B, directions * H, windows, I)."""
    image, line, window, exists = _places(sequences, windows, lines, 0, 1, across, BLOCK)
    direction = tl.program_id(1).to(tl.int64)
    unit = tl.arange(0, UNITS)
    real = unit < H
    mask = real[:, None] & exists[None, :]
    u = tl.load(weight + unit[:, None] * H + unit[None, :], mask=real[:, None] & real[None, :], other=0.0)
    bias_gate = tl.load(bias_gate + unit, mask=real, other=0.0)[:, None]
    bias_candidate = tl.load(bias_candidate + unit, mask=real, other=0.0)[:, None]
    zeta, both = tl.load(zeta), tl.load(zeta) + tl.load(nu)

    position = window * stride + direction * (KERNEL - 1)
    source = _pointers(p, unit, p_channel, image, p_image, line, p_line, position, p_position)
    step = (1 - 2 * direction) * p_position
    h = tl.zeros((UNITS, BLOCK), u.dtype)
    for t in tl.static_range(KERNEL):
        pre = tl.load(source + t * step, mask=mask, other=0.0)
        if t > 0:
            pre += _times(u, h, DOT)
        z, c = _gates(pre, bias_gate, bias_candidate, PIECEWISE)
        h = z * h + (both - zeta * z) * c
    target = _pointers(y, direction * H + unit, y_channel, image, y_image, line, y_line, window, y_window)
    tl.store(target, h, mask=mask)


@triton.jit(do_not_specialize=list(range(30)))
def backward(
    p, p_image, p_channel, p_position, p_line,
    dy, dy_image, dy_channel, dy_window, dy_line,
    dp, dp_direction, dp_image, dp_channel, dp_position, dp_line,
    weight, bias_gate, bias_candidate, zeta, nu, sums, sums_direction,
    sequences, windows, lines, stride, across, first, every,
    H: tl.constexpr, UNITS: tl.constexpr, KERNEL: tl.constexpr, PIECEWISE: tl.constexpr,
    DOT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add to dp (directions, B, H, L, I) what the windows first, first + every, ... contribute, which must not overlap.

    The parameters' gradients of this program are a row of sums (directions, programs, H * H + 2 * H + 2): U, b_z, b_h,
    zeta, nu.
    """
    image, line, window, exists = _places(sequences, windows, lines, first, every, across, BLOCK)
    direction = tl.program_id(1).to(tl.int64)
    unit = tl.arange(0, UNITS)
    real = unit < H
    square, mask = real[:, None] & real[None, :], real[:, None] & exists[None, :]
    u = tl.load(weight + unit[:, None] * H + unit[None, :], mask=square, other=0.0)
    bias_gate = tl.load(bias_gate + unit, mask=real, other=0.0)[:, None]
    bias_candidate = tl.load(bias_candidate + unit, mask=real, other=0.0)[:, None]
    zeta, both = tl.load(zeta), tl.load(zeta) + tl.load(nu)

    position = window * stride + direction * (KERNEL - 1)
    source = _pointers(p, unit, p_channel, image, p_image, line, p_line, position, p_position)
    step = (1 - 2 * direction) * p_position
    h = tl.zeros((UNITS, BLOCK), u.dtype)
    before, zs, cs = (), (), ()
    for t in tl.static_range(KERNEL):
        pre = tl.load(source + t * step, mask=mask, other=0.0)
        if t > 0:
            pre += _times(u, h, DOT)
        z, c = _gates(pre, bias_gate, bias_candidate, PIECEWISE)
        before, zs, cs = before + (h,), zs + (z,), cs + (c,)
        h = z * h + (both - zeta * z) * c

    upstream = _pointers(dy, direction * H + unit, dy_channel, image, dy_image, line, dy_line, window, dy_window)
    dh = tl.load(upstream, mask=mask, other=0.0)
    dp += direction * dp_direction
    target = _pointers(dp, unit, dp_channel, image, dp_image, line, dp_line, position, dp_position)
    step = (1 - 2 * direction) * dp_position
    if DOT:
        d_weight = tl.zeros((UNITS, UNITS), u.dtype)
    else:  # each lane sums on its own: a sum over lanes at every step would cost more than the step
        d_weight = tl.zeros((UNITS, UNITS, BLOCK), u.dtype)
    d_bias_gate = tl.zeros((UNITS, BLOCK), u.dtype)
    d_bias_candidate = tl.zeros((UNITS, BLOCK), u.dtype)
    d_zeta = tl.zeros((UNITS, BLOCK), u.dtype)
    d_nu = tl.zeros((UNITS, BLOCK), u.dtype)
    for t in tl.static_range(KERNEL - 1, -1, -1):
        h, z, c = before[t], zs[t], cs[t]
        fresh = dh * c
        d_gate, d_candidate = dh * h - zeta * fresh, dh * (both - zeta * z)
        if PIECEWISE:
            d_gate *= tl.where((z > 0) & (z < 1), 0.5, 0.0)
            d_candidate *= tl.where(tl.abs(c) < 1, 1.0, 0.0)
        else:
            d_gate *= z * (1 - z)
            d_candidate *= 1 - c * c
        d_pre = d_gate + d_candidate
        # Windows of earlier launches may have added to this position; the first launch finds zeros.
        at = target + t * step
        tl.store(at, d_pre + tl.load(at, mask=mask & (first > 0), other=0.0), mask=mask)
        d_bias_gate += d_gate
        d_bias_candidate += d_candidate
        d_zeta += fresh * (1 - z)
        d_nu += fresh
        if t > 0:
            if DOT:
                d_weight = tl.dot(d_pre, tl.trans(h), d_weight, input_precision="tf32x3", out_dtype=u.dtype)
            else:
                d_weight += d_pre[:, None, :] * h[None, :, :]
            dh = dh * z + _transposed_times(u, d_pre, DOT)

    if not DOT:
        d_weight = tl.sum(d_weight, axis=2)
    row = sums + direction * sums_direction + tl.program_id(0).to(tl.int64) * (H * H + 2 * H + 2)
    tl.store(row + unit[:, None] * H + unit[None, :], d_weight, mask=square)
    tl.store(row + H * H + unit, tl.sum(d_bias_gate, axis=1), mask=real)
    tl.store(row + H * H + H + unit, tl.sum(d_bias_candidate, axis=1), mask=real)
    tl.store(row + H * H + 2 * H, tl.sum(tl.sum(d_zeta, axis=1), axis=0))
    tl.store(row + H * H + 2 * H + 1, tl.sum(tl.sum(d_nu, axis=1), axis=0))
