"""What a bridge of an estimator does in model units: samples, densities, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.data.units import Array
from pushforward.dynamics.editing import RowMasks, Strategy, restore
from pushforward.estimators.bridges.shape import DenoiserShape
from pushforward.estimators.learn import first_of
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.two_stages import Bridge, BridgeSampling
from pushforward.objectives.matching import LogNormal
from pushforward.randomness import Noise, blocks
from pushforward.training.learner import Learner
from pushforward.types import Labels, Samples, Scores

__all__ = ["GUIDED", "bridge_of", "densities", "restorations", "samples"]

GUIDED = "take less guidance, or fit with a lower lr"  # where samples are not finite


def bridge_of(
    learner: Learner, layout: DenoiserShape, how: BridgeSampling, tau: float, sigma: float, rng: Noise
) -> Bridge:
    """The two stages around a denoiser of a layout."""
    net = layout.pace.net
    law = LogNormal(net.level_mean, net.level_deviation)
    return Bridge(Diffusion(learner, rng, law, drop=net.drop), tau, sigma, sampling=how)


def samples(bridge: Bridge, n: int, labels: Labels | None, rng: Noise) -> Samples:
    """The first n of the samples (n, *event) that a stream fixes, of given classes (n,) or none."""
    return first_of(lambda size, own: bridge.sample(size, rng, own), n, labels, GUIDED)


def densities(bridge: Bridge, x: Samples, labels: Labels | None, prior: Array | None) -> Scores:
    r"""Log densities, float64 (n,), given classes (n,), or :math:`\log\sum_k \pi_k\,p(x \,|\, k)` of all.

    Args:
        bridge: The bridge.
        x: Points, (n, *event).
        labels: Their classes; None for the mixture, or where there are no classes.
        prior: Frequencies pi of the classes; None where there are none.
    """
    return torch.cat([x.new_zeros(0, dtype=torch.float64, device="cpu"), *_densities(bridge, x, labels, prior)])


def _densities(bridge: Bridge, x: Samples, labels: Labels | None, prior: Array | None) -> Iterator[Scores]:
    for rows in torch.arange(len(x)).split(bridge.density_rows):
        part = x[rows.to(x.device)]
        if labels is not None or prior is None:
            yield bridge.log_prob(part, None if labels is None else labels[rows]).double().cpu()
            continue
        each = [
            bridge.log_prob(part, torch.full((len(part),), k)).double().cpu() + math.log(share)
            for k, share in enumerate(prior.tolist())
        ]
        yield torch.stack(each).logsumexp(0)


def restorations(
    bridge: Bridge, given: Samples, seen: Tensor, n: int, how: Strategy, steps: int, labels: Labels | None, rng: Noise
) -> Samples:
    """The first n of the draws of rows that a stream fixes, (n m, *event), those of one round after another.

    Args:
        bridge: The bridge.
        given: Rows, (m, *event), of which what is not seen is not looked at.
        seen: Where a number is known, boolean, (m, *event).
        n: Draws of each.
        how: How what is known enters.
        steps: Noise levels.
        labels: Classes of the rows, (m,), or None.
        rng: Where noise comes from.
    """
    mean, levels, parts = bridge.diffusion.mean, bridge.levels(steps), list[Samples]()
    for start, size in blocks(n * len(given)):
        rows = torch.arange(start, start + size) % len(given)
        denoiser, y = bridge.denoiser(None if labels is None else labels[rows]), given[rows].to(mean.device)
        parts.append(restore(denoiser, RowMasks(seen[rows]), y, levels, rng, strategy=how, mean=mean).cpu())
    return torch.cat(parts)[: n * len(given)]
