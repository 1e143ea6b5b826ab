r"""What a likelihood does not see: two models with a known density, and the gap between train and held-out data.

.. math::
    \log q_1(x) = \log \frac1n \sum_i N(x; x_i, \epsilon I), \qquad
    \log p(x) - \log\,[\,a\,p(x) + (1 - a)\,\nu(x)\,] \;\le\; -\log a

The first copies its centres: as the variance falls its samples become perfect and its likelihood of new data
arbitrarily poor. The second is a share a of the data's law p drowned in noise: its samples are rubbish and its
likelihood misses the best possible one by at most -log a, whatever the dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.geometry.kernels import Kernel, column_blocks
from pushforward.metrics.core.reference import check_samples
from pushforward.metrics.core.result import Measure

__all__ = ["bits_per_dim", "dilution_loss", "likelihood_gap", "parzen_log_density"]


def parzen_log_density(
    x: Tensor,
    centres: Tensor,
    variance: float,
    *,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Tensor:
    r"""Log density of equal Gaussians round n centres, :math:`\log \frac1n \sum_i N(x; x_i, \epsilon I)`.

    With D² the squared distance to the nearest centre it lies between -D²/2ε - (d/2) log 2πε - log n and the same
    without log n. So as ε falls it grows without bound at the centres, and falls without bound everywhere else.

    Args:
        x: Where to evaluate, (m, *event), in data units.
        centres: The x_i, (n, *event).
        variance: Variance ε of every coordinate, in data units squared; positive.
        budget: Bytes that the temporaries of one block may take.
        tick: Called with the fraction done after each block.

    Returns:
        Log densities in nats, (m,), float64.

    Raises:
        DataError: If x or centres are not finite, or differ in event shape.
        UsageError: If the variance is not positive.
    """
    check_samples("x", x, 1)
    check_samples("centres", centres, 1)
    if x.shape[1:] != centres.shape[1:]:
        shapes = f"x has event shape {tuple(x.shape[1:])}, centres {tuple(centres.shape[1:])}"
        raise DataError(f"{shapes}: give both in the same units and shape")
    if not 0 < variance < math.inf:
        raise UsageError(f"variance is {variance}: a density round each centre needs a positive one")
    x, centres = x.detach().flatten(1).double().cpu(), centres.detach().flatten(1).double().cpu()
    exponent = Kernel("log of a Gaussian", variance**0.5, lambda squared: squared / (-2 * variance))
    log_density = x.new_empty(len(x))
    for part, block in column_blocks(exponent, centres, x, budget=budget):
        log_density[part] = block.logsumexp(0)
        if tick is not None:
            tick(part.stop / len(x))
    return log_density - math.log(len(centres)) - 0.5 * x.shape[1] * math.log(2 * math.pi * variance)


def dilution_loss(log_p: Tensor, log_noise: Tensor, share: float = 0.01) -> Tensor:
    r"""Nats that a model loses at each point by being mostly noise, :math:`\log p - \log\,[a\,p + (1-a)\,\nu]`.

    At most -log a, reached where the noise has no density; 4.605 nats at one per cent. Divided by a growing number
    of dimensions that is nothing.

    Args:
        log_p: Log density of the data's law at each point, (n,).
        log_noise: Log density of the noise at the same points, (n,).
        share: Share a of samples that come from the data's law, in (0, 1].

    Returns:
        Losses in nats, (n,); negative where the noise is denser than the data.

    Raises:
        DataError: If the two differ in shape.
        UsageError: If the share is not in (0, 1].
    """
    if log_p.shape != log_noise.shape:
        shapes = f"log_p has shape {tuple(log_p.shape)}, log_noise {tuple(log_noise.shape)}"
        raise DataError(f"{shapes}: evaluate both densities at the same points")
    if not 0 < share <= 1:
        raise UsageError(f"share is {share}: give the share of samples that are no noise, above 0 and at most 1")
    log_rest = math.log1p(-share) if share < 1 else -math.inf
    return -torch.logaddexp(torch.full_like(log_p, math.log(share)), log_rest + log_noise - log_p)


def bits_per_dim(nats: float, dim: int) -> float:
    """Nats per sample in the unit of image models, bits per dimension: nats / (dim log 2).

    Args:
        nats: A negative log-likelihood, or a difference of two.
        dim: Numbers in one sample, e.g. 3072 for 32 x 32 colour pixels.
    """
    return nats / (dim * math.log(2))


def likelihood_gap(train: Tensor, held_out: Tensor) -> Measure:
    r"""Mean log-likelihood of training data minus that of held-out data, with Welch's one-sided p-value.

    Zero on average for a model that learned the law and not the sample; a copying model's gap has no bound.

    Args:
        train: Log-likelihoods of data the model was fitted to, (n,), in nats per sample.
        held_out: Log-likelihoods of data of the same law that it never saw, (m,).

    Raises:
        DataError: If either has fewer than two values, is not one-dimensional, or is not finite.
    """
    from scipy import stats

    for name, values in (("train", train), ("held_out", held_out)):
        if values.ndim != 1:
            raise DataError(f"{name} has shape {tuple(values.shape)}: give one log-likelihood a sample, (n,)")
        check_samples(name, values[:, None])
    seen, new = train.detach().double().cpu(), held_out.detach().double().cpu()
    se = float((seen.var() / len(seen) + new.var() / len(new)).sqrt())
    _, p = np.asarray(stats.ttest_ind(seen.numpy(), new.numpy(), equal_var=False, alternative="greater"))
    protocol: dict[str, str | float | int] = {
        "unit": "nats per sample",
        "train": float(seen.mean()),
        "held_out": float(new.mean()),
        "test": "Welch, one-sided",
        "se": "over the samples of both",
    }
    value = float(seen.mean() - new.mean())
    return Measure(value, 0.0, se, float(p), 0, len(seen) + len(new), "log-likelihood", "lower", protocol)
