r"""Flows towards a law known by its score s = grad log p: Stein variational descent, KSD descent, and the score itself.

.. math::
    v_{\mathrm{SVGD}}(x) = \mathbb{E}_{x' \sim q}\, [k(x', x)\, s(x') + \nabla_{x'} k(x', x)], \qquad
    \tfrac{d}{dt} \mathrm{KL}(q \| p) = -\mathrm{KSD}^2(q)

.. math::
    v_{\mathrm{KSD}}(x) = -\nabla_x \mathbb{E}_{x' \sim q}\, u(x, x'), \qquad F = \tfrac12 \mathrm{KSD}^2(q), \qquad
    \dot F = -\mathbb{E}_q \|v\|^2

No samples of p are needed; what stands for them in `velocity(q, p)` is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.dynamics.witness import Family
from pushforward.geometry.features import Linear
from pushforward.geometry.kernels import Kernel, KernelSums, median_bandwidth, rbf
from pushforward.geometry.stein import squared_ksd, stein_slopes
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Samples, Scalar, Velocity

__all__ = ["KSDField", "KSDFlow", "Score", "ScoreFlow", "SteinField", "SteinFlow"]

Score: TypeAlias = Callable[[Samples], Samples]
"""(n, *event) -> grad log p, (n, *event)."""


@dataclass(frozen=True)
class SteinField:
    """Samples drawn up the score, each by its neighbours' scores, and pushed apart.

    Attributes:
        kernel: The kernel.
        points: Model samples, (n, *event).
        scores: Scores there, (n, *event).
    """

    kernel: KernelSums
    points: Samples
    scores: Samples

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        x, n = x.detach(), len(self.points)
        attraction = self.kernel.combine(x, self.points, self.scores.flatten(1) / n).view_as(x)
        return attraction + self.kernel.repulsion(x, self.points, x.new_full((n,), 1 / n))


@dataclass
class SteinFlow:
    """Stein variational gradient descent (SVGD): the steepest descent of KL(q‖p) among fields of a kernel's space.

    With `Linear()` the mean and covariance of a Gaussian p are met exactly. With radial kernels samples collapse in
    high dimensions: from ten or so on their variance is far too small, unless there are very many samples.

    Attributes:
        score: The score of p.
        kernel: A kernel, or a family, whose length is then median / sqrt(2 log n) at each call.
        watch: Whether `velocity` puts KSD², the rate at which KL(q‖p) falls, into `logs` as `ksd2`; for radial and
            linear kernels. The flow lowers KL, of which samples alone give no estimate.

    References:
        Stein variational gradient descent (Liu & Wang, 2016), arXiv:1608.04471; Stein variational gradient descent as
        moment matching (Liu & Wang, 2018), arXiv:1810.11693, for linear kernels.
    """

    score: Score
    kernel: KernelSums | Family = rbf
    watch: bool = True
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._state: dict[str, Tensor] = {}

    def velocity(self, q: Samples, p: Samples) -> SteinField:
        """The field on all of space, for q (n, *event)."""
        q = all_rows(q.detach())
        scores, length = self.score(q).detach(), self._length(q)
        self._state = {"points": q, "scores": scores, "bandwidth": q.new_tensor(length)}
        found, self.logs = self.replay(self._state), {}
        if self.watch and isinstance(found.kernel, Kernel | Linear):
            self.logs = {"ksd2": squared_ksd(found.kernel, q, scores)}
        return found

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def replay(self, state: dict[str, Tensor]) -> SteinField:
        """The velocity at the time of a snapshot; the score is not needed."""
        kernel = self.kernel if isinstance(self.kernel, KernelSums) else self.kernel(float(state["bandwidth"]))
        return SteinField(kernel, state["points"], state["scores"])

    def _length(self, q: Samples) -> float:
        if isinstance(self.kernel, KernelSums):
            return 0.0
        return median_bandwidth(q) / math.sqrt(2 * math.log(max(2, len(q))))


@dataclass(frozen=True)
class KSDField:
    """The field down the slope of the mean Stein kernel.

    Attributes:
        kernel: Radial, with three derivatives.
        score: The score of p, differentiable.
        points: Model samples, (n, *event).
        scores: Scores there, (n, *event).
    """

    kernel: Kernel
    score: Score
    points: Samples
    scores: Samples

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            s = self.score(x)
            held, scored = stein_slopes(self.kernel, x.detach(), s.detach(), self.points, self.scores)
            (through,) = torch.autograd.grad(s, x, scored, allow_unused=True) if s.requires_grad else (None,)
        return -held if through is None else -held - through


@dataclass
class KSDFlow:
    """Descent of half the squared kernel Stein discrepancy; deterministic, and its value is known at every step.

    Samples may stay where scores are flat between modes, which KSD hardly sees.

    Attributes:
        score: The score of p, differentiable: its derivative is taken along one direction for each sample.
        kernel: A radial kernel or a family of such, whose length is the median distance of the first sample.
        watch: Whether `velocity` puts the divergence, half of KSD², into `logs`.
        bandwidth: Length of a family's kernel, in data units; 0 until it is known.

    References:
        Kernel Stein discrepancy descent (Korba et al., 2021), arXiv:2105.09994.
    """

    score: Score
    kernel: Kernel | Callable[[float], Kernel] = rbf
    watch: bool = True
    bandwidth: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._state: dict[str, Tensor] = {}

    def velocity(self, q: Samples, p: Samples) -> KSDField:
        """The field on all of space, for q (n, *event)."""
        q = all_rows(q.detach())
        self._state = {"points": q, "scores": self.score(q).detach(), "bandwidth": self.bandwidth}
        found = KSDField(self._kernel(self.bandwidth, q), self.score, q, self._state["scores"])
        self.logs = {"divergence": squared_ksd(found.kernel, q, found.scores) / 2} if self.watch else {}
        return found

    def value(self, q: Samples, p: Samples) -> Scalar:
        """Half of KSD² of the sample as it is, diagonal included."""
        q = all_rows(q.detach())
        return squared_ksd(self._kernel(self.bandwidth.clone(), q), q, self.score(q).detach()) / 2

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def replay(self, state: dict[str, Tensor]) -> KSDField:
        """The velocity at the time of a snapshot."""
        return KSDField(self._kernel(state["bandwidth"], state["points"]), self.score, state["points"], state["scores"])

    def _kernel(self, bandwidth: Tensor, q: Samples) -> Kernel:
        if isinstance(self.kernel, Kernel):
            return self.kernel
        if not bandwidth > 0:
            bandwidth.fill_(median_bandwidth(q))
        return self.kernel(float(bandwidth))


@dataclass
class ScoreFlow:
    """The velocity v(x) = s(x): with the noise of `Langevin` it samples p, without it climbs to a mode.

    Attributes:
        score: The score of p.
    """

    score: Score

    @property
    def external(self) -> bool:
        """That the field does not depend on the samples, as a Metropolis step needs."""
        return True

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The score, as a field that is the same at every time."""
        return lambda x, t=0.0: self.score(x)
