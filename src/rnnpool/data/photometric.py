"""Colour distortion of training images: exposure, saturation and hue, blur, noise.

S3FD's colour distortion (after A. G. Howard, "Some Improvements on Deep Convolutional Neural Network Based Image
Classification", 2013), arranged for speed: brightness, contrast and gamma are one table of 256 entries, saturation and
hue are one 3 x 3 matrix, so that a grey 256x256 sample takes a fraction of a millisecond.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from rnnpool.errors import InputError

# ITU-R 601 luma, and the two chroma axes of YIQ (NTSC 1953), in which a rotation is a change of hue.
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ)


@dataclass(frozen=True)
class PhotometricConfig:
    """How far the look of a sample may be changed; each part is drawn anew for every sample.

    Attributes:
        probability: of the exposure and colour parts, each drawn on its own.
        brightness: largest shift, in grey levels of 255.
        contrast: factor about the sample's mean is drawn log-uniformly from [1 / (1 + contrast), 1 + contrast].
        gamma: exponent, drawn in the same way.
        saturation: factor of the chroma, drawn in the same way (RGB only).
        hue: largest rotation of the chroma, in degrees (RGB only).
        blur_probability, blur_radius: Gaussian blur and its largest standard deviation, in output pixels.
        noise_probability, noise_sigma: Gaussian noise and its largest standard deviation, in grey levels.
    """

    probability: float = 0.5
    brightness: float = 32.0
    contrast: float = 0.5
    gamma: float = 0.5
    saturation: float = 0.5
    hue: float = 18.0
    blur_probability: float = 0.05
    blur_radius: float = 1.0
    noise_probability: float = 0.05
    noise_sigma: float = 8.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            is_share = "probability" in name
            if not 0.0 <= value <= (1.0 if is_share else np.inf):
                raise InputError(f"photometric.{name} is {value}; expected {'0..1' if is_share else '0 or more'}")


@dataclass(frozen=True)
class Distortion:
    """What was drawn for one sample; the default is none at all.

    Attributes:
        gamma, contrast: the exponent, and the factor about the sample's mean.
        shift: of the brightness, in grey levels.
        saturation: factor of the chroma.
        hue: rotation of the chroma, in radians.
        blur_radius: standard deviation of the Gaussian, in pixels; 0: none.
        noise_sigma: standard deviation in grey levels; 0: none.
        noise_seed: of the noise.
    """

    gamma: float = 1.0
    contrast: float = 1.0
    shift: float = 0.0
    saturation: float = 1.0
    hue: float = 0.0
    blur_radius: float = 0.0
    noise_sigma: float = 0.0
    noise_seed: int = 0

    def colour_matrix(self) -> np.ndarray:
        """float32 (3, 3) to multiply RGB rows with: chroma scaled (saturation) and rotated (hue), luma kept."""
        cos, sin = self.saturation * np.cos(self.hue), self.saturation * np.sin(self.hue)
        chroma = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
        return (_YIQ_TO_RGB @ chroma @ _RGB_TO_YIQ).T.astype(np.float32)


def draw_distortion(config: PhotometricConfig, channels: int, rng: np.random.Generator) -> Distortion:
    """The distortion of one sample of so many channels."""

    def occurs(probability: float) -> bool:
        return bool(rng.random() < probability)

    blurred = occurs(config.blur_probability)
    blur_radius = rng.uniform(0.0, config.blur_radius) if blurred else 0.0
    gamma = _log_uniform(rng, config.gamma) if occurs(config.probability) else 1.0
    contrast = _log_uniform(rng, config.contrast) if occurs(config.probability) else 1.0
    shift = rng.uniform(-1.0, 1.0) * config.brightness if occurs(config.probability) else 0.0
    saturation, hue = 1.0, 0.0
    if channels == 3:
        saturation = _log_uniform(rng, config.saturation) if occurs(config.probability) else 1.0
        hue = np.deg2rad(rng.uniform(-config.hue, config.hue)) if occurs(config.probability) else 0.0
    noisy = occurs(config.noise_probability)
    noise_sigma = rng.uniform(0.0, config.noise_sigma) if noisy else 0.0
    noise_seed = int(rng.integers(2**63)) if noisy else 0
    return Distortion(gamma, contrast, shift, saturation, hue, blur_radius, noise_sigma, noise_seed)


def distort(pixels: np.ndarray, drawn: Distortion) -> np.ndarray:
    """A distorted copy of uint8 (H, W, C) pixels, as float32 in 0..255."""
    if drawn.blur_radius > 0:
        pixels = _blur(pixels, drawn.blur_radius)
    values = _exposure_table(float(pixels.mean()), drawn)[pixels]  # float32 (H, W, C)
    if pixels.shape[2] == 3:
        values = values @ drawn.colour_matrix()
    if drawn.noise_sigma > 0:
        noise = np.random.default_rng(drawn.noise_seed).standard_normal(values.shape, dtype=np.float32)
        values = values + np.float32(drawn.noise_sigma) * noise
    return np.clip(values, 0.0, 255.0, out=values)


def _exposure_table(mean: float, drawn: Distortion) -> np.ndarray:
    """float32 (256,): gamma, then contrast about the mean, then brightness."""
    levels = np.arange(256) / 255.0
    pivot = 255.0 * (mean / 255.0) ** drawn.gamma
    table = pivot + drawn.contrast * (255.0 * levels**drawn.gamma - pivot) + drawn.shift
    return np.clip(table, 0.0, 255.0).astype(np.float32)


def _log_uniform(rng: np.random.Generator, strength: float) -> float:
    """A factor in [1 / (1 + strength), 1 + strength], as often below 1 as above."""
    return float((1.0 + strength) ** rng.uniform(-1.0, 1.0))


def _blur(pixels: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius))).reshape(pixels.shape)
