r"""Paths from one sample to another through the data: mixed under noise, and denoised.

.. math:: z_\lambda = (1 - \lambda)\,a + \lambda\,b + s\,n_\lambda, \qquad \lambda = 0, \tfrac{1}{n-1}, \dots, 1,

which go down the ladder of noise levels from s, all rows with the noise of one path, so that neighbours stay such.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch

from pushforward.dynamics.editing.strategies import Step
from pushforward.dynamics.sde.levels import ancestral, pairs_of
from pushforward.errors import UsageError
from pushforward.types import Denoiser, Randomness, Samples

__all__ = ["PATHS", "Path", "interpolate"]

Path = Literal["linear", "spherical"]
PATHS: tuple[Path, ...] = get_args(Path)


@torch.no_grad()
def interpolate(
    denoiser: Denoiser,
    a: Samples,
    b: Samples,
    n: int,
    levels: Sequence[float],
    rng: Randomness,
    *,
    path: Path = "linear",
    step: Step = ancestral,
) -> Samples:
    r"""A row of n samples from one like a to one like b, (n, *event), in the type of a.

    The first level says how far they may leave a and b: near 0 the ends are a and b, and what lies between is a mere
    mixture of them; at the top level nothing is left of either.

    The noise of every step is `linear`, the same for the whole row; or `spherical`, it turns along the row from one
    noise p to another q, :math:`n_\lambda = \cos(\pi\lambda/2)\,p + \sin(\pi\lambda/2)\,q`: the ends then share no
    noise, and from the top level on this is a path between two samples of the model.

    Args:
        denoiser: D(x; s).
        a: A sample, (*event).
        b: Another, (*event).
        n: Rows, at least 2.
        levels: Noise levels that fall from s, the last of them 0 for samples without noise.
        rng: Where noise comes from.
        path: How noise goes along the row.
        step: From one level to the next.

    Raises:
        UsageError: If the samples differ in size, there are fewer than two rows, levels do not fall, or the path is
            none.

    References:
        Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410, for linear;
        Improved techniques for training score-based generative models (Song & Ermon, 2020), arXiv:2006.09011, for
        spherical.
    """
    if a.shape != b.shape:
        raise UsageError(f"samples of {tuple(a.shape)} and {tuple(b.shape)}: give two of the same size")
    if n < 2:
        raise UsageError(f"{n} samples along a path: give at least 2, its ends")
    if path not in PATHS:
        raise UsageError(f"path {path!r}: use {' or '.join(PATHS)}")
    pairs, angles = pairs_of(levels), torch.linspace(0, math.pi / 2, n, dtype=torch.float64)
    column = (n, *[1] * a.dim())
    share = torch.linspace(0, 1, n, dtype=torch.float64).to(a).view(column)
    cos, sin = angles.cos().to(a).view(column), angles.sin().to(a).view(column)

    def noise() -> Samples:
        if path == "linear":
            return rng.normal(1, *a.shape).to(a).expand(n, *a.shape)
        p, q = rng.normal(2, *a.shape).to(a).split(1)
        return cos * p + sin * q

    x = (1 - share) * a + share * b + pairs[0][0] * noise()
    for s, u in pairs:
        x = step(x, denoiser(x, s), s, u, noise())
    return x
