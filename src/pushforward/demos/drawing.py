"""A white sheet, three colours that everyone can tell apart, an atomic save; matplotlib is imported on first use."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from pushforward import files
from pushforward.errors import UsageError, needs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "FORMATS", "GREEN", "INK", "PALE", "RED", "SOFT", "check_out", "clean", "save", "sheet"]

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"  # of Okabe and Ito's palette
INK, SOFT, PALE = "#303438", "#80868B", "#DADDE1"
FORMATS = ("png", "svg", "pdf")


def check_out(out: Path) -> None:
    """Refuse a file name before any work is done.

    Raises:
        UsageError: If the name ends in no known format, or matplotlib is missing.
    """
    if out.suffix[1:].lower() not in FORMATS:
        raise UsageError(f"--out {out}: name a file that ends in {', '.join('.' + name for name in FORMATS)}")
    with needs("matplotlib", "a demo draws, and"):
        import matplotlib  # noqa: F401


def sheet(width: float, height: float) -> Figure:
    """An empty white figure, in inches, that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def clean(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """A title on the left, names of axes, no box."""
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, pad=8)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(labelsize=8.5, colors=INK, color=SOFT)


def save(figure: Figure, out: Path) -> None:
    """Write the figure under another name and rename it; a PNG with 256 colours, a third of the bytes."""
    buffer, form = io.BytesIO(), out.suffix[1:].lower()
    stamps: dict[str, dict[str, None]] = {
        "png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}
    }  # fmt: skip
    figure.savefig(buffer, format=form, dpi=110, metadata=stamps[form])
    if form == "png":
        picture, buffer = Image.open(buffer).convert("RGB"), io.BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    files.write(out, buffer.getvalue(), parents=True)
