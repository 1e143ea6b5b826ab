r"""Laws of numbers that take levels 0, ..., K - 1, as pixels do: what a decoder's outputs say of each of them.

A continuous law on [0, K) is cut at whole numbers, and what lies beyond the ends belongs to the first and last level:

.. math:: P(y) = F(e_{y+1}) - F(e_y), \qquad e_y = y, \quad e_0 = -\infty, \quad e_K = \infty,

so that the probabilities of all levels sum to 1. The differences are taken in logarithms: 60 widths from the middle a
plain difference of two logistic functions is 0, in double precision too.

Parameters :math:`\theta` stand in the second axis, (n, `outputs`, \*event), and are numbers without bounds:
locations m and logarithms of widths a in units in which the levels fill [-1, 1], :math:`\mu = K(m + 1)/2`,
:math:`s = e^a K/2`; and logits.

References:
    PixelCNN++ (Salimans et al., 2017), arXiv:1701.05517, for mixtures of logistic laws;
    Improving variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus
from torch.special import log_ndtr

from pushforward.errors import DataError, UsageError
from pushforward.types import Randomness, Samples, Scores

__all__ = ["Bernoulli", "Categorical", "Discretised", "Levels", "log_interval"]

OFF = 1e-3  # of the distance of two levels: so far from one may a number be
Shape = Literal["logistic", "normal"]


@dataclass(frozen=True)
class Levels:
    """K numbers that lie evenly from `low` to `high`: what data in model units may be.

    Attributes:
        count: K, at least 2.
        low: The first level.
        high: The last one.

    Raises:
        UsageError: If there are fewer than two, or they do not rise.
    """

    count: int
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 2 or not self.low < self.high:
            raise UsageError(
                f"{self.count} levels from {self.low:g} to {self.high:g}: give at least 2, and low below high"
            )

    def index(self, x: Samples) -> Samples:
        """Which level each number is, 0, ..., K - 1, in the type of x.

        Raises:
            DataError: If one lies on none: names it, and what there is.
        """
        place = (x - self.low) * ((self.count - 1) / (self.high - self.low))
        y = place.round()
        least, largest = y.aminmax() if y.numel() else (y.new_zeros(()), y.new_zeros(()))
        far = (place - y).abs_().amax() if y.numel() else least
        if not bool((far <= OFF) & (least >= 0) & (largest < self.count)):  # so that NaN is on none
            wrong = ~(((place - y).abs() <= OFF) & (y >= 0) & (y < self.count))
            raise DataError(
                f"{int(wrong.sum())} of {x.numel()} numbers, such as {float(x[wrong][0]):.6g}, are on none of the "
                f"{self.count} levels from {self.low:g} to {self.high:g}: round the data, or name the levels they have"
            )
        return y

    def value(self, y: Tensor) -> Samples:
        """The numbers of levels 0, ..., K - 1."""
        return self.low + y * ((self.high - self.low) / (self.count - 1))

    def values(self, like: Tensor) -> Tensor:
        """All K numbers, (K,), where and in the type that another tensor is."""
        return self.value(torch.arange(self.count, device=like.device, dtype=like.dtype))


def log_interval(a: Tensor, b: Tensor, shape: Shape = "logistic") -> Tensor:
    r""":math:`\log(F(b) - F(a))` for a < b, of the standard logistic or normal law, also far from its middle.

    Either end may be infinite. Of the logistic law it is :math:`\log\sigma(b) + \log\sigma(-a) + \log(1 - e^{a-b})`; of
    the normal law the difference is taken on the side of 0 where it is not one of numbers near 1.

    Args:
        a: Where intervals begin.
        b: Where they end, of a's shape.
        shape: Which law.
    """
    if shape == "logistic":
        return logsigmoid(b) + logsigmoid(-a) + torch.log(-torch.expm1(a - b))
    right = a + b > 0
    low, high = torch.where(right, -b, a), torch.where(right, -a, b)
    top, bottom = log_ndtr(high), log_ndtr(low)
    return top + torch.log(-torch.expm1(bottom - top))


@dataclass(frozen=True)
class Bernoulli:
    r"""Two levels: :math:`P(1) = \sigma(\theta)`.

    Attributes:
        levels: The two numbers.
    """

    levels: Levels = Levels(2)

    def __post_init__(self) -> None:
        if self.levels.count != 2:
            raise UsageError(f"{self.levels.count} levels: a Bernoulli law has 2; use Categorical or Discretised")

    @property
    def outputs(self) -> int:
        """One logit."""
        return 1

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        r""":math:`\sum_j \log P(x_j)`, (n,), in nats, for x (n, \*event) and theta (n, 1, \*event)."""
        y, logits = self.levels.index(x), theta[:, 0]
        return (logits * y).flatten(1).sum(1) - softplus(logits).flatten(1).sum(1)

    def mean(self, theta: Tensor) -> Samples:
        r"""Mean of x, (n, \*event)."""
        return self.levels.value(theta[:, 0].sigmoid())

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""x, (n, \*event)."""
        p = theta[:, 0].sigmoid()
        return self.levels.value((rng.uniform(*p.shape).to(p) < p).to(p))


@dataclass(frozen=True)
class Categorical:
    r"""Any probabilities of K levels: :math:`P(y) = e^{\theta_y}/\sum_k e^{\theta_k}`.

    Attributes:
        levels: The K numbers.
    """

    levels: Levels

    @property
    def outputs(self) -> int:
        """K logits."""
        return self.levels.count

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        r""":math:`\sum_j \log P(x_j)`, (n,), in nats, for x (n, \*event) and theta (n, K, \*event)."""
        own = theta.log_softmax(1).gather(1, self.levels.index(x).long()[:, None])
        return own.flatten(1).sum(1)

    def mean(self, theta: Tensor) -> Samples:
        r"""Mean of x, (n, \*event)."""
        return torch.einsum("nk...,k->n...", theta.softmax(1), self.levels.values(theta))

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""x, (n, \*event)."""
        return self.levels.value(_drawn(theta, rng).to(theta))


@dataclass(frozen=True)
class Discretised:
    r"""A logistic or normal law, or a mixture of them, cut at whole numbers.

    With one component theta holds m and a; with more the m, then the a, then the logits of the weights.

    Attributes:
        levels: The K numbers.
        shape: logistic, or normal.
        components: Laws in the mixture.
    """

    levels: Levels
    shape: Shape = "logistic"
    components: int = 1

    def __post_init__(self) -> None:
        if self.components < 1:
            raise UsageError(f"{self.components} components: give at least 1")

    @property
    def outputs(self) -> int:
        """2, or 3 for each component of a mixture."""
        return 2 if self.components == 1 else 3 * self.components

    def log_prob(self, x: Samples, theta: Tensor) -> Scores:
        r""":math:`\sum_j \log P(x_j)`, (n,), in nats, for x (n, \*event) and theta (n, `outputs`, \*event)."""
        return self._each(self.levels.index(x), theta).flatten(1).sum(1)

    def mean(self, theta: Tensor) -> Samples:
        r"""Mean of x, (n, \*event): of its level :math:`E y = \sum_{k \ge 1} P(y \ge k)`."""
        mu, s, logits = self._parts(theta)
        beyond = torch.special.ndtr if self.shape == "normal" else torch.sigmoid
        each = torch.zeros_like(mu)
        for k in range(1, self.levels.count):
            each = each + beyond((mu - k) / s)
        return self.levels.value(each[:, 0] if logits is None else (logits.softmax(1) * each).sum(1))

    def sample(self, theta: Tensor, rng: Randomness) -> Samples:
        r"""x, (n, \*event)."""
        mu, s, logits = self._parts(theta)
        if logits is not None:
            k = _drawn(logits, rng)[:, None]
            mu, s = mu.gather(1, k), s.gather(1, k)
        e = rng.normal(*mu.shape).to(mu) if self.shape == "normal" else torch.logit(rng.uniform(*mu.shape).to(mu))
        y = (mu + s * e).floor().nan_to_num(0.0).clamp(0, self.levels.count - 1)
        return self.levels.value(y[:, 0])

    def _each(self, y: Tensor, theta: Tensor) -> Tensor:
        """log P of each level y, (n, *event)."""
        y, (mu, s, logits) = y[:, None], self._parts(theta)
        a = torch.where(y == 0, -torch.inf, (y - mu) / s)
        b = torch.where(y == self.levels.count - 1, torch.inf, (y + 1 - mu) / s)
        own = log_interval(a, b, self.shape)
        return own[:, 0] if logits is None else torch.logsumexp(own + logits.log_softmax(1), 1)

    def _parts(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Locations and widths in levels, (n, components, *event), and logits of weights, or None."""
        half, k = self.levels.count / 2, self.components
        mu, s = half * (theta[:, :k] + 1), half * theta[:, k : 2 * k].exp()
        return mu, s, theta[:, 2 * k :] if k > 1 else None


def _drawn(logits: Tensor, rng: Randomness) -> Tensor:
    """Which of the K of the second axis are drawn, whole numbers (n, *event), for logits (n, K, *event)."""
    u = rng.uniform(len(logits), 1, *logits.shape[2:]).to(logits)
    return (u > logits.softmax(1).cumsum(1)).sum(1).clamp(max=logits.shape[1] - 1)
