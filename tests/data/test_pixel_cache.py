import os
import pickle

import numpy as np
import pytest
from PIL import Image

from made_sets import write_image
from rnnpool.data import pixel_cache
from rnnpool.data.pixel_cache import PixelCache, PixelFiles, open_pixels
from rnnpool.errors import InputError

SIZES = [(30, 20), (17, 41), (1, 1), (64, 3)]  # width, height


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in SIZES]
    for i, array in enumerate(arrays):
        write_image(tmp_path / "images" / f"{i}.bmp", array)
    return arrays


@pytest.fixture
def paths(tmp_path, images):
    return [tmp_path / "images" / f"{i}.bmp" for i in range(len(images))]


def cached(paths, tmp_path, channels=3, **options):
    return open_pixels(paths, channels=channels, cache=tmp_path / "cache", root=tmp_path, **options)


def files(tmp_path):
    return sorted(path.suffix for path in (tmp_path / "cache").iterdir())


@pytest.mark.parametrize("channels", [1, 3])
def test_same_pixels_with_and_without_a_cache(paths, tmp_path, images, channels):
    plain = open_pixels(paths, channels=channels, cache=None, root=tmp_path)
    cache = cached(paths, tmp_path, channels)
    assert isinstance(plain, PixelFiles)
    assert isinstance(cache, PixelCache)
    for i, (width, height) in enumerate(SIZES):
        assert plain.size(i) == cache.size(i) == (width, height)
        assert cache[i].shape == (height, width, channels)
        np.testing.assert_array_equal(cache[i], plain[i])
        if channels == 3:
            np.testing.assert_array_equal(cache[i], images[i])
    assert len(cache) == len(plain) == len(SIZES)


def test_grey_is_the_luma_of_itu_601(paths, tmp_path, images):
    luma = images[0] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(cached(paths, tmp_path, 1)[0][..., 0] - luma).max() <= 1


def test_images_are_decoded_once(paths, tmp_path, monkeypatch):
    cached(paths, tmp_path)
    monkeypatch.setattr(pixel_cache, "decode", None)  # would fail if called
    assert cached(paths, tmp_path)[1].shape == (41, 17, 3)


def test_a_build_is_announced(paths, tmp_path, capsys):
    for _ in range(2):
        cached(paths, tmp_path)
    assert capsys.readouterr().err == f"rnnpool: decoding 4 images once, into {next(tmp_path.rglob('*.bin'))}\n"


def test_a_cache_that_cannot_be_written_is_named_and_what_to_do(paths, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(InputError, match=r"data.cache .*/cache: cannot be written \(File exists\).* or null to decode"):
        cached(paths, tmp_path)


def test_a_dangling_link_is_named_with_the_other_unreadable_images(paths, tmp_path):
    paths[1].unlink()
    paths[1].symlink_to("nowhere")
    paths[2].write_bytes(b"no image")
    with pytest.raises(InputError, match="2 of 4 images cannot be read(?s:.*)1.bmp: no such image file"):
        cached(paths, tmp_path)


def test_the_place_of_the_set_does_not_matter(paths, tmp_path, monkeypatch):
    cached(paths, tmp_path)
    (tmp_path / "images").rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "images")
    monkeypatch.setattr(pixel_cache, "decode", None)
    moved = [tmp_path / "elsewhere" / "images" / path.name for path in paths]
    assert len(open_pixels(moved, channels=3, cache=tmp_path / "cache", root=tmp_path / "elsewhere")) == 4


def test_changed_data_get_another_file(paths, tmp_path, images):
    cached(paths, tmp_path)
    write_image(paths[1], 255 - images[1])  # as many bytes as before
    status = paths[1].stat()
    os.utime(paths[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # even on a clock that stood still
    np.testing.assert_array_equal(cached(paths, tmp_path)[1], 255 - images[1])
    assert files(tmp_path) == [".bin", ".bin", ".npy", ".npy"]
    assert len(cached(paths[:2], tmp_path)) == 2
    assert cached(paths, tmp_path, 1).channels == 1
    assert len(files(tmp_path)) == 8


def test_an_interrupted_build_leaves_nothing(paths, tmp_path):
    paths[2].write_bytes(b"no image")
    with pytest.raises(InputError, match="2.bmp"):
        cached(paths, tmp_path)
    assert files(tmp_path) == []


def test_pixels_without_an_index_are_made_again(paths, tmp_path, images):
    cached(paths, tmp_path)
    next((tmp_path / "cache").glob("*.npy")).unlink()
    np.testing.assert_array_equal(cached(paths, tmp_path)[3], images[3])


@pytest.mark.parametrize(("suffix", "keep"), [(".bin", -1), (".bin", 0), (".npy", -8), (".npy", 20), (".npy", 0)])
def test_damaged_files_are_named(paths, tmp_path, suffix, keep):
    cached(paths, tmp_path)
    path = next((tmp_path / "cache").glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"pixels-.*{suffix}: damaged.*delete it, and it is made again"):
        cached(paths, tmp_path)
    path.unlink()
    assert len(cached(paths, tmp_path)) == 4


def test_nobody_can_write_into_the_file(paths, tmp_path, images):
    first, second = cached(paths, tmp_path), cached(paths, tmp_path)
    first[0][:] = 0
    np.testing.assert_array_equal(second[0], images[0])


def test_a_worker_maps_the_file_itself(paths, tmp_path, images):
    cache = cached(paths, tmp_path)
    assert cache[0].shape
    content = pickle.dumps(cache)
    assert len(content) < 2000
    np.testing.assert_array_equal(pickle.loads(content)[1], images[1])


def test_channels_are_one_or_three(paths, tmp_path):
    with pytest.raises(InputError, match="channels is 4; expected 1 \\(grey\\) or 3 \\(RGB\\)"):
        cached(paths, tmp_path, 4)


def test_large_photos_are_cached_as_small_as_they_are_needed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    photo = tmp_path / "images" / "photo.jpg"
    photo.parent.mkdir()
    Image.fromarray(pixels).resize((160, 120)).save(photo)
    whole, small = cached([photo], tmp_path), cached([photo], tmp_path, least_side=60)
    assert whole.size(0) == (160, 120)
    assert small.size(0) == (80, 60)
    np.testing.assert_array_equal(small[0], PixelFiles([photo], 3, least_side=60)[0])
    assert cached([photo], tmp_path).size(0) == (160, 120)  # each has a file of its own
