"""What a variational autoencoder of an estimator answers in model units: samples, bounds, and where a bound goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.aggregate import Aggregate, active_units
from pushforward.metrics.likelihood.density import bits_per_dim
from pushforward.nets.variational.model import LatentModel
from pushforward.objectives.elbo import LogMean, Parts
from pushforward.parallel.doubles import fine
from pushforward.randomness import Noise, blocks, derive, stream
from pushforward.types import Samples, Scores

__all__ = ["Account", "account", "bounds", "codes", "means", "samples"]

FINE = 2.0**-31  # half a step of the sequence, which has 30 bits
NUMBERS = 2**20  # of samples, a copy for each code, that go through the decoder at once


@dataclass(frozen=True)
class Account:
    r"""Where the bound of rows goes, in nats a row: elbo = reconstruction - information - marginal, to the last digits.

    Attributes:
        elbo: Mean of log p(x|z) + log p(z) - log q(z|x), by one code of each row.
        elbo_error: Its standard error over rows, as those below.
        reconstruction: Mean of log p(x|z), in data units.
        reconstruction_error: Its standard error.
        information: What codes tell of which row they came from, at most log n of n rows.
        information_error: Its standard error.
        marginal: KL of the mean of q(z|x) over the rows from the prior: what a better prior would win.
        marginal_error: Its standard error.
        active: Numbers of a code whose middle varies by more than 0.01 from row to row.
        effective: How many of the codes of a row count in `score_samples`, on average over rows.
        bits_back: Bits that bits-back coding takes for each number of a row of levels, -elbo / (D log 2): it pays for
            the row and its code, and has the bits back that chose the code. None of a continuum, which no file holds.

    References:
        Bits-back coding (Hinton and van Camp, 1993), doi:10.1145/168304.168306.
    """

    elbo: float
    elbo_error: float
    reconstruction: float
    reconstruction_error: float
    information: float
    information_error: float
    marginal: float
    marginal_error: float
    active: int
    effective: float
    bits_back: float | None = None


@torch.no_grad()
def samples(net: LatentModel, n: int, rng: Noise) -> Samples:
    """The first n of the samples (n, *event) that a stream fixes: codes of the prior, and rows drawn given these."""
    parts = [net.samples(net.prior.sample(size, rng).to(net.varies), rng).cpu() for _, size in blocks(n)]
    return torch.cat(parts)[:n]


@torch.no_grad()
def codes(net: LatentModel, x: Samples) -> Tensor:
    """Where the middle of q(z|x) goes, (n, code)."""
    return torch.cat([net.codes(rows.to(net.varies)).cpu() for rows in x.split(_rows(x))])


@torch.no_grad()
def means(net: LatentModel, z: Tensor, numbers: int) -> Samples:
    """Means of p(x|z), (n, *event), of codes (n, code), for rows of so many numbers."""
    return torch.cat([net.samples(rows.to(net.varies), None).cpu() for rows in z.split(max(1, NUMBERS // numbers))])


@torch.no_grad()
def bounds(net: LatentModel, x: Samples, draws: int) -> tuple[Scores, Scores]:
    r""":math:`\log\tfrac1K\sum_k p(x|z_k)\,p(z_k)/q(z_k|x)` of each row, and how many codes count in it, float64 (n,).

    The same K normal points stand for the codes of all rows, so that a row's bound does not depend on those beside it
    and is smooth in its numbers. Since all rows share their error, they are not independent but fill the space evenly,
    a scrambled sequence of Sobol's; each of them is normal, so that the bound stays one. A code that the nets answer
    with no number counts for nothing.

    Args:
        net: The model.
        x: Rows, (n, *event), finite.
        draws: K.

    References:
        Scrambled net variance for integrals of smooth functions (Owen, 1997), doi:10.1214/aos/1031594731.
    """
    e = _points(draws, net.code).to(x)
    found, together = list[tuple[Scores, Scores]](), max(1, NUMBERS // max(1, x[:1].numel()))
    for rows in x.split(max(1, together // draws)):
        mean = LogMean()
        for own in e.split(together):
            weights = Parts(*net(rows, own[:, None].expand(-1, len(rows), -1))).weights
            mean.add(fine(torch.where(weights < torch.inf, weights, -torch.inf)))
        found.append((mean.value.cpu(), mean.effective.cpu()))
    values, effective = zip(*found, strict=True)
    return torch.cat(values).double(), torch.cat(effective).double()


@torch.no_grad()
def account(net: LatentModel, x: Samples, draws: int, volume: float, numbers: int | None = None) -> Account:
    """Where the bound of rows goes.

    Information and marginal are taken of z0, before the flow of the posterior, which is the same for all rows: neither
    is changed by a map of codes that can be undone.

    Args:
        net: The model.
        x: Rows, (n, *event), at least two.
        draws: Codes of each behind `effective`.
        volume: log |det| of model units by data units, which the reconstruction gets.
        numbers: Of a row of levels; None of a continuum.
    """
    base, _ = net.encoder(x)
    active = int(active_units(base.mean).sum())
    e, size = stream(0, "evaluate", part="account").normal(len(x), net.code).to(x), _rows(x)
    parts = [net(rows, own[None])[:, 0] for rows, own in zip(x.split(size), e.split(size), strict=True)]
    likelihood, prior, posterior = map(fine, torch.cat(parts, 1))
    z, volume_of = base.at(e), base.log_prob(base.at(e))
    own, among = fine(volume_of), fine(Aggregate(base).log_prob(z))
    before = prior - posterior + own  # log p of z0: that of z, and the volume of the flow
    rows = (likelihood + volume + before - own, likelihood + volume, own - among, among - before)
    found = [number for each in rows for number in (float(each.mean()), float(each.std()) / math.sqrt(len(x)))]
    effective = float(bounds(net, x, draws)[1].mean())
    return Account(*found, active, effective, None if numbers is None else bits_per_dim(-found[0], numbers))


def _points(n: int, code: int) -> Tensor:
    """n standard normal points, float64 (n, code), the same at every call."""
    sobol = torch.quasirandom.SobolEngine(code, scramble=True, seed=derive(0, "evaluate", part="density"))
    u = sobol.draw(n, dtype=torch.float64)
    return torch.special.ndtri(u.clamp(FINE, 1 - FINE))


def _rows(x: Samples) -> int:
    return max(1, NUMBERS // max(1, x[:1].numel()))
