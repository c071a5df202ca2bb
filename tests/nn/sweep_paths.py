"""The ways a FastGRNN sweep can go: name -> context manager that forces it."""

from contextlib import nullcontext

from rnnpool.nn import native

PATHS = {"native": nullcontext, "torch": native.disabled}
HERE = PATHS if native.status().startswith("native") else {"torch": native.disabled}  # those this machine has
