"""Progress of a run for people: a bar on a terminal, a plain line now and then elsewhere (logs, pipes)."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class ProgressDisplay:
    """Shows images done, loss, images/s, time left and the share of time that the loop waited for data.

    Args:
        total: images of the whole run.
        done: images done before this process began.
        plain_seconds: between two lines where stdout is no terminal.
        silent: show nothing (all processes but the first).
    """

    def __init__(self, total: int, done: int, plain_seconds: float, *, silent: bool = False) -> None:
        self.total, self.begun_at, self.plain_seconds, self.silent = total, done, plain_seconds, silent
        self._start = self._printed = time.perf_counter()
        self._bar = None
        if sys.stdout.isatty() and not silent:
            columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console())
            self._row = self._bar.add_task("", total=total, completed=done)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, loss: float, waited: float) -> None:
        """After each step: images done in all, the present loss, seconds waited for data by this process so far."""
        now = time.perf_counter()
        if self.silent or (not self._bar and now - self._printed < self.plain_seconds and done < self.total):
            return
        elapsed = max(now - self._start, 1e-9)
        rate = (done - self.begun_at) / elapsed
        text = f"{done}/{self.total} images  loss {loss:.4f}  {rate:.1f} images/s  data {waited / elapsed:.1%}"
        if self._bar:
            self._bar.update(self._row, completed=done, description=text)
        else:
            self._printed = now
            print(f"{text}  {_clock((self.total - done) / max(rate, 1e-9))} left", flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.silent:
            return
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
