"""Training of detectors on annotated photos, with pseudo-labelled images mixed in if wanted."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from rnnpool.data.augment import AugmentConfig
from rnnpool.data.boxes_csv import BoxesCsv
from rnnpool.data.device_crops import DeviceCrops, PlanBatches
from rnnpool.data.digest import digest
from rnnpool.data.resident import Crops, use_device
from rnnpool.data.samples import DetectionDataset
from rnnpool.data.training_samples import TrainingSamples
from rnnpool.errors import InputError
from rnnpool.eval.evaluation import Evaluation
from rnnpool.eval.sets import DatasetName, open_evaluation, open_images
from rnnpool.integer.images import evenly_spaced, whole_image
from rnnpool.models import save_weights
from rnnpool.models.detector import Detector
from rnnpool.train.initial import initial_model
from rnnpool.train.recipe import Recipe
from rnnpool.train.stream import completed_batches, stream_batches
from rnnpool.train.task import Batch, Plan, Sight


@dataclass(frozen=True)
class DataRecipe:
    """What a detector is trained on; folders and files are relative to ``--data``."""

    dataset: DatasetName = "wider"  # or "scut", SCUT-HEAD
    folder: str = "WIDER_FACE"  # "." where --data is the data set itself
    split_seed: int = 0  # draws SCUT-HEAD's split
    cache: str | None = None  # folder for decoded pixels; None: images are decoded at every access
    extra_csv: str | None = None  # table of scored boxes (rnnpool.data.boxes_csv) of further images
    extra_prefix: str = ""  # only those whose path begins so
    extra_share: float = 0.15  # of an epoch
    extra_positive: float = 0.75  # score from which a box is a face
    extra_unsure: tuple[str, ...] = ()  # folders whose boxes are never sure
    crops: Crops = "auto"  # where samples are made; auto: on a GPU that can hold the cached images
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class DetectionTask:
    """See :class:`rnnpool.train.task.Task`."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        self.recipe = recipe
        self.data: DataRecipe = recipe.data
        self.root = root
        sketch = self.build_model()
        self.channels, self.input_size = sketch.in_channels, sketch.input_size
        self.multiple = max(sketch.head.strides)
        self.area = self.input_size[0] * self.input_size[1]
        self.samples = TrainingSamples(
            self._images(),
            self.data.augment,
            seed=recipe.train.seed,
            extra=self._extra(),
            extra_share=self.data.extra_share,
        )
        self.epoch_length = len(self.samples)
        self._evaluation = self._validation()
        images = [
            f"{each.path.parent.name}/{each.path.name}" for set_ in self.samples.sets for each in set_.annotations
        ]
        self.data_digest = digest(images, self._evaluation.truth.names)
        # The official protocol's middle level; a user's own photos have one level only.
        levels = self._evaluation.truth.counted
        self.main_metric = "medium" if "medium" in levels else next(iter(levels))
        if not any(faces.any() for faces in levels[self.main_metric]):
            raise InputError(f"{self._folder}: no face in the photos to evaluate on, so that no weights could be best")

    def about_data(self) -> str:
        return ""

    def build_model(self) -> Detector:
        model = initial_model(self.recipe.model)
        if not isinstance(model, Detector):
            raise InputError(f"model {self.recipe.model.name!r} is no detector; task detection cannot train it")
        return model

    def batches(self, plan: Plan) -> Iterator[Batch]:
        sets = [each.pixels for each in self.samples.sets]
        if not use_device(self.data.crops, sets, plan.device):
            return stream_batches(self.samples, plan)
        packed = stream_batches(PlanBatches(self.samples), plan)
        return completed_batches(packed, DeviceCrops(sets, self.data.augment, plan.device))

    def describe(self, key: Any) -> str:
        epoch, index = key
        return f"{self.samples.path(index, epoch)} (epoch {epoch})"

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        head = getattr(model, "head")  # noqa: B009  # Fabric's wrapper hands on what it does not know
        return head.loss(model(batch.inputs), batch.targets.unpack())

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return self._evaluation(cast(Detector, model))

    def sight(self, count: int) -> Sight:
        pixels = self.samples.source.pixels
        chosen = (pixels[index] for index in evenly_spaced(count, len(pixels)))
        images = [whole_image(each, self.input_size, self.multiple) for each in chosen]
        return Sight(images, (self.channels, *self.input_size))

    def export(self, model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
        model.registry_name = self.recipe.model.name  # type: ignore[assignment]
        save_weights(model, path, {**metadata, "model_options": json.dumps(self.recipe.model.options)})

    @property
    def _folder(self) -> Path:
        """The data set's folder; --data may also name it directly."""
        below = self.root / self.data.folder
        return below if below.is_dir() else self.root

    @property
    def _cache(self) -> Path | None:
        return self.root / self.data.cache if self.data.cache else None

    def _images(self) -> DetectionDataset:
        data = self.data
        return open_images(
            data.dataset,
            self._folder,
            "train",
            channels=self.channels,
            split_seed=data.split_seed,
            cache=self._cache,
        )

    def _validation(self) -> Evaluation:
        data = self.data
        return open_evaluation(
            data.dataset,
            self._folder,
            channels=self.channels,
            area=self.area,
            split_seed=data.split_seed,
            cache=self._cache,
        )

    def _extra(self) -> DetectionDataset | None:
        data = self.data
        if data.extra_csv is None:
            return None
        if not (self.root / data.extra_csv).is_file():
            path = self.root / data.extra_csv
            raise InputError(f"{path}: no such table of boxes (data.extra_csv=null trains without one)")
        return BoxesCsv(
            self.root / data.extra_csv,
            self.root,
            prefix=data.extra_prefix,
            positive=data.extra_positive,
            unsure_folders=data.extra_unsure,
            channels=self.channels,
            cache=self._cache,
        )


def create(recipe: Recipe, root: Path) -> DetectionTask:
    return DetectionTask(recipe, root)
