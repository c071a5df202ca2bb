"""Whether sweeps and projections may leave torch operators at all: a switch for the kernels of every device, and the
question whether something follows the forward pass that sees torch operators only."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

_enabled = True


def enabled() -> bool:
    """False inside ``disabled()``."""
    return _enabled


@contextmanager
def disabled() -> Iterator[None]:
    """Torch operators inside the block, on every device."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def recorded() -> bool:
    """Whether an export, ``torch.jit.trace``, a transform of ``torch.func`` or forward differentiation is at work."""
    # PyTorch has no public question for the last two; its own modules ask these.
    return (
        torch.compiler.is_exporting()
        or torch.onnx.is_in_onnx_export()
        or torch.jit.is_tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def readable(*tensors: Tensor) -> bool:
    """Whether a kernel may read and write memory by address and nobody misses what it does.

    Not of a subclass, as FakeTensor, nor of a batch of gradients (``is_grads_batched``), which have no memory of their
    own; nor while a TorchDispatchMode, as ``make_fx`` or a counter of FLOPs, follows the operators.
    """
    if torch._C._len_torch_dispatch_stack():
        return False
    return all(type(tensor) in (Tensor, nn.Parameter) and torch._C._has_storage(tensor) for tensor in tensors)
