"""How a classifier sees an image: the same in training, in evaluation and in use."""

from dataclasses import dataclass

from rnnpool.errors import InputError

MAX_SIZE = 4096  # beyond it a typing error is likelier than a machine that holds a batch


@dataclass(frozen=True)
class View:
    """What a classifier sees of an image; its weights carry these along."""

    channels: int = 3  # 1: grey
    size: int = 224  # side of the square input in pixels
    test_crop: float = 0.875  # share of the shorter side that is evaluated
    mean: tuple[float, ...] = (128.0,)  # grey levels; one number, or one a channel
    std: tuple[float, ...] = (128.0,)

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"data.channels is {self.channels}; it may be 1 (grey) or 3 (RGB)")
        if not 1 <= self.size <= MAX_SIZE:
            raise InputError(f"data.size is {self.size}; it may be 1 to {MAX_SIZE} pixels")
        if not 0.0 < self.test_crop <= 1.0:
            raise InputError(f"data.test_crop is {self.test_crop}; a share of the shorter side is above 0, at most 1")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise InputError(f"data.{name} must have 1 or {self.channels} numbers: {getattr(self, name)}")
        if min(self.std) <= 0:
            raise InputError(f"data.std must be above 0: {self.std}")
