"""Files that are whole or absent: written under a temporary name beside the target, synced, then renamed."""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from rnnpool.errors import InputError


@contextmanager
def written_named(path: str | Path) -> Iterator[None]:
    """Have the block's OSErrors name ``path`` where they name no file: those of a write do not, as on a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it is synced and renamed to ``path``, else removed.

    A reader therefore never sees half a file, and a full disk or a killed run leaves the previous version intact.
    What is there but is no regular file (/dev/null, a pipe) is written to as it is: it must not be replaced.
    """
    path = Path(path)
    with written_named(path):
        if path.exists() and not path.is_file():
            yield path
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last: writers such as PIL choose the format by it.
        temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        try:
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file without empty ones at its end; InputError where it is no text."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file ({error.reason})") from error
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a log with one on each line, without a last one that a kill cut short; none where it is missing.

    Raises:
        InputError: a whole line that is no JSON object (file and line are named).
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1], 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise InputError(f"{path}:{number}: damaged, expected a JSON object: {line[:80]!r}")
        entries.append(entry)
    return entries


@contextmanager
def open_table(path: Path) -> Iterator[TextIO]:
    """A CSV file for ``csv.reader``, with or without a byte order mark; InputError where it is missing or no text."""
    if not path.is_file():
        raise InputError(f"{path}: no such table")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table of text ({error})") from error


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_own_folder(folder: Path, names: Iterable[str], what: str, earlier: str, *, is_ours: bool) -> None:
    """A user's project must not lose files: what is there under ``names`` has to be of an earlier call (``is_ours``).

    Raises:
        InputError: it is not, or ``folder`` is a file; ``what`` is written and of an ``earlier`` what, for the message.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; {what} is written into a folder")
    foreign = [name for name in names if (folder / name).exists()]
    if foreign and not is_ours:
        raise InputError(f"{folder} holds {foreign[0]}, which is not of an earlier {earlier}; give a folder of its own")
