r"""The flow of the maximum mean discrepancy, :math:`v = -\nabla h` with the witness h of q against p.

.. math::
    F(q) = \tfrac12 \mathrm{MMD}^2(q, p) = \tfrac12 \|\mathbb{E}_q k(x, \cdot) - \mathbb{E}_p k(y, \cdot)\|_H^2, \qquad
    \frac{\delta F}{\delta q} = h = \mathbb{E}_q k(x, \cdot) - \mathbb{E}_p k(y, \cdot), \qquad
    \dot F = -\mathbb{E}_q \|\nabla h\|^2
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.dynamics.witness import Family, Jittered, Witness, resolved, signed
from pushforward.errors import UsageError
from pushforward.geometry.kernels import KernelSums, rbf
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Randomness, Samples, Scalar, Schedule, Velocity

__all__ = ["MMDFlow"]


@dataclass
class MMDFlow:
    """Samples that repel each other and are attracted by the data, by the forces of a kernel.

    Nothing is trained; processes that share the samples feel all of them. Time is O(n (n + m)) and memory O(n + m) with
    a `Kernel`; with `RandomFeatures` and `SlicedEnergy` time, too, grows like n + m. Gaussian kernels hardly act on
    samples further off than a few lengths, and the flow may stop short of p; noise, several lengths (`multiscale`) or
    the energy kernel help.

    Attributes:
        kernel: `energy()` or another Riesz kernel `energy(r)`, `rbf(h)`, `Linear()`, ...; or a family such as `rbf`,
            whose length is then the median distance of the first pooled sample.
        noise: Calls of `velocity` so far -> length, in data units, of the normal jitter at which the field is looked
            up; it should fall to 0 slowly. None for no jitter.
        rng: Where jitter comes from.
        watch: Whether `velocity` puts the divergence into `logs`, which costs about twice the velocity.
        bandwidth: Length of a family's kernel, in data units; 0 until it is known.
        calls: Calls of `velocity` so far.

    Raises:
        UsageError: If there is noise without a random source.

    References:
        Maximum mean discrepancy gradient flow (Arbel et al., 2019), arXiv:1906.04370, also for the noise.
    """

    kernel: KernelSums | Family = rbf
    noise: Schedule | None = None
    rng: Randomness | None = None
    watch: bool = True
    bandwidth: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    calls: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.noise is not None and self.rng is None:
            raise UsageError("noise is set but rng is None: give the random source that the jitter comes from")
        self._state: dict[str, Tensor] = {}

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The force on every point of space, for q (n, *event) and p (m, *event)."""
        q, p = all_rows(q), all_rows(p)
        kernel = resolved(self.kernel, self.bandwidth, q, p)
        points, weights = signed(q, p)
        noise = 0.0 if self.noise is None else self.noise(int(self.calls))
        self.calls += 1
        self._state = {"points": points, "weights": weights, "bandwidth": self.bandwidth}
        self._state["noise"] = points.new_tensor(noise)
        self.logs = {"divergence": _half_square(kernel, points, weights)} if self.watch else {}
        return self.replay(self._state)

    def value(self, q: Samples, p: Samples) -> Scalar:
        """Half of MMD² between the samples as they are, diagonals included: never negative, and 0 where q = p."""
        q, p = all_rows(q), all_rows(p)
        points, weights = signed(q, p)
        return _half_square(resolved(self.kernel, self.bandwidth.clone(), q, p), points, weights)

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def replay(self, state: dict[str, Tensor]) -> Velocity:
        """The velocity at the time of a snapshot; its jitter is drawn anew."""
        points = state["points"]
        witness = Witness(resolved(self.kernel, state["bandwidth"], points, points), points, state["weights"])
        noise = float(state["noise"])
        return witness if noise == 0 or self.rng is None else Jittered(witness, noise, self.rng)


def _half_square(kernel: KernelSums, points: Samples, weights: Tensor) -> Scalar:
    return weights @ kernel.combine(points, points, weights) / 2
