r"""Mobilities :math:`\dot x = M(x)\,v(x)`, above all that of a decoder, :math:`M = J J^\top`, and its slopes.

Codes that move by :math:`\dot z = -\nabla_z\,\psi(D(z)) = J^\top v(D(z))`, v = -grad psi, are decoded to points
y = D(z) that move by :math:`\dot y = J J^\top v(y)`. J is never formed: one product from the left, one from the right.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import jvp, vjp

from pushforward.types import Randomness, Samples, Scores

__all__ = ["Decode", "Mobility", "box", "lipschitz_constant", "mobility", "pull", "push", "slopes", "through"]

Decode: TypeAlias = Callable[[Tensor], Samples]
"""Codes (n, *code) -> samples (n, *event), row by row: no row of the answer depends on another row's code."""

Mobility: TypeAlias = Callable[[Samples, Samples], Samples]
"""(x, v) -> M(x) v, each (n, *event), with <v, M(x) v> >= 0, so that the divergence still falls; of a pullback, v is at
decode(x) and the answer at x."""


@torch.no_grad()
def pull(decode: Decode, z: Tensor, v: Samples) -> Tensor:
    r"""A velocity pulled back onto the codes, :math:`J(z)^\top v`, row by row, by one vector-Jacobian product.

    Args:
        decode: Codes -> samples.
        z: Codes, (n, *code).
        v: Velocities at decode(z), (n, *event).
    """
    pulled: Callable[[Samples], tuple[Tensor]] = vjp(decode, z)[1]  # pyright: ignore[reportAssignmentType]
    return pulled(v)[0]


@torch.no_grad()
def push(decode: Decode, z: Tensor, u: Tensor) -> Samples:
    r"""What a motion of the codes does to the decoded points, :math:`J(z)\,u`, by one Jacobian-vector product.

    Args:
        decode: Codes -> samples.
        z: Codes, (n, *code).
        u: Velocities of the codes, (n, *code).
    """
    return jvp(decode, (z.contiguous(),), (u.contiguous(),))[1]  # expanded tensors have no forward mode


def mobility(decode: Decode, z: Tensor, v: Samples) -> Samples:
    r"""The decoder's mobility, :math:`J(z) J(z)^\top v`, positive semi-definite and of rank at most the code's size.

    Args:
        decode: Codes -> samples.
        z: Codes, (n, *code).
        v: Velocities at decode(z), (n, *event).
    """
    return push(decode, z, pull(decode, z, v))


def through(encode: Callable[[Samples], Tensor], decode: Decode) -> Mobility:
    r"""The decoder's mobility as a function of the point, :math:`M(x) = J J^\top` at :math:`z = E(x)`."""

    def moved(x: Samples, v: Samples) -> Samples:
        with torch.no_grad():
            return mobility(decode, encode(x), v)

    return moved


def box(low: float, high: float) -> Mobility:
    """Walls: where a coordinate has reached one, the part of its velocity that points out of the box is dropped.

    A long step may still cross a wall; `project=clamp(low, high)` of the particles brings it back.
    """

    def moved(x: Samples, v: Samples) -> Samples:
        return v.masked_fill(((x <= low) & (v < 0)) | ((x >= high) & (v > 0)), 0)

    return moved


def slopes(decode: Decode, z: Tensor, rng: Randomness | None = None, *, iterations: int = 50) -> Scores:
    r"""The largest singular value of :math:`J(z_i)` at every code, (n,), by power iteration on :math:`J^\top J`.

    Each is a bound from below that rises with the iterations, the faster the larger the gap to the second.

    Args:
        decode: Codes -> samples.
        z: Codes, (n, *code).
        rng: Where the first directions come from; without one they are the same at every code.
        iterations: Products with J^T J.
    """
    if rng is None:
        u = torch.linspace(1, 2, z[0].numel(), dtype=z.dtype, device=z.device).view(1, *z.shape[1:]).expand_as(z)
    else:
        u = rng.normal(*z.shape).to(z)
    for _ in range(iterations):
        u = pull(decode, z, push(decode, z, _unit(u)))
    return push(decode, z, _unit(u)).flatten(1).norm(dim=1)


def lipschitz_constant(decode: Decode, z: Tensor, rng: Randomness | None = None, *, iterations: int = 50) -> float:
    r"""Estimate of :math:`a_D = \mathrm{Lip}(D)`, the largest of `slopes` over sampled codes: a bound from below.

    Args:
        decode: Codes -> samples.
        z: Codes, (n, *code), where the constant matters: those of data and those that particles passed through.
        rng: Where the first directions come from; without one they are the same at every code.
        iterations: Products with J^T J.
    """
    return float(slopes(decode, z, rng, iterations=iterations).max())


def _unit(u: Tensor) -> Tensor:
    norm = u.flatten(1).norm(dim=1).clamp_min(torch.finfo(u.dtype).tiny)
    return u / norm.view(-1, *[1] * (u.dim() - 1))
