r"""A guest: a net that knows the time, learned by denoising score matching, sampled by a stochastic equation.

.. math::
    x_t = e^{-t} x_0 + \sqrt{1 - e^{-2t}}\, z, \qquad
    \mathrm{d}x = \bigl(x + (1 + \lambda)\, s(x, t)\bigr)\,\mathrm{d}\tau + \sqrt{2 \lambda}\,\mathrm{d}w

backwards from noise, :math:`\tau = T - t`, with the score s = -E[z | x_t] / σ_t.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, load
from pushforward.randomness import Noise, seeded, stream
from pushforward.settings.options import Weight
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, unpack

LONGEST, SHORTEST = 3.0, 0.01  # times: nearly noise, nearly data


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Attributes:
        steps: Steps of the solver.
        churn: λ, the noise put in: 1 the reverse diffusion, 0 the probability flow.
        last: Whether the last step only denoises.
    """

    steps: int = 100
    churn: Weight = 1.0
    last: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.churn < 0:
            raise ValueError(f"steps {self.steps}, churn {self.churn}: give at least 1 step and no negative noise")


@dataclass
class Diffusion:
    """Denoise data of every noise level.

    Attributes:
        noise: (x, σ_t) joined, (n, d + 1) -> the noise in x, (n, d), less what standard normal data would have.
        rng: Times and noises.
        event: Shape of a sample.
        sampling: How samples are drawn.
    """

    noise: Learner
    rng: Noise
    event: tuple[int, ...]
    sampling: Sampling = field(default_factory=Sampling)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One regression a step."""
        for batch in batches:
            x, _ = unpack(batch)
            t = SHORTEST + (LONGEST - SHORTEST) * self.rng.uniform(len(x), 1)
            z = self.rng.normal(*x.shape)
            seen = (-t).exp() * x + _sigma(t) * z
            loss = (_usual(seen, t) + self.noise(_joined(seen, t)) - z).square().mean()
            self.noise.descend(loss)
            yield {"denoising": loss.detach()}

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """Draw noise and run the diffusion backwards."""
        rng, how = rng or self.rng, self.sampling
        x = rng.normal(n, *self.event)
        times = torch.linspace(math.log(LONGEST), math.log(SHORTEST), how.steps + 1).exp()
        with torch.no_grad():
            for now, then in pairwise(times):
                t, span = now.expand(n, 1), float(now - then)
                score = -(_usual(x, t) + self.noise.sampler(_joined(x, t))) / _sigma(t)
                x = x + span * (x + (1 + how.churn) * score)
                if not (how.last and then is times[-1]):
                    x = x + math.sqrt(2 * how.churn * span) * rng.normal(n, *self.event)
        return x


def _usual(x: Tensor, t: Tensor) -> Tensor:
    """The noise in x if data were standard normal; the net learns what this leaves."""
    return _sigma(t) * x


def _joined(x: Tensor, t: Tensor) -> Tensor:
    return torch.cat([x, _sigma(t)], 1)


def _sigma(t: Tensor) -> Tensor:
    return (1 - (-2 * t).exp()).sqrt()


def experiment(
    *, data: str = "toy:ring8", steps: int = 300, batch: int = 256, width: int = 64, seed: int = 0
) -> Experiment:
    """A diffusion model of points. Expect samples that are hardly told apart from the data with 100 steps.

    Args:
        data: digits, toy:NAME or PATH[:key].
        steps: Steps of training.
        batch: Rows in a step.
        width: Units of the two hidden layers.
        seed: Seed of everything.
    """
    found = load(data, seed=seed)
    d = found.event[0]
    with seeded(seed):
        net = nn.Sequential(nn.Linear(d + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, d))
    method = Diffusion(
        Learner(net, partial(Adam, lr=3e-3), ema=0.99, schedule=lambda done: 1 - 0.9 * min(done / steps, 1)),
        stream(seed, "train"),
        found.event,
    )
    return Experiment(method, Batches(found.train, batch, seed=seed), found, steps, threads=1)
