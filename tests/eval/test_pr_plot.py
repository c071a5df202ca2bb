import builtins

import numpy as np
import pytest
from PIL import Image

from rnnpool.errors import InputError
from rnnpool.eval.pr_plot import save_plot
from rnnpool.eval.wider_ap import Curve


def curve(faces, top):
    recall = np.linspace(0, top, 1000)
    return Curve(np.linspace(1, 0.2, 1000), recall if faces else np.full(1000, np.nan), faces)


def coloured(path):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 60).sum())


def test_draws_every_level_with_faces(tmp_path):
    save_plot(tmp_path / "two.png", {"all": {"easy": curve(10, 0.9), "hard": curve(5, 0.4)}}, "title")
    save_plot(tmp_path / "one.png", {"all": {"easy": curve(10, 0.9), "hard": curve(0, 0.4)}}, "title")
    save_plot(tmp_path / "none.png", {"all": {"easy": curve(0, 0.9)}}, "title")
    assert coloured(tmp_path / "two.png") > coloured(tmp_path / "one.png") > coloured(tmp_path / "none.png") == 0


def test_a_panel_for_every_heading(tmp_path):
    save_plot(tmp_path / "a.png", {"all": {"easy": curve(10, 0.9)}}, "title")
    save_plot(tmp_path / "b.png", {"all": {"easy": curve(10, 0.9)}, "few": {"easy": curve(2, 0.9)}}, "title")
    narrow, wide = Image.open(tmp_path / "a.png"), Image.open(tmp_path / "b.png")
    assert wide.width == 2 * narrow.width
    assert wide.height == narrow.height


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'rnnpool\[plot\]'"):
        save_plot(tmp_path / "a.png", {}, "title")
