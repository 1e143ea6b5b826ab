r"""Sines and cosines of each coordinate, which stretch no distance: a front for critics that are to see fine structure.

.. math::
    x_j \mapsto a \Bigl(x_j, \frac{\sin \omega_k x_j}{\omega_k}, \frac{\cos \omega_k x_j}{\omega_k}\Bigr)_{k \le K},
    \qquad \omega_k = 2^k, \quad a = (K + 1)^{-1/2}

The Jacobian J has :math:`J^\top J = I` at every x, as :math:`a^2 (1 + \sum_k \cos^2 + \sin^2) = 1`: a critic of slope L
behind it has slope L, and loses none of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Waves"]


class Waves(nn.Module):
    """x beside its sines and cosines at K octaves, the lowest 2 radians to a unit of x: nothing learns here.

    Args:
        dim: Size of x.
        octaves: K; structure down to about 3 / 2^K units is then within a few layers' reach.

    References:
        Fourier features let networks learn high frequency functions (Tancik et al., 2020), arXiv:2006.10739; here with
        fixed octaves, each divided by its frequency so that the slope stays what it is.
    """

    frequencies: Tensor

    def __init__(self, dim: int, octaves: int) -> None:
        super().__init__()
        self.out = dim * (1 + 2 * octaves)
        self.register_buffer("frequencies", 2.0 ** torch.arange(1, octaves + 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, dim * (1 + 2 octaves)) of points (n, dim)."""
        phases = x[:, :, None] * self.frequencies
        waves = torch.cat([phases.sin(), phases.cos()], 2) / self.frequencies.repeat(2)
        return torch.cat([x[:, :, None], waves], 2).flatten(1) * (1 + len(self.frequencies)) ** -0.5
