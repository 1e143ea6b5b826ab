"""A method in three stages whose nets grow at the second and are rebuilt at the third, for tests of stages."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.schedule import linear
from pushforward.training.stages import Stage, Stages
from pushforward.types import Batch, Labels, Logs, Randomness, unpack

DATA = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
OTHER = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
ADAM = partial(Adam, lr=1e-2, betas=(0.5, 0.9))


def layers(*sizes: int, seed: int = 0) -> nn.Sequential:
    with seeded(seed):
        parts = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
        return nn.Sequential(*parts[:-1]).double()


@dataclass
class Growing:
    """A generator pulled to the data's mean, grown and given a judge, then rebuilt around what it learned.

    Attributes:
        seed: Seed of the first net.
        small: Steps of the first stage.
        grown: Steps of the second.
        tired: Steps after which the second ends by itself.
    """

    seed: int = 0
    small: int = 3
    grown: int = 4
    tired: int | None = None
    generator: Learner = field(init=False)
    judge: Learner | None = field(default=None, init=False)
    rng: Randomness = field(init=False)
    other: Batches[Tensor] = field(init=False)
    goal: Tensor = field(default_factory=lambda: torch.zeros(8, 2, dtype=torch.float64), init=False)
    stages: Stages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.generator = Learner(layers(2, 6, 2, seed=self.seed), ADAM, ema=0.9, schedule=linear(40))
        self.rng, self.other = Noise(self.seed, dtype=torch.float64), Batches(OTHER, 8, seed=3)
        self.stages = Stages(
            (
                Stage("small", self.small, self.pull),
                Stage("grown", self.grown, self.against, self.grow, self.aim, batches=self.other),
                Stage("rebuilt", None, self.follow, self.rebuild, self.aim),
            )
        )

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        return self.stages.learn(self, batches, start)

    def restore(self, step: int) -> None:
        self.stages.restore(self, step)

    @property
    def stage(self) -> str:
        return self.stages.stage

    @property
    def stopped(self) -> str:
        return self.stages.stopped

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Tensor:
        with torch.no_grad():
            return self.generator.sampler((rng or self.rng).normal(n, 2).double())

    def pull(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        for batch in batches:
            x = unpack(batch)[0]
            yield self._fit(x)

    def against(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        for k, batch in enumerate(self._until(batches, start)):
            x = unpack(batch)[0]
            assert self.judge is not None
            self.judge.descend((self.judge(x) - 1).square().mean())
            yield self._fit(x) | {"k": torch.tensor(float(start + k))}

    def _until(self, batches: Iterable[Batch], start: int) -> Iterator[Batch]:
        stream = iter(batches)
        while self.tired is None or start < self.tired:
            yield next(stream)
            start += 1

    def follow(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        for batch in batches:
            yield self._fit(unpack(batch)[0] + self.goal.mean(0))

    def _fit(self, x: Tensor) -> Logs:
        z = self.rng.normal(len(x), 2)
        loss = (self.generator(z) - x).square().mean()
        self.generator.descend(loss)
        return {"loss": loss.detach()}

    def grow(self) -> None:
        with seeded(7):
            self.generator.net.extend([nn.Tanh(), nn.Linear(2, 2)])
        self.generator.net.double()
        self.judge = Learner(layers(2, 5, 1, seed=8), ADAM, ema=0.9)

    def rebuild(self) -> None:
        net: Any = self.generator.net
        self.generator.adopt(nn.Sequential(layers(2, 2, seed=11), *net))

    def aim(self) -> None:
        with torch.no_grad():
            self.goal = self.generator.net(self.goal + 0.5)
