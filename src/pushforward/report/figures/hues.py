"""As many colours and marks as there are names, and names short enough for a legend that are still told apart.

The first colours are those of runs and classes. Each further one is, of all that read on light and on dark pages, the
farthest from those before it in OKLab, where equal distances look equal:

.. math:: c_k = \\arg\\max_c \\min_{j < k} \\|c - c_j\\|

References:
    A perceptual color space for image processing (Ottosson, 2020).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from pushforward.report.figures.plots import drawable
from pushforward.report.values import HUES, LIGHT

__all__ = ["cuts", "hues", "mark", "shortened"]

Array = NDArray[np.float64]

BAND = (0.08, 0.40)  # luminances that stand at least 2 : 1 against the paper of light pages and of dark ones
VIVID = 0.06  # least chroma in OKLab: greys are words, lines and the target
MARKS = ("o", "^", "s", "D", "P", "X", "v")
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
SEEN = np.array([0.2126, 0.7152, 0.0722])  # shares of red, green and blue in luminance
LONG, LONGEST = 32, 96  # letters of a name, and of one that is like another in its first and last letters


def hues(n: int) -> list[str]:
    """Colours that are all different, as "#rrggbb".

    Args:
        n: How many.
    """
    found: list[str] = list(LIGHT[:n])
    if n <= len(found):
        return found
    grid = _readable(n)
    places, known = _oklab(grid), _oklab(np.array([_rgb(colour) for colour in found]))
    far = np.square(places[:, None] - known).sum(2).min(1)
    while len(found) < n:
        next_one = int(far.argmax())
        found.append("#" + "".join(f"{level:02x}" for level in grid[next_one]))
        far = np.minimum(far, np.square(places - places[next_one]).sum(1))
    return found


def mark(k: int) -> str:
    """The mark of the k-th name: a dot for the first dozen, and another shape for each further one.

    Args:
        k: Number of the name, from 0.
    """
    return MARKS[k // HUES % len(MARKS)]


def shortened(names: Sequence[str]) -> list[str]:
    """Names as a legend shows them, all different: long ones lose their middle, as much as leaves them unlike.

    Names that are alike even so are numbered in their order.

    Args:
        names: Any text, each once.
    """
    shown = [drawable(name) if name else "(no name)" for name in names]
    cut = [_cut(name, LONG) for name in shown]
    times = Counter(cut)
    cut = [_cut(whole, LONGEST) if times[name] > 1 else name for whole, name in zip(shown, cut)]
    taken, seen, out = set(cut), set[str](), list[str]()
    for name in cut:
        if name in seen:
            name = next(other for k in count(2) if (other := f"{name} ({k})") not in taken)
            taken.add(name)
        seen.add(name)
        out.append(name)
    return out


def cuts(names: Sequence[str]) -> bool:
    """Whether some of these names are too long to be shown whole.

    Args:
        names: Any text.
    """
    return any(len(drawable(name)) > LONG for name in names)


def _cut(name: str, most: int) -> str:
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half + 1 :]}"


def _readable(n: int) -> NDArray[np.uint8]:
    """Colours on a grid fine enough for n of them, (m, 3) in 0 to 255, that read on light and on dark paper."""
    side, fit = 20 + math.ceil(2 * n ** (1 / 3)), np.zeros(0, bool)
    grid = np.empty((0, 3), np.uint8)
    while fit.sum() < 2 * n and side <= 256:
        levels = np.linspace(0, 255, side).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
        light, lab = _linear(grid) @ SEEN, _oklab(grid)
        fit = (light >= BAND[0]) & (light <= BAND[1]) & (np.hypot(lab[:, 1], lab[:, 2]) >= VIVID)
        side += 8
    return grid[fit]


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return red, green, blue


def _linear(rgb: NDArray[np.integer]) -> Array:
    """sRGB in 0 to 255 to shares of light."""
    share = np.asarray(rgb, np.float64) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _oklab(rgb: NDArray[np.integer]) -> Array:
    """sRGB (m, 3) in 0 to 255 to lightness and two axes of colour, (m, 3)."""
    cones = np.cbrt(_linear(rgb) @ TO_CONES.T)
    return cones @ TO_LAB.T
