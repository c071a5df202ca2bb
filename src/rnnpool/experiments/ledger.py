"""The ledger of an experiment: ``results.jsonl``, one line a run that ended, written in one piece.

A line is added by one write to a file opened for appending, and synced; one that a power cut left unfinished is
recognised by its missing end and dropped before the next is added. Later lines of a run replace earlier ones.
"""

import json
import os
from pathlib import Path
from typing import Any

from rnnpool.files import read_json_lines

Entry = dict[str, Any]


class Ledger:
    """``entries()`` by run name, and ``add``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> dict[str, Entry]:
        """The last line of every run, in order of the file."""
        return {entry["run"]: entry for entry in read_json_lines(self.path)}

    def add(self, entry: Entry) -> None:
        """Append one line (``entry["run"]`` is the run's name)."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = (json.dumps(entry) + "\n").encode()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            os.ftruncate(descriptor, content.rfind(b"\n") + 1)
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
