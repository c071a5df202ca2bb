"""Where the outputs of a trained probe lie: lines of all angles, scaled to two dimensions (the paper's figure 4).

Classical multi-dimensional scaling (Torgerson, "Multidimensional scaling: I. Theory and method", Psychometrika 17,
1952): the points in the plane whose distances come nearest to those of the outputs, from the eigenvectors of the
doubly centred matrix of squared distances.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rnnpool.cost.plot import figure, save
from rnnpool.data.classification import normalise_pixels
from rnnpool.data.synthetic import ANGLES, line_at
from rnnpool.errors import InputError
from rnnpool.experiments.definition import Run
from rnnpool.models import create_model
from rnnpool.models.classification.network import Classifier
from rnnpool.train.stream import mix_seed

LINES_AN_ANGLE = 5


@dataclass(frozen=True)
class Scaling:
    """N outputs in two dimensions.

    Attributes:
        angles: float (N,) of the lines, in degrees.
        points: float (N, 2).
        share: of the outputs' variance that the two dimensions show, 0..1.
    """

    angles: np.ndarray
    points: np.ndarray
    share: float


def classical_scaling(outputs: np.ndarray, dimensions: int = 2) -> tuple[np.ndarray, float]:
    """Points (N, dimensions) for outputs (N, D), and the share of their variance that is shown."""
    outputs = outputs.astype(np.float64)
    lengths = (outputs**2).sum(axis=1)
    squared = lengths[:, None] + lengths[None, :] - 2 * outputs @ outputs.T  # (N, N) distances
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1, keepdims=True) + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)  # ascending
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    return vectors[:, :dimensions] * np.sqrt(values[:dimensions]), float(values[:dimensions].sum() / values.sum())


def scale_lines(run: Run, weights: Path) -> Scaling:
    """The outputs of the pooling that ``run`` trained, for unseen lines of every degree from 0 to 179.

    Raises:
        InputError: the run is no probe of lines, or has not ended.
    """
    recipe = run.recipe
    if recipe.task != "probe" or recipe.data.synthetic.kind != "lines":
        raise InputError(f"row {run.row!r} is no probe of lines; scaling needs one (probe-lines has them)")
    if not weights.is_file():
        raise InputError(f"{run.name} is not done: there is no {weights}")
    config = recipe.data.synthetic
    model = create_model(recipe.model.name, weights=weights).eval()
    assert isinstance(model, Classifier)
    angles = np.repeat(np.arange(180.0), LINES_AN_ANGLE)
    seed = mix_seed(recipe.data.draw_seed, 2)  # 0 and 1 drew the pictures that train and validate
    pictures = np.stack([line_at(config, angle, seed, index) for index, angle in enumerate(angles)])
    points, share = classical_scaling(_pooled(model, pictures, recipe.data.mean, recipe.data.std))
    return Scaling(angles, points, share)


def _pooled(model: Classifier, pictures: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """uint8 (N, S, S, C) -> float32 (N, D), what the linear layer sees."""
    seen = []
    with torch.no_grad():
        for batch in torch.from_numpy(pictures).permute(0, 3, 1, 2).split(100):
            seen.append(model.pool(model.features(normalise_pixels(batch, mean, std))).flatten(1))
    return torch.cat(seen).numpy()


def plot_scaling(scaling: Scaling, title: str, path: Path) -> None:
    """Each output a dot in the colour of its line's angle; the angles that were trained on are named."""
    drawn, (axes,) = figure(1, (8, 6))
    dots = axes.scatter(*scaling.points.T, c=scaling.angles, cmap="hsv", vmin=0, vmax=180, s=9, alpha=0.7)
    for angle in ANGLES:
        middle = np.median(scaling.points[scaling.angles == angle], axis=0)
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.8, "linewidth": 0.5}
        axes.annotate(f"{angle}°", middle, ha="center", va="center", fontsize=9, bbox=box)
    drawn.colorbar(dots, location="bottom", shrink=0.8, label="angle of the line, degrees", ticks=range(0, 181, 20))
    axes.set(title=title, xlabel=f"two dimensions, {scaling.share:.0%} of the variance", aspect="equal")
    axes.grid(alpha=0.3)
    save(drawn, path)
