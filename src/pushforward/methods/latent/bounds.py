r"""The importance-weighted bound of rows by a variational autoencoder, :math:`\log\tfrac1K\sum_k w_k \le \log p(x)`."""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor

from pushforward.nets.variational.model import LatentModel
from pushforward.objectives.elbo import LogMean, Parts
from pushforward.parallel.doubles import fine
from pushforward.randomness import derive
from pushforward.types import Labels, Samples, Scores

__all__ = ["bounds"]

FINE = 2.0**-31  # half a step of the sequence, which has 30 bits
NUMBERS = 2**20  # of samples, a copy for each code, that go through the decoder at once


@torch.no_grad()
def bounds(net: LatentModel, x: Samples, draws: int, labels: Labels | None = None) -> tuple[Scores, Scores]:
    r""":math:`\log\tfrac1K\sum_k p(x|z_k)\,p(z_k)/q(z_k|x)` of each row, and how many codes count in it, float64 (n,).

    Of weights w, :math:`(\sum w)^2/\sum w^2` count. The same K normal points stand for the codes of all rows, so that
    a row's bound does not depend on those beside it and is smooth in its numbers. Since all rows share their error,
    they are not independent but fill the space evenly, a scrambled sequence of Sobol's; each of them is normal, so that
    the bound stays one. A code that the nets answer with no number counts for nothing.

    Args:
        net: The model.
        x: Rows, (n, \*event), finite.
        draws: K.
        labels: Classes (n,), where the model is given them.

    References:
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519;
        Scrambled net variance for integrals of smooth functions (Owen, 1997), doi:10.1214/aos/1031594731.
    """
    e = _points(draws, net.code).to(x)
    found, together = list[tuple[Scores, Scores]](), max(1, NUMBERS // max(1, x[:1].numel()))
    size = max(1, together // draws)
    classes = repeat(None) if labels is None else labels.split(size)
    for rows, own in zip(x.split(size), classes):
        mean = LogMean()
        for points in e.split(together):
            parts = Parts(*net(rows, points[:, None].expand(-1, len(rows), -1), labels=own))
            mean.add(fine(torch.where(parts.weights < torch.inf, parts.weights, -torch.inf)))
        found.append((mean.value, mean.effective))
    values, effective = zip(*found, strict=True)
    return torch.cat(values).double(), torch.cat(effective).double()


def _points(n: int, code: int) -> Tensor:
    """n standard normal points, float64 (n, code), the same at every call."""
    sobol = torch.quasirandom.SobolEngine(code, scramble=True, seed=derive(0, "evaluate", part="density"))
    u = sobol.draw(n, dtype=torch.float64)
    return torch.special.ndtri(u.clamp(FINE, 1 - FINE))
