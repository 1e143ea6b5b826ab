r"""Probabilities of levels by a density: noise on the cube bounds them, and bits for each number compare them.

A density p on :math:`[0, K)^m` gives levels y the probability :math:`P(y) = \int_{[0,1)^m} p(y + u)\,du`. With S draws
of noise u of a law q(u|y) on the cube and the log weights :math:`\ell = \log p(y + u) - \log q(u|y)`,

.. math:: E\,\ell \le E\log\tfrac1S\sum_s e^{\ell_s} \le \log P(y),

where the first gap to the end is KL(q(u|y) ‖ p(y + u)/P(y)): none where q is the law of u under the model. Uniform
noise makes the model flat within every level; noise that learns does not ask that of it.

====================  ========================================================  =======================================
a model's units       preprocessing                                             :math:`\log|dt/dx|` of each number
====================  ========================================================  =======================================
levels, [0, K)        none                                                      0
[0, 1), [-1, 1)       `Affine(K, 0, 1)`, `Affine(K, -1, 1)`                     :math:`-\log K`, :math:`\log 2 - \log K`
the line              `Logit(K, lam)`: :math:`t = \operatorname{logit} s`,      :math:`\log\frac{1 - 2\lambda}{K}
                      :math:`s = \lambda + (1 - 2\lambda) x/K`                  - \log s(1 - s)`
====================  ========================================================  =======================================

References:
    A note on the evaluation of generative models (Theis et al., 2016), arXiv:1511.01844, for uniform noise;
    Flow++ (Ho et al., 2019), arXiv:1902.00275, for noise that learns;
    Learning discrete distributions by dequantization (Hoogeboom et al., 2020), arXiv:2001.11235, for several draws;
    Density estimation using Real NVP (Dinh et al., 2017), arXiv:1605.08803, for logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.flows import FlowPosterior, NormalisingFlow
from pushforward.densities.likelihoods.discrete import Levels
from pushforward.errors import UsageError
from pushforward.types import Randomness, Samples, Scores

__all__ = [
    "Affine",
    "CubeLaw",
    "CubeNoise",
    "Dequantised",
    "Logit",
    "Preprocessed",
    "Preprocessing",
    "UniformNoise",
    "bits_per_dimension",
]


class CubeLaw(Protocol):
    """A law of noise on the unit cube, for each row of data."""

    def draw(self, x: Samples, rng: Randomness) -> tuple[Samples, Scores]:
        r"""u in :math:`[0, 1)^m`, (n, \*event), for rows x (n, \*event) in model units, and log q(u|x), (n,)."""
        ...


@dataclass(frozen=True)
class UniformNoise:
    """Noise of density 1 on the cube, whatever the row."""

    def draw(self, x: Samples, rng: Randomness) -> tuple[Samples, Scores]:
        r"""u (n, \*event), and 0 (n,)."""
        return rng.uniform(*x.shape).to(x), x.new_zeros(len(x))


class CubeNoise(nn.Module):
    r"""Noise that learns: :math:`u = \sigma(v)`, with v normal as a net says of the row, or what a flow makes of that.

    .. math:: \log q(u|x) = \log q(v|x) - \sum_j \log\sigma(v_j)\sigma(-v_j)

    Args:
        base: Rows (n, \*event) to normal laws of v, (n, m); deviations of about 1.75 come nearest to uniform noise.
        flow: T of the m numbers of a row; the row itself is its context where it takes one, of m numbers.
    """

    def __init__(self, base: Callable[[Samples], DiagonalNormal], flow: NormalisingFlow | None = None) -> None:
        super().__init__()
        self.base = base
        self.posterior = None if flow is None else FlowPosterior(flow)

    def draw(self, x: Samples, rng: Randomness) -> tuple[Samples, Scores]:
        r"""u (n, \*event), and log q(u|x), (n,); gradients flow through both.

        Raises:
            UsageError: If the base, or the flow, is of another number of numbers than a row has.
        """
        base, m = self.base(x), x[:1].numel()
        if base.mean.shape != (len(x), m):
            raise UsageError(f"noise of shape {tuple(base.mean.shape)} for {len(x)} rows of {m} numbers: give (n, m)")
        e = rng.normal(len(x), m).to(base.mean)
        if self.posterior is None:
            v = base.at(e)
            own = base.log_prob(v)
        else:
            v, own = self.posterior.draw(base, e, x.flatten(1) if self.posterior.flow.context else None)
        return v.sigmoid().reshape(x.shape), own - (logsigmoid(v) + logsigmoid(-v)).sum(1)


@dataclass(frozen=True)
class Dequantised:
    r"""What a density says of data that lie on levels.

    Attributes:
        density: log p at points (n, \*event) on [0, K), in units of levels, (n,); `Preprocessed` makes one of a density
            in other units.
        levels: The K numbers that data are, in model units.
        noise: q.
    """

    density: Callable[[Samples], Scores]
    levels: Levels
    noise: CubeLaw = UniformNoise()

    def weights(self, x: Samples, rng: Randomness, draws: int = 1) -> Tensor:
        r"""Log weights, (S, n), in nats, for rows x (n, \*event) in model units.

        A sum y + u that would round up to the next level is the largest number below it.

        Args:
            x: Rows.
            rng: What the noise is drawn from.
            draws: S, one after another, so that memory for the density is that of one.

        Raises:
            DataError: If a number lies on no level.
            UsageError: If there is no draw.
        """
        if draws < 1:
            raise UsageError(f"{draws} draws: give at least 1")
        y, found = self.levels.index(x), list[Tensor]()
        below = torch.nextafter(y + 1, y)
        for _ in range(draws):
            u, own = self.noise.draw(x, rng)
            found.append(self.density(torch.minimum(y + u, below)) - own)
        return torch.stack(found)

    def bound(self, x: Samples, rng: Randomness, draws: int = 1) -> Scores:
        """The mean of the log weights, (n,): a lower bound of log P in expectation."""
        return self.weights(x, rng, draws).mean(0)

    def importance_weighted(self, x: Samples, rng: Randomness, draws: int) -> Scores:
        """The logarithm of the mean weight, (n,): a bound that closes as the draws grow, like Var(w/P)/(2S)."""
        return torch.logsumexp(self.weights(x, rng, draws), 0) - math.log(draws)

    def cut(self, points: Samples) -> Samples:
        r"""The data, (n, \*event) in model units, that points of the density are samples of."""
        return self.levels.value(points.floor().clamp(0, self.levels.count - 1))


class Preprocessing(Protocol):
    """An invertible map of each number, from [0, K) to a model's units."""

    def __call__(self, x: Samples) -> tuple[Samples, Scores]:
        r"""t (n, \*event) and :math:`\log|dt/dx|`, summed over a row, (n,)."""
        ...

    def inverse(self, t: Samples) -> Samples:
        """x, of t's shape."""
        ...


@dataclass(frozen=True)
class Affine:
    r"""[0, K) onto [low, high): :math:`t = low + (high - low)\,x/K`.

    `Levels` puts the last level at `high` itself; here that is where its cell ends.

    Attributes:
        levels: K.
        low: Where the interval begins.
        high: Where it ends.

    Raises:
        UsageError: If it is empty.
    """

    levels: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.levels < 2 or not self.low < self.high:
            raise UsageError(
                f"{self.levels} levels onto {self.low:g} to {self.high:g}: give at least 2, and low below high"
            )

    def __call__(self, x: Samples) -> tuple[Samples, Scores]:
        r"""t (n, \*event), and :math:`m\log((high - low)/K)`, (n,)."""
        slope = (self.high - self.low) / self.levels
        return self.low + slope * x, x.new_full((len(x),), x[:1].numel() * math.log(slope))

    def inverse(self, t: Samples) -> Samples:
        """x, of t's shape."""
        return (t - self.low) * (self.levels / (self.high - self.low))


@dataclass(frozen=True)
class Logit:
    r"""[0, K) onto the line, but for its far ends: :math:`t = \operatorname{logit}(\lambda + (1 - 2\lambda)x/K)`.

    Attributes:
        levels: K.
        lam: Share of the unit interval that is left free at either end; 1e-6 is usual for MNIST, 0.05 for CIFAR-10.

    Raises:
        UsageError: If lam is not between 0 and 1/2.
    """

    levels: int
    lam: float = 1e-6

    def __post_init__(self) -> None:
        if self.levels < 2 or not 0 < self.lam < 0.5:
            raise UsageError(f"{self.levels} levels, lam {self.lam:g}: give at least 2, and lam between 0 and 0.5")

    def __call__(self, x: Samples) -> tuple[Samples, Scores]:
        r"""t (n, \*event), and :math:`\sum_j \log\frac{1 - 2\lambda}{K} - \log s_j(1 - s_j)`, (n,)."""
        slope = (1 - 2 * self.lam) / self.levels
        left, right = (self.lam + slope * x).log(), (self.lam + slope * (self.levels - x)).log()
        return left - right, (math.log(slope) - left - right).flatten(1).sum(1)

    def inverse(self, t: Samples) -> Samples:
        """x, of t's shape; outside [0, K) where t is further out than levels are."""
        return (t.sigmoid() - self.lam) * (self.levels / (1 - 2 * self.lam))


@dataclass(frozen=True)
class Preprocessed:
    r"""A density in a model's units as one in units of levels: :math:`\log p(t(x)) + \log|dt/dx|`.

    Attributes:
        density: log p at points t (n, \*event), (n,).
        preprocessing: t.
    """

    density: Callable[[Samples], Scores]
    preprocessing: Preprocessing

    def __call__(self, x: Samples) -> Scores:
        r"""log density at x (n, \*event) on [0, K), (n,)."""
        t, volume = self.preprocessing(x)
        return self.density(t) + volume


def bits_per_dimension(log_prob: Tensor, dims: int, volume: Tensor | float = 0.0) -> Tensor:
    r""":math:`-(\log p + \log|dt/dx|)/(m \log 2)`: bits for each number, K levels at random costing :math:`\log_2 K`.

    Args:
        log_prob: In nats, summed over a row: log P of levels, or a density at points.
        dims: m.
        volume: :math:`\log|dt/dx|` of the units in which it is a density, at the same points, as a `Preprocessing`
            gives it; 0 for log P and for a density in units of levels.

    Raises:
        UsageError: If there is no number in a row.
    """
    if dims < 1:
        raise UsageError(f"{dims} numbers in a row: give at least 1")
    return -(log_prob + volume) / (dims * math.log(2))
