r"""Divergences as a supremum over the critics of a class, not over all functions: finite wherever the supports lie.

.. math:: D^{\Gamma}_f(q\|p) = \sup_{\phi\in\Gamma}\ \mathbb{E}_q\phi - \Lambda_p(\phi), \qquad
          \Lambda_p(\phi) = \inf_\nu\ \nu + \mathbb{E}_p f^*(\phi - \nu)

The critic d = -phi is high where data lie; phi itself is the first variation, so the velocity is grad d. The class is
that of the net: critics of slope L give :math:`D^L_f`, with :math:`0 \le D^L_f \le \min(D_f, L\,W_1)`, non-decreasing
in L, and :math:`D^L_f / L \to W_1` as L falls to 0. Speeds never exceed L.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from pushforward.divergences.family import HELLINGER, JS, KL, PEARSON, REVERSE_KL, TV, Divergence, Function, alpha
from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Scalar, Scores

__all__ = [
    "HELLINGER_LIP",
    "HINGE",
    "JS_LIP",
    "KL_LIP",
    "PEARSON_LIP",
    "REVERSE_KL_LIP",
    "TV_LIP",
    "W1",
    "alpha_lip",
    "cumulant",
    "lipschitz_dual",
    "shift",
    "tilt",
]

BITS = 54
"""How far the bracket of nu is halved: past the rounding of float64."""

SIZE = {"cpu": 13, "cuda": 18}
"""log2 of how many numbers a round of the search may hold: what a processor does in the time it takes to ask for it."""


def cumulant(divergence: Divergence, phi: Scores) -> Scalar:
    r""":math:`\Lambda(\phi) = \inf_\nu \nu + \mathbb{E}_p f^*(\phi - \nu)`; log-mean-exp for KL, the mean for W1.

    It is convex, monotone and equivariant, Lambda(phi + c) = Lambda(phi) + c, and its gradient is `tilt`.

    Args:
        divergence: Supplies f* and its slope.
        phi: Values on samples of p, (m,).

    Raises:
        UsageError: If the divergence has no conjugate.
    """
    if _is_kl(divergence):
        return phi.logsumexp(0) - math.log(len(phi))
    conjugate, _ = _conjugate(divergence)
    below, top = _below_top(phi)
    nu, weights = _root(divergence, below)
    value = (nu + conjugate(below - nu).mean() + top).to(phi)
    # nu is optimal, so its own derivative does not count: the gradient is that of the integrand, the weights
    return value + (weights.to(phi) * (phi - phi.detach())).sum()


def shift(divergence: Divergence, phi: Scores) -> Scalar:
    r"""The nu at which :math:`\mathbb{E}_p (f^*)'(\phi - \nu) = 1`, without a gradient.

    It lies in [max(min phi, max phi - domain), max phi], and at the lower end where the mean stays below 1 (total
    variation).

    Args:
        divergence: Supplies the slope of f*.
        phi: Values on samples of p, (m,).

    Raises:
        UsageError: If the divergence has no conjugate.
    """
    if _is_kl(divergence):
        return cumulant(divergence, phi.detach())
    below, top = _below_top(phi)
    return (_root(divergence, below)[0] + top).to(phi)


def tilt(divergence: Divergence, phi: Scores) -> Tensor:
    r"""Weights :math:`w_j = (f^*)'(\phi_j - \nu) / m`, (m,), that sum to 1, without a gradient.

    They are the gradient of `cumulant`, and at the best phi the measure on the data that mass is carried to; its
    effective size is 1 / sum w^2. A share that total variation leaves over goes to the largest phi.

    Args:
        divergence: Supplies the slope of f*.
        phi: Values on samples of p, (m,).

    Raises:
        UsageError: If the divergence has no conjugate.
    """
    if _is_kl(divergence):
        return phi.detach().softmax(0)
    return _root(divergence, _below_top(phi)[0])[1].to(phi)


def _is_kl(divergence: Divergence) -> bool:
    return divergence.conjugate is KL.conjugate


def _conjugate(divergence: Divergence) -> tuple[Function, Function]:
    value, slope = divergence.conjugate, divergence.conjugate_slope
    if value is None or slope is None:
        raise UsageError(
            f"divergence {divergence.name} has no convex conjugate: give it conjugate and conjugate_slope, or use KL"
        )
    return value, slope


def _below_top(phi: Scores) -> tuple[Tensor, Tensor]:
    """phi - max phi and max phi, in float64 where the device has it: all that matters lies close to the top."""
    phi = fine(phi.detach())
    top = phi.max()
    return phi - top, top


def _root(divergence: Divergence, phi: Tensor) -> tuple[Tensor, Tensor]:
    """nu and the weights for values whose maximum is 0, by cutting a bracket of nu into equal parts again and again.

    The bracket ends at 0, where every slope is at most 1, and begins at -f'(m), where the largest value alone, with
    slope m, makes the mean 1: so it is short whatever the tails and lies inside the domain. No step looks at a number
    from Python, so the search can be traced and compiled, and runs on a GPU without waiting.
    """
    slope, m = _conjugate(divergence)[1], len(phi)
    width = (-phi.min()).clamp(max=divergence.domain)
    if divergence.df is not None:
        width = torch.minimum(width, divergence.df(torch.full_like(width, m)))
    low, bits = -width, max(1, min(6, SIZE.get(phi.device.type, 18) - m.bit_length()))
    parts = 1 << bits
    cuts = torch.arange(1, parts, dtype=phi.dtype, device=phi.device)
    for _ in range(math.ceil(BITS / bits)):
        width = width / parts
        above = slope(phi - (low + width * cuts)[:, None]).mean(1) > 1
        low = low + width * above.sum()
    first, last = slope(phi - torch.stack([low, low + width])[:, None]).mean(1)
    # the straight line through the last bracket; its left end if the mean is below 1 everywhere, its right one if the
    # slope at the left is infinite
    part = torch.where(first > 1, ((first - 1) / (first - last)).nan_to_num(1.0, 1.0), 0.0).clamp(0, 1)
    nu = low + width * part
    weights = slope(phi - nu) / m
    weights = torch.where(weights == math.inf, 0.0, weights)  # the end of the domain itself, to rounding
    peak = (phi == 0).to(phi.dtype)
    weights = weights + (1 - weights.sum()).clamp(min=0) * peak / peak.sum()
    return nu, weights / weights.sum()


@cache
def lipschitz_dual(divergence: Divergence) -> Divergence:
    r"""The divergence over the critics of a class: contrast :math:`\mathbb{E}_q d + \Lambda_p(-d)`, velocity grad d.

    Minus the least contrast is the divergence, and minus the contrast of any critic in the class bounds it from below.
    f, f' and the conjugate stay those of the given one; one that has its contrast already is returned as it is.

    Mass of q where p has none counts as infinitely far in D_f, so between samples even total variation may pass 1.
    Lambda is concave in p and no mean over it: batches, and ranks with a batch each, overrate the divergence.

    Args:
        divergence: An f-divergence with a conjugate.

    Raises:
        UsageError: If the divergence has no conjugate.

    References:
        (f, Gamma)-divergences: interpolating between f-divergences and integral probability metrics (Birrell et al.,
        2022), arXiv:2011.05953; Lipschitz-regularized gradient flows and generative particle algorithms for
        high-dimensional scarce data (Gu et al., 2022), arXiv:2210.17230.
    """
    if divergence.contrast is not None:
        return divergence
    _conjugate(divergence)

    def contrast(q: Scores, p: Scores) -> Scalar:
        return q.mean() + cumulant(divergence, -p)

    return replace(
        divergence,
        name=f"Lipschitz {divergence.name}",
        variation=torch.neg,
        log_weight=torch.zeros_like,
        critic_map=None,
        dual_value=None,
        contrast=contrast,
    )


def alpha_lip(a: float) -> Divergence:
    """The alpha-divergence over the critics of a class.

    The larger a, the slower f* grows, as t^(a/(a-1)), and the heavier the tails that a critic bears. A factor of f is
    one of the slope too: at slope L, a = 2 is half of `PEARSON_LIP` at 2L, a = 1/2 twice `HELLINGER_LIP` at L/2.

    Args:
        a: Order, as in `alpha`.
    """
    return lipschitz_dual(alpha(a))


KL_LIP = lipschitz_dual(KL)
REVERSE_KL_LIP = lipschitz_dual(REVERSE_KL)
JS_LIP = lipschitz_dual(JS)
HELLINGER_LIP = lipschitz_dual(HELLINGER)
PEARSON_LIP = lipschitz_dual(PEARSON)
TV_LIP = lipschitz_dual(TV)


def _mean_gap(q: Scores, p: Scores) -> Scalar:
    return q.mean() - p.mean()


def _hinge(q: Scores, p: Scores) -> Scalar:
    return (1 + q).relu().mean() + (1 - p).relu().mean() - 2


W1 = Divergence(
    "W1",
    variation=torch.neg,
    log_weight=torch.zeros_like,
    conjugate=lambda t: t,
    conjugate_slope=torch.ones_like,
    contrast=_mean_gap,
)
r"""The integral probability metric :math:`\sup_{\phi\in\Gamma} \mathbb{E}_q\phi - \mathbb{E}_p\phi`.

It is the Wasserstein distance where the critics are those of slope 1, L times that for slope L, and the Dudley metric
where their bound and slope add up to 1. Its f is 0 at r = 1 and +inf elsewhere, so Lambda is the mean.
"""

HINGE = Divergence("hinge", variation=torch.neg, log_weight=torch.zeros_like, contrast=_hinge)
"""The hinge loss, lowered by 2 so that a flat critic has 0; over all critics minus its least value is twice TV.

References:
    Geometric GAN (Lim and Ye, 2017), arXiv:1705.02894.
"""
