r"""Laws of vectors that answer for their density and are drawn from: what a prior of latents, or a density model, is.

A law is a module, so that what it has to learn is learned with whatever it stands in; calling it is `log_prob`.

====================  ==============================================================================================
law                   density
====================  ==============================================================================================
`StandardNormal`      :math:`N(0, I)`
`FullNormal`          :math:`N(m, L L^\top)`
`NormalMixture`       :math:`\sum_k \pi_k N(m_k, L_k L_k^\top)`, or with diagonal L
`Vamp`                :math:`\tfrac1K\sum_k q(z|u_k)`, the posteriors of inputs that are learned
====================  ==============================================================================================

Factors L are lower triangular; their diagonals are kept as logarithms, so that every value is a law.

References:
    VAE with a VampPrior (Tomczak & Welling, 2018), arXiv:1705.07120.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.densities.aggregate import Aggregate, in_blocks
from pushforward.densities.diagonal import DiagonalNormal, log_normal
from pushforward.errors import UsageError
from pushforward.types import Randomness, Scores

__all__ = ["FullNormal", "Law", "NormalMixture", "StandardNormal", "Vamp"]


@runtime_checkable
class Law(Protocol):
    """A law of vectors (..., d), of contexts (..., c) where it takes some."""

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...), in nats."""
        ...

    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d), of contexts (n, c) where there are any."""
        ...


class StandardNormal(nn.Module):
    """N(0, I).

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = _positive(dim)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...)."""
        _fits(z, self.dim, context)
        return log_normal(z)

    forward = log_prob

    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d)."""
        _alone(context)
        return rng.normal(n, self.dim)


class FullNormal(nn.Module):
    r"""N(m, L Lᵀ), at first N(0, I).

    Attributes:
        mean: m, (d,).
        factor: L, (d, d): its diagonal as logarithms, and what is above that is not read.

    Args:
        dim: d.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(_positive(dim)))
        self.factor = nn.Parameter(torch.zeros(dim, dim))

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor) -> Self:
        """The law of a mean (d,) and a covariance (d, d), in their type and where they are.

        Raises:
            UsageError: If their shapes do not match, or the covariance is not positive definite.
        """
        made = cls(len(mean)).to(mean)
        if covariance.shape != made.factor.shape:
            raise UsageError(f"mean {tuple(mean.shape)}, covariance {tuple(covariance.shape)}: give (d,) and (d, d)")
        root, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed) or not bool(root.isfinite().all()):
            raise UsageError(f"covariance {covariance.tolist()!s:.80} is not positive definite: give one that is")
        made.mean.data = mean.detach().clone()
        made.factor.data = root.tril(-1) + root.diagonal().log().diag()
        return made

    @property
    def covariance(self) -> Tensor:
        """(d, d)."""
        root = _triangle(self.factor)
        return root @ root.mT

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...)."""
        _fits(z, len(self.mean), context)
        root = _triangle(self.factor)[None]
        return in_blocks(lambda rows: _log_normals(rows, self.mean[None], root)[:, 0], z, len(self.mean))

    forward = log_prob

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d)."""
        _alone(context)
        return self.mean + rng.normal(n, len(self.mean)).to(self.mean) @ _triangle(self.factor).mT


class NormalMixture(nn.Module):
    r"""Normal laws with weights :math:`\pi` of their own, at first equal, with unit covariances and means about 0.

    The first means are drawn from torch's generator, as weights of nets are: build it inside `randomness.seeded`.

    Attributes:
        logits: Of the weights, (K,).
        means: (K, d).
        factors: L, (K, d, d), as `FullNormal` has it, or the logarithms of deviations, (K, d).

    Args:
        dim: d.
        components: K.
        full: Whether covariances are full, rather than diagonal.
        spread: Standard deviation of the first means.

    Raises:
        UsageError: If a number is out of range.
    """

    def __init__(self, dim: int, components: int, *, full: bool = True, spread: float = 1.0) -> None:
        super().__init__()
        if components < 1 or not 0 <= spread < math.inf:
            raise UsageError(f"{components} components, means spread by {spread:g}: give at least 1, and a number >= 0")
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(spread * torch.randn(components, _positive(dim)))
        self.factors = nn.Parameter(torch.zeros(components, dim, dim) if full else torch.zeros(components, dim))

    @property
    def full(self) -> bool:
        """Whether covariances are full."""
        return self.factors.dim() == 3

    @property
    def weights(self) -> Tensor:
        r""":math:`\pi`, (K,)."""
        return self.logits.softmax(0)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...)."""
        _fits(z, self.means.shape[1], context)
        roots, logits = _triangle(self.factors) if self.full else self.factors.exp(), self.logits.log_softmax(0)
        return in_blocks(
            lambda rows: torch.logsumexp(logits + _log_normals(rows, self.means, roots), 1), z, self.means.numel()
        )

    forward = log_prob

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d)."""
        _alone(context)
        u = rng.uniform(n).to(self.means)
        which = (u[:, None] > self.weights.cumsum(0)).sum(1).clamp(max=len(self.means) - 1)
        z = rng.normal(n, self.means.shape[1]).to(self.means)
        if not self.full:
            return self.means[which] + self.factors.exp()[which] * z
        for k, root in enumerate(_triangle(self.factors)):  # a factor for each point would take n d^2 numbers
            z[which == k] = z[which == k] @ root.mT
        return self.means[which] + z


class Vamp(nn.Module):
    r"""The mixture of the posteriors of K inputs that are learned, :math:`\tfrac1K\sum_k q(z|u_k)`: VampPrior.

    It learns the encoder as well, with which a variational autoencoder learns it; a net that holds both is copied and
    moved with one encoder.

    Attributes:
        encode: The encoder.
        inputs: u, (K, *event).

    Args:
        encode: Rows (n, *event) to normal laws of their codes, (n, d).
        inputs: The first u, rows of data say.

    Raises:
        UsageError: If there are no inputs.
    """

    def __init__(self, encode: Callable[[Tensor], DiagonalNormal], inputs: Tensor) -> None:
        super().__init__()
        if not len(inputs):
            raise UsageError("a mixture of posteriors of no inputs: give at least 1")
        self.encode = encode
        self.inputs = nn.Parameter(inputs.detach().clone())

    @property
    def aggregate(self) -> Aggregate:
        """The mixture as the encoder now is."""
        return Aggregate(self.encode(self.inputs))

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """Log density at z (..., d), (...), with one pass of the encoder for all points."""
        _alone(context)
        return self.aggregate.log_prob(z)

    forward = log_prob

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d)."""
        _alone(context)
        return self.aggregate.sample(n, rng)


def _triangle(factor: Tensor) -> Tensor:
    """L, (..., d, d), of numbers without bounds: the diagonal is positive by the exponential."""
    return factor.tril(-1) + torch.diag_embed(factor.diagonal(dim1=-2, dim2=-1).exp())


def _log_normals(z: Tensor, means: Tensor, roots: Tensor) -> Tensor:
    """log N of each law at each point, (m, K), for z (m, d), means (K, d) and L (K, d, d), or its diagonals (K, d)."""
    if roots.dim() == 3:
        white = torch.linalg.solve_triangular(roots, (z - means[:, None]).mT, upper=False)  # (K, d, m)
        square, roots = white.square().sum(1).mT, roots.diagonal(dim1=1, dim2=2)
    else:
        square = ((z[:, None] - means) / roots).square().sum(2)
    return -0.5 * (square + z.shape[1] * math.log(2 * math.pi)) - roots.log().sum(1)


def _positive(dim: int) -> int:
    if dim < 1:
        raise UsageError(f"a law of {dim} numbers: give at least 1")
    return dim


def _fits(z: Tensor, dim: int, context: Tensor | None) -> None:
    if z.shape[-1] != dim:
        raise UsageError(f"points of {z.shape[-1]} numbers: this law has {dim}; give (..., {dim})")
    _alone(context)


def _alone(context: Tensor | None) -> None:
    """A law that would answer alike whatever it is told refuses to be told: else one would be learned for all."""
    if context is not None:
        raise UsageError(f"a context of {context.shape[-1]} numbers: this law takes none; use a FlowDensity with one")
