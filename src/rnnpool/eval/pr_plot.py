"""Precision-recall curves as a picture."""

from collections.abc import Mapping
from pathlib import Path

from rnnpool.errors import InputError
from rnnpool.eval.wider_ap import Curve
from rnnpool.files import atomic_path

# Okabe and Ito's palette for all kinds of colour vision, and dashes for print.
_STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"))


def require_matplotlib() -> None:
    """InputError where matplotlib is missing: to be asked before the work whose result is to be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError("a precision-recall plot needs matplotlib: pip install 'rnnpool[plot]'") from error


def save_plot(path: Path, panels: Mapping[str, Mapping[str, Curve]], title: str) -> None:
    """Write a PNG with one panel for each entry: heading -> curves by label. Levels without faces are left out."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(panels), 5.6), layout="constrained")
    figure.suptitle(title)
    for axes, (heading, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        with_faces = {label: curve for label, curve in curves.items() if curve.faces}
        for (label, curve), (colour, dashes) in zip(with_faces.items(), _STYLES, strict=False):
            text = f"{label}: AP {curve.average_precision:.3f} ({curve.faces:,} faces)"
            said = curve.precision > 0  # before the first face is found a precision says nothing
            axes.plot(curve.recall[said], curve.precision[said], dashes, color=colour, label=text)
        axes.set(title=heading, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        if with_faces:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))  # beside no curve
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
