"""Scaling keeps distances as far as two dimensions can, and the picture is made of a trained probe's outputs."""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import pdist

from rnnpool.cli import main
from rnnpool.data.synthetic import ANGLES, Synthetic, line_at, picture
from rnnpool.experiments.definition import all_runs, load_experiment
from rnnpool.experiments.scaling import LINES_AN_ANGLE, classical_scaling, scale_lines

PROBE = """
title: One tiny probe
recipe: probe
changes: {train.images: 64, train.batch_size: 32, train.evaluate_every: 0, data.train_images: 40, data.val_images: 10}
metrics: {top1: top-1}
rows:
  lines:
    label: lines
    changes: {model.options: {hidden: 2}, data.size: 16, data.synthetic: {kind: lines, size: 16}}
  shapes:
    label: shapes
    changes: {model.options: {hidden: 2}, data.size: 16, data.synthetic: {kind: shapes, size: 16}}
"""


def test_distances_in_the_plane_are_those_of_points_that_lie_in_one():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 7)) + 3  # a plane in 7 dimensions, off the origin
    points, share = classical_scaling(flat)
    np.testing.assert_allclose(pdist(points), pdist(flat), rtol=1e-9)
    assert share == pytest.approx(1)


def test_of_more_dimensions_the_two_widest_are_kept():
    """The principal components, by singular values instead of the distances' eigenvectors."""
    spread = np.random.default_rng(1).normal(size=(60, 4)) * [5, 0.5, 3, 1]
    points, share = classical_scaling(spread)
    centred = spread - spread.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(pdist(points), pdist(left[:, :2] * values[:2]), rtol=1e-9)
    assert share == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())


def test_lines_of_any_angle_lie_between_their_neighbours():
    config = Synthetic(size=32, noise=0.0)
    lines = {angle: line_at(config, angle, 7, 3).astype(float) for angle in (0, 5, 20)}
    assert 0 < np.abs(lines[0] - lines[5]).sum() < np.abs(lines[0] - lines[20]).sum()
    turned = line_at(config, 180, 7, 3)
    assert np.abs(turned - lines[0]).max() <= 1
    labelled, labels = picture(config, 7, 3)
    assert labelled.shape == turned.shape
    assert ANGLES[int(np.flatnonzero(labels)[0])] in ANGLES


def test_the_picture_of_a_trained_probe(tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(PROBE)
    command = ["experiment", str(path), "--out", str(tmp_path / "out")]
    assert main([*command, "--scaling", "lines"]) == 2
    assert "is not done" in capsys.readouterr().err
    assert main([*command, "--data", str(tmp_path), "--rows", "lines"]) == 0
    run = all_runs(load_experiment(str(path)))[0]
    scaling = scale_lines(run, tmp_path / "out" / run.name / "final.safetensors")
    assert scaling.points.shape == (180 * LINES_AN_ANGLE, 2)
    assert scaling.points.std(axis=0).min() > 0
    assert 0 < scaling.share <= 1
    assert main([*command, "--scaling", "lines", "--results", str(tmp_path)]) == 0
    with Image.open(tmp_path / "tiny-lines-scaling.png") as image:
        assert min(image.size) > 500
    assert main([*command, "--scaling", "shapes"]) == 2
    assert main([*command, "--scaling", "line"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "row 'shapes' is no probe of lines" in errors[0]
    assert "--scaling line: no such row: did you mean 'lines'?" in errors[1]
