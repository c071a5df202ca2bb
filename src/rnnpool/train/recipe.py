"""A recipe: everything that decides what a training run computes, as dataclasses read from YAML.

    task: detection              which task trains (rnnpool.train.tasks)
    model: {name: face-tiny}     ModelRecipe
    data: {...}                  the task's own dataclass
    train: {images: 250000, ...} TrainRecipe

Unknown keys, wrong types and values out of range raise InputError. Overrides are ``section.key=value``, value in YAML.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from rnnpool.errors import InputError
from rnnpool.shipped import shipped_files
from rnnpool.train.tasks import task_recipe
from rnnpool.train.typed import closest, from_mapping

# What changes how a run is carried out, not what it computes (up to rounding): a run may be resumed with others.
OPERATIONAL = frozenset(
    ("train.workers", "train.threads", "train.log_every", "train.print_seconds", "train.save_minutes", "data.crops")
)

# Options that came later, and what turns them off: left out while they are off, so that runs from before keep the names
# that experiments give them, and may be resumed.
LATER = {"train.quantize": None}


@dataclass(frozen=True)
class ModelRecipe:
    """Which network of the registry, and what its weights start from."""

    name: str
    options: dict = field(default_factory=dict)  # passed on to create_model
    init_from: str | None = None  # a .safetensors file of weights to fine-tune; None: random
    init_skip: tuple[str, ...] = ()  # parameters or submodules left at their random start though the file has others

    def __post_init__(self) -> None:
        for key in self.options:
            if not isinstance(key, str) or key == "weights":
                raise InputError(f"model.options has {key!r}, which is no option of a network (weights: init_from)")


@dataclass(frozen=True)
class RoundingRecipe:
    """Integers to train for (rnnpool.train.rounding)."""

    state_bits: Literal[16, 8] = 16  # of what RNNPool keeps between rows
    nibbles: int = 0  # 1x1 convolutions of at most so many pixels have weights of 4 bits
    images: int = 64  # of the training set, to find the ranges on

    def __post_init__(self) -> None:
        if self.images < 1 or self.nibbles < 0:
            raise InputError(
                f"train.quantize has images {self.images} and nibbles {self.nibbles}; they must be at least 1 and 0"
            )


@dataclass(frozen=True)
class TrainRecipe:
    """The loop's settings. Numbers of images count all processes together."""

    images: int = 0  # budget: images seen in all; or give epochs
    epochs: float = 0.0  # budget: passes over the data
    batch_size: int = 32  # of all processes together
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01  # at the end of the warm-up
    momentum: float = 0.9  # SGD
    nesterov: bool = False  # SGD
    betas: tuple[float, float] = (0.9, 0.999)  # AdamW
    weight_decay: float = 0.0  # of matrices and kernels only
    warmup: float = 0.0  # share of the budget
    lr_floor: float = 0.0  # what the cosine falls to, as a share of lr
    clip_norm: float = 0.0  # largest norm of the whole gradient; 0: no clipping
    ema_decay: float = 0.0  # of the averaged weights that are evaluated and shipped; 0: the last weights are
    quantize: RoundingRecipe | None = None  # learn through the rounding of integers; true: of the usual ones
    sparsity: dict[str, float] = field(default_factory=dict)  # name pattern -> density (rnnpool.nn.sparse); {}: dense
    evaluate_every: int = 0  # images; 0: only at the end
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    channels_last: bool = False
    sync_batch_norm: bool = False  # several CUDA devices: statistics of the global batch
    workers: int = 0  # processes that load data; 0: the training process itself
    threads: int = 0  # of torch; 0: torch's choice
    log_every: int = 1600  # images between two lines of metrics.jsonl
    print_seconds: float = 30.0  # between two lines of progress where stdout is no terminal
    save_minutes: float = 5.0  # between two checkpoints, besides one an epoch

    def __post_init__(self) -> None:
        if (self.images > 0) == (self.epochs > 0):
            raise InputError(
                f"give the budget as either train.images or train.epochs: they are {self.images} and {self.epochs}"
            )
        _check(self, "batch_size", self.batch_size >= 1, "at least 1")
        _check(self, "lr", self.lr > 0, "above 0")
        _check(self, "log_every", self.log_every >= 1, "at least 1")
        for name in ("images", "epochs", "weight_decay", "clip_norm", "evaluate_every", "workers", "threads", "seed"):
            _check(self, name, getattr(self, name) >= 0, "0 or more")
        for name in ("warmup", "lr_floor"):
            _check(self, name, 0 <= getattr(self, name) <= 1, "a share, 0..1")
        for name in ("momentum", "ema_decay"):
            _check(self, name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        _check(self, "betas", all(0 <= beta < 1 for beta in self.betas), "two numbers of at least 0 and below 1")
        if self.optimizer == "sgd":
            _check(self, "nesterov", not self.nesterov or self.momentum > 0, "false where train.momentum is 0")
        if self.quantize and self.precision != "32-true":
            raise InputError(f"train.quantize needs train.precision=32-true, not {self.precision}: it counts bytes")


@dataclass(frozen=True)
class Recipe:
    """One run. ``data`` is the dataclass that the task declares."""

    task: str
    model: ModelRecipe
    data: Any
    train: TrainRecipe

    def __post_init__(self) -> None:
        if self.train.quantize and self.model.init_from is None:
            raise InputError(
                "train.quantize needs model.init_from: ranges are found on trained weights, then fine-tuned"
            )

    def to_mapping(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars (YAML, checkpoints)."""
        return _plain(dataclasses.asdict(self))

    def what_it_computes(self) -> dict[str, Any]:
        """``section.key`` -> value, without the fields that do not change the result."""
        flat = {"task": self.task}
        for section, values in self.to_mapping().items():
            if isinstance(values, dict):
                flat |= {f"{section}.{key}": value for key, value in values.items()}
        return {
            key: value
            for key, value in flat.items()
            if key not in OPERATIONAL and not (key in LATER and value == LATER[key])
        }


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read ``path`` and apply ``section.key=value`` overrides."""
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"recipe {path} cannot be read: {error}") from error
    if not isinstance(mapping, dict):
        raise InputError(f"recipe {path} must hold the sections task, model, data and train")
    for override in overrides:
        _override(mapping, override)
    return parse_recipe(mapping)


def parse_recipe(mapping: dict[str, Any]) -> Recipe:
    """A recipe from its sections, checked."""
    sections = [item.name for item in dataclasses.fields(Recipe)]
    for key in mapping:
        if key not in sections:
            raise InputError(f"unknown section {key}: {closest(str(key), sections)}")
    for key in ("task", "model"):
        if key not in mapping:
            raise InputError(f"the recipe lacks its section {key}")
    return Recipe(
        task=mapping["task"],
        model=from_mapping(ModelRecipe, mapping["model"], "model"),
        data=from_mapping(task_recipe(mapping["task"]), mapping.get("data") or {}, "data"),
        train=from_mapping(TrainRecipe, mapping.get("train") or {}, "train"),
    )


def find_recipe(name: str) -> Path:
    """A path as it is given, else the shipped recipe of that name."""
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_files("recipes", ".yaml")
    if name not in shipped:
        raise InputError(f"no recipe {name!r}: neither a file nor a shipped one; {closest(name, sorted(shipped))}")
    return shipped[name]


def _override(mapping: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    section, dot, _ = key.partition(".")
    if not equals or not dot:
        raise InputError(f"override {override!r} must read section.key=value, e.g. train.batch_size=32")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"override {override!r}: the value is no YAML: {error}") from error
    target: Any = mapping
    *inner, last = key.split(".")
    for part in inner:
        if isinstance(target, dict):
            target[part] = {} if target.get(part) is None else target[part]  # empty in the file
            target = target[part]
    if not isinstance(target, dict):
        raise InputError(f"override {override!r}: {section} is no section with fields, it is {target!r}")
    target[last] = value


def _check(settings: TrainRecipe, name: str, holds: bool, may_be: str) -> None:
    if not holds:
        raise InputError(f"train.{name} must be {may_be}, not {getattr(settings, name)}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
