r"""Entropic optimal transport between samples with uniform weights, by potentials in the log domain.

.. math::
    \mathrm{OT}_\varepsilon(q, p) = \min_\pi \mathbb{E}_\pi \tfrac12 \|x - y\|^2 + \varepsilon\,
    \mathrm{KL}(\pi \,\|\, q \otimes p) = \mathbb{E}_q f + \mathbb{E}_p g, \qquad
    f(x) = -\varepsilon \log \mathbb{E}_{y \sim p} e^{(g(y) - \|x - y\|^2 / 2) / \varepsilon}

and g likewise from f. Note the half in the cost, and that :math:`\varepsilon` is in data units squared. The
:math:`\|x - y\|^2` convention with regularisation :math:`2 \varepsilon` gives twice the value and the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.geometry.kernels import least_exponent
from pushforward.parallel.doubles import fine

__all__ = ["Potentials", "default_epsilon", "entropic_map", "potentials", "soft_min"]

_CACHE = 2**20  # bytes of a block that stay in a processor's cache between the passes over it
_GREATEST = 1.97  # overrelaxation beyond this gains nothing and may oscillate for long


@dataclass(frozen=True)
class Potentials:
    """Dual potentials of entropic transport.

    Attributes:
        f: Potential at the rows of x, (n,), in data units squared.
        g: Potential at the rows of y, (m,).
        epsilon: Regularisation, in data units squared.
        error: How far the plan's mass at the rows of x, or of y, is from uniform: the sum of absolute differences.
        iterations: Updates of both potentials that were made.
    """

    f: Tensor
    g: Tensor
    epsilon: float
    error: float
    iterations: int

    @property
    def value(self) -> float:
        """Entropic transport cost, in data units squared; its error is of second order in that of the potentials."""
        return float(fine(self.f).mean() + fine(self.g).mean())


def default_epsilon(x: Tensor, y: Tensor, share: float = 0.05) -> float:
    r"""A share of the mean cost within the pooled sample, which is the pool's total variance; symmetric in x and y.

    Args:
        x: Points, (n, *event), in data units.
        y: Points, (m, *event).
        share: Small shares blur less and converge more slowly: about 30 updates at 0.05, some hundreds at 0.01.

    Raises:
        DataError: If all points coincide.
    """
    pool = fine(torch.cat([x.detach().flatten(1), y.detach().flatten(1)]))
    variance = float(pool.var(0, correction=0).sum())
    if not variance > 0:
        raise DataError(f"all {len(pool)} points coincide: no scale for epsilon; pass it")
    return share * variance


@torch.no_grad()
def potentials(
    x: Tensor,
    y: Tensor | None,
    epsilon: float,
    *,
    tolerance: float = 1e-4,
    iterations: int = 1000,
    annealing: float = 0.5,
    start: Tensor | None = None,
    budget: int = 2**26,
) -> Potentials:
    r"""Potentials of :math:`\mathrm{OT}_\varepsilon` between uniform weights on x and on y.

    Two samples: epsilon is lowered from the pool's variance to its target, one update a level; from there on updates
    are overrelaxed, by as much as the rate of convergence seen allows. One sample against itself: the average of old
    and new potential converges at the rate 1/2 or better, whatever epsilon.

    Time O(n m d) an update; memory is that of a block of rows, or of all scalar products where these fit the budget.

    Args:
        x: Points, (n, *event), in data units; float64 for statistics, float32 will do for a flow.
        y: Points, (m, *event); None stands for x itself, and both potentials are then equal.
        epsilon: Regularisation, in data units squared; see `default_epsilon`.
        tolerance: Error of the plan's masses to stop at, no finer than rounding allows. The value's error is of its
            square.
        iterations: Most updates to make; `error` in the answer tells whether they were enough.
        annealing: Factor between one level of epsilon and the next, in (0, 1).
        start: A guess of f, (n,), such as that of the samples a moment ago; epsilon is then not annealed.
        budget: Bytes that temporaries may take.

    Returns:
        Potentials on the device and of the type of x, without gradients; that of f is x - `entropic_map`.

    Raises:
        DataError: If x and y differ in event shape, type or device.
        UsageError: If epsilon, the tolerance, the iterations or the factor are out of range.

    References:
        Sinkhorn distances (Cuturi, 2013), arXiv:1306.0895; Interpolating between optimal transport and MMD using
        Sinkhorn divergences (Feydy et al., 2019), arXiv:1810.08278; Overrelaxed Sinkhorn-Knopp algorithm for
        regularized optimal transport (Thibault et al., 2021), arXiv:1711.01851; Matrix iterative analysis
        (Young's relation between relaxation and rate; Varga, 1962).
    """
    _check(x, x if y is None else y, epsilon)
    if not tolerance > 0 or iterations < 1 or not 0 < annealing < 1:
        given = f"tolerance is {tolerance}, iterations {iterations}, annealing {annealing}"
        raise UsageError(f"{given}: give a positive tolerance, at least 1 iteration and a factor in (0, 1)")
    x, y = x.flatten(1), None if y is None else y.flatten(1)
    # Below the rounding of the exponents no update gets any further.
    tolerance = max(tolerance, torch.finfo(x.dtype).eps * float((x - x.mean(0)).square().sum(1).max()) / epsilon)
    if y is None:
        return _to_itself(x, epsilon, tolerance, iterations, start, budget)
    dots = _dots(x, y, budget)
    turned = None if dots is None else dots.T
    level = max(epsilon, float(fine(torch.cat([x, y])).var(0, correction=0).sum()))
    g, error, done = y.new_zeros(len(y)), math.inf, 0
    if start is not None:
        g, level, done = _soft_min(y, x, start, epsilon, turned, budget), epsilon, 1
    f = _soft_min(x, y, g, level, dots, budget)
    while level > epsilon and done < iterations - 1:
        g, level, done = _soft_min(y, x, f, level, turned, budget), max(epsilon, level * annealing), done + 1
        f = _soft_min(x, y, g, level, dots, budget)
    relax, most, rate, best, steady = 1.0, _GREATEST, 0.0, math.inf, 0
    while True:
        fresh, done = _soft_min(y, x, f, epsilon, turned, budget), done + 1
        last, error = error, _error(g, fresh, epsilon)
        if error < tolerance or done >= iterations:
            # The pair (f, fresh) has the right masses at y, so that the value's error is of second order.
            return Potentials(f, fresh, epsilon, error, done)
        seen, rate, steady = rate, error / last, steady + 1
        if relax > 1 and error > 30 * best:  # too bold: plain updates always converge
            relax, most, best, steady = 1.0, 1 + 0.8 * (relax - 1), error, 0
        elif steady >= 8 and abs(rate - seen) < 0.1 * max(0.02, 1 - rate) and relax - 1 < rate < 1:
            plain = (rate + relax - 1) ** 2 / (rate * relax**2)  # rate of plain updates, from the one seen
            relax, steady = min(most, 2 / (1 + max(0.0, 1 - plain) ** 0.5)), 0
        best = min(best, error)
        g = torch.lerp(g, fresh, relax)
        f = torch.lerp(f, _soft_min(x, y, g, epsilon, dots, budget), relax)


@torch.no_grad()
def soft_min(x: Tensor, y: Tensor, h: Tensor, epsilon: float, *, budget: int = 2**26) -> Tensor:
    r"""Smoothed least cost :math:`-\varepsilon \log \frac1m \sum_j e^{(h_j - \|x_i - y_j\|^2 / 2) / \varepsilon}`.

    With h the potential g at y it extends f to new points.

    Args:
        x: Points, (n, *event), in data units.
        y: Points, (m, *event).
        h: Potential at y, (m,), in data units squared.
        epsilon: Regularisation, in data units squared.
        budget: Bytes that the temporaries of one block may take.

    Returns:
        (n,), without gradients; the gradient in x is x - `entropic_map(x, y, h, epsilon)`.
    """
    _check(x, y, epsilon)
    return _soft_min(x.flatten(1), y.flatten(1), h, epsilon, None, budget)


@torch.no_grad()
def entropic_map(x: Tensor, y: Tensor, h: Tensor, epsilon: float, *, budget: int = 2**26) -> Tensor:
    r"""Where the entropic plan sends x on average: the mean of y under the plan's conditional law given x.

    The weights are proportional to :math:`e^{(h_j - \|x - y_j\|^2 / 2) / \varepsilon}`.

    Args:
        x: Points, (n, *event), in data units; any points, not only those that the potential was found with.
        y: Points, (m, *event).
        h: Potential g at y, (m,), in data units squared.
        epsilon: Regularisation, in data units squared.
        budget: Bytes that the temporaries of one block may take.

    Returns:
        Points of the shape of x.

    References:
        Entropic estimation of optimal transport maps (Pooladian & Niles-Weed, 2021), arXiv:2109.12004.
    """
    _check(x, y, epsilon)
    flat, target = x.flatten(1), y.flatten(1)
    sent, least = torch.empty_like(flat), least_exponent(x.dtype)
    for rows, block in _logits(flat, target, h, epsilon, None, budget):
        weights = block.sub_(block.amax(1, keepdim=True)).clamp_min_(least).exp_()
        sent[rows] = weights @ target / weights.sum(1, keepdim=True)
    return sent.view_as(x)


def _to_itself(
    x: Tensor, epsilon: float, tolerance: float, iterations: int, start: Tensor | None, budget: int
) -> Potentials:
    dots, f = _dots(x, x, budget), x.new_zeros(len(x)) if start is None else start
    for done in range(1, iterations + 1):
        fresh = _soft_min(x, x, f, epsilon, dots, budget)
        error = _error(f, fresh, epsilon)
        # The average of the two has the value of the pair, whose error is of second order.
        f = (f + fresh) / 2
        if error < tolerance or done == iterations:
            return Potentials(f, f, epsilon, error, done)
    raise AssertionError("at least one iteration is made")


def _error(old: Tensor, fresh: Tensor, epsilon: float) -> float:
    """Sum of absolute differences between the plan's masses and uniform ones."""
    return float(torch.expm1((old - fresh) / epsilon).abs().mean())


def _dots(x: Tensor, y: Tensor, budget: int) -> Tensor | None:
    """Scalar products where they are worth keeping and fit the budget, about the centre that `_logits` uses."""
    if x.shape[1] <= 16 or 2 * len(x) * len(y) * x.element_size() > budget:
        return None
    centre = (x.mean(0) + y.mean(0)) / 2
    return (x - centre) @ (y - centre).T


def _logits(
    x: Tensor, y: Tensor, h: Tensor, epsilon: float, dots: Tensor | None, budget: int
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of (h_j - |x_i - y_j|² / 2 + |x_i|² / 2) / epsilon, centred, in one buffer that the caller may spoil."""
    centre = (x.mean(0) + y.mean(0)) / 2
    x, y = x - centre, y - centre
    bias = (h - y.square().sum(1) / 2) / epsilon
    limit = min(budget, _CACHE) if x.device.type == "cpu" else budget
    height = max(1, min(len(x), limit // (x.element_size() * len(y))))
    buffer = x.new_empty(height, len(y))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        block = buffer[: rows.stop - start]
        if dots is None:
            torch.addmm(bias, x[rows], y.T, alpha=1 / epsilon, out=block)
        else:
            torch.add(bias, dots[rows], alpha=1 / epsilon, out=block)
        yield rows, block


def _soft_min(x: Tensor, y: Tensor, h: Tensor, epsilon: float, dots: Tensor | None, budget: int) -> Tensor:
    """`soft_min` of flat points, from kept scalar products where there are any."""
    centre = (x.mean(0) + y.mean(0)) / 2
    values = (x - centre).square().sum(1).div_(2) + epsilon * math.log(len(y))
    least = least_exponent(x.dtype)
    for rows, block in _logits(x, y, h, epsilon, dots, budget):
        greatest = block.amax(1, keepdim=True)
        total = block.sub_(greatest).clamp_min_(least).exp_().sum(1)
        values[rows] -= epsilon * (total.log_() + greatest[:, 0])
    return values


def _check(x: Tensor, y: Tensor, epsilon: float) -> None:
    if x.shape[1:] != y.shape[1:] or x.dtype != y.dtype or x.device != y.device:
        kinds = [f"{tuple(points.shape)} {points.dtype} on {points.device}" for points in (x, y)]
        raise DataError(f"points are {kinds[0]} and {kinds[1]}: give one event shape, one type and one device")
    if not 0 < epsilon < math.inf:
        raise UsageError(f"epsilon is {epsilon}: give a positive number in data units squared; see default_epsilon")
