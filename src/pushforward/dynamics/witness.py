r"""From a witness, a sum over a kernel, to a velocity: :math:`v = -c\,\nabla h,\; h = \sum_j w_j k(\cdot, z_j)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.geometry.kernels import KernelSums, median_bandwidth
from pushforward.types import Randomness, Samples, Scores, Velocity

__all__ = ["Family", "Jittered", "Witness", "resolved", "signed"]

Family: TypeAlias = Callable[[float], KernelSums]
"""Length in data units -> kernel, such as `rbf` or `partial(multiscale, imq)`."""


@dataclass(frozen=True)
class Witness:
    """The field down the slope of a witness.

    Attributes:
        kernel: The kernel k.
        points: The z_j, (m, *event).
        weights: The w_j, (m,).
        factor: The factor c.
    """

    kernel: KernelSums
    points: Samples
    weights: Tensor
    factor: float = 1.0

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        return -self.factor * self.kernel.slope(x.detach(), self.points, self.weights)

    def scores(self, x: Samples) -> Scores:
        """The witness h at x, (n,)."""
        return self.kernel.combine(x.detach(), self.points, self.weights)


@dataclass(frozen=True)
class Jittered:
    r"""A velocity looked up beside each point, :math:`v(x + \beta u)` with u standard normal and fresh at every call.

    Attributes:
        velocity: The field.
        noise: Length beta, in data units.
        rng: Where u comes from.
    """

    velocity: Velocity
    noise: float
    rng: Randomness

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at jittered points."""
        return self.velocity(x + self.noise * self.rng.normal(*x.shape).to(x), t)


def resolved(kernel: KernelSums | Family, bandwidth: Tensor, q: Samples, p: Samples) -> KernelSums:
    """The kernel itself, or the family's kernel of a length; the first call sets a length of 0 to the pooled median.

    Args:
        kernel: A kernel, or a family of kernels.
        bandwidth: Length in data units, a scalar tensor that is written to.
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
    """
    if isinstance(kernel, KernelSums):
        return kernel
    if not bandwidth > 0:
        bandwidth.fill_(median_bandwidth(q, p))
    return kernel(float(bandwidth))


def signed(q: Samples, p: Samples) -> tuple[Samples, Tensor]:
    """The pooled points (n + m, *event), and their weights 1/n and -1/m.

    Raises:
        ValueError: If q and p differ in event shape.
    """
    if q.shape[1:] != p.shape[1:]:
        raise ValueError(f"q has event shape {tuple(q.shape[1:])} and p {tuple(p.shape[1:])}; they must be equal")
    weights = torch.cat([q.new_full((len(q),), 1 / len(q)), q.new_full((len(p),), -1 / len(p))])
    return torch.cat([q.detach(), p.detach()]), weights
