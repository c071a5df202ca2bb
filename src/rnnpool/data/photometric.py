"""Colour distortion of training images: exposure, saturation and hue, blur, noise.

S3FD's colour distortion (after A. G. Howard, "Some Improvements on Deep Convolutional Neural Network Based Image
Classification", 2013), arranged for speed: brightness, contrast and gamma are one table of 256 entries, saturation and
hue are one 3 x 3 matrix, so that a grey 256x256 sample takes a fraction of a millisecond.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

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


def distort(pixels: np.ndarray, config: PhotometricConfig, rng: np.random.Generator) -> np.ndarray:
    """A randomly distorted copy of uint8 (H, W, C) pixels, as float32 in 0..255."""
    if rng.random() < config.blur_probability:
        pixels = _blur(pixels, rng.uniform(0.0, config.blur_radius))
    values = _exposure_table(float(pixels.mean()), config, rng)[pixels]  # float32 (H, W, C)
    if pixels.shape[2] == 3:
        values = values @ _colour_matrix(config, rng)
    if rng.random() < config.noise_probability:
        sigma = np.float32(rng.uniform(0.0, config.noise_sigma))
        values = values + sigma * rng.standard_normal(values.shape, dtype=np.float32)
    return np.clip(values, 0.0, 255.0, out=values)


def _exposure_table(mean: float, config: PhotometricConfig, rng: np.random.Generator) -> np.ndarray:
    """float32 (256,): gamma, then contrast about the mean, then brightness."""
    levels = np.arange(256) / 255.0
    gamma = _log_uniform(rng, config.gamma) if rng.random() < config.probability else 1.0
    contrast = _log_uniform(rng, config.contrast) if rng.random() < config.probability else 1.0
    shift = rng.uniform(-1.0, 1.0) * config.brightness if rng.random() < config.probability else 0.0
    pivot = 255.0 * (mean / 255.0) ** gamma
    table = pivot + contrast * (255.0 * levels**gamma - pivot) + shift
    return np.clip(table, 0.0, 255.0).astype(np.float32)


def _colour_matrix(config: PhotometricConfig, rng: np.random.Generator) -> np.ndarray:
    """float32 (3, 3) to multiply RGB rows with: chroma scaled (saturation) and rotated (hue), luma kept."""
    saturation = _log_uniform(rng, config.saturation) if rng.random() < config.probability else 1.0
    angle = np.deg2rad(rng.uniform(-config.hue, config.hue)) if rng.random() < config.probability else 0.0
    cos, sin = saturation * np.cos(angle), saturation * np.sin(angle)
    chroma = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return (_YIQ_TO_RGB @ chroma @ _RGB_TO_YIQ).T.astype(np.float32)


def _log_uniform(rng: np.random.Generator, strength: float) -> float:
    """A factor in [1 / (1 + strength), 1 + strength], as often below 1 as above."""
    return float((1.0 + strength) ** rng.uniform(-1.0, 1.0))


def _blur(pixels: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius))).reshape(pixels.shape)
