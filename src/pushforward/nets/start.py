r"""A net that starts at a normal law: :math:`G(z) = m + z A + \text{body}(z)`, whose body answers 0 at first.

A generator from usual weights starts at a small lump, and what flows out of it to the modes tears it at random places:
the parts of the latent space that become a mode each are crooked, and many samples fall onto their borders. From the
normal law with the data's mean and covariance every mode is as near as it can be, and the parts stay straight.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.types import Samples

__all__ = ["NormalStart", "normal_start"]

ROWS = 10_000  # rows that the law is taken from, at the most


class NormalStart(nn.Module):
    """body(z) beside an affine map of z that stays as it is.

    Args:
        body: Maps (n, inputs) to (n, outputs); a linear layer at its end is set to 0.
        mean: m, (outputs,).
        axes: A, (inputs, outputs).
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, body: nn.Sequential, mean: Tensor, axes: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", mean)
        self.register_buffer("axes", axes)
        if isinstance(last := body[-1], nn.Linear):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Points (n, outputs) for latents (n, inputs)."""
        return torch.addmm(self.mean, z, self.axes) + self.body(z)


def normal_start(x: Samples, latent: int) -> tuple[Tensor, Tensor]:
    r"""The mean m and the axes A for which :math:`m + z A` has the mean and covariance of samples, z standard normal.

    A is the symmetric square root of the covariance, with rows of zeros for what z has beside that: of all such maps it
    moves z least. Where z has fewer numbers than x, it is that of the leading principal components.

    Args:
        x: Samples, (n, *event), of which the first 10,000 count.
        latent: Size of z.

    Returns:
        m (d,) and A (latent, d), for events of d numbers.
    """
    rows = x[:ROWS].flatten(1).double()
    mean, d = rows.mean(0), rows.shape[1]
    squares, directions = torch.linalg.eigh(torch.cov(rows.T, correction=0).reshape(d, d))
    scaled = directions * squares.clamp_min(0).sqrt()  # the columns in order of their length
    if latent >= d:
        axes = torch.cat([scaled @ directions.T, rows.new_zeros(latent - d, d)])
    else:
        axes = scaled.flip(1)[:, :latent].T
    return mean.to(x), axes.to(x)
