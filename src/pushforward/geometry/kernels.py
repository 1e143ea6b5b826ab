r"""Radial kernels :math:`k(x, y) = \kappa(\|x - y\|^2)`: a kernel is its profile :math:`\kappa`, as data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.parallel.doubles import fine
from pushforward.randomness import generator

__all__ = [
    "Kernel",
    "KernelSums",
    "OfLength",
    "column_blocks",
    "energy",
    "gram",
    "imq",
    "least_exponent",
    "median_bandwidth",
    "multiscale",
    "rbf",
    "row_blocks",
    "squared_distances",
]


_CACHE = 2**20  # bytes of a block that stay in a processor's cache between the passes over it


@runtime_checkable
class KernelSums(Protocol):
    r"""A kernel by what a flow needs of it: the functions :math:`h = \sum_j w_j k(\cdot, z_j)` and their gradients."""

    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """h at x (n, *event): (n,) for weights (m,), and (n, c) for weights (m, c) of the points z (m, *event)."""
        ...

    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """The gradient of h at x, (n, *event), for weights (m,)."""
        ...

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        r"""The sum of gradients in the other argument, :math:`\sum_j w_j \nabla_{z_j} k(x, z_j)`, (n, *event)."""
        ...


@dataclass(frozen=True)
class Kernel:
    r"""A radial kernel; calling it gives the matrix :math:`K_{ij} = \kappa(\|x_i - y_j\|^2)`.

    Attributes:
        name: Family and settings, for reports.
        bandwidth: Length h in data units; 0 where the family has none.
        profile: The function :math:`\kappa` of squared distances, elementwise and differentiable.
        derivative: (squared distances, order) -> :math:`\kappa^{(order)}`, elementwise, for orders from 1 on; None
            where nothing will follow the kernel's gradient.
        logarithm: :math:`\log \kappa` of squared distances, where it is finite beyond what :math:`\kappa` can be; else
            None. See `geometry.windows`.
        sharp: :math:`\log \int_r^\infty s\, \kappa(s^2)\, ds` of squared distances; None where it is infinite or
            not known.
    """

    name: str
    bandwidth: float
    profile: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, int], Tensor] | None = None
    logarithm: Callable[[Tensor], Tensor] | None = None
    sharp: Callable[[Tensor], Tensor] | None = None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel matrix (n, m) of x (n, *event) and y (m, *event)."""
        return self.profile(squared_distances(x, y))

    @torch.no_grad()
    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Sums of the kernel over z at x; see `KernelSums`. The matrix exists in blocks of rows only."""
        total = x.new_empty(len(x), *weights.shape[1:])
        for rows, squared in row_blocks(x, z):
            torch.matmul(self.profile(squared), weights, out=total[rows])
        return total

    @torch.no_grad()
    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        r"""Gradient of a sum, :math:`2 \sum_j w_j \kappa'(\|x - z_j\|^2) (x - z_j)`; see `KernelSums`.

        Raises:
            UsageError: If the kernel has no derivative.
        """
        derivative, centre = self.derived(), z.flatten(1).mean(0)
        joint = torch.cat([weights[:, None], weights[:, None] * (z.flatten(1) - centre)], 1)
        total = x.new_empty(len(x), joint.shape[1])
        for rows, squared in row_blocks(x, z):
            torch.matmul(derivative(squared, 1), joint, out=total[rows])
        return ((x.flatten(1) - centre) * total[:, :1] - total[:, 1:]).mul_(2).view_as(x)

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """Minus the slope; see `KernelSums`."""
        return -self.slope(x, z, weights)

    def derived(self) -> Callable[[Tensor, int], Tensor]:
        """The derivative.

        Raises:
            UsageError: If there is none.
        """
        if self.derivative is None:
            raise UsageError(f"kernel {self.name} has no derivative to follow: give Kernel(..., derivative=...)")
        return self.derivative


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    r"""All :math:`\|x_i - y_j\|^2` as one matrix product, never negative.

    Both sets are first moved to the mean of y, which keeps the cancellation of large coordinates out of the result.

    Args:
        x: Points, (n, *event), in data units.
        y: Points, (m, *event).

    Returns:
        Squared distances, (n, m), in data units squared; differentiable in both arguments.
    """
    x, y = x.flatten(1), y.flatten(1)
    centre = y.mean(0).detach()
    x, y = x - centre, y - centre
    return torch.addmm((x * x).sum(1)[:, None] + (y * y).sum(1), x, y.T, alpha=-2).clamp_min(0)


def rbf(bandwidth: float) -> Kernel:
    r"""Gaussian kernel :math:`\exp(-\|x - y\|^2 / 2h^2)`."""
    scale = -0.5 / _length(bandwidth) ** 2
    return Kernel(
        "rbf",
        bandwidth,
        lambda squared: _exp(squared * scale),
        lambda squared, order: _exp(squared * scale) * scale**order,
        lambda squared: squared * scale,
        lambda squared: squared * scale + 2 * math.log(bandwidth),
    )


def imq(bandwidth: float, power: float = 0.5) -> Kernel:
    r"""Inverse multiquadric :math:`(1 + \|x - y\|^2 / h^2)^{-\beta}`: heavier tails than the Gaussian.

    Args:
        bandwidth: Length h, in data units.
        power: Exponent beta; positive.

    References:
        Measuring sample quality with kernels (Gorham & Mackey, 2017), arXiv:1703.01717.
    """
    scale = _length(bandwidth) ** -2
    if not power > 0:
        raise ValueError(f"power is {power}: the exponent of an inverse multiquadric must be positive")
    return Kernel(
        f"imq({power:g})",
        bandwidth,
        lambda squared: (1 + squared * scale).pow(-power),
        lambda squared, order: (1 + squared * scale).pow(-power - order) * (_falling(-power, order) * scale**order),
        lambda squared: -power * torch.log1p(squared * scale),
        sharp=None
        if power <= 1
        else lambda squared: (1 - power) * torch.log1p(squared * scale) - math.log(2 * (power - 1) * scale),
    )


def energy(power: float = 1.0) -> Kernel:
    r"""Energy kernel :math:`-\|x - y\|^a`, whose MMD² is the energy distance; no bandwidth.

    The gradient at zero distance is 0, not infinite.

    Args:
        power: Exponent a in (0, 2).

    References:
        Equivalence of distance-based and RKHS-based statistics (Sejdinovic et al., 2013), arXiv:1207.6076.
    """
    if not 0 < power < 2:
        raise ValueError(f"power is {power}: the energy kernel is conditionally positive only for 0 < power < 2")

    def profile(squared: Tensor) -> Tensor:
        apart = squared > 0
        return -torch.where(apart, squared, 1.0).pow(power / 2) * apart

    def derivative(squared: Tensor, order: int) -> Tensor:
        apart = squared > 0
        return torch.where(apart, squared, 1.0).pow(power / 2 - order) * apart * -_falling(power / 2, order)

    return Kernel(f"energy({power:g})", 0.0, profile, derivative)


def multiscale(
    family: Callable[[float], Kernel], bandwidth: float, factors: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
) -> Kernel:
    """Mean of one family's kernels at several bandwidths; distances are computed once.

    Args:
        family: A constructor such as `rbf` or `imq`.
        bandwidth: Middle length h, in data units.
        factors: Multiples of h.
    """
    if not factors:
        raise ValueError("factors is empty: give at least one multiple of the bandwidth")
    parts = [family(bandwidth * factor) for factor in factors]

    def profile(squared: Tensor) -> Tensor:
        total = parts[0].profile(squared)
        for part in parts[1:]:  # a running sum holds two matrices, a stack all of them
            total = total + part.profile(squared)
        return total / len(parts)

    def derivative(squared: Tensor, order: int) -> Tensor:
        total = parts[0].derived()(squared, order)
        for part in parts[1:]:
            total = total + part.derived()(squared, order)
        return total / len(parts)

    name = f"{parts[0].name} x {','.join(f'{factor:g}' for factor in factors)}"
    return Kernel(name, bandwidth, profile, derivative)


@dataclass
class OfLength:
    """A family's kernel whose length is a tensor, so that a checkpoint of what holds it keeps the length too.

    Attributes:
        family: Length -> kernel.
        length: In data units, a scalar.
    """

    family: Callable[[float], Kernel]
    length: Tensor

    @property
    def kernel(self) -> Kernel:
        """The kernel of the present length."""
        return self.family(float(self.length))

    def combine(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """See `KernelSums`."""
        return self.kernel.combine(x, z, weights)

    def slope(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """See `KernelSums`."""
        return self.kernel.slope(x, z, weights)

    def repulsion(self, x: Tensor, z: Tensor, weights: Tensor) -> Tensor:
        """See `KernelSums`."""
        return self.kernel.repulsion(x, z, weights)


def median_bandwidth(x: Tensor, y: Tensor | None = None, *, max_n: int = 1000, seed: int = 0) -> float:
    """Median distance between different points of the pooled sample: the usual length of a kernel.

    The points are drawn from the pool without looking at which set they come from, so a permutation test that uses
    the result stays exact.

    Args:
        x: Points, (n, *event), in data units.
        y: More points, (m, *event), pooled with x.
        max_n: Points drawn from the pool; cost is `max_n` squared.
        seed: Seed of that draw.

    Returns:
        The length h, in data units; positive.

    Raises:
        DataError: If all points drawn coincide.
    """
    pool = x.detach().flatten(1) if y is None else torch.cat([x.detach().flatten(1), y.detach().flatten(1)])
    if len(pool) > max_n:
        rows = generator(seed, "evaluate", part="bandwidth").choice(len(pool), max_n, replace=False)
        pool = pool[torch.from_numpy(rows).to(pool.device)]
    distances = torch.pdist(fine(pool))
    apart = distances[distances > 0]
    if not len(apart):
        raise DataError(f"all {len(pool)} points coincide: no median distance; pass a kernel with a set bandwidth")
    return float(apart.median())


def column_blocks(kernel: Kernel, x: Tensor, y: Tensor, *, budget: int = 2**26) -> Iterator[tuple[slice, Tensor]]:
    """Walk a kernel matrix in blocks of columns, so that it never has to exist in one piece.

    Args:
        kernel: The kernel.
        x: Points, (n, *event).
        y: Points, (m, *event).
        budget: Bytes that the temporaries of one block may take.

    Yields:
        A slice of y's rows, and the block (n, len(slice)) of the matrix.
    """
    width = max(1, budget // (4 * x.element_size() * max(1, len(x))))
    for start in range(0, len(y), width):
        part = slice(start, min(start + width, len(y)))
        yield part, kernel(x, y[part])


def row_blocks(x: Tensor, y: Tensor, *, budget: int = 2**26) -> Iterator[tuple[slice, Tensor]]:
    r"""Walk the squared distances in blocks of rows that fit a processor's cache; one buffer serves all, without graph.

    Distances that are zero up to rounding, :math:`\|x - y\|^2 \le 8 \sqrt{d}\, \epsilon\, \|x\|^2` about the mean of y,
    are zero, so that a kernel with a kink at zero tells points that coincide whatever the processor rounds to.

    Args:
        x: Points, (n, *event).
        y: Points, (m, *event).
        budget: Bytes that one block may take on an accelerator.

    Yields:
        A slice of x's rows, and their squared distances (len(slice), m), valid until the next.
    """
    x, y = x.detach().flatten(1), y.detach().flatten(1)
    centre = y.mean(0)
    x, y = x - centre, y - centre
    norms_x, norms_y = x.square().sum(1)[:, None], y.square().sum(1)
    rounding = norms_x * (8 * math.sqrt(x.shape[1]) * torch.finfo(x.dtype).eps)
    limit = _CACHE if x.device.type == "cpu" else budget
    height = max(1, min(len(x), limit // (x.element_size() * len(y))))
    buffer = x.new_empty(height, len(y))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        block = buffer[: rows.stop - start]
        torch.addmm(norms_y, x[rows], y.T, alpha=-2, out=block).add_(norms_x[rows])
        yield rows, block.mul_(block > rounding[rows])


def gram(kernel: Kernel, x: Tensor, y: Tensor, *, dtype: torch.dtype | None = None, budget: int = 2**26) -> Tensor:
    """Kernel matrix (n, m), filled block by block.

    Args:
        kernel: The kernel.
        x: Points, (n, *event).
        y: Points, (m, *event).
        dtype: Precision to compute in, e.g. `torch.float64`; the precision of x where omitted.
        budget: Bytes that the temporaries of one block may take.
    """
    x, y = x.to(dtype or x.dtype), y.to(dtype or x.dtype)
    matrix = x.new_empty(len(x), len(y))
    for part, block in column_blocks(kernel, x, y, budget=budget):
        matrix[:, part] = block
    return matrix


def least_exponent(dtype: torch.dtype) -> float:
    """Exponents below it give no normal number: they add nothing to a sum, and exp takes up to 200 times as long."""
    return math.log(torch.finfo(dtype).tiny) + 0.5


def _exp(exponents: Tensor) -> Tensor:
    return exponents.clamp_min(least_exponent(exponents.dtype)).exp()


def _falling(power: float, order: int) -> float:
    """power (power - 1) ... (power - order + 1), the factor of an order's derivative of a power."""
    factor = 1.0
    for k in range(order):
        factor *= power - k
    return factor


def _length(bandwidth: float) -> float:
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}: a kernel's length must be positive; see median_bandwidth")
    return bandwidth
