r"""The unit that a model works in, and the way back: :math:`x_{\text{model}} = (x - m) / s`, in float64.

Where s = 0 nothing varied: the model sees zeros there, and whatever it answers is decoded as the constant m. The unit
of images, which also cuts and resizes them, is `pixels.Pixels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.blocks.moments import Moments, moments
from pushforward.errors import DataError

MANY = 100_000  # rows that quartiles are taken of
FEW_SET = 0.1  # of the width by the standard deviation: the middle half of a column whose far rows set its scale
QUARTILES = 1.3489795003921634  # their distance in a standard normal law
SHOWN, LONGEST = 6, 200  # names and characters that are written out in a message

__all__ = ["MANY", "Array", "Scaling", "Unit", "box", "of_moments", "pooled", "robust", "standardise", "stretched"]

Array = NDArray[np.float64]
Scaling = Literal["deviation", "quartiles", "counts"]
"""What the columns of points are divided by, counts by nothing: these are refused where they are none."""


@dataclass(frozen=True, eq=False)
class Unit:
    """An affine map between data units and model units.

    Attributes:
        shift: m, (d,), (1,) or (), in data units.
        scale: s, likewise, in data units per model unit; 0 where nothing varied.
    """

    shift: Array
    scale: Array

    def encode(self, x: np.ndarray | Tensor) -> Tensor:
        """Data units (n, *event) -> model units (n, *event), float32; what is too large for it becomes infinite."""
        values = x.detach().cpu().numpy() if isinstance(x, Tensor) else x
        divisor = np.where(self.scale > 0, self.scale, 1.0)
        with np.errstate(over="ignore"):
            return torch.from_numpy(
                ((np.asarray(values, np.float64) - self.shift) / divisor).astype(np.float32, order="C")
            )

    def decode(self, x: Tensor) -> Array:
        """Model units (n, *event) -> data units (n, *event), float64."""
        return x.detach().cpu().numpy().astype(np.float64) * self.scale + self.shift

    def columns(self, event: tuple[int, ...]) -> tuple[Array, Array]:
        """m and s for every number of a sample, (*event) each."""
        return np.broadcast_to(self.shift, event), np.broadcast_to(self.scale, event)

    def log_volume(self, event: tuple[int, ...]) -> float:
        """log |det dy/dx| of model units y by data units x, in nats; plus infinity where a column does not vary."""
        with np.errstate(divide="ignore"):
            return -float(np.log(np.abs(self.columns(event)[1])).sum())

    def tensors(self) -> dict[str, Tensor]:
        """Shift and scale by name, for a file."""
        return {"unit.shift": torch.from_numpy(self.shift), "unit.scale": torch.from_numpy(self.scale)}

    @staticmethod
    def of_tensors(tensors: dict[str, Tensor]) -> Unit:
        """The inverse of `tensors`; takes its two tensors out of the dictionary."""
        return Unit(tensors.pop("unit.shift").numpy(), tensors.pop("unit.scale").numpy())


def standardise(x: np.ndarray, *, place: str, columns: tuple[str, ...] = (), single: bool = False) -> Unit:
    """The unit that gives points mean 0 and standard deviation 1.

    Args:
        x: Training rows, (n, d), in data units.
        place: The file or source, for messages.
        columns: Names of the columns, for messages; their numbers are used without.
        single: Divide all columns by one scale, the root of the mean variance, so that shapes are kept.

    Raises:
        DataError: If nothing varies, a column is constant (without `single`), or the values overflow float64.
    """
    return of_moments(moments([np.asarray(x, np.float64)]), place=place, columns=columns, single=single)


def of_moments(found: Moments, *, place: str, columns: tuple[str, ...] = (), single: bool = False) -> Unit:
    """The unit of `standardise`, from what is known of the columns of the training rows.

    Raises:
        DataError: If nothing varies, a column is constant (without `single`), or squares leave float64 above or below.
    """
    names = columns or tuple(map(str, range(len(found.mean))))
    still = [name for name, low, high in zip(names, found.low, found.high, strict=True) if low == high]
    if len(still) == len(names):
        raise DataError(f"{place}: nothing varies, all {found.n} training rows are equal: check the file's contents")
    if still and not single:
        listed = ", ".join(map(repr, still[:SHOWN])) + (f" and {len(still) - SHOWN} more" if len(still) > SHOWN else "")
        what = f"column {listed} is" if len(still) == 1 else f"columns {listed} are"
        left = ",".join(name for name in names if name not in set(still))
        remedy = f", {place}:{left}" if columns and len(left) <= LONGEST and Path(place).is_file() else ""
        raise DataError(
            f"{place}: {what} constant over the training rows: leave {'it' if len(still) == 1 else 'them'} out{remedy}"
        )
    if not np.isfinite(found.variance).all():
        name = names[int(np.argmin(np.isfinite(found.variance)))]
        raise DataError(
            f"{place}: column {name!r} holds values too large to standardise: rescale it or take logarithms"
        )
    faint = (found.variance < np.finfo(float).tiny) & (found.low < found.high)
    if faint.all() if single else faint.any():
        name = names[int(np.argmax(faint))]
        raise DataError(f"{place}: column {name!r} varies too little to standardise, by {_width(found, faint):.1e}: "
                        "rescale it")  # fmt: skip
    return Unit(found.mean, np.sqrt(found.variance.mean(keepdims=True) if single else found.variance))


def _width(found: Moments, columns: np.ndarray) -> float:
    """How far apart the values of the first of some columns are."""
    k = int(np.argmax(columns))
    return float(found.high[k] - found.low[k])


def robust(x: np.ndarray, *, place: str, columns: tuple[str, ...] = ()) -> Unit:
    """The unit that gives points median 0 and the quartiles' distance of a standard normal, 1.349.

    Half of the rows could be anything and move it little; of data without a variance, the standard deviation is the
    accident of the largest rows.

    Args:
        x: Training rows, (n, d), in data units.
        place: The file or source, for messages.
        columns: Names of the columns, for messages; their numbers are used without.

    Raises:
        DataError: If half of a column's values are equal.
    """
    low, middle, high = np.quantile(np.asarray(x, np.float64), (0.25, 0.5, 0.75), axis=0)
    still = np.flatnonzero(high <= low)
    if len(still):
        name = (columns or tuple(map(str, range(x.shape[1]))))[int(still[0])]
        raise DataError(f"{place}: the quartiles of column {name!r} are equal, so it has no robust scale: leave it out")
    return Unit(middle, (high - low) / QUARTILES)


def pooled(*clouds: Array) -> Unit:
    r"""Mean 0 and standard deviation 1 in every column of the clouds together, each cloud counted alike.

    Of two clouds with moments (m, v) and (m', v'): mean (m + m')/2, variance (v + v')/2 + (m - m')²/4.

    Args:
        clouds: Samples, each (n, d).

    Raises:
        ValueError: If no column varies, or the values are too large for float64.
    """
    low, high = np.min([x.min(0) for x in clouds], axis=0), np.max([x.max(0) for x in clouds], axis=0)
    still = low == high
    if still.all():
        raise ValueError(f"X is constant: all {sum(map(len, clouds))} rows are equal, so there is nothing to learn; "
                         "check how the array was made")  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        shift = np.mean([x.mean(0) for x in clouds], axis=0)
        scale = np.sqrt(np.mean([np.square(x - shift).mean(0) for x in clouds], axis=0))
    if not np.isfinite(scale).all():
        raise ValueError(f"column {int(np.argmin(np.isfinite(scale)))} holds values too large to standardise: rescale "
                         "it or take logarithms")  # fmt: skip
    if (faint := (scale < np.sqrt(np.finfo(float).tiny)) & ~still).any():
        k = int(np.argmax(faint))
        raise ValueError(f"column {k} varies too little to standardise, by {high[k] - low[k]:.1e}: rescale it")
    return Unit(np.where(still, low, shift), np.where(still, 0.0, scale))


def stretched(z: np.ndarray | Tensor, names: Sequence[object] = ()) -> tuple[str, ...]:
    """What is said of columns whose standard deviation is that of a few far rows: the others look alike in it.

    Args:
        z: Rows in standard units, (n, d); the first hundred thousand are looked at.
        names: Of the columns; their numbers if there are none.
    """
    x = np.asarray(z[:MANY], np.float64)
    low, high = np.quantile(x, (0.25, 0.75), axis=0)
    middle, far = (high - low) / QUARTILES, np.abs(x).max(0)
    found = np.flatnonzero((middle > 0) & (middle < FEW_SET))
    said = tuple(
        f"column {names[k] if names else k}: its scale is that of a few far rows, the farthest {far[k]:.0f} standard "
        f"deviations out; the middle half of the rows is {1 / middle[k]:.0f} times narrower than it says: leave such "
        "rows out, or take logarithms"
        for k in found[:SHOWN]
    )
    return said if len(found) <= SHOWN else (*said, f"the same of {len(found) - SHOWN} further columns")


def box(images: Array) -> Unit:
    """The box [-1, 1] from the least to the largest value of all pixels.

    Args:
        images: (n, c, side, side).

    Raises:
        ValueError: If all pixels of all images are equal.
    """
    low, high = images.min(), images.max()
    if low == high:
        raise ValueError(f"X is constant: all pixels of {len(images)} images are {low:g}; check how the array was made")
    return Unit(np.asarray(low / 2 + high / 2), np.asarray(high / 2 - low / 2))
