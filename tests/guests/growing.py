"""A guest: a generator that learns in two stages and grows between them, against a critic of the second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam

from pushforward.data import Batches, load
from pushforward.randomness import Noise, seeded, stream
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner
from pushforward.training.stages import Stage, Stages
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, unpack

ADAM = partial(Adam, lr=2e-3, betas=(0.5, 0.9))


class Residual(nn.Module):
    """x + W₂ tanh(W₁ x), the identity at first, so that a net that grows by it goes on where it was."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, d)."""
        return x + self.outer(torch.tanh(self.inner(x)))


@dataclass
class Growing:
    """First the moments of the data, by a linear map; then, grown by a layer, their law, against a critic.

    Attributes:
        dim: Dimensions.
        first: Steps of the first stage.
        second: Steps of the second.
        width: Units of what grows.
        rng: Where latents come from.
    """

    dim: int
    first: int
    second: int
    width: int
    rng: Noise
    generator: Learner = field(init=False)
    critic: Learner | None = field(default=None, init=False)
    stages: Stages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.generator = Learner(nn.Sequential(nn.Linear(self.dim, self.dim)), ADAM, ema=0.9)
        self.stages = Stages(
            (Stage("moments", self.first, self.moments), Stage("law", self.second, self.against, build=self.grow))
        )

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One stage after the other."""
        return self.stages.learn(self, batches, start)

    def restore(self, step: int) -> None:
        """Build what was there after so many steps."""
        self.stages.restore(self, step)

    @property
    def stage(self) -> str:
        """The stage that did the last step."""
        return self.stages.stage

    def grow(self) -> None:
        """What the second stage needs; drawn anew, the same way, where a checkpoint of it is to be loaded."""
        with torch.random.fork_rng():
            torch.manual_seed(1)
            net = self.generator.net
            assert isinstance(net, nn.Sequential)
            net.append(Residual(self.dim, self.width))
            critic = nn.Sequential(nn.Linear(self.dim, self.width), nn.Tanh(), nn.Linear(self.width, 1))
        self.critic = Learner(critic, ADAM)

    def moments(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        """Match mean and covariance of a batch."""
        for batch in batches:
            x, _ = unpack(batch)
            y = self.generator(self.rng.normal(*x.shape))
            loss = (y.mean(0) - x.mean(0)).square().sum() + (y.T.cov() - x.T.cov()).square().sum()
            self.generator.descend(loss)
            yield {"moments": loss.detach()}

    def against(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        """A critic's step, then a generator's."""
        for batch in batches:
            x, _ = unpack(batch)
            assert self.critic is not None
            y = self.generator(self.rng.normal(*x.shape))
            loss = softplus(-self.critic(x)).mean() + softplus(self.critic(y.detach())).mean()
            self.critic.descend(loss)
            self.generator.descend(softplus(-self.critic(y)).mean())
            yield {"critic": loss.detach()}

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """Push latents through."""
        with torch.no_grad():
            return self.generator.sampler((rng or self.rng).normal(n, self.dim))


def experiment(
    *, data: str = "toy:moons", first: int = 200, second: int = 200, batch: int = 64, width: int = 16, seed: int = 0
) -> Experiment:
    """A generator that grows. Expect the moments of the data after the first stage.

    Args:
        data: toy:NAME or PATH[:key].
        first: Steps of the first stage.
        second: Steps of the second.
        batch: Rows in a step.
        width: Units of the layer that is added, and of the critic.
        seed: Seed of everything.
    """
    found = load(data, seed=seed)
    with seeded(seed):
        method = Growing(found.event[0], first, second, width, stream(seed, "train"))
    return Experiment(method, Batches(found.train, batch, seed=seed), found, first + second, threads=1)
