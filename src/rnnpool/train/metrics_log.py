"""What a run measured: ``metrics.jsonl`` (one JSON object a line), and the same for TensorBoard under ``tb/``."""

import json
import os
import time
from pathlib import Path
from typing import Any

from rnnpool.errors import InputError
from rnnpool.files import read_json_lines, write_text, written_named


class MetricsLog:
    """Appends to ``folder``. A run resumed at ``step`` first drops what was written beyond it: it comes again."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError('training needs tensorboard: pip install "rnnpool[train]"') from error
        self.folder = folder
        path = folder / "metrics.jsonl"
        kept = [entry for entry in read_json_lines(path) if entry["step"] <= step] if step > 0 else []
        write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (lives as long as the run)
        with written_named(folder):
            self._board = SummaryWriter(str(folder / "tb"), purge_step=step + 1 if step > 0 else None)

    def write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """One line of ``kind`` ("train" or "evaluation"); numbers go to TensorBoard as kind/name."""
        with written_named(self.folder):
            self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
            self._file.flush()
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def sync(self) -> None:
        """Until here the lines survive a power cut: before a checkpoint that is beyond them, which does."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        with written_named(self.folder):  # what was not written before is tried once more
            self._file.close()
            self._board.close()


class Interval:
    """Means between two lines of the log."""

    def __init__(self) -> None:
        self.begun, self.steps, self.waited = time.perf_counter(), 0, 0.0
        self.sums: dict[str, float] = {}

    def add(self, values: dict[str, float], waited: float) -> None:
        self.steps += 1
        self.waited += waited
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        return {name: value / self.steps for name, value in self.sums.items()}

    def timing(self, batch_size: int) -> dict[str, float]:
        seconds = time.perf_counter() - self.begun
        return {"images_per_second": self.steps * batch_size / seconds, "seconds_waiting": self.waited}
