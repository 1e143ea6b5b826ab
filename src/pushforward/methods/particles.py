"""Particles that obey a flow: x <- x + h v(x), with a fresh look at the data at every step.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward.dynamics.integrate import Integrator, euler
from pushforward.errors import UsageError
from pushforward.types import Batch, Flow, Labels, Logs, Randomness, Samples, Velocity, unpack

__all__ = ["Gaussian", "Particles", "Replayable"]


@runtime_checkable
class Replayable(Flow, Protocol):
    """A flow whose velocities can be written down as tensors and read back."""

    def snapshot(self) -> dict[str, Tensor]: ...
    def replay(self, state: dict[str, Tensor]) -> Velocity: ...


@dataclass(frozen=True)
class Gaussian:
    """Standard normal points of a given shape: the usual source."""

    event: tuple[int, ...]

    def __call__(self, rng: Randomness, n: int) -> Samples:
        """Points, (n, *event)."""
        return rng.normal(n, *self.event)


@dataclass
class Particles:
    """Samples that follow any flow by an explicit scheme.

    Attributes:
        flow: Anything with velocity(q, p).
        particles: Where they are now, (n, *event).
        step: Time of one step.
        rng: Where `sample` draws from.
        scheme: `euler`, `heun` or `rk4` of `pushforward.dynamics.integrate`.
        project: Applied after each step, for example a clamp to the data's box.
        source: Law of the first particles, (rng, n) -> (n, *event); new points for `sample` come from it.
        record: Keep every step's field, so that `transport` can carry new points along.
        compile: Compile critic updates, optimiser and move into one graph; for a `CriticFlow` with Adam.
        tape: The recorded fields, oldest first.
    """

    flow: Flow
    particles: Samples
    step: float
    rng: Randomness
    scheme: Integrator = euler
    project: Callable[[Samples], Samples] | None = None
    source: Callable[[Randomness, int], Samples] | None = None
    record: bool = False
    compile: bool = False
    tape: list[dict[str, Tensor]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.record and not isinstance(self.flow, Replayable):
            raise UsageError(f"record=True needs a flow with snapshot and replay; {type(self.flow).__name__} has none")

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One step of all particles for each yield.

        Args:
            batches: Endless batches of data, (m, *event).
            start: Number of steps done before.
        """
        advance = self._compiled() if self.compile else self._advance
        for k, batch in zip(count(start), batches):
            yield advance(unpack(batch)[0], k)

    def _advance(self, p: Samples, k: int) -> Logs:
        velocity = self.flow.velocity(self.particles, p)
        self._write()
        before = self.particles
        moved = self.scheme(velocity, before, k * self.step, self.step)
        speed = ((moved - before) / self.step).square().sum().div(len(moved)).sqrt()
        self.particles = moved if self.project is None else self.project(moved)
        return getattr(self.flow, "logs", {}) | {"speed": speed}

    def _compiled(self) -> Callable[[Samples, int], Logs]:
        from pushforward.flows.compiled import compiled_step

        stride = compiled_step(self.flow, self.step, self.scheme)

        def advance(p: Samples, k: int) -> Logs:
            moved, logs = stride(self.particles, p)
            self._write()
            self.particles = moved if self.project is None else self.project(moved)
            return logs

        return advance

    def _write(self) -> None:
        if self.record and isinstance(self.flow, Replayable):
            self.tape.append(self.flow.snapshot())

    def transport(self, x: Samples) -> Samples:
        """Carry new points (m, *event) along the recorded fields.

        Raises:
            UsageError: If nothing was recorded.
        """
        if not self.tape or not isinstance(self.flow, Replayable):
            raise UsageError("no fields were recorded: build Particles with record=True before it learns")
        x = x.to(self.particles)
        for k, state in enumerate(self.tape):
            x = self.scheme(self.flow.replay(state), x, k * self.step, self.step)
            x = x if self.project is None else self.project(x)
        return x

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples: fresh points from the source carried along, or else a random choice of the particles.

        Raises:
            UsageError: If more samples are wanted than there are particles, and no fields were recorded.
        """
        rng = rng or self.rng
        if self.source is not None and self.tape:
            return self.transport(self.source(rng, n))
        if n > len(self.particles):
            raise UsageError(
                f"{n} samples wanted but there are {len(self.particles)} particles: record the fields "
                "(record=True, with a source), or take fewer"
            )
        return self.particles[torch.argsort(rng.uniform(len(self.particles)))[:n].to(self.particles.device)]
