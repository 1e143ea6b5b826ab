"""A guest: a flow from one data set to another, by regression on straight lines; the sources are a second stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, load
from pushforward.randomness import Noise, derive, seeded, stream
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, unpack


@dataclass
class Between:
    r"""Learn :math:`v(x_t, t) \approx \mathbb{E}[x_1 - x_0 \mid x_t]` on :math:`x_t = (1 - t)x_0 + t x_1`.

    Attributes:
        field: (x, t) joined, (n, d + 1) -> velocity (n, d).
        sources: Endless batches of x_0; that of x_1 comes with `learn`.
        rng: Times t.
        moves: Euler steps of a transport.
    """

    field: Learner
    sources: Batches[Tensor]
    rng: Noise
    moves: int = 50

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One regression a step."""
        for batch in batches:
            x1, _ = unpack(batch)
            x0 = next(self.sources)
            t = self.rng.uniform(len(x1), 1)
            loss = (self.field(torch.cat([x0 + t * (x1 - x0), t], 1)) - (x1 - x0)).square().mean()
            self.field.descend(loss)
            yield {"regression": loss.detach()}

    def transport(self, x: Samples, labels: Labels | None = None) -> Samples:
        """Carry points of the first law to the second."""
        with torch.no_grad():
            for k in range(self.moves):
                t = x.new_full((len(x), 1), k / self.moves)
                x = x + self.field.sampler(torch.cat([x, t], 1)) / self.moves
        return x

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """Rows of the first data set, carried."""
        rows = self.sources.x
        return self.transport(rows[(rng or self.rng).integers(len(rows), n).to(rows.device)])


def experiment(
    *, sources: str, data: str, steps: int = 400, batch: int = 128, width: int = 64, seed: int = 0
) -> Experiment:
    """Carry one table onto another. Expect the law of the second to within a tenth of its spread.

    Args:
        sources: Table of points to carry, PATH[:key].
        data: Table of points to carry them to, PATH[:key].
        steps: Steps of training.
        batch: Rows of each in a step.
        width: Units of the two hidden layers.
        seed: Seed of everything.
    """
    target = load(data, seed=seed)
    first = load(sources, seed=seed)
    rows = target.encode(first.decode(first.train))
    d = rows.shape[1]
    with seeded(seed):
        net = nn.Sequential(nn.Linear(d + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, d))
    learner = Learner(net, partial(Adam, lr=3e-3), ema=0.99, schedule=lambda done: 1 - 0.9 * min(done / steps, 1))
    method = Between(learner, Batches(rows, batch, seed=derive(seed, "data")), stream(seed, "train"))
    return Experiment(method, Batches(target.train, batch, seed=seed), target, steps, threads=1)
