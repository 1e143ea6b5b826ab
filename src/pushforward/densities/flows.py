r"""Normalising flows: invertible maps :math:`u = T(z; c)` of vectors with a known Jacobian, and the two laws of one.

T goes from what is complex to a standard normal law u, in one pass of its nets whatever the dimension; the way back
takes a pass for each coordinate of an autoregressive map, and two for couplings.

====================  =========================================================  =================  ===============
law                   density                                                    sampling           is used as
====================  =========================================================  =================  ===============
`FlowDensity`, of z   :math:`\log N(T(z)) + \log|\det \partial T/\partial z|`    :math:`T^{-1}(u)`  density, prior
`FlowPosterior`,      :math:`\log q_0(z_0) - \log|\det \partial T/\partial z|`   :math:`T(z_0)`     posterior (IAF)
of u = T(z0)          at :math:`z_0 = T^{-1}(u)`
====================  =========================================================  =================  ===============

So both are fast in the direction in which a variational autoencoder trains. Each step begins as the identity.

References:
    Masked autoregressive flow for density estimation (Papamakarios et al., 2017), arXiv:1705.07057;
    Neural spline flows (Durkan et al., 2019), arXiv:1906.04032; Density estimation using Real NVP (Dinh et al., 2017),
    arXiv:1605.08803; Improved variational inference with inverse autoregressive flow (Kingma et al., 2016),
    arXiv:1606.04934.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

import torch
from torch import LongTensor, Tensor, nn
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from pushforward.densities.diagonal import DiagonalNormal, log_normal
from pushforward.densities.laws import Law
from pushforward.errors import UsageError
from pushforward.settings.densities import FlowName
from pushforward.types import Randomness, Scores

__all__ = ["FlowDensity", "FlowPosterior", "NormalisingFlow", "Whitened"]

KINDS: tuple[FlowName, ...] = get_args(FlowName)


class NormalisingFlow(nn.Module):
    """T: steps one after another, of which every second one takes the coordinates in the opposite order.

    Args:
        dim: d.
        kind: maf (autoregressive, affine), nsf (autoregressive splines on [-5, 5], the identity beyond: standardise),
            or realnvp (affine couplings).
        steps: How many.
        hidden: Units of the hidden layers of each step's net.
        context: Numbers in the context c; 0 for none.
        bins: Of a spline.

    Raises:
        UsageError: If there is no such kind, or a number is out of range.
    """

    def __init__(
        self,
        dim: int,
        kind: FlowName = "maf",
        *,
        steps: int = 3,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        bins: int = 8,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UsageError(f"flow {kind!r}: use {', '.join(KINDS)}")
        if dim < 1 or steps < 1 or context < 0 or bins < 2 or min(hidden, default=1) < 1:
            raise UsageError(
                f"dim {dim}, steps {steps}, context {context}, bins {bins}, hidden {tuple(hidden)}: give at least one "
                "coordinate, step and unit, two bins, and a context from 0"
            )
        self.dim, self.context = dim, context
        univariate, shapes = MonotonicAffineTransform, [torch.Size(()), torch.Size(())]
        if kind == "nsf":
            univariate, shapes = MonotonicRQSTransform, [torch.Size((size,)) for size in (bins, bins, bins - 1)]
        orders = [cast(LongTensor, torch.arange(dim)), cast(LongTensor, torch.arange(dim).flip(0))]
        passes = 2 if kind == "realnvp" else None
        self.steps = nn.ModuleList(
            MaskedAutoregressiveTransform(
                dim, context, passes, orders[k % 2], None, univariate, shapes, hidden_features=tuple(hidden),
                activation=nn.SiLU,
            )
            for k in range(steps)
        )  # fmt: skip
        for step in self.steps:
            layers = [m for m in step.modules() if isinstance(m, nn.Linear)]
            for parameter in layers[-1].parameters() if layers else step.parameters():
                nn.init.zeros_(parameter)

    def forward(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, Scores]:
        r"""T(z), (..., d), and :math:`\log|\det\partial T/\partial z|`, (...), for z (..., d) and c (..., context)."""
        self._checked(z, c)
        total = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            z, own = step(c).call_and_ladj(z)
            total = total + own
        return z, total

    def inverse(self, u: Tensor, c: Tensor | None = None) -> Tensor:
        """z (..., d) for u = T(z)."""
        self._checked(u, c)
        for step in reversed(self.steps):
            u = step(c).inv(u)
        return u

    def _checked(self, z: Tensor, c: Tensor | None) -> None:
        given = 0 if c is None else c.shape[-1]
        if z.shape[-1] != self.dim or given != self.context:
            raise UsageError(
                f"points of {z.shape[-1]} numbers and a context of {given}: this flow takes {self.dim} "
                f"and {self.context}; give it these"
            )


class FlowDensity(nn.Module):
    r"""The law of z with T(z) standard normal: :math:`\log p(z) = \log N(T(z)) + \log|\det\partial T/\partial z|`.

    Args:
        flow: T.
    """

    def __init__(self, flow: NormalisingFlow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """The same as `log_prob`, for whoever calls modules."""
        return self.log_prob(z, context)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """log p(z), (...), in nats, for z (..., d)."""
        u, volume = self.flow(z, context)
        return log_normal(u) + volume

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d), of contexts (n, context) where there are any."""
        like = next(self.flow.parameters())
        return self.flow.inverse(rng.normal(n, self.flow.dim).to(like), context)


class Whitened(nn.Module):
    r"""The law of z with :math:`y = \operatorname{arsinh}(W (z - m))` of another one.

    .. math::
        \log p(z) = \log p_Y(y) + \log|\det W| - \tfrac12 \sum_j \log(1 + w_j^2), \qquad w = W (z - m)

    W and m are what gives data mean 0 and covariance I, so that columns that go nearly together lie apart; arsinh is
    close to the identity in the middle and a logarithm far out, so that a row 100 standard deviations away lies at 5.3,
    where splines still act, and costs tens of nats and not 5000.

    Args:
        law: Of y.
        mean: m, (d,).
        white: W, (d, d), lower triangular.
    """

    mean: Tensor
    white: Tensor

    def __init__(self, law: Law, mean: Tensor, white: Tensor) -> None:
        super().__init__()
        self.law = law
        self.register_buffer("mean", mean.clone())
        self.register_buffer("white", white.clone())

    @classmethod
    def of(cls, law: Law, x: Tensor) -> Whitened:
        """For data x (n, d): :math:`W = L^{-1}` of their covariance :math:`L L^T`.

        What is added to it is a millionth of the mean variance: columns that depend on each other have no inverse.
        """
        rows = x.double()
        covariance = torch.cov(rows.T).reshape(rows.shape[1], rows.shape[1])
        ridge = 1e-6 * covariance.diagonal().mean()
        root = torch.linalg.cholesky(covariance + ridge * torch.eye(len(covariance), dtype=rows.dtype))
        one = torch.eye(len(root), dtype=root.dtype)
        white = torch.linalg.solve_triangular(root, one, upper=False)
        return cls(law, rows.mean(0).to(x), white.to(x))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """The same as `log_prob`, for whoever calls modules."""
        return self.log_prob(z, context)

    def log_prob(self, z: Tensor, context: Tensor | None = None) -> Scores:
        """log p(z), (...), in nats, for z (..., d)."""
        w = (z - self.mean) @ self.white.T
        volume = self.white.diagonal().log().sum() - torch.hypot(w, torch.ones_like(w)).log().sum(-1)
        return self.law.log_prob(torch.asinh(w), context) + volume

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness, context: Tensor | None = None) -> Tensor:
        """n points, (n, d), of contexts (n, context) where there are any."""
        w = self.law.sample(n, rng, context).sinh()
        return self.mean + torch.linalg.solve_triangular(self.white, w.T, upper=False).T


class FlowPosterior(nn.Module):
    r"""The law of u = T(z0; c) with z0 normal: :math:`\log q(u) = \log q_0(z_0) - \log|\det\partial T/\partial z_0|`.

    Args:
        flow: T.
    """

    def __init__(self, flow: NormalisingFlow) -> None:
        super().__init__()
        self.flow = flow

    def draw(self, base: DiagonalNormal, e: Tensor, context: Tensor | None = None) -> tuple[Tensor, Scores]:
        """u (..., d) that standard normal e (..., d) stand for, and log q(u), in one pass of each net."""
        z = base.at(e)
        u, volume = self.flow(z, context)
        return u, base.log_prob(z) - volume

    def log_prob(self, u: Tensor, base: DiagonalNormal, context: Tensor | None = None) -> Scores:
        """log q(u) at any points (..., d), (...); it goes back through T, d passes of an autoregressive one."""
        z = self.flow.inverse(u, context)
        return base.log_prob(z) - self.flow(z, context)[1]
