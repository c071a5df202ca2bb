import struct

import numpy as np
import pytest
from PIL import Image

from rnnpool.errors import InputError
from rnnpool.images import MAX_PIXELS, find_image, image_size, load_image, to_rgb

RAMP = np.linspace(0, 255, 40 * 30).round().astype(np.uint8).reshape(30, 40)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def loaded(path):
    image = load_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_lossless_files(tmp_path, suffix):
    path = saved(Image.fromarray(COLOUR), tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(loaded(path), COLOUR)
    assert image_size(path) == (40, 30)


@pytest.mark.parametrize(
    ("least_side", "size"),
    [(None, (400, 240)), (240, (400, 240)), (120, (200, 120)), (119, (200, 120)), (30, (50, 30))],
)
def test_a_jpeg_is_decoded_no_larger_than_needed(tmp_path, least_side, size):
    """Means over blocks, by the decoder; the longer side in a file that a camera turned."""
    large = np.kron(COLOUR[:24], np.ones((10, 10, 1), np.uint8))  # 400 x 240
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.fromarray(np.rot90(large)), tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    image = load_image(path, least_side)
    assert image.size == image_size(path, least_side) == size
    factor = 400 // size[0]
    means = large.reshape(size[1], factor, size[0], factor, 3).mean((1, 3))
    assert np.abs(np.asarray(image) - means).mean() < 4
    other = saved(Image.fromarray(large), tmp_path / "a.png")
    assert load_image(other, least_side).size == image_size(other, least_side) == (400, 240)


def oriented(pixels, orientation):
    """How a camera that was held otherwise stores ``pixels``: the inverse of what the tag asks for."""
    inverse = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(inverse[orientation](pixels))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_orientation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(oriented(COLOUR, orientation)), tmp_path / f"a{suffix}", exif=exif)
    np.testing.assert_array_equal(loaded(path), COLOUR)
    assert image_size(path) == (40, 30)


def test_orientation_of_a_jpeg(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = np.repeat(RAMP[..., None], 3, axis=2)
    path = saved(Image.fromarray(oriented(smooth, 6)), tmp_path / "a.jpg", exif=exif, quality=98)
    assert np.abs(loaded(path).astype(int) - smooth).max() < 12
    assert image_size(path) == (40, 30)


def test_grey_and_bilevel(tmp_path):
    np.testing.assert_array_equal(loaded(saved(Image.fromarray(RAMP), tmp_path / "l.png"))[..., 1], RAMP)
    bilevel = Image.fromarray(RAMP > 100)
    assert bilevel.mode == "1"
    np.testing.assert_array_equal(loaded(saved(bilevel, tmp_path / "1.png"))[..., 2], np.where(RAMP > 100, 255, 0))


def test_transparency_lies_over_white(tmp_path):
    alpha = np.zeros_like(RAMP)
    alpha[:, 20:] = 255
    alpha[:, 10] = 128
    rgba = Image.fromarray(np.dstack([COLOUR, alpha]))
    pixels = loaded(saved(rgba, tmp_path / "rgba.png"))
    assert (pixels[:, :10] == 255).all()
    np.testing.assert_array_equal(pixels[:, 20:], COLOUR[:, 20:])
    half = COLOUR[:, 10] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(pixels[:, 10] - half).max() <= 1
    grey = loaded(saved(Image.fromarray(np.dstack([RAMP, alpha])), tmp_path / "la.png"))
    assert (grey[:, :10] == 255).all()
    np.testing.assert_array_equal(grey[:, 20:, 0], RAMP[:, 20:])


def test_palettes_with_and_without_transparency(tmp_path):
    indices = np.repeat(np.arange(4, dtype=np.uint8), 10)[None].repeat(30, axis=0)  # four stripes of ten columns
    image = Image.fromarray(indices).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    stripes = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]])
    pixels = loaded(saved(image, tmp_path / "p.png"))
    np.testing.assert_array_equal(pixels[0, ::10], stripes)
    pixels = loaded(saved(image, tmp_path / "t.png", transparency=bytes([255, 0, 255, 255])))
    np.testing.assert_array_equal(pixels[0, ::10], [stripes[0], [255, 255, 255], stripes[2], stripes[3]])
    pixels = loaded(saved(image, tmp_path / "t.gif", transparency=3))
    np.testing.assert_array_equal(pixels[0, ::10], [*stripes[:3], [255, 255, 255]])


def test_the_orientation_of_a_transparent_palette(tmp_path):
    indices = np.zeros((20, 10), np.uint8)
    indices[:10] = 1
    image = Image.fromarray(indices).convert("P")
    image.putpalette([200, 0, 0, 0, 0, 200])
    exif = Image.Exif()
    exif[0x0112] = 3
    pixels = loaded(saved(image, tmp_path / "a.png", exif=exif, transparency=bytes([255, 0])))
    assert (pixels[:10] == [200, 0, 0]).all()
    assert (pixels[10:] == 255).all()


def test_sixteen_bits_are_scaled(tmp_path):
    deep = np.array([[0, 128, 129, 257, 32768, 65407, 65535]], np.uint16)
    for suffix in (".png", ".tif"):
        pixels = loaded(saved(Image.fromarray(deep), tmp_path / f"a{suffix}"))
        assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255, 255]


def test_floats_from_0_to_1(tmp_path):
    values = np.array([[0.0, 0.25, 1.0]], np.float32)
    assert loaded(saved(Image.fromarray(values), tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 64, 255]


@pytest.mark.parametrize(
    "values", [np.array([[0.0, 2.0]], np.float32), np.array([[np.nan]], np.float32), np.array([[-1, 5]], np.int32)]
)
def test_values_without_a_meaning_are_refused(tmp_path, values):
    path = saved(Image.fromarray(values), tmp_path / "a.tif")
    with pytest.raises(InputError, match="a.tif: grey values from .*expected 0..(1|65535)"):
        load_image(path)


def test_print_colours(tmp_path):
    cmyk = Image.fromarray(COLOUR).convert("CMYK")
    pixels = loaded(saved(cmyk, tmp_path / "a.tif"))
    assert np.abs(pixels.astype(int) - COLOUR).max() <= 2


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), v, np.uint8)) for v in (0, 255)]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (loaded(path) == 0).all()


def test_one_pixel(tmp_path):
    path = saved(Image.new("RGB", (1, 1), (1, 2, 3)), tmp_path / "a.png")
    assert loaded(path).tolist() == [[[1, 2, 3]]]


def bmp_header(path, width, height):
    """A BMP file of which only the header is there."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info)
    return path


def test_huge_images_are_refused_by_their_header(tmp_path):
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(InputError, match=rf"a.bmp: {side}x{side} is .* pixels; at most {MAX_PIXELS:,} are decoded"):
        load_image(bmp_header(tmp_path / "a.bmp", side, side))


def test_images_above_pillows_own_limit_are_taken(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    assert image_size(bmp_header(tmp_path / "a.bmp", 16000, 16000)) == (16000, 16000)
    assert limit == Image.MAX_IMAGE_PIXELS  # what others rely on is as it was


def test_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match="none.png: no such image file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="not a file; expected an image"):
        load_image(tmp_path)
    for content in (b"", b"text", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "bad.png").write_bytes(content)
        with pytest.raises(InputError, match="bad.png: "):
            load_image(tmp_path / "bad.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif", ".bmp"])
def test_files_cut_anywhere_are_named_or_read(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / f"a{suffix}")
    content = path.read_bytes()
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 25)):
        path.write_bytes(content[:length])
        try:
            assert load_image(path).size == (40, 40)  # a few bytes at the end may be nothing but a trailer
        except InputError as error:
            assert f"a{suffix}" in str(error)  # noqa: PT017
            refused += 1
    assert refused >= 20


def test_the_name_of_an_image_in_memory():
    with pytest.raises(InputError, match="frame 7: grey values"):
        to_rgb(Image.fromarray(np.array([[-5]], np.int32)), name="frame 7")


def test_images_are_found_under_another_suffix(tmp_path):
    path = saved(Image.new("L", (3, 3)), tmp_path / "a.b.webp")
    assert find_image(tmp_path / "a.b.jpg", "list:3") == path
    with pytest.raises(InputError, match=r"list:3: image .*z.jpg is missing"):
        find_image(tmp_path / "z.jpg", "list:3")
