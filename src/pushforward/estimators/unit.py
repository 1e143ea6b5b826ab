r"""The unit that a model works in, and the way back: :math:`x_{\text{model}} = (x - m) / s`, in float64.

Where s = 0 nothing varied: the model sees zeros there, and whatever it answers is decoded as the constant m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Array", "Unit", "columns", "pixels"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Unit:
    """An affine map between data units and model units.

    Attributes:
        shift: m, (d,) or (), in data units.
        scale: s, like the shift, in data units per model unit; 0 where nothing varied.
    """

    shift: Array
    scale: Array

    def encode(self, x: Array) -> Tensor:
        """Data units (n, *event) -> model units, float32."""
        return torch.from_numpy(((x - self.shift) / np.where(self.scale > 0, self.scale, 1.0)).astype(np.float32))

    def decode(self, x: Tensor) -> Array:
        """Model units (n, *event) -> data units, float64."""
        return x.detach().cpu().double().numpy() * self.scale + self.shift

    def tensors(self) -> dict[str, Tensor]:
        """Shift and scale by name, for a file."""
        return {"unit.shift": torch.from_numpy(self.shift), "unit.scale": torch.from_numpy(self.scale)}

    @staticmethod
    def of_tensors(tensors: dict[str, Tensor]) -> Unit:
        """The inverse of `tensors`; takes its two tensors out of the dictionary."""
        return Unit(tensors.pop("unit.shift").numpy(), tensors.pop("unit.scale").numpy())


def columns(*clouds: Array) -> Unit:
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
    return Unit(np.where(still, low, shift), np.where(still, 0.0, scale))


def pixels(images: Array) -> Unit:
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
