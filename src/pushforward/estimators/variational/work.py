"""What a variational autoencoder of an estimator answers in model units: samples, bounds, and where a bound goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.aggregate import Aggregate, active_units
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.estimators.learn import first_of
from pushforward.methods.latent.bounds import bounds
from pushforward.metrics.likelihood.density import bits_per_dim
from pushforward.nets.variational.model import LatentModel
from pushforward.parallel.doubles import fine
from pushforward.randomness import Noise, stream
from pushforward.types import Samples

__all__ = ["Account", "account", "codes", "means", "samples"]

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
    return first_of(lambda size, _: net.samples(net.prior.sample(size, rng).to(net.varies), rng), n)


@torch.no_grad()
def codes(net: LatentModel, x: Samples) -> Tensor:
    """Where the middle of q(z|x) goes, (n, code)."""
    return torch.cat([net.codes(rows.to(net.varies)).cpu() for rows in x.split(_rows(x))])


@torch.no_grad()
def means(net: LatentModel, z: Tensor, numbers: int) -> Samples:
    """Means of p(x|z), (n, *event), of codes (n, code), for rows of so many numbers."""
    return torch.cat([net.samples(rows.to(net.varies), None).cpu() for rows in z.split(max(1, NUMBERS // numbers))])


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
    size = _rows(x)
    laws = [net.encoder(rows)[0] for rows in x.split(size)]
    base = DiagonalNormal(*(torch.cat(of) for of in zip(*((law.mean, law.log_deviation) for law in laws), strict=True)))
    active = int(active_units(base.mean).sum())
    e = stream(0, "evaluate", part="account").normal(len(x), net.code).to(x)
    parts = [net(rows, own[None])[:, 0] for rows, own in zip(x.split(size), e.split(size), strict=True)]
    likelihood, prior, posterior = map(fine, torch.cat(parts, 1))
    z, volume_of = base.at(e), base.log_prob(base.at(e))
    own, among = fine(volume_of), fine(Aggregate(base).log_prob(z))
    before = prior - posterior + own  # log p of z0: that of z, and the volume of the flow
    rows = (likelihood + volume + before - own, likelihood + volume, own - among, among - before)
    elbo, reconstruction, information, marginal = (float(each.mean()) for each in rows)
    errors = [float(each.std()) / math.sqrt(len(x)) for each in rows]
    return Account(
        elbo=elbo, elbo_error=errors[0], reconstruction=reconstruction, reconstruction_error=errors[1],
        information=information, information_error=errors[2], marginal=marginal, marginal_error=errors[3],
        active=active, effective=float(bounds(net, x, draws)[1].mean()),
        bits_back=None if numbers is None else bits_per_dim(-elbo, numbers),
    )  # fmt: skip


def _rows(x: Samples) -> int:
    return max(1, NUMBERS // max(1, x[:1].numel()))
