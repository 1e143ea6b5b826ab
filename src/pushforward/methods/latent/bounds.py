r"""The importance-weighted bound of rows by a variational autoencoder, :math:`\log\tfrac1K\sum_k w_k \le \log p(x)`."""

from __future__ import annotations

from itertools import repeat

import torch

from pushforward.nets.variational.model import LatentModel
from pushforward.objectives.elbo import LogMean, Parts
from pushforward.parallel.doubles import fine
from pushforward.randomness import even, turned
from pushforward.types import Labels, Samples, Scores

__all__ = ["bounds"]

FINE = 2.0**-54  # no number is 0 or 1
NUMBERS = 2**20  # of samples, a copy for each code, that go through the decoder at once


@torch.no_grad()
def bounds(net: LatentModel, x: Samples, draws: int, labels: Labels | None = None) -> tuple[Scores, Scores]:
    r""":math:`\log\tfrac1K\sum_k p(x|z_k)\,p(z_k)/q(z_k|x)` of each row, and how many codes count in it, float64 (n,).

    Of weights w, :math:`(\sum w)^2/\sum w^2` count. The codes of a row come from K normal points that are a function of
    the row, so that its bound does not depend on those beside it. Points fill the space evenly, which leaves each of
    them normal: in expectation it is a bound, and errors of different rows average out. A code that the nets answer
    with no number counts for nothing.

    Args:
        net: The model.
        x: Rows, (n, \*event), finite.
        draws: K.
        labels: Classes (n,), where the model is given them.

    References:
        Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519;
        Randomization of number theoretic methods for multiple integration (Cranley and Patterson, 1976),
        doi:10.1137/0713071.
    """
    points = even(draws, net.code)
    found, together = list[tuple[Scores, Scores]](), max(1, NUMBERS // max(1, x[:1].numel()))
    size = max(1, together // draws)
    classes = repeat(None) if labels is None else labels.split(size)
    for rows, own in zip(x.split(size), classes):
        mean = LogMean()
        e = torch.special.ndtri(turned(points, rows).clamp(FINE, 1 - FINE)).to(x)
        for some in e.split(together):
            parts = Parts(*net(rows, some, labels=own))
            mean.add(fine(torch.where(parts.weights < torch.inf, parts.weights, -torch.inf)))
        found.append((mean.value, mean.effective))
    values, effective = zip(*found, strict=True)
    return torch.cat(values).double(), torch.cat(effective).double()
