"""The training loop, one for all tasks, on Lightning Fabric (devices, precision, several processes).

The state of a run is its step number, the weights, their average and the optimiser's state; everything else (order and
augmentation of the data, learning rate, random numbers within a step) is a pure function of the seed and the step. A
run that was killed therefore goes on from its last checkpoint to the same bits (on a GPU up to what its libraries
choose anew).

``batch_size`` counts all processes: with any number of them the gradient is that of the same global batch (up to the
order of additions), as long as the loss is a mean over samples and no layer mixes samples. Batch norm does: each
process normalises by its own samples unless ``sync_batch_norm`` is on.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
import yaml
from filelock import FileLock, Timeout
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.files import write_text
from rnnpool.memory import reuse_freed_memory
from rnnpool.train.checkpoint import LAST, load_latest, save_checkpoint
from rnnpool.train.fabric import make_fabric
from rnnpool.train.interrupt import StopRequest
from rnnpool.train.learner import Learner
from rnnpool.train.metrics_log import Interval, MetricsLog
from rnnpool.train.progress import ProgressDisplay
from rnnpool.train.recipe import Recipe, TrainRecipe
from rnnpool.train.stream import mix_seed
from rnnpool.train.task import Batch, Plan, Task

_OF_DATA = ("epoch_length", "data_digest")  # what a run's data have to be again when it goes on


@dataclass(frozen=True)
class Result:
    """How a call of :func:`train` ended."""

    step: int
    total_steps: int
    metrics: dict[str, float]  # of the last evaluation
    signum: int | None  # the signal that stopped it early


def train(recipe: Recipe, task: Task, out: Path, *, resume: bool = False) -> Result:
    """Train ``task`` by ``recipe``, writing into folder ``out``: last.ckpt, previous.ckpt, recipe.yaml, metrics.jsonl,
    tb/, best.safetensors (by the task's main metric; of equals, the last) and final.safetensors.

    Args:
        resume: go on from the checkpoint in ``out`` (from the start where there is none yet).

    Raises:
        InputError: ``out`` holds a run and ``resume`` is not set, or holds one of another recipe, or another process
            trains into it; damaged checkpoints; a loss or gradient that is not finite (the batch is named; the last
            checkpoint is from before it).
    """
    with _alone_in(out):
        found = load_latest(out)
        if found and not resume:
            raise InputError(f"{out} holds a run ({LAST}): go on with --resume, or choose another --out")
        try:
            return _Run(recipe, task, out, found, resume).execute()
        finally:
            if dist.is_initialized():  # its threads must not outlive the interpreter: that ends in an abort at exit
                dist.destroy_process_group()


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Two trainings into one folder would overwrite each other's checkpoints; of a torchrun, the first process asks."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".training.lock", blocking=False):  # given back by the system, however the process ends
            yield
    except Timeout:
        raise InputError(f"{out}: another process trains into it; wait for it, or choose another --out") from None


class _Run:
    def __init__(
        self, recipe: Recipe, task: Task, out: Path, found: tuple[Path, dict[str, Any]] | None, resume: bool
    ) -> None:
        settings = recipe.train
        reuse_freed_memory()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.recipe, self.settings, self.task, self.out = recipe, settings, task, out
        self.total_steps = total_steps(settings, task.epoch_length)
        self.fabric = make_fabric(settings)
        # Training's batches have one size, so that the fastest convolutions found for the first serve them all.
        torch.backends.cudnn.benchmark = self.fabric.device.type == "cuda"
        torch.manual_seed(mix_seed(settings.seed))
        integers = found[1].get("integers") if found else None
        self.learner = Learner(settings, task, self.fabric, self.total_steps, integers)
        self.step = 0
        self.evaluated_step = 0
        self.metrics: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.source = ""
        if found:
            self._restore(*found)
        elif resume:
            self.source = f", from the start: {out} holds no checkpoint"

    def execute(self) -> Result:
        """Run from the present step to the end of the budget, or until a signal."""
        settings, first = self.settings, self.step
        plan = Plan(
            first=first,
            last=self.total_steps,
            batch_size=settings.batch_size,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
            seed=settings.seed,
            workers=settings.workers,
            device=self.fabric.device,
        )
        lead = self.fabric.is_global_zero
        if lead:
            write_text(self.out / "recipe.yaml", yaml.safe_dump(self.recipe.to_mapping(), sort_keys=False))
        self.log = MetricsLog(self.out, first) if lead else None
        images = self.total_steps * settings.batch_size
        display = ProgressDisplay(images, first * settings.batch_size, settings.print_seconds, silent=not lead)
        logging = closing(self.log) if self.log else nullcontext()
        with logging, StopRequest() as stop, display as self.display:
            display.say(self._opening())
            if about := self.task.about_data():
                display.say(about)
            self._evaluate_if_due()  # the signal that ended the run before this one may have come just before it
            if first < self.total_steps:
                self._loop(iter(self.task.batches(plan)), stop)
            if self.step == self.total_steps and lead:
                self._export("final.safetensors")
                display.say(self._closing(first))
        return Result(self.step, self.total_steps, self.metrics, stop.signum)

    def _loop(self, batches: Iterator[Batch], stop: StopRequest) -> None:
        settings = self.settings
        log_steps = max(1, settings.log_every // settings.batch_size)
        saved, waited = time.monotonic(), 0.0
        interval = Interval()
        self.learner.model.train()
        while self.step < self.total_steps:
            asked = time.perf_counter()
            batch = next(batches)
            wait = time.perf_counter() - asked
            values = self.learner.update(batch, self.step)
            self.step += 1

            waited += wait
            interval.add(values, wait)
            if self.step % log_steps == 0 or self.step == self.total_steps:
                self._log_interval(interval)
                interval = Interval()
            seen = self.step * settings.batch_size
            self.display.update(seen, sum(values.values()) - values["gradient_norm"], waited)

            stopping = self._any_process(stop.signum is not None)
            if not stopping:
                self._evaluate_if_due()
            epoch_ended = seen // self.task.epoch_length > (seen - settings.batch_size) // self.task.epoch_length
            overdue = time.monotonic() - saved > 60 * settings.save_minutes
            if stopping or epoch_ended or overdue or self.step == self.total_steps:
                self._save()
                saved = time.monotonic()
            if stopping:
                self.display.say(f"stopped at {seen} images; --resume goes on from {self.out / LAST}")
                return

    def _evaluate_if_due(self) -> None:
        """Every ``evaluate_every`` images and at the end; the average where there is one, on the first process."""
        images = self.settings.evaluate_every
        every = max(1, images // self.settings.batch_size) if images else self.total_steps
        due = self.step == self.total_steps or self.step % every == 0
        if not due or self.step <= self.evaluated_step:
            return
        self._save()  # an evaluation that fails, say on a damaged picture, must not cost what was trained
        if self.fabric.is_global_zero:
            begun = time.perf_counter()
            model = self.learner.shipped()
            was_training = model.training
            tuning, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False  # images of many sizes
            with torch.no_grad():
                self.metrics = self.task.evaluate(model.eval())
            torch.backends.cudnn.benchmark = tuning
            model.train(was_training)
            figures = "  ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
            self.display.say(f"evaluation at {self._images()} images: {figures}")
            seconds = time.perf_counter() - begun
            assert self.log
            self.log.write("evaluation", self.step, {"images": self._images(), **self.metrics, "seconds": seconds})
            value = self.metrics[self.task.main_metric]
            # Few held-out samples tie often; the first of equals can be hardly trained.
            if self.learner.is_shippable and (not self.best or value >= self.best["value"]):
                self.best = {"value": value, "step": self.step}
                self._export("best.safetensors")
        self.evaluated_step = self.step
        self.fabric.barrier()

    def _export(self, name: str) -> None:
        metadata = {
            "recipe": json.dumps(self.recipe.to_mapping()),
            "images": str(self._images()),
            "metrics": json.dumps(self.metrics),
            "data_digest": self.task.data_digest,
        }
        if self.learner.calibrated:
            metadata["integers"] = self.learner.calibrated.to_json()
        self.task.export(self.learner.shipped(), self.out / name, metadata)

    def _save(self) -> None:
        if not self.log:
            return
        self.log.sync()
        state = {
            "computes": self.recipe.what_it_computes(),
            "epoch_length": self.task.epoch_length,
            "data_digest": self.task.data_digest,
            "step": self.step,
            "evaluated_step": self.evaluated_step,
            "metrics": self.metrics,
            "best": self.best,
            **self.learner.state_dict(),
        }
        save_checkpoint(self.out, state)

    def _restore(self, path: Path, state: dict[str, Any]) -> None:
        mine, theirs = self.recipe.what_it_computes(), state["computes"]
        for key in _OF_DATA:
            mine[key] = getattr(self.task, key)
            theirs[key] = state.get(key, mine[key])  # checkpoints of before have no digest
        differing = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
        if differing:
            listed = ", ".join(f"{key} (was {theirs.get(key)!r}, is {mine.get(key)!r})" for key in differing)
            remedy = self._remedy(differing)
            raise InputError(f"{path} was trained by another recipe or on other data; these differ: {listed}{remedy}")
        self.learner.load_state_dict(state)
        self.step, self.evaluated_step = state["step"], state["evaluated_step"]
        self.metrics, self.best = state["metrics"], state["best"]
        self.source = f", resumed from {path} at {self._images()} images"

    def _remedy(self, differing: list[str]) -> str:
        """What to type where nothing but the recipe differs: the run has written its own down."""
        mine = self.out / "recipe.yaml"
        if "data_digest" in differing:
            return "; classes or samples were added, removed or renamed since"
        if "epoch_length" in differing or not mine.is_file():
            return ""
        command = f"rnnpool train {mine} --data DIR --out {self.out} --resume"
        return f"; give the same changes again, or the run's recipe: {command}"

    def _log_interval(self, interval: Interval) -> None:
        values = interval.means()
        reduced = self._all_reduce(list(values.values()), "mean")
        if self.log:
            timing = interval.timing(self.settings.batch_size)
            entry = {**dict(zip(values, reduced, strict=True)), "lr": self.learner.learning_rate}
            self.log.write("train", self.step, {"images": self._images(), **entry, **timing})

    def _any_process(self, wish: bool) -> bool:
        """Whether any process wishes to stop: all must leave after the same step."""
        if self.fabric.world_size == 1:
            return wish
        return self._all_reduce([float(wish)], "sum")[0] > 0

    def _all_reduce(self, values: list[float], how: Literal["mean", "sum"]) -> list[float]:
        reduced = self.fabric.all_reduce(torch.tensor(values, device=self.fabric.device), reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced.tolist()

    def _images(self) -> int:
        return self.step * self.settings.batch_size

    def _closing(self, first: int) -> str:
        done = "nothing was left to do; " if first == self.total_steps else ""
        if not self.best:  # weights that were never evaluated, or never sparse enough
            return f"{done}done: {self.out / 'final.safetensors'}"
        value, images = self.best["value"], int(self.best["step"]) * self.settings.batch_size
        best = self.out / "best.safetensors"
        return f"{done}best {self.task.main_metric} {value:.4f}, at {images} images: {best}"

    def _opening(self) -> str:
        parameters = sum(p.numel() for p in self.learner.parameters)
        calibrated = self.learner.calibrated
        rounding = f"rounded to integers, ranges by {calibrated.method}, " if calibrated else ""
        return (
            f"{self.recipe.model.name}: {parameters} parameters, {rounding}{self.task.epoch_length} samples an epoch, "
            f"{self.total_steps} steps of {self.settings.batch_size}, {self.fabric.world_size} process(es) on "
            f"{self.fabric.device.type}, {self.settings.precision}, into {self.out}{self.source}"
        )


def total_steps(settings: TrainRecipe, epoch_length: int) -> int:
    """Steps that the budget buys, the last incomplete batch left out."""
    images = settings.images or round(settings.epochs * epoch_length)
    if images < settings.batch_size:
        raise InputError(f"the budget of {images} images is less than one batch of {settings.batch_size}")
    return images // settings.batch_size
