r"""Perceptrons F(x, c) for points, tables and small images: the noise level scales and shifts every hidden layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from pushforward.errors import UsageError
from pushforward.nets.blocks import FourierFeatures
from pushforward.nets.mlp import FEW
from pushforward.nets.timed.embedding import LevelEmbedding, full_precision
from pushforward.types import Samples

__all__ = ["NoisyWaves", "Perceptron", "perceptron"]


class NoisyWaves(nn.Module):
    r"""x beside its waves cos k x and sin k x, each as far as the noise in x leaves of it.

    Where x has noise of variance v, a wave of frequency k keeps :math:`e^{-v|k|^2/2}` of its height on average; what is
    above that is noise. So fine waves show the structure of data at low levels and are silent at high ones.

    Args:
        dim: Size of x.
        waves: Random frequencies, as `FourierFeatures` has them.
        octaves: Frequencies 2, 4, ... of each coordinate; the last one, 2^octaves, shows structure of relative size
            1 / 2^octaves.

    Attributes:
        out: Size of what it answers with.

    References:
        Mip-NeRF (Barron et al., 2021), arXiv:2103.13415, where waves are averaged over the size of a pixel.
    """

    def __init__(self, dim: int, waves: int, octaves: int) -> None:
        super().__init__()
        self.waves = FourierFeatures(dim, waves, octaves=octaves)
        self.dim, self.out = dim, self.waves.out

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Features (n, out) of points (n, dim) of unit variance, at levels c (n,) or (1,); never in half precision."""
        with full_precision(x):
            noise = torch.sigmoid(8 * c)  # s^2 / (s^2 + spread^2), the share of noise in the variance of x
            kept = torch.exp(torch.outer(noise, self.waves.frequencies.square().sum(0) / -2))
            features = self.waves(x.to(c))
            return torch.cat([features[:, : self.dim], features[:, self.dim :] * torch.cat([kept, kept], 1)], 1)


class Perceptron(nn.Module):
    r"""F(x, c): :math:`h_1 = A x`, :math:`h_{k+1} = h_k + W_k a_k`, F = B a_K, with :math:`a_k = \mathrm{SiLU}((1 +
    \alpha_k) h_k + \beta_k)` and scales :math:`\alpha_k` and shifts :math:`\beta_k` linear in the level's embedding.

    All scales and shifts come from one product of matrices, and B starts at 0, so that F does too.

    Args:
        event: Shape of one sample.
        width: Units of a hidden layer.
        depth: Hidden layers K, at least 1.
        classes: Number of classes; 0 for none.
        front: Waves beside x; None for x alone.
    """

    def __init__(self, event: Sequence[int], width: int, depth: int, classes: int, front: NoisyWaves | None) -> None:
        super().__init__()
        size = math.prod(event)
        self.classes, self.depth, self.front = classes, depth, front
        self.embed = LevelEmbedding(max(16, width // 4), classes)
        self.levels = nn.Linear(max(16, width // 4), 2 * depth * width)
        self.first = nn.Linear(size if front is None else front.out, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(depth - 1))
        self.last = nn.Linear(width, size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Samples, c: Tensor, labels: Tensor | None = None) -> Samples:
        """F, (n, *event), for inputs x (n, *event), levels c (n,) or (1,), and classes (n,) or None."""
        rows = x.flatten(1)
        shifts = self.levels(self.embed(c, labels)).chunk(2 * self.depth, 1)
        h = self.first(rows if self.front is None else self.front(rows, c))
        for layer, shift, scale in zip(self.hidden, shifts[2::2], shifts[3::2], strict=True):
            h = h + layer(silu(torch.addcmul(shift, h, 1 + scale)))
        return self.last(silu(torch.addcmul(shifts[0], h, 1 + shifts[1]))).view(x.shape)


def perceptron(
    event: int | Sequence[int],
    *,
    width: int = 128,
    depth: int = 3,
    classes: int = 0,
    waves: int = 0,
    octaves: int | None = None,
) -> Perceptron:
    """A perceptron F(x, c) for events of any shape, to go into `Preconditioned`.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        width: Units of a hidden layer.
        depth: Hidden layers.
        classes: Number of classes; 0 for none.
        waves: Random waves beside x (`NoisyWaves`); 0 for none.
        octaves: Waves of each coordinate, 2 to 2^octaves radians to the spread of the data; None for 4 where a sample
            has up to three numbers, and none where it has more.

    Raises:
        UsageError: If a size is out of range.
    """
    shape = (event,) if isinstance(event, int) else tuple(event)
    size = math.prod(shape)
    if size < 1 or width < 1 or depth < 1:
        raise UsageError(f"event {shape}, width {width}, depth {depth}: give at least one of each")
    if min(waves, octaves or 0, classes) < 0:
        raise UsageError(f"waves {waves}, octaves {octaves}, classes {classes}: give 0 for none, or a positive number")
    octaves = (4 if size <= FEW else 0) if octaves is None else octaves
    return Perceptron(shape, width, depth, classes, NoisyWaves(size, waves, octaves) if waves or octaves else None)
