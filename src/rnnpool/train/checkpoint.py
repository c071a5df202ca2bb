"""Checkpoints: ``last.ckpt`` and, for the day that one is damaged, the one before it, ``previous.ckpt``.

Each holds everything that an exact resume needs: weights, their average, the optimiser's state and the step. The order
of the data, the learning rate and the random numbers of a step are pure functions of the seed and the step.
"""

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from rnnpool.errors import InputError
from rnnpool.files import atomic_path

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
FORMAT = 1


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write ``state`` (tensors and plain values) as the last checkpoint; the last becomes the previous.

    At every instant at least one of the two files is whole.
    """
    last = folder / LAST
    content = io.BytesIO()  # a full disk is then an OSError; within torch it is a RuntimeError about positions
    torch.save({"format": FORMAT, **state}, content)
    with atomic_path(last) as temporary:
        temporary.write_bytes(content.getbuffer())
        if last.exists():
            os.replace(last, folder / PREVIOUS)
    return last


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint onto the CPU. InputError, naming the file, where it is damaged or no checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch takes tensors as they are, whatever their checksum
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"{damaged} does not have its checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler leaks every kind: AttributeError, IndexError, struct.error, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"checkpoint {path} ({_size(path)}) cannot be read, it is damaged: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path} is no training checkpoint of this version (format {FORMAT})")
    return state


def load_latest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest readable checkpoint of ``folder``; None where there is none at all.

    A damaged one is named on stderr before the older one is used; InputError where none can be read.
    """
    damaged = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            state = load_checkpoint(path)
        except InputError as error:
            damaged.append(str(error))
            continue
        for message in damaged:
            print(f"rnnpool: warning: {message}; resuming from the older {path}", file=sys.stderr, flush=True)
        return path, state
    if damaged:
        raise InputError("; ".join(damaged))
    return None


def _size(path: Path) -> str:
    return f"{path.stat().st_size} bytes" if path.exists() else "absent"
