r"""The best critic of a kernel's space for a penalised divergence, by Newton's method with a certified gap.

.. math::
    F(q) = \max_\phi\; \mathbb{E}_q \phi - \Lambda_p(\phi) - \tfrac{\lambda}{2} \|\phi\|_H^2, \qquad
    \phi = \frac1\lambda \Big( \mathbb{E}_q k(x, \cdot) - \sum_j a_j k(y_j, \cdot) \Big), \qquad
    a = \nabla \Lambda_p(\phi)

The maximum is a minimum over weights a on the data: their divergence to p plus :math:`\mathrm{MMD}^2(q, a) / 2\lambda`.
So mass is re-weighted as far as that is cheap, and moved from there. With :math:`w = \nabla \Lambda_p(\phi)` at any a
the gap between the two is :math:`(w - a)^\top K (w - a) / 2 \lambda`, K the data's kernel matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.geometry.kernels import Kernel, KernelSums
from pushforward.parallel import doubles
from pushforward.types import Samples, Scalar, Scores

__all__ = ["Best", "Level", "best"]

DENSE = 2**26
"""Bytes up to which the data's kernel matrix is kept; larger ones are walked in blocks at every use."""


@dataclass(frozen=True)
class Level:
    r"""The functional :math:`\Lambda_p` at values of phi on the data, to second order.

    Attributes:
        value: Lambda.
        weights: Its gradient w, (m,).
        curvature: Its second derivative is diag(h) - h h' / sum h for h (m,) if `shifted`, else diag(h).
        shifted: Whether Lambda(phi + c) = Lambda(phi) + c.
    """

    value: Scalar
    weights: Tensor
    curvature: Tensor
    shifted: bool


@dataclass(frozen=True)
class Best:
    """The maximum.

    Attributes:
        weights: The a_j, (m,), float64.
        value: F, in nats.
        gap: How far F may be off, upwards.
        steps: Newton steps and reductions of the penalty made.
    """

    weights: Tensor
    value: Scalar
    gap: Scalar
    steps: int


@torch.no_grad()
def best(
    kernel: KernelSums,
    q: Samples,
    p: Samples,
    level: Callable[[Scores], Level],
    penalty: float,
    *,
    tolerance: float = 1e-6,
    steps: int = 200,
) -> Best:
    """Maximise in float64; O(n² + m²) time for each product with a kernel matrix, memory within a budget.

    The penalty comes down to its value by halves from MMD² between the samples, where phi is of order one: from
    uniform weights at once a small penalty would ask for the exponential of a huge phi.

    Args:
        kernel: The kernel.
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        level: (phi on the data) -> Lambda there.
        penalty: Factor lambda.
        tolerance: Gap to stop at, as a share of F, or of rounding where that is coarser.
        steps: Most Newton steps and reductions of the penalty in all.

    Raises:
        DataError: If a sample is not finite.
        TrainingError: If the gap stays above the tolerance.
    """
    q, p = doubles.fine(q.detach()), doubles.fine(p.detach())
    own = kernel.combine(q, q, q.new_full((len(q),), 1 / len(q))).mean()
    pull = kernel.combine(p, q, q.new_full((len(q),), 1 / len(q)))
    if not (own.isfinite() and pull.isfinite().all()):
        raise DataError("samples are not all finite, so they have no kernel critic; take smaller steps")
    matrix = kernel(p, p) if isinstance(kernel, Kernel) and 8 * len(p) ** 2 <= DENSE else None

    def product(a: Tensor) -> Tensor:
        return kernel.combine(p, p, a) if matrix is None else matrix @ a

    def look(a: Tensor, k_a: Tensor) -> tuple[Level, Scalar]:
        found = level((pull - k_a) / cost)
        return found, (own - a @ k_a) / (2 * cost) - found.value

    a = p.new_full((len(p),), 1 / len(p))
    k_a, step = product(a), 0
    cost = max(penalty, float(own + a @ (k_a - 2 * pull)))
    here, value = look(a, k_a)
    while not value.isfinite() and cost < math.inf:
        cost *= 2
        here, value = look(a, k_a)
    while True:
        rest = here.weights - a
        k_rest = product(rest)
        gap = (rest @ k_rest).clamp_min(0) / (2 * cost)
        rounding = 1e-13 * ((own.abs() + (a @ k_a).abs()) / (2 * cost) + 1e-3)
        last = cost == penalty
        fine = bool(gap <= (tolerance if last else 0.1) * value.clamp_min(0) + rounding)
        if (fine and last) or step >= steps:
            return _checked(Best(a, value, gap, step), fine and last)
        if fine:
            before, cost, step = cost, max(penalty, cost / 2), step + 1
            here, value = look(a, k_a)
            while not value.isfinite():  # phi grew past the domain of f*
                cost = (before + cost) / 2
                here, value = look(a, k_a)
            continue
        move = rest - _correction(here, product, k_rest, cost)
        k_move, step = product(move), step + 1
        slope, length = (k_rest @ move) / cost, 1.0
        while True:
            there, higher = look(a + length * move, k_a + length * k_move)
            if higher >= value + 1e-4 * length * slope - rounding:
                break
            length /= 2
            if length < 1e-10:
                raise TrainingError(f"kernel critic: no ascent at step {step}, gap {float(gap):.1e}; raise the penalty")
        a, k_a, here, value = a + length * move, k_a + length * k_move, there, higher


def _checked(found: Best, fine: bool) -> Best:
    if not fine:
        gap, value = float(found.gap), float(found.value)
        raise TrainingError(
            f"kernel critic: gap {gap:.1e} at {value:.1e} after {found.steps} steps; raise the penalty or the tolerance"
        )
    return found


def _correction(here: Level, product: Callable[[Tensor], Tensor], k_rest: Tensor, penalty: float) -> Tensor:
    r"""What Newton's step takes off r, :math:`B (\lambda + B^\top K B)^{-1} B^\top K r` with B B' = Lambda''."""
    root = here.curvature.sqrt()
    if not root.isfinite().all():
        raise UsageError("the divergence is not smooth: its kernel critic needs a finite second derivative; use KL")
    if not root.any():
        return torch.zeros_like(root)
    unit = root / root.norm()

    def centred(y: Tensor) -> Tensor:
        return y - unit * (unit @ y) if here.shifted else y

    def operator(y: Tensor) -> Tensor:
        return penalty * y + centred(root * product(root * centred(y)))

    return root * centred(_conjugate_gradients(operator, centred(root * k_rest)))


def _conjugate_gradients(operator: Callable[[Tensor], Tensor], wanted: Tensor, tolerance: float = 1e-4) -> Tensor:
    """The solution of a positive system, to a share of its right side that is fine enough for a step."""
    found, rest = torch.zeros_like(wanted), wanted
    along, square = rest, rest @ rest
    least = tolerance**2 * square
    for _ in range(len(wanted)):
        if square <= least:
            break
        image = operator(along)
        length = square / (along @ image)
        found, rest = found + length * along, rest - length * image
        fresh = rest @ rest
        along, square = rest + fresh / square * along, fresh
    return found
