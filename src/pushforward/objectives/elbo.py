r"""Lower bounds of a log-likelihood from three log densities, with no constant dropped.

With S draws z of q(z|x) and the log weights :math:`\ell = \log p(x|z) + \log p(z) - \log q(z|x)`,

.. math:: \mathrm{ELBO} = E\,\ell \le E\log\tfrac1S\sum_s e^{\ell_s} \le \log p(x),

where the first gap is KL(q(z|x) ‖ p(z|x)) and the second closes as S grows, like Var(w/p)/(2S). What is descended is
`Weighting.loss` or minus `importance_weighted`; what is logged, `elbo`; what is measured, `LogMean`.

References:
    Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114;
    Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519;
    Doubly reparameterized gradient estimators for Monte Carlo objectives (Tucker et al., 2019), arXiv:1810.04152.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Scalar, Scores

__all__ = ["LogMean", "Parts", "Weighting", "doubly_reparametrised", "elbo", "importance_weighted"]


@dataclass(frozen=True)
class Parts:
    """The three log densities of S draws for each of n rows, (S, n), in nats, each summed over its event.

    Attributes:
        likelihood: log p(x|z).
        prior: log p(z).
        posterior: log q(z|x).
    """

    likelihood: Tensor
    prior: Tensor
    posterior: Tensor

    @property
    def weights(self) -> Tensor:
        """Log weights, (S, n)."""
        return self.likelihood + self.prior - self.posterior

    @property
    def divergence(self) -> Scores:
        """An estimate of KL(q(z|x) ‖ p(z)), (n,): the mean of log q - log p over the draws."""
        return (self.posterior - self.prior).mean(0)


@dataclass(frozen=True)
class Weighting:
    r"""What is descended in place of the bound, and told beside it: :math:`-E\log p(x|z) + \beta\max(KL, \lambda)`.

    Attributes:
        beta: Weight of the divergence; 1 for the bound itself.
        free: Nats of the divergence's mean over a batch that cost nothing, lambda.
        warmup: Steps in which beta rises from 0 along a straight line.
    """

    beta: float = 1.0
    free: float = 0.0
    warmup: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.beta < math.inf and 0 <= self.free < math.inf and self.warmup >= 0):
            raise UsageError(f"beta {self.beta:g}, free {self.free:g}, warmup {self.warmup}: give numbers from 0 on")

    def at(self, step: int) -> float:
        """beta in a step, counted from 0."""
        return self.beta * min(1.0, (step + 1) / (self.warmup + 1))

    def loss(self, parts: Parts, step: int = 0) -> Scalar:
        """The mean over rows and draws: minus the mean of `elbo` where beta is 1 and nothing is free."""
        cost = parts.divergence.mean()
        if self.free:
            cost = cost.clamp_min(self.free)
        return self.at(step) * cost - parts.likelihood.mean()


def elbo(parts: Parts) -> Scores:
    """The evidence lower bound of each row, (n,)."""
    return parts.weights.mean(0)


def importance_weighted(parts: Parts) -> Scores:
    r""":math:`\log\tfrac1S\sum_s e^{\ell_s}` of each row, (n,)."""
    return torch.logsumexp(parts.weights, 0) - math.log(len(parts.weights))


def doubly_reparametrised(parts: Parts) -> Scores:
    r"""A number whose slope in q's parameters is that of the importance-weighted bound, of less variance: (n,).

    .. math:: \nabla_\phi L_S = E\sum_s \bar w_s^2\,\frac{\partial \ell_s}{\partial z_s}\nabla_\phi z_s, \qquad
        \bar w = e^{\ell}/\textstyle\sum e^{\ell}

    Args:
        parts: Log densities at draws through which gradients flow, :math:`\log q` with parameters that do not learn, so
            that it depends on them by z alone. Its slope is for q's parameters only: those of p learn by
            `importance_weighted`.
    """
    share = parts.weights.detach().softmax(0)
    return (share.square() * parts.weights).sum(0)


@dataclass
class LogMean:
    """The logarithm of a mean of weights that come in blocks, and how many of them count: memory of one block.

    Attributes:
        total: Logarithm of the sum of the weights so far, (n,).
        squares: That of their squares.
        count: How many there were.
    """

    total: Tensor | None = field(default=None)
    squares: Tensor | None = field(default=None)
    count: int = 0

    def add(self, weights: Tensor) -> None:
        """Take log weights (k, n)."""
        own, own_squares = torch.logsumexp(weights, 0), torch.logsumexp(2 * weights, 0)
        self.total = own if self.total is None else torch.logaddexp(self.total, own)
        self.squares = own_squares if self.squares is None else torch.logaddexp(self.squares, own_squares)
        self.count += len(weights)

    @property
    def value(self) -> Scores:
        """log mean w, (n,)."""
        return self._known(self.total) - math.log(self.count)

    @property
    def effective(self) -> Scores:
        r""":math:`(\sum w)^2/\sum w^2`, between 1 and the count, (n,); 0 where no weight is above 0."""
        total = self._known(self.total)
        return torch.where(total == -torch.inf, 0.0, (2 * total - self._known(self.squares)).exp())

    @staticmethod
    def _known(x: Tensor | None) -> Tensor:
        if x is None:
            raise UsageError("no weights yet: add some")
        return x
