r"""The flow whose Euler step of length tau is the implicit (JKO) step for :math:`\mathrm{KL}(q \,\|\, N(m, C))`."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from pushforward.dynamics.jko import Linear, gaussian_kl, jko_step
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Samples, Scalar

__all__ = ["GaussianJKO"]


@dataclass
class GaussianJKO:
    """Samples moved by the optimal map of an implicit step, as if q were the Gaussian of their moments.

    An Euler step of length tau takes the samples' mean and covariance exactly where the implicit step takes them,
    which lowers KL for every tau, however large.

    Attributes:
        mean: Mean m of p, (d,).
        covariance: Covariance C of p, (d, d).
        tau: Length of the implicit step; the driver's step must be the same.
    """

    mean: Tensor
    covariance: Tensor
    tau: float
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._field: Linear | None = None

    def velocity(self, q: Samples, p: Samples) -> Linear:
        """The affine field for q (n, *event); p is not looked at.

        Raises:
            DataError: If q has no more samples than dimensions.
        """
        _, self._field = jko_step(_moments(q), self._goal(q), self.tau)
        self.logs = {"divergence": self.value(q, p)}
        return self._field

    def value(self, q: Samples, p: Samples) -> Scalar:
        """KL of the Gaussian of q's moments to N(m, C), in nats."""
        return gaussian_kl(_moments(q), self._goal(q))

    def snapshot(self) -> dict[str, Tensor]:
        """What the present velocity depends on, for `replay`."""
        return {} if self._field is None else {name: tensor.clone() for name, tensor in vars(self._field).items()}

    def replay(self, state: dict[str, Tensor]) -> Linear:
        """The velocity at the time of a snapshot."""
        return Linear(**state)

    def _goal(self, q: Samples) -> tuple[Tensor, Tensor]:
        return self.mean.to(q), self.covariance.to(q)


def _moments(q: Samples) -> tuple[Tensor, Tensor]:
    flat = all_rows(q.detach()).flatten(1)
    mean = flat.mean(0)
    return mean, (flat - mean).T @ (flat - mean) / len(flat)
