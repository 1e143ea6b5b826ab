r"""Lipschitz-regularised divergences of samples by convex optimisation, between a bound from below and one from above.

.. math:: \sup_{\phi\ \text{of slope}\ L} \mathbb{E}_q\phi - \Lambda_p(\phi)
          \;=\; \inf_\gamma\ D_f(\gamma\|p) + L\,W_1(q, \gamma)

Each bound holds by itself: any phi of slope L gives the lower one, and the upper one is that of an explicit measure
gamma or, on the line, of the tangent plane of the concave dual. So how well the optimiser did shows in their gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from pushforward.divergences import Divergence, cumulant
from pushforward.types import Samples

__all__ = ["Bracket", "cloud", "line"]

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Bracket:
    """A divergence between two bounds.

    Attributes:
        lower: The dual value of `phi`.
        upper: A primal value, or a bound of the dual.
        phi: The potential on p, (m,) in float64, up to a constant; the critic is d = -phi.
    """

    lower: float
    upper: float
    phi: Tensor = field(repr=False)

    @property
    def gap(self) -> float:
        """upper - lower."""
        return self.upper - self.lower


def line(divergence: Divergence, q: Tensor, p: Tensor, slope: float = 1.0) -> Bracket:
    """The exact value on the line: phi by its increments between neighbours of the pooled support, a box each.

    The gap is about 1e-8, but for total variation, whose Lambda has kinks: there it is a tenth of the value.

    Args:
        divergence: Any with a conjugate.
        q: Model samples, (n,).
        p: Data samples, (m,).
        slope: Largest slope L, per data unit.
    """
    q, p = q.double().flatten(), p.double().flatten()
    support, at = torch.cat([q, p]).unique(return_inverse=True)
    at_q, at_p, reach = at[: len(q)], at[len(q) :], slope * support.diff()
    mass_q = torch.bincount(at_q, minlength=len(support)).double() / len(q)

    def potential(share: Tensor) -> Tensor:
        return torch.cat([share.new_zeros(1), (share * reach).cumsum(0)])

    def objective(share: Tensor) -> tuple[Tensor, Tensor]:
        phi = potential(share)
        value, weights = _with_slope(divergence, phi[at_p])
        excess = mass_q - torch.bincount(at_p, weights, minlength=len(support))
        return mass_q @ phi - value, reach * (excess.sum() - excess.cumsum(0)[:-1])

    share = _climb(objective, torch.zeros_like(reach), bound=1.0)
    value, rise = objective(share)
    beyond = (rise.abs() - rise * share).sum()
    return Bracket(value.item(), (value + beyond).item(), potential(share)[at_p])


def cloud(
    divergence: Divergence,
    q: Samples,
    p: Samples,
    slope: float = 1.0,
    temperatures: tuple[float, ...] = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003),
) -> Bracket:
    r"""Certified bounds in any dimension by the semi-dual in phi on p alone, which needs no constraint.

    :math:`\max_\phi \frac1n \sum_i \min_j (\phi_j + L\,|x_i - y_j|) - \Lambda_p(\phi)`, with the minimum softened at
    temperatures that fall. The soft minimum is a plan from q, whose image on p is the gamma of the upper bound.

    Args:
        divergence: Any with a conjugate; without f the upper bound is +inf.
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        slope: Largest slope L, per data unit.
        temperatures: Of the soft minimum, in units of the median cost, falling; the gap is about the last.
    """
    cost = slope * torch.cdist(
        q.double().flatten(1), p.double().flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
    )
    apart = cost[cost > 0]
    unit = apart.median() if len(apart) else cost.new_ones(())
    phi, bounds, f = cost.new_zeros(len(p)), [], divergence.f
    for relative in temperatures:
        temperature = relative * unit

        def objective(phi: Tensor, temperature: Tensor = temperature) -> tuple[Tensor, Tensor]:
            value, weights = _with_slope(divergence, phi)
            energy = -(cost + phi) / temperature
            soft = -temperature * energy.logsumexp(1).mean()
            return soft - value, energy.softmax(1).mean(0) - weights

        phi = _climb(objective, phi, precision=1e-6 * relative)
        lower = (cost + phi).amin(1).mean() - cumulant(divergence, phi)
        plan = (-(cost + phi) / temperature).softmax(1)
        upper = math.inf if f is None else f(len(p) * plan.mean(0)).mean() + (plan * cost).sum(1).mean()
        bounds.append(Bracket(float(lower), float(upper), phi))
    best = max(bounds, key=lambda bound: bound.lower)
    return Bracket(best.lower, min(bound.upper for bound in bounds), best.phi)


def _with_slope(divergence: Divergence, phi: Tensor) -> tuple[Tensor, Tensor]:
    """Lambda(phi) and its gradient."""
    with torch.enable_grad():
        phi = phi.detach().requires_grad_(True)
        value = cumulant(divergence, phi)
        (weights,) = torch.autograd.grad(value, phi)
    return value.detach(), weights


def _climb(objective: Objective, start: Tensor, bound: float = math.inf, precision: float = 1e-15) -> Tensor:
    """The maximum of a concave function, each coordinate between -bound and bound, by L-BFGS-B.

    It starts again where it stopped, as long as that gains more than `precision`: kinks stop it early.
    """
    if not len(start):
        return start

    def negated(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, rise = objective(torch.from_numpy(x.copy()))
        return -value.item(), -rise.numpy()

    options = {"maxiter": 20_000, "maxfun": 40_000, "maxcor": 30, "ftol": precision, "gtol": 1e-10}
    x, value, gain = start.numpy(), negated(start.numpy())[0], math.inf
    while gain > 10 * precision * max(1.0, abs(value)):
        found = minimize(negated, x, jac=True, method="L-BFGS-B", bounds=[(-bound, bound)] * len(x), options=options)
        x, value, gain = found.x, found.fun, value - found.fun
    return torch.from_numpy(x)
