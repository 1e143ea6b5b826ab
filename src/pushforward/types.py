"""The words of the house: samples, scores, critics, velocities, and the one seam that joins them.

Everywhere p is the data, q the model, r = q/p and d = log p/q; q comes before p in every signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, device

__all__ = [
    "Batch",
    "Contrast",
    "Critic",
    "Flow",
    "Labels",
    "Logs",
    "Method",
    "Penalty",
    "Place",
    "Randomness",
    "Samples",
    "Scalar",
    "Schedule",
    "Scores",
    "Velocity",
    "unpack",
]

Samples: TypeAlias = Float[Tensor, "n *event"]
Scores: TypeAlias = Float[Tensor, "n"]
Scalar: TypeAlias = Float[Tensor, ""]
Labels: TypeAlias = Int[Tensor, "n"]
Logs: TypeAlias = dict[str, Tensor]
Batch: TypeAlias = Tensor | tuple[Tensor, Tensor]

Critic: TypeAlias = Callable[..., Scores]
"""(n, *event) -> (n,), high where data lie. A conditional critic takes labels (n,) as a second argument."""

Penalty: TypeAlias = Callable[[Critic, Samples, Samples], Scalar]
"""(critic, q, p) -> scalar added to the critic's loss."""

Contrast: TypeAlias = Callable[[Scores, Scores], Scalar]
"""(scores of q, scores of p) -> the critic's loss."""

Schedule: TypeAlias = Callable[[int], float]
"""Number of updates done so far -> factor."""


class Velocity(Protocol):
    """A field (x, t) -> dx/dt that depends on nothing else, so that it can be replayed on new points."""

    def __call__(self, x: Samples, t: float = 0.0) -> Samples: ...


@runtime_checkable
class Flow(Protocol):
    """Anything that answers samples of q and of p with the velocity that lowers D(q‖p)."""

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The velocity at q; a learned flow trains its critic on the way. Valid until the next call."""
        ...


class Place(Protocol):
    """Where work happens: see `pushforward.parallel.placement.Placement`."""

    @property
    def device(self) -> device: ...
    @property
    def rank(self) -> int: ...
    @property
    def world(self) -> int: ...


class Randomness(Protocol):
    """Seeded draws that agree between one process and many: see `pushforward.randomness.Noise`."""

    def normal(self, n: int, *event: int) -> Tensor: ...
    def uniform(self, n: int, *event: int) -> Tensor: ...
    def integers(self, high: int, n: int) -> Tensor: ...
    def permutations(self, rows: int, columns: int) -> Tensor: ...


@runtime_checkable
class Method(Protocol):
    """A generative method: `learn` is its pseudo-code, one yield a step; every tensor it needs later is a field."""

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]: ...
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples: ...


def unpack(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Split a batch into samples and, where there are any, labels."""
    return batch if isinstance(batch, tuple) else (batch, None)
