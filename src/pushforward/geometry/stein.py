r"""The Stein kernel of a law with score s, its sums and their slopes, in blocks of rows.

.. math::
    u(x, y) = k\, s_x \cdot s_y + s_x \cdot \nabla_y k + s_y \cdot \nabla_x k + \nabla_x \cdot \nabla_y k, \qquad
    \mathrm{KSD}^2(q) = \mathbb{E}_{x, x' \sim q}\, u(x, x')
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.features import Linear
from pushforward.geometry.kernels import Kernel, row_blocks

__all__ = ["squared_ksd", "stein_slopes", "stein_sums"]


def squared_ksd(kernel: Kernel | Linear, x: Tensor, s: Tensor) -> Tensor:
    """KSD² of a sample with the diagonal in it, never negative.

    Args:
        kernel: Radial, with derivatives, or linear.
        x: Points, (n, *event).
        s: Scores there, (n, *event).

    References:
        A kernelized Stein discrepancy for goodness-of-fit tests (Liu et al., 2016), arXiv:1602.03253; A kernel test of
        goodness of fit (Chwialkowski et al., 2016), arXiv:1602.02964.
    """
    if isinstance(kernel, Linear):
        x, s = x.flatten(1), s.flatten(1)
        moment = s.T @ x / len(x) + torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return moment.square().sum() + kernel.offset * s.mean(0).square().sum()
    return stein_sums(kernel, x, s, x, s).mean()


@torch.no_grad()
def stein_sums(kernel: Kernel, x: Tensor, s_x: Tensor, z: Tensor, s_z: Tensor) -> Tensor:
    """Means of the Stein kernel over z, (n,).

    Args:
        kernel: Radial, with derivatives.
        x: Points, (n, *event).
        s_x: Scores at x.
        z: Points, (m, *event).
        s_z: Scores at z.
    """
    derivative, d, sums = kernel.derived(), x.flatten(1).shape[1], x.new_empty(len(x))
    for rows, squared, both, turned in _blocks(x, s_x, z, s_z):
        first, second = derivative(squared, 1), derivative(squared, 2)
        block = kernel.profile(squared) * both - 2 * first * (turned + d) - 4 * second * squared
        sums[rows] = block.mean(1)
    return sums


@torch.no_grad()
def stein_slopes(kernel: Kernel, x: Tensor, s_x: Tensor, z: Tensor, s_z: Tensor) -> tuple[Tensor, Tensor]:
    r"""Gradients of `stein_sums` in x with its score held, and in that score, each (n, *event).

    With r = x - z and the profile's derivatives,
    :math:`\partial_x u = (2 \kappa' s_x \cdot s_z - 4 \kappa'' (r \cdot (s_x - s_z) + d + 2) - 8 \kappa''' \|r\|^2)\, r
    - 2 \kappa' (s_x - s_z)` and :math:`\partial_{s_x} u = \kappa s_z - 2 \kappa' r`, the direction of Stein variational
    descent.
    """
    derivative, d, centre = kernel.derived(), x.flatten(1).shape[1], z.flatten(1).mean(0)
    held, scored = torch.empty_like(x.flatten(1)), torch.empty_like(x.flatten(1))
    points, ones = z.flatten(1) - centre, x.new_ones(len(z), 1)
    joint, s_z = torch.cat([ones, points, s_z.flatten(1)], 1) / len(z), s_z.flatten(1)
    at, s_at = x.flatten(1) - centre, s_x.flatten(1)
    for rows, squared, both, turned in _blocks(x, s_x, z, s_z):
        first, second, third = (derivative(squared, order) for order in (1, 2, 3))
        pull = 2 * first * both - 4 * second * (turned + d + 2) - 8 * third * squared
        along, firsts = pull @ joint[:, : d + 1], first @ joint
        held[rows] = at[rows] * along[:, :1] - along[:, 1:]
        held[rows] -= 2 * (s_at[rows] * firsts[:, :1] - firsts[:, d + 1 :])
        scored[rows] = kernel.profile(squared) @ joint[:, d + 1 :] - 2 * (
            at[rows] * firsts[:, :1] - firsts[:, 1 : d + 1]
        )
    return held.view_as(x), scored.view_as(x)


def _blocks(x: Tensor, s_x: Tensor, z: Tensor, s_z: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Rows, with |x - z|², s_x . s_z and (x - z) . (s_x - s_z) between them and all of z."""
    if x.shape != s_x.shape:
        raise UsageError(f"scores {tuple(s_x.shape)} at points {tuple(x.shape)}: a score has the shape of its point")
    centre = z.flatten(1).mean(0)
    at, points, s_at, scores = x.flatten(1) - centre, z.flatten(1) - centre, s_x.flatten(1), s_z.flatten(1)
    own_x, own_z = (at * s_at).sum(1)[:, None], (points * scores).sum(1)
    crossed = torch.cat([scores, points], 1).T
    for rows, squared in row_blocks(x, z):
        turned = own_x[rows] + own_z - torch.cat([at[rows], s_at[rows]], 1) @ crossed
        yield rows, squared, s_at[rows] @ scores.T, turned
