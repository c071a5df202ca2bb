"""How training samples of a detector are made: random crops, mosaics, flips, colour distortion, cutout."""

from dataclasses import dataclass, field

from PIL import Image

from rnnpool.data.photometric import PhotometricConfig
from rnnpool.errors import InputError

# None is exact area averaging.
SHRINK_FILTERS = {"area": None, "hamming": Image.Resampling.HAMMING, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class AugmentConfig:
    """How training samples are made; sizes of faces are in pixels of the crop that the network sees.

    Attributes:
        size: side of the square crops, in pixels.
        face_probability: share of the crops that are chosen so that a randomly picked face gets a drawn size.
        face_pixels: range of that size, log-uniform.
        max_zoom: the image is never enlarged by more than this.
        crop_scale: side of the other crops, relative to the image's shorter side.
        wide_probability, wide_scale: share of the other crops that show more than the shorter side, and their range.
        min_face: faces with a shorter side below this are ignored.
        flip: probability of mirroring left and right.
        mosaic: probability of a sample made of four images, each in a quarter.
        cutout: probability of one grey rectangle; faces of which it hides more than half are ignored.
        shrink_filters: drawn from with equal chances: area (averaging, as detection does), hamming, bilinear.
        photometric: distortion of the colours.
    """

    size: int = 256
    face_probability: float = 0.45
    face_pixels: tuple[float, float] = (7.0, 170.0)
    max_zoom: float = 4.0
    crop_scale: tuple[float, float] = (0.3, 1.0)
    wide_probability: float = 0.15
    wide_scale: tuple[float, float] = (1.0, 1.6)
    min_face: float = 4.0
    flip: float = 0.5
    mosaic: float = 0.0
    cutout: float = 0.0
    shrink_filters: tuple[str, ...] = ("area",)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)

    def __post_init__(self) -> None:
        for name in ("face_probability", "wide_probability", "flip", "mosaic", "cutout"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise InputError(f"augment.{name} is {value}; a probability is 0..1")
        for name in ("face_pixels", "crop_scale", "wide_scale"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise InputError(f"augment.{name} is ({low}, {high}); expected 0 < low <= high")
        if not self.max_zoom > 0.0:
            raise InputError(f"augment.max_zoom is {self.max_zoom}; expected a number above 0")
        if self.size < 32 or self.size % 2:
            raise InputError(f"augment.size is {self.size}; expected an even number from 32 up")
        unknown = set(self.shrink_filters) - set(SHRINK_FILTERS)
        if unknown or not self.shrink_filters:
            raise InputError(f"augment.shrink_filters is {self.shrink_filters}; may hold {', '.join(SHRINK_FILTERS)}")
