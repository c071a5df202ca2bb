"""What torch's functions are called, and which of them a graph need not or cannot hold."""

from collections.abc import Callable
from typing import Any

# Functions that ask about a tensor without reading it.
QUESTIONS = frozenset({
    "shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "len", "stride", "is_contiguous",
    "device", "dtype", "layout", "type", "element_size", "itemsize", "is_floating_point", "is_complex",
    "is_cuda", "is_cpu", "is_mps", "is_xpu", "is_meta", "is_mkldnn", "is_quantized", "is_sparse", "is_nested", "names",
    "requires_grad", "requires_grad_", "is_leaf", "is_inference", "is_conj", "is_neg", "hash", "format", "repr",
})  # fmt: skip
# Functions that read a value into Python: what follows depends on the image.
READS = frozenset({
    "bool", "int", "float", "index", "item", "tolist", "numpy", "array", "contains", "is_nonzero", "equal", "allclose",
})  # fmt: skip


def function_name(func: Callable) -> str:
    """ "conv2d" for torch.conv2d, "add" for Tensor.__iadd__ and add_, "shape" for the getter of Tensor.shape."""
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        name = getattr(func.__self__, "__name__", name)  # type: ignore[attr-defined]
    name = name.strip("_")
    return {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "isub": "sub", "itruediv": "div"}.get(
        name, name
    )


def is_in_place(func: Callable, kwargs: dict[str, Any]) -> str:
    """The name of a function that writes into its first argument, or ""."""
    name = getattr(func, "__name__", "")
    writes = name in ("__iadd__", "__imul__", "__isub__", "__itruediv__", "__setitem__")
    writes = writes or (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace"))
    return name if writes else ""
