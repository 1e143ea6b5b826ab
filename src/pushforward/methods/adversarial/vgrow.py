"""VGrow: move a pool of the generator's samples along the flow, then regress the generator on where they went.

    z ~ latent;  x = G(z)
    `moves` times:  v = flow.velocity(x, p);  x <- project(x + step * v(x)), no particle further than `radius`
    `fits` times:   theta <- theta - rate * grad E ||G_theta(z) - x||^2 / 2

References:
    Deep generative learning via variational gradient flow (Gao et al., 2019), arXiv:1901.08469.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import torch
from torch import Tensor

from pushforward.dynamics.velocity import limited, observed, restrained
from pushforward.flows.critic import conditional
from pushforward.methods.adversarial import lag
from pushforward.methods.sources import Box, Latent, Pass, generate
from pushforward.training.learner import Learner
from pushforward.types import (
    Batch,
    Flow,
    Given,
    Labels,
    Logs,
    Randomness,
    Samples,
    Scalar,
    Schedule,
    Untrained,
    able,
    logged,
    unpack,
)

__all__ = ["Balance", "VGrow", "clamp", "gan", "paper", "paper_fits", "regression", "shrinking"]


def regression(x: Samples, y: Samples) -> Scalar:
    r"""Half the mean squared distance, :math:`\tfrac{1}{2n}\sum_i\|x_i - y_i\|^2`."""
    return (x - y).square().sum() / (2 * len(x))


def clamp(low: float, high: float) -> Box:
    """The projection onto a box, for data that live in one."""
    return Box(low, high)


@dataclass(frozen=True)
class Balance:
    """What lets a generator keep up with its particles, and a critic with both.

    Attributes:
        pool: Particles in a pool, as a multiple of the batch.
        fits: Passes of the regression over the pool.
        radius: Furthest that a particle goes in one move at the start, in units of the data's spread.
    """

    pool: int
    fits: int
    radius: float

    @staticmethod
    def of(
        moves: int, size: int, pool: int | None = None, fits: int | None = None, radius: float | None = None
    ) -> Balance:
        r"""What suits so many moves, where it is not given.

        One move: one batch, one fit, no radius, which is a GAN. Several: up to five batches, of which the critic learns
        none by heart; an update of the generator for each move; and together the moves go no further than about half
        the data's spread, :math:`0.46\sqrt{\text{size}}`.

        Args:
            moves: Moves of a pool.
            size: Numbers in a sample.
            pool: As `Balance` has it; None for what suits.
            fits: Likewise.
            radius: Likewise.
        """
        pool = pool or min(moves, 5)
        fits = fits or math.ceil(moves / pool)
        return Balance(pool, fits, radius or (0.46 * size**0.5 / moves if moves > 1 else math.inf))


def shrinking(radius: float, schedule: Schedule) -> float | Callable[[int], float]:
    """A radius times what a schedule says for the number of the step; an infinite one stays so."""
    return radius if radius == math.inf else partial(_shrunk, radius, schedule)


def _shrunk(radius: float, schedule: Schedule, step: int) -> float:
    return radius * schedule(step)


@dataclass
class VGrow:
    r"""A generator that follows the gradient flow of a divergence.

    With one move and one fit a step *is* a GAN step: its gradient is `step` times that of the generator loss
    :math:`\mathbb{E}\,\psi(d(G(z)))`. More moves and fits follow the flow further between two looks at the generator.

    Attributes:
        generator: The generator and how it learns.
        flow: The flow it follows: anything with velocity(q, p); a `CriticFlow` where there are labels.
        latent: Law of z.
        rng: Where latents and the order of the pool come from.
        pool: Particles in a pool, as a multiple of the batch.
        moves: Moves of the pool, with one call of the flow each.
        fits: Passes over the pool in the regression, or a function of the step's number.
        step: Length of a move, in data units per unit velocity.
        radius: Furthest that a particle goes in one move, in data units, or a function of the step's number. Where the
            log-ratio is steep, as beside a narrow mode of width s, steps above :math:`s^2` do not settle in it: at one
            move only the direction counts for an optimiser such as Adam, at several the particles are really there.
        project: Applied after each move, for example `clamp(-1, 1)`.
        eval_moves: Draw the pool with the generator in evaluation mode, as the published code does. Then the particles
            differ from what the regression sees wherever there is a batch norm.
        kept_up: What looks at lag and staleness have added up to; nothing with one move. See `lag`.
    """

    generator: Learner
    flow: Flow
    latent: Latent
    rng: Randomness
    pool: int = 1
    moves: int = 1
    fits: int | Callable[[int], int] = 1
    step: float = 1.0
    radius: float | Callable[[int], float] = math.inf
    project: Callable[[Samples], Samples] | None = None
    eval_moves: bool = False
    kept_up: lag.Ledger = field(default_factory=list, repr=False)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One step for each yield: a pool of the generator's samples moved, and the generator fitted to it.

        Args:
            batches: Endless batches of data (n, *event), or of (data, labels) for conditional nets.
            start: Number of steps done before, for `fits` and a `radius` that depend on it.
        """
        stream = iter(batches)
        for k in count(start):
            radius = self.radius(k) if callable(self.radius) else self.radius
            p, labels = unpack(next(stream))
            pool, logs = self._draw(len(p), labels), {}
            for move in range(self.moves):
                if move:
                    p, labels = unpack(next(stream))
                logs = self._move(pool, p, labels, radius)
            fits = self.fits if isinstance(self.fits, int) else self.fits(k)
            logs = logs | {"regression": self._fit(pool, fits)}
            yield logs | self._look(pool, k + 1)

    def remarks(self, steps: int) -> tuple[str, ...]:
        """That the generator lags its particles, or that the critic is stale; empty as long as neither is seen."""
        return lag.remarks(self.kept_up)

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event) of the generator's average."""
        return generate(self.generator, self.latent, n, rng or self.rng, labels)

    def one_pass(self) -> Pass:
        """The generator's average, and the law of its latents."""
        return Pass(self.latent, (self.generator.sampler,))

    def _draw(self, n: int, labels: Labels | None) -> _Pool:
        """A pool of `self.pool` rows and n columns; a column keeps its class through all rows."""
        z = torch.stack([self.latent(self.rng, n) for _ in range(self.pool)])
        if self.pool == 1 and not self.eval_moves:
            x = self._generate(z[0], labels, self.generator)
            return _Pool(z, x.detach()[None], labels, x)
        net = self.generator.net
        with torch.no_grad():
            net.train(not self.eval_moves)
            x = torch.stack([self._generate(row, labels, self.generator.evaluate) for row in z])
            net.train()
        return _Pool(z, x, labels)

    def _generate(self, z: Tensor, labels: Labels | None, generator: Callable[..., Samples]) -> Samples:
        return generator(z) if labels is None else generator(z, labels)

    def _move(self, pool: _Pool, p: Samples, labels: Labels | None, radius: float) -> Logs:
        """Show the flow one particle of every column, then move all particles."""
        q = pool.x[0] if self.pool == 1 else _pick(pool.x, self.rng.integers(self.pool, pool.x.shape[1]))
        if pool.labels is None or labels is None:
            velocity = self.flow.velocity(q, p)
        else:
            velocity = conditional(self.flow).velocity(q, p, (pool.labels, labels))
            velocity = velocity.given(pool.labels.repeat(self.pool)) if able(velocity, Given) else velocity
        x, pool.shown = pool.x.flatten(0, 1), q
        v, logs = observed(velocity, x)
        if radius < math.inf:
            v, share = limited(v, radius / self.step)
            logs |= {"clipped": share, "speed": v.square().sum().div(len(v)).sqrt()}
        moved = x + self.step * v
        if self.project is not None:
            free, moved = moved, self.project(moved)
            made = restrained(self.project, v, x, self.step, free, moved)
            logs["speed"] = made.square().sum().div(len(v)).sqrt()  # of a sample that a wall holds 0
        pool.x = moved.view_as(pool.x)
        return logged(self.flow) | logs

    def _fit(self, pool: _Pool, fits: int) -> Scalar:
        """Passes over the pool, in minibatches of one particle from every column."""
        loss = pool.x.new_zeros(())
        for _ in range(fits):
            order = [None] if self.pool == 1 else self.rng.permutations(self.pool, pool.x.shape[1])
            for rows in order:
                x = pool.drawn
                if x is None:
                    z = pool.z[0] if rows is None else _pick(pool.z, rows)
                    x = self._generate(z, pool.labels, self.generator)
                pool.drawn = None  # the graph of the draw serves the first fit only
                loss = regression(x, pool.x[0] if rows is None else _pick(pool.x, rows))
                self.generator.descend(loss)
        return loss.detach()

    @torch.no_grad()
    def _look(self, pool: _Pool, step: int) -> Logs:
        """How far the generator is from its particles, now and then.

        There is no look with one move, where the flow sees the generator's very samples, nor at a flow that learns
        nothing. It is a pass in the mode of the draw; what that leaves in the net's buffers is taken back.
        """
        if self.moves == 1 or step % lag.EVERY or pool.shown is None:
            return {}
        if able(self.flow, Untrained) and self.flow.untrained:
            return {}
        net = self.generator.net
        kept = [buffer.clone() for buffer in net.buffers()]
        net.train(not self.eval_moves)
        now = self._generate(pool.z[0], pool.labels, self.generator.evaluate)
        net.train()
        for buffer, value in zip(net.buffers(), kept, strict=True):
            buffer.copy_(value)
        return lag.note(self.kept_up, step, now, pool.x[0], pool.start, pool.shown)


@dataclass
class _Pool:
    """Latents z (rows, n, ...), particles x (rows, n, *event), the columns' classes, and the draw with its graph.

    Also where the first row was drawn, `start`, and what the flow was `shown` last, each (n, *event).
    """

    z: Tensor
    x: Tensor
    labels: Labels | None
    drawn: Tensor | None = None
    start: Samples = field(init=False)
    shown: Samples | None = None

    def __post_init__(self) -> None:
        self.start = self.x[0]


def _pick(pool: Tensor, rows: Tensor) -> Tensor:
    """The particle in row rows[j] of every column j."""
    return pool[rows.to(pool.device), torch.arange(pool.shape[1], device=pool.device)]


def gan(generator: Learner, flow: Flow, latent: Latent, rng: Randomness, *, step: float = 1.0) -> VGrow:
    """One move and one fit: exactly a GAN whose generator loss is the mean of psi(d)."""
    return VGrow(generator, flow, latent, rng, step=step)


def paper_fits(milestones: tuple[int, ...] = (200, 1000, 1500)) -> Callable[[int], int]:
    """Passes of the published regression: 5, and another 5 from each milestone on.

    Args:
        milestones: Step numbers; (600, 2000, 3000) was meant for CIFAR-10.
    """
    return lambda k: 5 * (1 + sum(k >= milestone for milestone in milestones))


def paper(generator: Learner, flow: Flow, latent: Latent, rng: Randomness) -> VGrow:
    """The published code's outer loop: a pool of 20 batches, 20 moves of 0.5 kept in [-1, 1], 5 to 20 fits.

    Args:
        generator: The published one is a residual net with batch norm and spectral norm; RMSprop at 1e-4.
        flow: The published one takes one critic update a move.
        latent: The published one is normal of size 128.
        rng: Where latents come from.
    """
    return VGrow(
        generator,
        flow,
        latent,
        rng,
        pool=20,
        moves=20,
        fits=paper_fits(),
        step=0.5,
        project=clamp(-1, 1),
        eval_moves=True,
    )
