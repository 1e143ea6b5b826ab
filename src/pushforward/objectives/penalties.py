"""Penalties that keep a critic's slope in check: (critic, q, p) -> scalar.

Gradients of scores are taken on the critic as it is given, in full precision. A penalty on segments draws pairs of rows
and points between them, anew at each call, so that in time every segment is seen, whatever the order and the numbers of
rows. It takes `rng`; bind it with `functools.partial(lipschitz, rng=noise)` where a run must be repeatable.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from pushforward.parallel import sharing
from pushforward.types import Critic, Randomness, Samples, Scalar

__all__ = ["both", "excess", "gradient_penalty", "lipschitz", "r1", "r2", "spectral"]

TINY = 1e-12  # under the root, so that a zero slope has a finite gradient


def _slopes_squared(critic: Critic, x: Samples) -> Tensor:
    """Squared norms of the critic's input gradient, (n,), differentiable once more."""
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(1)


def _segments(q: Samples, p: Samples, rng: Randomness | None) -> Samples:
    """Uniform points on segments between rows of q and p, (max(n, m), *event), with pairs drawn anew at each call.

    Each row of the longer side, of p where both are equal, is an end of one segment; the other end is any row of the
    other side, of all processes'. Pairs that stay the same would leave the critic free between all others.
    """
    if q.shape[1:] != p.shape[1:]:
        raise ValueError(f"q has event shape {tuple(q.shape[1:])} and p {tuple(p.shape[1:])}; they must be equal")
    q, p = q.detach(), p.detach()
    ends = sharing.all_rows(q), sharing.all_rows(p)
    rows, others = (q, ends[1]) if len(ends[0]) > len(ends[1]) else (p, ends[0])
    n = len(rows)
    if rng is None:
        partner = torch.randint(len(others), (n,), device=q.device)
        u = torch.rand(n, device=q.device, dtype=q.dtype)
    else:
        partner = rng.integers(len(others), n).to(q.device)
        u = rng.uniform(n).to(q)
    return torch.lerp(others[partner], rows, u.view(-1, *[1] * (q.dim() - 1)))


def gradient_penalty(
    critic: Critic, q: Samples, p: Samples, *, slope: float = 1.0, weight: float = 10.0, rng: Randomness | None = None
) -> Scalar:
    r"""Two-sided penalty :math:`w\,\mathbb{E}_{\hat x}\,(\|\nabla d(\hat x)\| - L)^2` on segments between q and p.

    Args:
        critic: Maps (n, *event) to scores (n,).
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        slope: Wanted slope L, in score units per data unit.
        weight: Factor w.
        rng: Where the points come from; torch's default generator if None.

    Raises:
        ValueError: If q and p differ in event shape.

    References:
        Improved training of Wasserstein GANs (Gulrajani et al., 2017), arXiv:1704.00028.
    """
    return weight * ((_slopes_squared(critic, _segments(q, p, rng)) + TINY).sqrt() - slope).square().mean()


def lipschitz(
    critic: Critic, q: Samples, p: Samples, *, slope: float = 1.0, weight: float = 10.0, rng: Randomness | None = None
) -> Scalar:
    r"""One-sided penalty :math:`w\,\mathbb{E}_{\hat x}\,(\|\nabla d(\hat x)\| - L)_+^2`; slopes below L are free.

    Args:
        critic: Maps (n, *event) to scores (n,).
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        slope: Allowed slope L, in score units per data unit.
        weight: Factor w.
        rng: Where the points come from; torch's default generator if None.

    Raises:
        ValueError: If q and p differ in event shape.

    References:
        On the regularization of Wasserstein GANs (Petzka et al., 2018), arXiv:1709.08894.
    """
    excess = ((_slopes_squared(critic, _segments(q, p, rng)) + TINY).sqrt() - slope).clamp(min=0)
    return weight * excess.square().mean()


def excess(
    critic: Critic, q: Samples, p: Samples, *, slope: float = 1.0, weight: float = 10.0, rng: Randomness | None = None
) -> Scalar:
    r"""One-sided penalty :math:`w\,\mathbb{E}_{\hat x}\,(\|\nabla d(\hat x)\|^2 / L^2 - 1)_+` on segments.

    It grows in proportion to a small excess where `lipschitz` grows with its square: there a critic always gains by
    passing L a little, by about the pull of its loss over 2w, here it is held at L once w is large enough. It is also
    the same number for L d as for d with slope 1, whatever L.

    Args:
        critic: Maps (n, *event) to scores (n,).
        q: Model samples, (n, *event).
        p: Data samples, (m, *event).
        slope: Allowed slope L, in score units per data unit.
        weight: Factor w.
        rng: Where the points come from; torch's default generator if None.

    Raises:
        ValueError: If q and p differ in event shape.

    References:
        (f, Gamma)-divergences: interpolating between f-divergences and integral probability metrics (Birrell et al.,
        2022), arXiv:2011.05953.
    """
    return weight * (_slopes_squared(critic, _segments(q, p, rng)) / slope**2 - 1).clamp(min=0).mean()


def r1(critic: Critic, q: Samples, p: Samples, *, weight: float = 1.0) -> Scalar:
    r"""Zero-centred penalty on data, :math:`\tfrac{w}{2}\,\mathbb{E}_p\|\nabla d\|^2`.

    Args:
        critic: Maps (n, *event) to scores (n,).
        q: Model samples; not looked at.
        p: Data samples, (m, *event).
        weight: Factor w.

    References:
        Which training methods for GANs do actually converge? (Mescheder et al., 2018), arXiv:1801.04406.
    """
    return weight / 2 * _slopes_squared(critic, p).mean()


def r2(critic: Critic, q: Samples, p: Samples, *, weight: float = 1.0) -> Scalar:
    r"""Zero-centred penalty on model samples, :math:`\tfrac{w}{2}\,\mathbb{E}_q\|\nabla d\|^2`; see `r1`."""
    return weight / 2 * _slopes_squared(critic, q).mean()


def both(critic: Critic, q: Samples, p: Samples, *, weight: float = 1.0) -> Scalar:
    r"""`r1` and `r2` together, :math:`\tfrac{w}{2}(\mathbb{E}_p + \mathbb{E}_q)\|\nabla d\|^2`, in one pass."""
    slopes = _slopes_squared(critic, torch.cat([q.detach(), p]))
    return weight / 2 * (slopes[: len(q)].mean() + slopes[len(q) :].mean())


def spectral(net: nn.Module, slope: float = 1.0, *, iterations: int = 1) -> nn.Module:
    r"""Give every linear and convolution layer the weight :math:`L\,W / \hat\sigma(W)`, and return the net.

    The norm is followed by power iterations in each training pass. Convolution kernels are read as (out, in * k * k)
    matrices, so this bounds a layer's slope only up to the overlap of its windows, and a residual net not at all.

    Args:
        net: Changed in place; call this after any weight initialisation.
        slope: Norm L of each layer.
        iterations: Power iterations in a pass.

    References:
        Spectral normalization for generative adversarial networks (Miyato et al., 2018), arXiv:1802.05957.
    """
    for module in list(net.modules()):
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            parametrizations.spectral_norm(module, n_power_iterations=iterations)
            if slope != 1.0:
                parametrize.register_parametrization(module, "weight", _Scale(slope), unsafe=True)
    return net


class _Scale(nn.Module):
    """Multiplication of a weight by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        return self.factor * weight
