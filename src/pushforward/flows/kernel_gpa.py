r"""The flow of an f-divergence over the critics of a kernel's space: no net, a convex problem for each step.

.. math::
    F(q) = \max_\phi\; \mathbb{E}_q \phi - \Lambda_p(\phi) - \tfrac{\lambda}{2} \|\phi\|_H^2
    = \min_\gamma\; D_f(\gamma \| p) + \tfrac{1}{2 \lambda} \mathrm{MMD}^2(q, \gamma), \qquad
    v = -\nabla \phi, \qquad \dot F = -\mathbb{E}_q \|v\|^2

It tends to D_f(q‖p) as lambda falls to 0, and lambda F to :math:`\mathrm{MMD}^2 / 2` as it grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.divergences import KL, Divergence, cumulant, tilt
from pushforward.dynamics.witness import Family, Witness, resolved, signed
from pushforward.errors import UsageError
from pushforward.flows.dual import Best, Level, best
from pushforward.geometry.kernels import KernelSums, rbf
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Samples, Scalar, Scores

__all__ = ["KernelGPA", "kale"]


@dataclass
class KernelGPA:
    r"""Samples that follow the best critic of a kernel's space, found afresh and to a certified gap at each call.

    Time is O(n² + m²) for each of some tens of products with a kernel matrix, memory linear in n and m.

    Attributes:
        divergence: Supplies f: any smooth one with a conjugate, such as `KL` or `alpha(2)`; `W1` makes it MMD.
        kernel: A kernel, with `shift` also a conditionally positive one such as `energy()`; or a family, whose length
            is then the median distance of the first pooled sample.
        penalty: Factor lambda on half the critic's squared norm.
        shift: Whether the critic has a free constant and gamma the mass 1,
            :math:`\Lambda_p(\phi) = \inf_\nu \nu + \mathbb{E}_p f^*(\phi - \nu)`; else gamma may have any mass, and
            :math:`\Lambda_p(\phi) = \mathbb{E}_p f^*(\phi)`.
        scale: Factor on F and on the velocity.
        tolerance: Gap to stop at, as a share of the divergence.
        bandwidth: Length of a family's kernel, in data units; 0 until it is known.

    Raises:
        UsageError: If the penalty is not positive.

    References:
        (f, Gamma)-divergences: interpolating between f-divergences and integral probability metrics (Birrell et al.,
        2022), arXiv:2011.05953; Wasserstein gradient flows for Moreau envelopes of f-divergences in reproducing kernel
        Hilbert spaces (Stein et al., 2024), arXiv:2402.04613, without the shift.
    """

    divergence: Divergence = KL
    kernel: KernelSums | Family = rbf
    penalty: float = 0.1
    shift: bool = True
    scale: float = 1.0
    tolerance: float = 1e-6
    bandwidth: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise UsageError(f"penalty is {self.penalty}: the critic's norm has to cost something; give 0.1")
        if self.divergence.conjugate is None or self.divergence.conjugate_slope is None:
            raise UsageError(f"divergence {self.divergence.name} has no conjugate with its slope; use KL, or alpha(2)")
        self._state: dict[str, Tensor] = {}

    def velocity(self, q: Samples, p: Samples) -> Witness:
        """The field on all of space, for q (n, *event) and p (m, *event).

        Raises:
            TrainingError: If the gap stays above the tolerance.
        """
        q, p = all_rows(q), all_rows(p)
        points, weights = signed(q, p)
        found = self._solve(q, p, self.bandwidth)
        weights[len(q) :] = -found.weights.to(weights)
        self._state = {"points": points, "weights": weights, "bandwidth": self.bandwidth}
        self.logs = {"divergence": self.scale * found.value.to(q), "gap": self.scale * found.gap.to(q)}
        self.logs["ess"] = found.weights.sum().square().div(found.weights.square().sum()).to(q)
        return self.replay(self._state)

    def value(self, q: Samples, p: Samples) -> Scalar:
        """The divergence F between samples, in nats where f is that of KL."""
        return self.scale * self._solve(all_rows(q), all_rows(p), self.bandwidth.clone()).value.to(q)

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def replay(self, state: dict[str, Tensor]) -> Witness:
        """The velocity at the time of a snapshot."""
        kernel = resolved(self.kernel, state["bandwidth"], state["points"], state["points"])
        return Witness(kernel, state["points"], state["weights"], self.scale / self.penalty)

    def _solve(self, q: Samples, p: Samples, bandwidth: Tensor) -> Best:
        kernel = resolved(self.kernel, bandwidth, q, p)
        return best(kernel, q, p, self._level, self.penalty, tolerance=self.tolerance)

    def _level(self, phi: Scores) -> Level:
        """Lambda at values of phi on the data, to second order: (f*)'' is 1 / f'', and Lambda linear without f''."""
        f, m = self.divergence, len(phi)
        assert f.conjugate is not None and f.conjugate_slope is not None  # noqa: PT018
        weights = tilt(f, phi) if self.shift else f.conjugate_slope(phi) / m
        value = cumulant(f, phi) if self.shift else f.conjugate(phi).mean()
        curvature = torch.zeros_like(weights)
        if f.d2f is not None:
            curvature = torch.where(weights > 0, 1 / (m * f.d2f(m * weights)), 0.0)
        return Level(value, weights, curvature, self.shift)


def kale(kernel: KernelSums | Family = rbf, penalty: float = 0.1, *, tolerance: float = 1e-6) -> KernelGPA:
    r"""KALE's flow: a `KernelGPA` of KL whose critic has no free constant, in KALE's unit.

    .. math::
        \mathrm{KALE}(q \| p) = (1 + \lambda)
        \max_h\; \mathbb{E}_q h - \mathbb{E}_p (e^h - 1) - \tfrac{\lambda}{2} \|h\|_H^2, \qquad
        v = -(1 + \lambda) \nabla h

    From KL(q‖p) at lambda = 0 to :math:`\mathrm{MMD}^2 / 2` as lambda grows; finite wherever the supports lie.

    Args:
        kernel: A positive kernel, or a family, whose length is then the median distance of the first pooled sample.
        penalty: Factor lambda: small is KL, and stiff; large is MMD.
        tolerance: Gap to stop at, as a share of the divergence.

    Raises:
        UsageError: If the penalty is not positive.

    References:
        KALE flow: a relaxed KL gradient flow for probabilities with disjoint support (Glaser et al., 2021),
        arXiv:2106.08929.
    """
    return KernelGPA(KL, kernel, penalty, shift=False, scale=1 + penalty, tolerance=tolerance)
