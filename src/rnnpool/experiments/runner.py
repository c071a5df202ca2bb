"""Runs the trainings of an experiment, each in a process of its own, a few at a time.

Whatever kills the runner (kill -9 too), calling it again goes on: finished runs are in the ledger and skipped, begun
ones resume from their checkpoints. A training that outlived its runner holds its folder's lock; it is waited for, not
started twice. Only one runner works on a folder.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from rnnpool.errors import InputError
from rnnpool.experiments.definition import Run
from rnnpool.experiments.ledger import Entry, Ledger
from rnnpool.files import read_json_lines
from rnnpool.train.interrupt import StopRequest

_POLL_SECONDS = 0.2
Say = Callable[[str], None]


@dataclass
class _Working:
    """A training that is under way; ``process`` is None where an earlier runner started it."""

    run: Run
    lock: BinaryIO | None
    process: subprocess.Popen[bytes] | None
    begun: float


def train_command(run: Run, data: Path, folder: Path) -> list[str]:
    """What trains ``run`` into ``folder``, from where it left off."""
    command = [sys.executable, "-m", "rnnpool", "train", str(run.recipe_path), *run.overrides]
    return [*command, "--data", str(data), "--out", str(folder), "--resume"]


def run_all(
    runs: Sequence[Run],
    data: Path,
    out: Path,
    *,
    jobs: int,
    threads: int,
    say: Say,
    command: Callable[[Run, Path, Path], list[str]] = train_command,
) -> int | None:
    """Train what is not done yet, into ``out/RUN``, and keep ``out/results.jsonl``.

    Args:
        jobs: trainings at a time.
        threads: of each; 0: OMP_NUM_THREADS, where that is set, or the cores divided among the jobs.
        command: what trains a run.

    Returns:
        None when all was tried, else the signal that stopped it (the trainings have saved).

    Raises:
        InputError: another runner works on ``out``.
    """
    out.mkdir(parents=True, exist_ok=True)
    here = str(data.resolve())
    ledger = Ledger(out / "results.jsonl")
    with ExitStack() as stack:
        lock = _try_lock(out / ".runner.lock")
        if lock is None:
            raise InputError(f"{out}: another process runs this experiment; wait for it, or choose another --out")
        stack.callback(lock.close)
        done = {name: entry for name, entry in ledger.entries().items() if entry["status"] == "done"}
        waiting = [run for run in runs if run.name not in done]
        say(f"{len(runs)} runs, {len(runs) - len(waiting)} done, {jobs} at a time, into {out}")
        reading = [run for run in runs if run.name in done and run.recipe.task != "probe"]  # a probe reads no data
        elsewhere = {done[run.name].get("data", here) for run in reading} - {here}
        for there in sorted(elsewhere):
            say(f"runs that are done were trained on {there}, not on {here}; another --out trains them anew")
        working: list[_Working] = []
        stop = stack.enter_context(StopRequest())
        while waiting or working:
            if stop.signum is not None:
                _stop(working)
                say(f"stopped; the same command goes on ({len(waiting) + len(working)} runs are left)")
                return stop.signum
            while waiting and len(working) < jobs:
                run = waiting.pop(0)
                words = command(run, data, out / run.name)
                working.append(_start(run, words, out / run.name, threads or _threads(jobs)))
                say(
                    f"{run.name}: {'started' if working[-1].process else 'still under way from before, waiting for it'}"
                )
            time.sleep(_POLL_SECONDS)
            for item in [item for item in working if _has_ended(item, out)]:
                working.remove(item)
                if item.lock:
                    item.lock.close()
                if item.process is None:
                    waiting.insert(0, item.run)  # whatever it did is in its folder: resume, which may find it complete
                    continue
                entry = {**_entry(item, out), "data": here}
                ledger.add(entry)
                say(f"{item.run.name}: {_told(entry)}")
    return None


def _threads(jobs: int) -> int:
    """What the user set for all programs, else a fair share of the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) > 0 else max(1, (os.cpu_count() or 1) // jobs)


def _start(run: Run, command: list[str], folder: Path, threads: int) -> _Working:
    folder.mkdir(parents=True, exist_ok=True)
    lock = _try_lock(folder / ".lock")
    if lock is None:
        return _Working(run, None, None, time.monotonic())
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with open(folder / "log.txt", "ab") as log:
        # The lock is the child's as well: it is free when both are gone, whichever goes first.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock.fileno()],
            stdin=subprocess.DEVNULL,
            # Ctrl-C goes to a whole group; with our SIGTERM behind it, which would be the second signal, a training
            # would end before it has saved.
            process_group=0,
        )
    return _Working(run, lock, process, time.monotonic())


def _has_ended(item: _Working, out: Path) -> bool:
    if item.process is not None:
        return item.process.poll() is not None
    lock = _try_lock(out / item.run.name / ".lock")
    if lock is None:
        return False
    lock.close()
    return True


def _stop(working: list[_Working]) -> None:
    """Ask the trainings to save and leave, and wait until they have."""
    for item in working:
        if item.process is not None:
            item.process.terminate()
    for item in working:
        if item.process is not None:
            item.process.wait()
        if item.lock:
            item.lock.close()


def _entry(item: _Working, out: Path) -> Entry:
    """The ledger's line of a training that ended."""
    assert item.process is not None
    folder = out / item.run.name
    entry: Entry = {"run": item.run.name, "row": item.run.row, "seed": item.run.seed}
    if item.process.returncode:
        text = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
        message = _message(text, item.process.returncode)
        return {**entry, "status": "failed", "exit": item.process.returncode, "message": message}
    lines = read_json_lines(folder / "metrics.jsonl")
    evaluation = [line for line in lines if line["kind"] == "evaluation"][-1]
    kept = ("kind", "step", "images", "seconds")
    return {
        **entry,
        "status": "done",
        "metrics": {name: value for name, value in evaluation.items() if name not in kept},
        "images": evaluation["images"],
        **_speed([line for line in lines if line["kind"] == "train"]),
        "changes": list(item.run.overrides),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _message(log: str, status: int) -> list[str]:
    """The lines that say why a training failed: what it printed as its error, or the end of a traceback."""
    _, found, error = log.rpartition("rnnpool: error: ")
    if status == 2 and found:  # with another status it is one of an earlier start: a log holds them all
        return (found + error).splitlines()
    return log.splitlines()[-1:]


def _speed(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Images a second and the share of time spent waiting for data, over all lines of the log."""
    seconds, images, before = 0.0, 0, 0
    for line in lines:
        seconds += (line["images"] - before) / line["images_per_second"]
        images = before = line["images"]
    waited = sum(line["seconds_waiting"] for line in lines)
    return {
        "images_per_second": round(images / seconds, 2),
        "waiting": round(waited / seconds, 4),
        "seconds": round(seconds, 1),
    }


def _told(entry: Entry) -> str:
    if entry["status"] == "failed":
        return f"FAILED with status {entry['exit']}: " + "\n".join(entry["message"])
    figures = "  ".join(f"{name} {value:.4f}" for name, value in entry["metrics"].items())
    return f"{figures}  {entry['images_per_second']} images/s, {entry['waiting']:.1%} of the time waiting for data"


def _try_lock(path: Path) -> BinaryIO | None:
    """The open file that holds the lock as long as it, or a child's copy of it, is open; None if another has it."""
    file = open(path, "ab")  # noqa: SIM115 (lives as long as the lock is held)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
