"""Any image file to upright 8-bit RGB, and one kind of error for files that cannot be read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rnnpool.errors import InputError

# Pillow refuses above 179 million pixels to protect servers from hostile files; panoramas and scans are larger.
# 2**28 pixels are 805 MB as RGB, which a machine that runs torch can hold.
MAX_PIXELS = 2**28

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".tga"}
    | {".avif"}
)

ImageLike = Image.Image | np.ndarray | str | Path

_EXIF_ORIENTATION = 0x0112
_pillow_limit_lock = threading.Lock()


class UnreadableImage(InputError):
    """The InputError of one image: others of its set may be sound."""


def load_image(path: str | Path, least_side: int | None = None) -> Image.Image:
    """Read an image file as 8-bit RGB, upright.

    EXIF orientation is applied; transparent pixels are laid over white; 16-bit grey is scaled to 8 bits (65535 becomes
    255); grey, bilevel, palette, CMYK, YCbCr and Lab are converted; of an animation the first frame is taken.

    Args:
        least_side: see ``shrink_on_load``; None: decoded in full.

    Raises:
        InputError: the file is missing, unreadable, corrupt or truncated, has more than ``MAX_PIXELS`` pixels, or holds
            pixels without a defined 8-bit meaning (negative, over 16 bits, or floats outside 0..1).
    """
    with _open(path) as image:
        shrink_on_load(image, least_side)
        image.load()
        return to_rgb(ImageOps.exif_transpose(image), name=str(path))


def shrink_on_load(image: Image.Image, least_side: int | None) -> None:
    """Have an opened JPEG decoded at a half, a quarter or an eighth of its size, if both sides keep so many pixels.

    The decoder then leaves out the frequencies that a smaller image cannot show: a tenth of the time for a phone's
    photo that is needed at 300 pixels. Other formats, and smaller images, stay as they are.
    """
    if least_side is not None:
        image.draft(None, (least_side, least_side))  # None: the mode stays


def image_size(path: str | Path, least_side: int | None = None) -> tuple[int, int]:
    """(width, height) in pixels of what :func:`load_image` gives; arguments and errors as there.

    From the header alone, but for PNG: its orientation may stand behind the pixels, so that Pillow decodes them.
    """
    with _open(path) as image:
        shrink_on_load(image, least_side)
        return upright_size(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened image once its EXIF orientation is applied."""
    width, height = image.size
    # Pillow gives the upright size of a TIFF file, of all others the size as stored.
    sideways = image.format != "TIFF" and image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    return (height, width) if sideways else (width, height)


def find_image(path: Path, where: str) -> Path:
    """The image of this name, or of the same name with another suffix (repackaged sets keep the official list).

    Raises:
        InputError: there is none; the message begins with ``where``, the place that names the image.
    """
    if path.is_file():
        return path
    candidates = [path.with_suffix(suffix) for suffix in sorted(IMAGE_SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError(f"{where}: image {path} is missing (looked for {', '.join(sorted(IMAGE_SUFFIXES))} too)")


def to_rgb(image: Image.Image, *, name: str = "image") -> Image.Image:
    """Convert a Pillow image of any mode to RGB, 8 bits a channel; ``name`` is used in error messages."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _deep_grey_to_8_bits(image, name)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _deep_grey_to_8_bits(image: Image.Image, name: str) -> Image.Image:
    """Grey of 16 bits (0..65535) or of floats (0..1), rounded to 8 bits."""
    values = np.asarray(image).astype(np.float64)
    full_scale = 1.0 if image.mode == "F" else 65535.0
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= full_scale):  # also refuses NaN
        raise UnreadableImage(
            f"{name}: grey values from {low:g} to {high:g} in mode {image.mode}; expected 0..{full_scale:g} "
            "(8 bits, 16 bits, or floats in 0..1)"
        )
    return Image.fromarray(np.rint(values * (255.0 / full_scale)).astype(np.uint8))


@contextmanager
def _open(path: str | Path) -> Iterator[Image.Image]:
    """Open an image, and turn whatever goes wrong while it is read into an InputError that names the file."""
    path = Path(path)
    if not path.exists():
        raise UnreadableImage(f"{path}: no such image file")
    if not path.is_file():
        raise UnreadableImage(f"{path}: not a file; expected an image")
    try:
        with _open_header(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableImage(
                    f"{path}: {width}x{height} is {width * height:,} pixels; at most {MAX_PIXELS:,} are decoded"
                )
            yield image
    except InputError:
        raise
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(f"{path}: not an image that Pillow can read") from error
    except Exception as error:  # Pillow's decoders leak every kind: OSError, SyntaxError, struct.error, EOFError...
        raise UnreadableImage(f"{path}: corrupt or unreadable image ({error})") from error


def _open_header(path: Path) -> Image.Image:
    """``Image.open`` without Pillow's own pixel limit, which is a global and is put back at once."""
    with _pillow_limit_lock:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def image_pixels(image: ImageLike, channels: int) -> np.ndarray:
    """Any image -> uint8 (H, W, channels), upright; one channel is Pillow's "L" (ITU-R 601 luma) of the RGB image.

    Args:
        image: a file; a Pillow image of any mode; or an array of uint8 (H, W), (H, W, 1) or (H, W, 3), RGB.

    Raises:
        InputError: a file that :func:`load_image` refuses, or an array of another shape or type.
    """
    if isinstance(image, np.ndarray):
        image = _from_array(image)
    elif isinstance(image, Image.Image):
        image = to_rgb(ImageOps.exif_transpose(image))
    else:
        image = load_image(image)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(image.height, image.width, channels)


def _from_array(array: np.ndarray) -> Image.Image:
    if (
        array.dtype != np.uint8
        or array.size == 0
        or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3)))
    ):
        raise InputError(
            f"image is an array of {array.dtype} {array.shape}; expected uint8 (H, W), (H, W, 1) or (H, W, 3)"
        )
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))
