"""What a run's codes say of held-out rows, where its bound goes, and what codes look like, kept for the page."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pushforward import files
from pushforward.commands.measuring.densities import said_of_bound
from pushforward.commands.watching import Until
from pushforward.data.dataset import Dataset
from pushforward.densities.aggregate import (
    Aggregate,
    active_units,
    divergence_of_dimensions,
    information_of_dimensions,
    surgery,
)
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.metrics.likelihood.density import bits_per_dim
from pushforward.parallel.doubles import fine
from pushforward.randomness import stream
from pushforward.report.kept.codes import FILE, Account, Bound, Codes, Densities, Pictures
from pushforward.training.experiment import Experiment
from pushforward.types import Bounds, HasCodes, KnowsPrior, Labels, Samples, Scores, able

__all__ = ["keep_codes"]

SHOWN, ROWS, BOUNDED = 1000, 2000, 256  # held-out rows that are drawn, of the account, and of the bound by many codes
PAIRS = 2**28  # numbers of pairs of rows that an account compares
NUMBERS = 2**20  # of samples that go through the nets at once
COST = 256  # codes of a row that a bound takes, about
SIDE = 61  # of a grid in a plane of codes
IMAGES, SAMPLES, WALKED, WAYS = 8, 16, 4, torch.linspace(-2.5, 2.5, 7)  # WAYS in deviations of the aggregate


@dataclass(frozen=True)
class _Found:
    """What was found of rows, a draw for each: all in the finest type.

    Attributes:
        base: The laws of z0.
        e: The standard normal numbers of the draws.
        z: The draws.
        middle: Where the middle of each law goes.
        likelihood: log p(x|z).
        posterior: log q(z|x).
    """

    base: DiagonalNormal
    e: Tensor
    z: Tensor
    middle: Tensor
    likelihood: Scores
    posterior: Scores


def keep_codes(folder: Path, experiment: Experiment, step: int, seed: int, until: Until = Until()) -> None:
    """Keep what a page shows of codes, where the method has some and there is time.

    Args:
        folder: The run.
        experiment: Its parts.
        step: Steps done.
        seed: Of the draws.
        until: The sitting.

    Raises:
        DataError: If the method answers with anything but codes and densities.
    """
    method, data = experiment.method, experiment.data
    if not able(method, HasCodes) or until.to_measure <= 0 or not len(data.test):
        return
    rng = stream(seed, "evaluate", part="codes")
    prior = method.prior_codes(min(SHOWN, len(data.test)), rng)
    size, begun = _size(prior), time.monotonic()
    x = data.test[: min(ROWS, math.isqrt(PAIRS // size))].to(prior.device)
    told = data.test_labels[: len(x)].to(x.device) if experiment.conditional and data.test_labels is not None else None
    found = _found(method, x, rng.normal(len(x), size).to(prior), told)
    each = (time.monotonic() - begun) / (2 * len(x))
    shown = min(SHOWN, len(x))
    labels, names = (data.test_labels, data.classes) if data.classes else (None, None)
    kept = Codes(
        step, _array(found.middle[:shown]), _array(found.z[:shown]), _array(prior),
        _array(divergence_of_dimensions(found.base).mean(0)),
        _array(information_of_dimensions(found.base, found.base.at(found.e))),
        _active(found.base.mean),
        _account(method, found, prior, data),
        method.posterior_flow, _unit(method, data),
        None if labels is None else np.asarray(labels[:shown].cpu()), names or (),
        _bound(method, data, x, told, each, until),
        _densities(method, found, prior) if size == 2 else None,
        _pictures(method, data, found, prior) if data.kind == "images" else None,
    )  # fmt: skip
    files.write(folder / layout.SAMPLES / FILE, kept.content(), parents=True)


def _size(prior: Tensor) -> int:
    if prior.ndim != 2 or not prior.shape[1]:
        raise DataError(f"codes gave a prior's draws of shape {tuple(prior.shape)}: give (n, code)")
    return prior.shape[1]


def _found(method: HasCodes, x: Samples, e: Tensor, labels: Labels | None) -> _Found:
    """Laws, draws and densities of rows, block by block.

    Raises:
        DataError: If they are not of the right form.
    """
    blocks = list[tuple[Tensor, ...]]()
    rows = max(16, NUMBERS // max(1, x[0].numel()))
    told = repeat(None) if labels is None else labels.split(rows)
    for part, own, known in zip(x.split(rows), e.split(rows), told):
        z, likelihood, posterior = method.inferred(part, own, known)
        middle = method.inferred(part, torch.zeros_like(own), known)[0]
        blocks.append((*method.base(part, known), z, middle, likelihood, posterior))
    mean, log_deviation, z, middle, likelihood, posterior = (fine(torch.cat(found)) for found in zip(*blocks))
    wrong = [tuple(one.shape) for one in (mean, log_deviation, z, middle) if one.shape != e.shape]
    wrong += [tuple(one.shape) for one in (likelihood, posterior) if one.shape != e.shape[:1]]
    if wrong:
        n, d = e.shape
        raise DataError(f"codes of {n} rows gave a tensor of shape {wrong[0]}: give codes ({n}, {d}), densities ({n},)")
    return _Found(DiagonalNormal(mean, log_deviation), fine(e), z, middle, likelihood, posterior)


def _account(method: HasCodes, found: _Found, like: Tensor, data: Dataset) -> Account:
    r"""Where the bound goes: in the plane of z0, in which the mixture of all rows' laws is known.

    A flow that is the same for all rows takes z0 to z and both laws with it: log p(z) + log|det| is the prior's density
    at z0, and no divergence changes. A flow that sees the row has no such mixture.
    """
    n, unknown = len(found.z), math.nan
    likelihood = found.likelihood + _volume(method, data)
    z0 = found.base.at(found.e)
    own = found.base.log_prob(z0)
    prior = torch.full_like(own, unknown)
    if able(method, KnowsPrior):
        prior = fine(method.log_prior(found.z.to(like)))
    whole, bound = found.posterior - prior, likelihood + prior - found.posterior
    parts = surgery(found.base, own - whole, z0, own)
    apart, mean = method.posterior_flow != "own", float(bound.mean())
    numbers = np.asarray(data.decode(data.test[:1])).size if method.discrete else 0
    return Account(
        n, float(likelihood.mean()), parts.information if apart else unknown, parts.marginal if apart else unknown,
        parts.error if apart else unknown, float(whole.mean()), mean,
        float(bound.std() / math.sqrt(n)) if n > 1 else unknown, bits_per_dim(-mean, numbers) if numbers else unknown,
    )  # fmt: skip


def _active(means: Tensor) -> np.ndarray:
    return np.asarray(active_units(means).cpu()) if len(means) > 1 else np.zeros(means.shape[1], np.bool_)


def _volume(method: HasCodes, data: Dataset) -> float:
    """What makes a density of model units one of data units: nothing for levels, or where a column does not vary."""
    return 0.0 if method.discrete or not math.isfinite(data.log_volume) else data.log_volume


def _unit(method: HasCodes, data: Dataset) -> str:
    if method.discrete:
        return "probabilities of levels"
    if not math.isfinite(data.log_volume):
        return "densities in standard units, as a column does not vary"
    return "densities of levels from 0 to 255, as a continuum" if data.kind == "images" else "densities in data units"


@torch.no_grad()
def _bound(
    method: HasCodes, data: Dataset, x: Samples, labels: Labels | None, each: float, until: Until
) -> Bound | None:
    """The bound by many codes of each row, as far as there is time, given the seconds that one takes."""
    rows = min(BOUNDED, len(x))
    if not able(method, Bounds) or COST * rows * each > until.to_measure:
        return None
    found, counted = method.bounded(x[:rows], None if labels is None else labels[:rows])
    values = fine(found) + _volume(method, data)
    error = float(values.std() / math.sqrt(rows)) if rows > 1 else math.nan
    return Bound(rows, float(values.mean()), error, said_of_bound(method.protocol, counted))


@torch.no_grad()
def _densities(method: HasCodes, found: _Found, prior: Tensor) -> Densities | None:
    """The prior and the aggregated posterior where both their draws lie."""
    ends = torch.tensor([0.005, 0.995]).to(found.z)
    clouds = [torch.quantile(cloud, ends, dim=0) for cloud in (found.z, fine(prior)) if cloud.isfinite().all()]
    if not clouds:
        return None
    low, high = torch.stack(clouds)[:, 0].amin(0), torch.stack(clouds)[:, 1].amax(0)
    room = 0.15 * (high - low).clamp_min(1e-6)
    across, up = (torch.linspace(float(a), float(b), SIDE).to(found.z) for a, b in zip(low - room, high + room))
    at = torch.cartesian_prod(up, across).flip(1)
    own = Aggregate(found.base).log_prob(at) if method.posterior_flow == "none" else None
    other = method.log_prior(at.to(prior)) if able(method, KnowsPrior) else None
    fields = [None if one is None else _array(fine(one).exp().view(SIDE, SIDE)) for one in (other, own)]
    known = [field if field is not None and np.isfinite(field).all() else None for field in fields]
    return Densities(_array(across), _array(up), *known)


@torch.no_grad()
def _pictures(method: HasCodes, data: Dataset, found: _Found, prior: Tensor) -> Pictures:
    """Held-out images, what becomes of them, walks along the numbers of largest rate, and the prior's codes."""
    middle = found.middle.to(prior)
    width = torch.sqrt(found.z.var(0, correction=0)).to(prior)
    walked = divergence_of_dimensions(found.base).mean(0).argsort(descending=True)[:WALKED].tolist()
    ways = middle[:1].repeat(len(walked) * len(WAYS), 1)
    for row, k in enumerate(walked):
        at = slice(row * len(WAYS), (row + 1) * len(WAYS))
        ways[at, k] = found.z[:, k].mean().to(prior) + width[k] * WAYS.to(prior)
    few = data.test[:IMAGES]
    decoded = [method.decode(z) for z in (middle[: len(few)], ways, prior[:SAMPLES])]
    seen = [np.asarray(data.decode(x.cpu())) for x in (few, *decoded)]
    shown = seen[2].reshape(len(walked), len(WAYS), *seen[2].shape[1:])
    return Pictures(seen[0], seen[1], shown, np.array(walked), seen[3])


def _array(x: Tensor) -> np.ndarray:
    return np.asarray(x.detach().double().cpu())
