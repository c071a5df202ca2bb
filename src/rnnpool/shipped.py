"""Files that come with the package: in a wheel below the package, in a checkout beside ``src``."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_files(folder: str, suffix: str, *, in_wheel: str | None = None) -> dict[str, Path]:
    """Files of a folder by their names without ``suffix``, sorted.

    Args:
        folder: its name in a checkout, and in a wheel too unless ``in_wheel`` says otherwise.
        suffix: with its dot.
    """
    places = (_PACKAGE / (in_wheel or folder), _PACKAGE.parents[1] / folder)
    return {path.stem: path for place in reversed(places) for path in sorted(place.glob(f"*{suffix}"))}
