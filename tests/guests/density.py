"""A guest: a normal law with any covariance, fitted by gradient; it answers for its density."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, load
from pushforward.randomness import Noise, stream
from pushforward.terms import Term
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, Scores, unpack

TERMS = {
    "surprise": Term(
        "Surprise of a batch",
        "Mean −log q of the rows that were learned from. Healthy: falling, then level at the entropy.",
        remedy="lower --rate, the steps are too long for this scale",
        live=True,
    )
}


class Normal(nn.Module):
    """N(m, (L Lᵀ)⁻¹) with L lower triangular: the whitening Lᵀ(x − m) is linear in what is learned."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dim))
        self.lower = nn.Parameter(torch.zeros(dim, dim))
        self.log_diagonal = nn.Parameter(torch.zeros(dim))

    def root(self) -> Tensor:
        """L, (d, d)."""
        return self.lower.tril(-1) + torch.diag(self.log_diagonal.exp())

    def forward(self, x: Samples) -> Scores:
        """log q(x), (n,), in nats."""
        white = (x - self.mean) @ self.root()
        return self.log_diagonal.sum() - 0.5 * (white.square().sum(1) + x.shape[1] * math.log(2 * math.pi))

    def draw(self, z: Tensor) -> Samples:
        """Points of standard normal z."""
        return self.mean + torch.linalg.solve_triangular(self.root(), z, upper=False, left=False)


@dataclass
class Fit:
    """Maximum likelihood by gradient.

    Attributes:
        law: The law, a net.
        rng: Where samples come from.
    """

    law: Learner
    rng: Noise

    @property
    def terms(self) -> Mapping[str, Term]:
        """What the numbers of the log are."""
        return TERMS

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One step of gradient descent on −log q a step."""
        for batch in batches:
            x, _ = unpack(batch)
            loss = -self.law(x).mean()
            self.law.descend(loss)
            yield {"surprise": loss.detach()}

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        """log q(x), (n,), with respect to model units."""
        return self.law.sampler(x)

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """Draw from the law."""
        net = self.law.sampler
        assert isinstance(net, Normal)
        with torch.no_grad():
            return net.draw((rng or self.rng).normal(n, len(net.mean)).to(net.mean.device))


def experiment(*, data: str, steps: int = 300, rate: float = 0.05, seed: int = 0) -> Experiment:
    """A normal law by maximum likelihood. Expect the mean and covariance of the training rows."""
    found = load(data, seed=seed)

    def falling(done: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * min(done / steps, 1.0)))

    learner = Learner(Normal(found.event[0]), partial(Adam, lr=rate), schedule=falling)
    return Experiment(
        Fit(learner, stream(seed, "train")), Batches(found.train, len(found.train), seed=seed), found, steps
    )
