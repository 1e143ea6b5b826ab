r"""Where one Gaussian comes to rest under the two KL divergences and Jensen-Shannon, by quadrature and descent.

p is the target, q the model. Here q is a single Gaussian that cannot be p, so the divergences disagree:

============================  =================================  ===========================  ====================
here                          formula                            name in the literature       this library, D(q‖p)
============================  =================================  ===========================  ====================
`KL_DATA_MODEL`               KL(p‖q)                            forward KL, covers modes     `REVERSE_KL`
`KL_MODEL_DATA`               KL(q‖p)                            reverse KL, seeks one mode   `KL`
`JSD`                         ½ KL(q‖m) + ½ KL(p‖m), m=(p+q)/2   Jensen-Shannon               half of `JS`
============================  =================================  ===========================  ====================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.densities.mixture import Mixture
from pushforward.errors import UsageError

__all__ = [
    "JSD",
    "KL_DATA_MODEL",
    "KL_MODEL_DATA",
    "Criterion",
    "Fit",
    "Gaussian",
    "Grid",
    "Rivals",
    "apart_jsd",
    "crossing",
    "fits",
    "moments",
    "pair",
    "rivals",
    "starts",
]

LOG2 = math.log(2.0)
Gaussian = tuple[Tensor, Tensor]  # mean (d,) and covariance (d, d), float64


@dataclass(frozen=True)
class Criterion:
    """A divergence written for log densities, so that tails that underflow cost nothing.

    Attributes:
        name: Formula, for captions.
        integrand: (log q, log p) -> integrand, elementwise.
    """

    name: str
    integrand: Callable[[Tensor, Tensor], Tensor]


def _halves(log_q: Tensor, log_p: Tensor) -> Tensor:
    """log q/m and log p/m by log-sigmoids, whose second derivatives stay finite in any tail."""
    d = log_p - log_q
    return (log_q.exp() * (LOG2 + logsigmoid(-d)) + log_p.exp() * (LOG2 + logsigmoid(d))) / 2


KL_DATA_MODEL = Criterion("KL(p‖q)", lambda log_q, log_p: log_p.exp() * (log_p - log_q))
KL_MODEL_DATA = Criterion("KL(q‖p)", lambda log_q, log_p: log_q.exp() * (log_q - log_p))
JSD = Criterion("JSD(q, p)", _halves)


@dataclass(frozen=True)
class Grid:
    """A square lattice round zero; a sum over it times `cell` is an integral.

    For Gaussians that end well inside and are wider than a few steps the error of that sum is not polynomial in the
    step but falls like exp(-c / step): a hundred steps a side can be exact to ten digits.

    Attributes:
        points: (side^d, d) float64.
        cell: Volume per point, in data units to the power d.
    """

    points: Tensor
    cell: float

    @classmethod
    def of(cls, dim: int, reach: float, side: int) -> Grid:
        """The lattice on [-reach, reach]^dim with `side` points along each axis."""
        axis = torch.linspace(-reach, reach, side, dtype=torch.float64)
        return cls(torch.cartesian_prod(*[axis] * dim).reshape(-1, dim), (2 * reach / (side - 1)) ** dim)


@dataclass(frozen=True)
class Fit:
    """A stationary point of a criterion.

    Attributes:
        mean: (d,) float64.
        covariance: (d, d) float64.
        value: The criterion there, in nats.
        curvature: Smallest eigenvalue of the Hessian in (mean, log scales, off-diagonals): positive at a minimum,
            negative at a saddle.
    """

    mean: Tensor
    covariance: Tensor
    value: float
    curvature: float

    @property
    def minimum(self) -> bool:
        """Whether every direction leads up."""
        return self.curvature > 1e-6

    @property
    def sigma(self) -> float:
        """Geometric mean of the standard deviations; the standard deviation on the line."""
        return math.exp(float(torch.logdet(self.covariance)) / (2 * len(self.mean)))


@dataclass(frozen=True)
class Rivals:
    """The two kinds of minimum for two equal modes; None where there is none.

    Attributes:
        distance: Half the distance of the modes, in their standard deviations.
        both: The minimum midway between the modes, wide enough for both.
        one: The minimum on the right mode; its mirror image is as good.
    """

    distance: float
    both: Fit | None
    one: Fit | None


def moments(target: Mixture) -> Gaussian:
    """Mean and covariance of a mixture: in closed form, the Gaussian q of least KL(p‖q)."""
    mean = target.weights @ target.means
    apart = target.means - mean
    return mean, torch.einsum("k,kij->ij", target.weights, target.covariances + apart[:, :, None] * apart[:, None])


def apart_jsd(weight: float) -> float:
    r"""JSD(q, p) where q is one component of p, of the given weight w, and the rest of p lies far away.

    .. math:: \tfrac12 \left[ w \log\tfrac{2w}{1+w} + (1-w)\log 2 + \log\tfrac{2}{1+w} \right]

    KL(q‖p) is -log w there. Both are limits in the separation, reached exponentially fast.
    """
    w = weight
    return 0.5 * (w * math.log(2 * w / (1 + w)) + (1 - w) * math.log(2) + math.log(2 / (1 + w)))


def starts(target: Mixture) -> list[Gaussian]:
    """Where to begin: the moments, and each component, once as narrow as it is and once as wide as the whole."""
    mean, wide = moments(target)
    return [(mean, wide), *((m, c) for m, own in zip(target.means, target.covariances) for c in (own, wide))]


def fits(
    criterion: Criterion, target: Mixture, grid: Grid, begin: Iterable[Gaussian] | None = None, *, apart: float = 1e-3
) -> list[Fit]:
    """Every stationary point that descent reaches, best first; minima, and saddles if a start lies on their ridge.

    Args:
        criterion: What to minimise over means and full covariances.
        target: The law p.
        grid: Where to integrate; it must hold p and every q on the way.
        begin: Starting Gaussians; `starts(target)` where omitted.
        apart: Points whose means and covariances all differ by less than this are one.
    """
    from scipy.optimize import minimize

    log_p, dim = target.log_prob(grid.points), target.means.shape[1]

    def value(theta: Tensor) -> Tensor:
        return criterion.integrand(_log_density(theta, grid.points), log_p).sum() * grid.cell

    def with_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(flat, requires_grad=True)
        level = value(theta)
        (slope,) = torch.autograd.grad(level, theta)
        return level.item(), slope.numpy()

    found: list[Fit] = []
    for mean, covariance in starts(target) if begin is None else begin:
        best = minimize(with_slope, _pack(mean, covariance), jac=True, method="BFGS", options={"gtol": 1e-8})
        if np.abs(best.jac).max() > 1e-5:
            continue  # not at rest
        theta = torch.from_numpy(best.x)
        root = _root(theta, dim)
        mean, covariance = theta[:dim], root @ root.T
        if all(max((mean - f.mean).abs().max(), (covariance - f.covariance).abs().max()) > apart for f in found):
            hessian = torch.autograd.functional.hessian(value, theta)
            found.append(Fit(mean, covariance, float(best.fun), float(torch.linalg.eigvalsh(hessian)[0])))
    return sorted(found, key=lambda fit: fit.value)


def pair(distance: float) -> Mixture:
    """Two equal modes of standard deviation 1 at plus and minus the distance."""
    return Mixture.of([[-distance], [distance]], sigma=1.0)


def rivals(criterion: Criterion, distance: float, grid: Grid) -> Rivals:
    """Descend on a `pair` from its moments and from its right mode.

    Args:
        criterion: What to minimise.
        distance: Half the distance of the modes, in their standard deviations.
        grid: Where to integrate.
    """
    target = pair(distance)
    begin = [moments(target), (target.means[1], target.covariances[1])]
    found = [fit for fit in fits(criterion, target, grid, begin) if fit.minimum]
    both = next((fit for fit in found if abs(float(fit.mean)) < 0.05), None)
    return Rivals(distance, both, next((fit for fit in found if fit is not both), None))


def crossing(criterion: Criterion, bracket: tuple[float, float], grid: Grid) -> float:
    """The half distance from where on sitting on one mode of a `pair` beats covering both.

    Args:
        criterion: What to compare.
        bracket: Two half distances between which the order changes; both minima must exist there.
        grid: Where to integrate.

    Raises:
        UsageError: If one of the minima does not exist in the bracket.
    """
    from scipy.optimize import root_scalar

    def lead(distance: float) -> float:
        pair = rivals(criterion, distance, grid)
        if pair.both is None or pair.one is None:
            raise UsageError(f"{criterion.name} has one kind of minimum at {distance:g}: give another bracket")
        return pair.both.value - pair.one.value

    return float(root_scalar(lead, bracket=bracket, xtol=1e-6).root)


def _pack(mean: Tensor, covariance: Tensor) -> np.ndarray:
    """Means, logarithms of the Cholesky root's diagonal, entries below it: numbers without bounds."""
    root = torch.linalg.cholesky(covariance)
    below = torch.tril_indices(len(mean), len(mean), -1)
    return torch.cat([mean, root.diagonal().log(), root[below[0], below[1]]]).numpy()


def _root(theta: Tensor, dim: int) -> Tensor:
    below = torch.tril_indices(dim, dim, -1)
    root = torch.diag(theta[dim : 2 * dim].exp())
    return root.index_put((below[0], below[1]), theta[2 * dim :])


def _log_density(theta: Tensor, x: Tensor) -> Tensor:
    dim = x.shape[1]
    white = torch.linalg.solve_triangular(_root(theta, dim), (x - theta[:dim]).T, upper=False)
    return -0.5 * white.square().sum(0) - theta[dim : 2 * dim].sum() - 0.5 * dim * math.log(2 * math.pi)
