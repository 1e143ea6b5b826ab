"""Follow a process over any grid of times: the whole path, or its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.dynamics.sde.process import Process
from pushforward.dynamics.sde.samplers import Remembering, Sampler
from pushforward.errors import UsageError
from pushforward.parallel.doubles import fine
from pushforward.types import Randomness, Samples

__all__ = ["calls", "energy", "simulate", "tent", "uniform", "walk"]


def uniform(steps: int, ends: tuple[float, float] = (0.0, 1.0)) -> list[float]:
    """Times at equal distances, steps + 1 of them.

    Raises:
        UsageError: If there is no step.
    """
    if steps < 1:
        raise UsageError(f"uniform grid of {steps} steps: give at least one")
    return [ends[0] + (ends[1] - ends[0]) * k / steps for k in range(steps)] + [ends[1]]


def tent(steps: int, low: float, high: float, ends: tuple[float, float] = (0.0, 1.0)) -> list[float]:
    """Times whose distances rise from `low` to `high` on the first half of the steps and fall back on the second.

    Args:
        steps: Number of steps, even.
        low: First and last distance; only its ratio to `high` counts, as all are scaled to reach the end.
        high: Largest distance.
        ends: First and last time.

    Raises:
        UsageError: If the number is odd, or a distance is not positive.

    References:
        Diffusion Schrödinger bridge with applications to score-based generative modeling (De Bortoli et al., 2021),
        arXiv:2106.01357.
    """
    if steps < 2 or steps % 2:
        raise UsageError(
            f"tent grid of {steps} steps: give an even number, {steps + 1 if steps > 0 else 2} for example"
        )
    if not 0 < low <= high < math.inf:
        raise UsageError(f"tent grid with distances from {low} to {high}: need 0 < low <= high")
    half = [low + (high - low) * k / max(steps // 2 - 1, 1) for k in range(steps // 2)]
    gaps = [*half, *reversed(half)]
    total, times = math.fsum(gaps), [ends[0]]
    for k in range(1, steps):
        times.append(ends[0] + (ends[1] - ends[0]) * math.fsum(gaps[:k]) / total)
    return [*times, ends[1]]


def walk(
    process: Process, x: Samples, times: Sequence[float], sampler: Sampler, rng: Randomness
) -> Iterator[tuple[float, Samples]]:
    """The path from x: every time of the grid but the first, with the points (n, *event) then.

    Args:
        process: What is followed.
        x: Points at the first time.
        times: Any grid from there on, in the direction of the process.
        sampler: The step.
        rng: Where noise comes from.

    Raises:
        UsageError: If the grid does not go from one end of the process towards the other.
    """
    first, last = process.ends
    way = 1 if last > first else -1
    rises = all(way * (u - t) > 0 for t, u in pairwise(times))  # not of what is not a number
    if len(times) < 2 or not rises or way * (times[0] - first) < 0 or way * (times[-1] - last) > 0:
        raise UsageError(
            f"times {[round(t, 4) for t in times[:4]]}...: give at least two, that go from {first:g} to {last:g}"
        )
    step = sampler.fresh() if isinstance(sampler, Remembering) else sampler
    for t, u in pairwise(times):
        x = step(process, x, t, u, rng)
        yield u, x


@torch.no_grad()
def simulate(
    process: Process,
    n: int,
    times: Sequence[float],
    sampler: Sampler,
    rng: Randomness,
    *,
    start: Samples | None = None,
    denoise: bool = False,
    seen: Callable[[float, Samples], object] | None = None,
) -> Samples:
    """n points (n, *event) at the last time of a grid.

    Args:
        process: What is followed.
        n: Number of points.
        times: Any grid of times from one end of the process to the other; its length is the number of steps.
        sampler: The step.
        rng: Where first points and noise come from.
        start: First points, (n, *event); drawn from the start law if None.
        denoise: Whether the mean of the end is taken once more at the last time but one: it removes the noise that
            Euler's last step leaves, and costs a call.
        seen: Told every time of the grid but the first, with the points then: for a bar, or a path.

    Raises:
        UsageError: If the grid or the sampler does not suit the process, or there are not n first points.
    """
    if n < 0 or (start is not None and len(start) != n):
        raise UsageError(
            f"{n} points{'' if start is None else f' from {len(start)}'}: give a count from 0, and as many"
        )
    x = process.start(rng, n) if start is None else start
    for t, moved in walk(process, x, times, sampler, rng):
        x = moved
        if seen is not None:
            seen(t, x)
    if denoise:
        if process.pinned is None:
            raise UsageError("a final denoising: this process predicts no end; leave it out")
        x = process.pinned.predict(x, times[-2])
    return x


@torch.no_grad()
def energy(process: Process, x: Samples, times: Sequence[float], rng: Randomness) -> tuple[Samples, Tensor, Tensor]:
    r"""Euler's paths from points x: their ends, their energies :math:`\int\|b(X_t, t)\|^2\,|dt|`, and what noise adds.

    That is :math:`2\int b\cdot\sqrt{a}\,dW`, of mean 0. For constant a both together are 2a times the logarithm of the
    density that paths have against those of the noise alone (Girsanov): where that is known otherwise, taking this from
    it leaves energies again, path by path.

    Args:
        process: What is followed.
        x: Points at the first time, (n, *event).
        times: Any grid from there on; the error of the energy falls with the steps, in proportion.
        rng: Where noise comes from.

    Returns:
        Points (n, *event), and two numbers of each path, (n,), in the finest type of the device.
    """
    spent, added = fine(x.new_zeros(len(x))), fine(x.new_zeros(len(x)))
    for t, u in pairwise(times):
        b, noise = process.drift(x, t), math.sqrt(process.diffusion(t) * abs(u - t)) * rng.normal(*x.shape).to(x)
        spent = spent + abs(u - t) * fine(b).flatten(1).square().sum(1)
        added = added + 2 * torch.linalg.vecdot(fine(b).flatten(1), fine(noise).flatten(1))
        x = x + (u - t) * b + noise
    return x, spent, added


def calls(process: Process, times: Sequence[float], sampler: Sampler, *, denoise: bool = False) -> int:
    """Calls of the process, and so of its net, that a sample costs."""
    return sum(sampler.calls(process, t, u) for t, u in pairwise(times)) + denoise
