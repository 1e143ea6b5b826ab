r"""A denoiser around any net F, whose inputs and targets have unit size at every noise level.

.. math::
    D(y; s) = m + c_\text{skip}\,(y - m) + c_\text{out}\,F\bigl(c_\text{in}\,(y - m),\, c\bigr)

    r^2 = s^2 + \sigma_d^2, \qquad c_\text{skip} = \frac{\sigma_d^2}{r^2}, \qquad c_\text{out} = \frac{s\,\sigma_d}{r},
    \qquad c_\text{in} = \frac1r, \qquad c = \tfrac14 \ln\frac{s}{\sigma_d}

m is the data's mean and :math:`\sigma_d` their root mean square about it, so that :math:`c_\text{in}(y - m)` has unit
variance, and where F = 0, D is the best linear denoiser of data that are spread alike in all directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.errors import DataError, UsageError
from pushforward.nets.blocks import classes_of
from pushforward.nets.timed.embedding import full_precision
from pushforward.parallel.doubles import fine
from pushforward.types import Samples

__all__ = ["Preconditioned", "centred", "empty_centre"]

BLOCK = 2**22  # numbers that are held in double precision at once


class Preconditioned(nn.Module):
    r"""D(y; s) = E[Y | Y + s e = y], learned: a `pushforward.types.Denoiser`, with classes beside it where F has some.

    Only F runs under autocast; what passes it by, and the answer, have the precision of the buffers. D scales with the
    data: with a m and :math:`a\sigma_d` in place of m and :math:`\sigma_d`, D(a y; a s) = a D(y; s).

    Args:
        net: F, (x, c) -> (n, *event) with x (n, *event) and c (n,), or (1,) for all rows; it takes labels (n,) after
            them if it declares `classes` (`pushforward.nets.blocks.Classed`).
        mean: m, in the event's shape.
        spread: :math:`\sigma_d`, a single number.

    Raises:
        UsageError: If the spread is no single number.

    References:
        Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364; here
        with data about any mean, and levels in units of their spread.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, net: nn.Module, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        if spread.numel() != 1:
            raise UsageError(
                f"spread of shape {tuple(spread.shape)}: give one number, the root mean square of the data"
            )
        self.net, self.classes = net, classes_of(net)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread.reshape(()))

    def forward(self, y: Samples, s: float | Tensor, labels: Tensor | None = None) -> Samples:
        """D(y; s), (n, *event), in the precision of the mean.

        Args:
            y: Noisy samples (n, *event).
            s: Their noise level, one for all or (n,), from 0; where it is 0, D(y; 0) = y.
            labels: Classes (n,) in 0..classes, the last one for "no class"; None for no class in any row.

        Raises:
            UsageError: If samples have another shape than the mean, or there are labels and the net takes no classes.
        """
        if y.shape[1:] != self.mean.shape:
            raise UsageError(f"samples of shape {tuple(y.shape)}: give (n, {', '.join(map(str, self.mean.shape))})")
        if labels is not None and not self.classes:
            raise UsageError("this net takes no classes: leave out the labels, or build it with classes=COUNT")
        with full_precision(y):
            level = torch.as_tensor(s, dtype=self.mean.dtype, device=y.device).reshape(-1)
            r = torch.hypot(level, self.spread)  # never overflows, as the root of a sum of squares does
            c = (level / self.spread).clamp_min(torch.finfo(level.dtype).tiny).log() / 4
            skip, out, size = (_beside(part, y) for part in ((self.spread / r).square(), level / r * self.spread, r))
            y = y.to(self.mean)
            x = (y - self.mean) / size
        f = self.net(x, c, labels) if self.classes else self.net(x, c)
        with full_precision(y):
            return torch.addcmul(
                torch.lerp(self.mean, y, skip), out, f.to(y)
            )  # exact where skip is 0, and where it is 1


def centred(x: Samples) -> tuple[Tensor, Tensor]:
    r"""The mean m of samples and their root mean square :math:`\sigma_d` about it, over rows and numbers of a row.

    Args:
        x: Samples (n, *event).

    Returns:
        m in the event's shape and :math:`\sigma_d` (), in the type of x; both are summed in double precision.

    Raises:
        DataError: If there are no samples, one number is none, or all are the same.
    """
    if not x.numel():
        raise DataError(f"samples of shape {tuple(x.shape)}: give at least one number")
    blocks = x.split(max(1, BLOCK * len(x) // x.numel()))
    mean = torch.stack([fine(block).sum(0) for block in blocks]).sum(0) / len(x)
    spread = (torch.stack([(fine(block) - mean).square().sum() for block in blocks]).sum() / x.numel()).sqrt()
    size = float(spread)
    if not math.isfinite(size):
        raise DataError(f"samples whose spread is {size}: leave out rows with numbers that are none")
    if not size > 0:
        raise DataError(f"{len(x)} samples without spread: give samples that differ from one another")
    return mean.to(x), spread.to(x)


def empty_centre(event: Sequence[int]) -> tuple[Tensor, Tensor]:
    """m and spread in the shapes of `centred`, zeros and 1, for a net that a file is to fill."""
    return torch.zeros(tuple(event)), torch.ones(())


def _beside(number: Tensor, y: Tensor) -> Tensor:
    """Numbers (n,) or (1,) beside samples (n, *event)."""
    return number.view(-1, *[1] * (y.dim() - 1))
