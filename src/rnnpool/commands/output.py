"""What the verbs write beside their lines: folders and JSON, looked at before the work whose result goes there."""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from rnnpool.errors import InputError


def check_folder(folder: Path, option: str) -> None:
    """Make ``folder`` where it is missing, and see that files can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise InputError(f"{option} {folder}: cannot make this folder: {reason}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{option} {folder}: no permission to write into this folder")


def check_json_target(target: str | None, inputs: Iterable[Path] = ()) -> None:
    """See that ``--json`` can be written and is none of the ``inputs``; "-" is stdout, None is no file at all."""
    if target in (None, "-"):
        return
    path = Path(target)
    if path.is_dir():
        raise InputError(f"--json {path}: a folder; expected the name of a file")
    if path.resolve() in {each.resolve() for each in inputs}:
        raise InputError(f"--json {path}: one of the images; it would be overwritten")
    check_folder(path.parent, "--json")


def write_json(content: object, target: str | None) -> None:
    """Write to a file, to stdout ("-"), or nowhere (None)."""
    from rnnpool.files import write_text

    if target is None:
        return
    text = json.dumps(content, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        write_text(target, text)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error


def skipped(problem: str) -> None:
    """Name on stderr what was left out."""
    print(f"rnnpool: skipped: {problem}", file=sys.stderr, flush=True)
