"""Annotated image sets in the layouts of WIDER FACE and SCUT-HEAD, small and made on the spot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

LEVELS = ("easy", "medium", "hard")
Box = tuple[float, float, float, float]  # x y w h


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_wider(
    root: Path,
    images: Mapping[str, np.ndarray],
    faces: Mapping[str, Sequence[Box]],
    *,
    split: str = "val",
    counted: Mapping[str, Mapping[str, Sequence[int]]] | None = None,
    invalid: Mapping[str, Sequence[int]] | None = None,
    suffix: str = ".png",
) -> Path:
    """A set whose images are called "EVENT/NAME".

    Args:
        counted: level -> image -> 0-based numbers of the faces that count; by default all count at every level.
        invalid: image -> 0-based numbers of the faces marked invalid.
    """
    lines = []
    for name, pixels in images.items():
        write_image(root / f"WIDER_{split}" / "images" / f"{name}{suffix}", pixels)
        lines += [f"{name}.jpg", str(len(faces[name]))]
        for i, box in enumerate(faces[name]):
            flag = int(i in (invalid or {}).get(name, ()))
            lines.append(" ".join(str(round(v)) for v in box) + f" 0 0 0 {flag} 0 0 ")
        if not faces[name]:
            lines.append("0 0 0 0 0 0 0 0 0 0")
    text = root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(lines) + "\n")
    if split == "val":
        write_ground_truth(root / "ground_truth", faces, counted)
    return root


def write_ground_truth(
    folder: Path, faces: Mapping[str, Sequence[Box]], counted: Mapping[str, Mapping[str, Sequence[int]]] | None = None
) -> None:
    """The three .mat files, with the nested cells of the evaluation tools."""
    folder.mkdir(parents=True, exist_ok=True)
    events = list(dict.fromkeys(name.split("/")[0] for name in faces))
    members = [[name for name in faces if name.split("/")[0] == event] for event in events]
    for level in LEVELS:
        chosen = {name: range(len(boxes)) for name, boxes in faces.items()} | dict((counted or {}).get(level, {}))
        savemat(
            folder / f"wider_{level}_val.mat",
            {
                "event_list": _cell(events),
                "file_list": _cell([_cell([name.split("/")[1] for name in names]) for names in members]),
                "face_bbx_list": _cell(
                    [_cell([np.array(faces[n], np.float64).reshape(-1, 4) for n in names]) for names in members]
                ),
                "gt_list": _cell(
                    [_cell([np.array([[i + 1] for i in chosen[n]], np.uint8) for n in names]) for names in members]
                ),
            },
        )


def _cell(items: Sequence) -> np.ndarray:
    """A column of MATLAB cells."""
    cell = np.empty((len(items), 1), dtype=object)
    for i, item in enumerate(items):
        cell[i, 0] = item
    return cell


def write_scut(root: Path, images: Mapping[str, np.ndarray], heads: Mapping[str, Sequence[Box]]) -> Path:
    """A set of "NAME" -> pixels and boxes x y w h, as Pascal VOC."""
    for name, pixels in images.items():
        write_image(root / "JPEGImages" / f"{name}.jpg", pixels)
        objects = "".join(voc_object(x, y, x + w, y + h) for x, y, w, h in heads[name])
        write_voc(root / "Annotations" / f"{name}.xml", objects)
    return root


def voc_object(xmin: object, ymin: object, xmax: object, ymax: object, extra: str = "") -> str:
    return (
        f"<object><name>person</name>{extra}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>\n"
    )


def write_voc(path: Path, objects: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{path.stem}.jpg</filename>\n{objects}</annotation>\n")
