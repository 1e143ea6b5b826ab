r"""The flow of the Sinkhorn divergence: each sample moves to where p is wanted, less where q would go by itself.

.. math::
    S_\varepsilon(q, p) = \mathrm{OT}_\varepsilon(q, p) - \tfrac12 \mathrm{OT}_\varepsilon(q, q)
    - \tfrac12 \mathrm{OT}_\varepsilon(p, p), \qquad \frac{\delta S_\varepsilon}{\delta q} = f_{qp} - f_{qq}, \qquad
    v(x) = -\nabla f_{qp} + \nabla f_{qq} = T_{qp}(x) - T_{qq}(x)

with the cost :math:`\|x - y\|^2 / 2`, whose potentials have the slope x - T(x), T the entropic maps. A law that is a
shift of p moves back by (1 - dt) a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.sinkhorn import Potentials, default_epsilon, entropic_map, potentials
from pushforward.parallel.doubles import fine
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Samples, Scalar

__all__ = ["SinkhornField", "SinkhornFlow"]


@dataclass(frozen=True)
class SinkhornField:
    """The velocity between the entropic maps of q to p and of q to itself.

    Attributes:
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        own: Potential of q against itself, (n,), in data units squared.
        other: Potential of p against q, (m,).
        epsilon: Regularisation, in data units squared.
    """

    q: Samples
    p: Samples
    own: Tensor
    other: Tensor
    epsilon: float

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        x = x.detach()
        return entropic_map(x, self.p, self.other, self.epsilon) - entropic_map(x, self.q, self.own, self.epsilon)


@dataclass
class SinkhornFlow:
    """Samples that follow entropic transport to the data, its bias taken out.

    Nothing is trained. Each call solves two transport problems from where the last call left their potentials; time is
    O(n (n + m)) an update and memory O(n + m). The potentials belong to the state of a run, which so goes on bit for
    bit.

    Attributes:
        epsilon: Regularisation, in data units squared; None takes 5 % of the first pooled sample's variance.
        tolerance: Error of the plans' masses to stop at.
        iterations: Most updates of a problem's potentials in one call; the `error` in the logs tells if they sufficed.
        watch: Whether `velocity` puts the divergence into `logs`, which takes the data against themselves, once for
            each new batch of data.
        regularisation: The epsilon in use; 0 until it is known.
        warm: The last potentials at q, one entry with those of transport to p and to q itself; empty at first.

    Raises:
        UsageError: If epsilon is not positive.

    References:
        Interpolating between optimal transport and MMD using Sinkhorn divergences (Feydy et al., 2019),
        arXiv:1810.08278.
    """

    epsilon: float | None = None
    tolerance: float = 1e-3
    iterations: int = 200
    watch: bool = True
    regularisation: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    warm: list[dict[str, Tensor]] = field(default_factory=list, repr=False)
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.epsilon is not None and not self.epsilon > 0:
            raise UsageError(f"epsilon is {self.epsilon}: give a positive number in data units squared, or None")
        self._data: tuple[Samples, Potentials] | None = None
        self._field: SinkhornField | None = None

    def velocity(self, q: Samples, p: Samples) -> SinkhornField:
        """The field on all of space, for q (n, *event) and p (m, *event)."""
        q, p = all_rows(q.detach()), all_rows(p.detach())
        epsilon = self._epsilon(q, p, self.regularisation)
        last = self.warm[0] if self.warm else {}
        between, own = self._solve(last.get("between"), q, p, epsilon), self._solve(last.get("own"), q, None, epsilon)
        self.warm[:] = [{"between": between.f, "own": own.f}]
        self._field = SinkhornField(q, p, own.f, between.g, epsilon)
        solved = [between, own]
        self.logs = {}
        if self.watch:
            if self._data is None or not torch.equal(self._data[0], p):
                self._data = p, self._solved(p, None, epsilon, None)
            solved.append(self._data[1])
            self.logs["divergence"] = _value(between, own, self._data[1])
        self.logs["error"] = q.new_tensor(max(each.error for each in solved))
        self.logs["updates"] = q.new_tensor(between.iterations + own.iterations)
        return self._field

    def value(self, q: Samples, p: Samples) -> Scalar:
        """The Sinkhorn divergence between samples, in data units squared."""
        q, p = all_rows(q.detach()), all_rows(p.detach())
        epsilon = self._epsilon(q, p, self.regularisation.clone())
        return _value(*(self._solved(x, y, epsilon, None) for x, y in ((q, p), (q, None), (p, None))))

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        if self._field is None:
            raise UsageError("no field was found yet: call velocity(q, p) before snapshot()")
        found = self._field
        tensors = {"q": found.q, "p": found.p, "own": found.own, "other": found.other, "epsilon": self.regularisation}
        return {name: tensor.clone() for name, tensor in tensors.items()}

    def replay(self, state: dict[str, Tensor]) -> SinkhornField:
        """The velocity at the time of a snapshot."""
        return SinkhornField(state["q"], state["p"], state["own"], state["other"], float(state["epsilon"]))

    def _epsilon(self, q: Samples, p: Samples, known: Tensor) -> float:
        if not known > 0:
            known.fill_(default_epsilon(q, p) if self.epsilon is None else self.epsilon)
        return float(known)

    def _solve(self, start: Tensor | None, x: Samples, y: Samples | None, epsilon: float) -> Potentials:
        """Potentials that start where the last call's ended, if the samples are as many."""
        return self._solved(x, y, epsilon, start if start is not None and len(start) == len(x) else None)

    def _solved(self, x: Samples, y: Samples | None, epsilon: float, start: Tensor | None) -> Potentials:
        return potentials(x, y, epsilon, tolerance=self.tolerance, iterations=self.iterations, start=start)


def _value(between: Potentials, own: Potentials, data: Potentials) -> Scalar:
    f, g = fine(between.f - own.f).mean(), fine(between.g - data.g).mean()
    return (f + g).to(between.f)
