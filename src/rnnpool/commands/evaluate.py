"""``rnnpool evaluate``: average precision of a detector, or of anyone's predictions, on an annotated set.

Weights of a classifier are handed to ``evaluate_classifier``."""

import argparse
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnpool.commands import engines
from rnnpool.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from rnnpool.eval.detector import Progress
    from rnnpool.eval.evaluation import Evaluation
    from rnnpool.eval.sets import DatasetName
    from rnnpool.eval.wider_ap import Curve

EPILOG = f"""\
DIR holds WIDER FACE or SCUT-HEAD in its standard layout:
  WIDER_val/images/EVENT/NAME.jpg, wider_face_split/wider_face_val_bbx_gt.txt, ground_truth/wider_easy_val.mat, ...
  Annotations/NAME.xml, JPEGImages/NAME.jpg
WIDER FACE's val split is measured by the official protocol (easy, medium, hard), and on its images of at most 3 faces.
Its train split, SCUT-HEAD, and your own photos in this layout without ground_truth/ have one level, mAP: all faces
count, but those marked invalid or difficult.

examples:
  rnnpool evaluate --data WIDER_FACE
  rnnpool evaluate --model face-quant --weights runs/quant/best.safetensors --data WIDER_FACE --out evaluated
  rnnpool evaluate --data WIDER_FACE --predictions evaluated/predictions --json -
  rnnpool evaluate --weights runs/pictures/best.safetensors --data pictures --out evaluated
  rnnpool evaluate --weights pictures-int8.safetensors --engine int --data pictures

Of a classifier's weights, DIR holds pictures in one folder a class, DIR/val/CLASS/*.jpg, or DIR/CLASS/*.jpg as it was
trained on: then the part that training held out is measured. --out gets confusion.png.

Of a detector, --out gets precision_recall.png, and predictions/EVENT/NAME.txt in the layout of WIDER FACE's server:
the image's name, the number of faces, then x y w h score in pixels of the image. --predictions reads this layout,
whoever wrote it; an image without a file counts as one without detections, and the exit status is then 1.

{engines.EPILOG}"""

MAX_AREA = 2**26


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="the data set")
    parser.add_argument("--model", metavar="NAME", help="a network's name (default: that of --weights, else face-tiny)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    engines.add_argument(parser)
    parser.add_argument("--predictions", metavar="DIR", type=Path, help="evaluate these text files, and no model")
    parser.add_argument("--split", metavar="NAME", help="the part of the set (default: val, or a recipe's data.val)")
    parser.add_argument("--split-seed", metavar="N", type=int, help="draws SCUT-HEAD's split (default: the training's)")
    parser.add_argument(
        "--area", metavar="WxH", type=_area, help="resize images to this many pixels (default: the model's input)"
    )
    parser.add_argument("--device", metavar="NAME", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="write the plot and the predictions here")
    parser.add_argument("--json", metavar="FILE", help='write the figures here ("-": stdout)')


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands import evaluate_classifier
    from rnnpool.commands.output import check_folder, check_json_target
    from rnnpool.eval.pr_plot import require_matplotlib

    check_json_target(args.json)  # what would fail at the end fails now
    if args.engine != "float" and args.device != "cpu":
        raise InputError(f"--device {args.device}: integers are computed by the processor")
    if args.predictions is None and evaluate_classifier.is_asked_for(args):
        return evaluate_classifier.run(args)
    args.split = args.split or "val"
    if args.split not in ("train", "val"):
        raise InputError(f"--split {args.split}: it may be train or val")
    root, dataset = find_dataset(args.data)
    if args.out is not None:
        require_matplotlib()
        check_folder(args.out, "--out")
    measured = _of_model(args, root, dataset) if args.predictions is None else _of_predictions(args, root, dataset)
    _report(args, root, measured)
    return 1 if measured.missing else 0


@dataclass(frozen=True)
class _Measured:
    """What was evaluated: ``subject`` names it for a title and in JSON, ``missing`` images had no predictions."""

    subject: dict[str, str]
    curves: Mapping[str, "Curve"]
    images: int
    missing: int = 0
    area: int | None = None  # of the images as the network saw them, pixels


def _report(args: argparse.Namespace, root: Path, measured: _Measured) -> None:
    """The plot, the table and the JSON that were asked for."""
    from rnnpool.commands.output import write_json
    from rnnpool.eval.pr_plot import save_plot

    title = f"{' '.join(measured.subject.values())} on {root.name}, {args.split}"
    if args.out is not None:
        save_plot(args.out / "precision_recall.png", _panels(measured.curves), title)
    if args.json != "-":
        _print_table(measured.curves, title)
    area = {} if measured.area is None else {"area": measured.area}
    entries = {**measured.subject, **area, "data": str(root), "split": args.split, "images": measured.images}
    write_json({**entries, "levels": _levels(measured.curves)}, args.json)


def find_dataset(folder: Path) -> tuple[Path, "DatasetName"]:
    """The folder of the data set, at ``folder`` or below it, and its name."""
    if not folder.is_dir():
        raise InputError(f"--data {folder}: no such folder")
    for root in (folder, folder / "WIDER_FACE"):
        if (root / "wider_face_split").is_dir():
            return root, "wider"
    for root in (folder, folder / "SCUT_HEAD_Part_B"):
        if (root / "Annotations").is_dir():
            return root, "scut"
    raise InputError(f"--data {folder}: neither WIDER FACE (no wider_face_split) nor SCUT-HEAD (no Annotations)")


def subject_of(args: argparse.Namespace, model: "nn.Module") -> dict[str, str]:
    """What is measured, for a title and for JSON: the network's name, and what was asked for besides."""
    from rnnpool.integer.network import IntNetwork

    network = getattr(model, "network", None)
    name = str(network.name if isinstance(network, IntNetwork) else model.registry_name)
    weights = {} if args.weights is None else {"weights": args.weights}
    return {"model": name, **weights, **({} if args.engine == "float" else {"engine": args.engine})}


def move_to(device: str, model: "nn.Module") -> None:
    """Move a network to the device that --device names."""
    import torch

    try:
        model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: {str(error).splitlines()[0]}") from error


def _of_model(args: argparse.Namespace, root: Path, dataset: "DatasetName") -> _Measured:
    """Detect on every image, and keep the predictions where --out is given."""
    from rnnpool.eval.submission import write_submission

    model = engines.open_detector(args.model, args.weights, args.engine).model
    move_to(args.device, model)
    area = args.area or model.input_size[0] * model.input_size[1]
    evaluation = _evaluation(args, root, dataset, model.in_channels, area, _split_seed(args, dataset))
    with progress_bar("detecting") as progress:
        started = time.perf_counter()
        detections = evaluation.detect(model, progress=progress)
        seconds = time.perf_counter() - started
    images = len(detections)
    _to_stderr(f"{images} images of {area:,} pixels in {seconds:.1f} s, {images / seconds:.1f} images/s")
    if args.out is not None:
        write_submission(args.out / "predictions", detections)
    return _Measured(subject_of(args, model), evaluation.curves(detections), images, area=area)


def _evaluation(
    args: argparse.Namespace,
    root: Path,
    dataset: "DatasetName",
    channels: int,
    area: int,
    split_seed: int,
) -> "Evaluation":
    from rnnpool.eval.sets import open_evaluation

    return open_evaluation(dataset, root, args.split, channels=channels, area=area, split_seed=split_seed)


def _split_seed(args: argparse.Namespace, dataset: "DatasetName") -> int:
    """Of SCUT-HEAD's split: what the weights were trained with, so that none of what is measured trained them."""
    data = _training_data(args.weights, args.engine) if args.weights else {}
    trained = data.get("split_seed", 0) if data.get("dataset") == "scut" else None
    asked = args.split_seed
    if dataset == "scut" and trained is not None and asked not in (None, trained):
        _to_stderr(f"rnnpool: {args.weights} was trained with split_seed {trained}: images of this split trained it")
    return asked if asked is not None else trained or 0


def _training_data(weights: str, engine: str) -> dict[str, Any]:
    """The data section of the recipe that trained a file of weights, or of integers."""
    from rnnpool.integer.storage import load_network
    from rnnpool.models.weights import Trained, weights_info

    if engine == "float":
        return weights_info(weights).trained.data
    return Trained.of_entries(load_network(weights).metadata).data


def _of_predictions(args: argparse.Namespace, root: Path, dataset: "DatasetName") -> _Measured:
    from rnnpool.eval.submission import read_submission
    from rnnpool.eval.wider import wider_curves
    from rnnpool.eval.wider_truth import has_ground_truth, read_ground_truth

    for option, default in (("model", None), ("weights", None), ("area", None), ("engine", "float")):
        if getattr(args, option) != default:
            raise InputError(f"--{option} has no meaning with --predictions; give one or the other")
    if dataset == "wider" and args.split == "val" and has_ground_truth(root):  # the images themselves are not needed
        truth = read_ground_truth(root)
        detections, missing = read_submission(args.predictions, truth.names)
        curves = wider_curves(detections, truth)
    else:
        evaluation = _evaluation(args, root, dataset, channels=1, area=1, split_seed=args.split_seed or 0)
        truth = evaluation.truth
        detections, missing = read_submission(args.predictions, truth.names)
        curves = evaluation.curves(detections)
    if missing:
        _to_stderr(f"rnnpool: no predictions for {len(missing)} of {len(truth.names)} images, such as {missing[0]}")
    return _Measured({"predictions": str(args.predictions)}, curves, len(truth.names), len(missing))


def _panels(curves: Mapping[str, "Curve"]) -> dict[str, dict[str, "Curve"]]:
    """Curves by heading and level: all images, and those of few faces where there are such columns."""
    from rnnpool.eval.wider import FEW_FACES

    panels: dict[str, dict[str, Curve]] = {}
    for key, curve in curves.items():
        heading = f"images of at most {FEW_FACES} faces" if key.endswith("_few") else "all images"
        panels.setdefault(heading, {})[key.removesuffix("_few")] = curve
    return panels


def _print_table(curves: Mapping[str, "Curve"], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("level")
    panels = _panels(curves)
    for heading in panels:
        table.add_column(f"AP, {heading}", justify="right")
        table.add_column("faces", justify="right")
    for level in next(iter(panels.values())):
        cells = [(panel[level].average_precision, panel[level].faces) for panel in panels.values()]
        texts = [("-" if math.isnan(ap) else f"{ap:.4f}", f"{faces:,}") for ap, faces in cells]
        table.add_row(level, *(text for pair in texts for text in pair))
    print(title)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table)


def _levels(curves: Mapping[str, "Curve"]) -> dict[str, dict[str, object]]:
    """For JSON: precision to six digits, and how many faces count."""
    return {
        key: {
            "average_precision": None if math.isnan(curve.average_precision) else round(curve.average_precision, 6),
            "faces": curve.faces,
        }
        for key, curve in curves.items()
    }


@contextmanager
def progress_bar(what: str) -> Iterator["Progress | None"]:
    """A callback that moves a bar on stderr, or None where that is no terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _area(text: str) -> int:
    """``WxH`` -> pixels."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    area = int(match[1]) * int(match[2]) if match else 0
    if not 0 < area <= MAX_AREA:
        raise argparse.ArgumentTypeError(f"{text!r}; expected WxH in pixels, such as 320x240, at most {MAX_AREA:,}")
    return area


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
