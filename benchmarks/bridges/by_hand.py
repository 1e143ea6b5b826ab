"""The same steps and samples in plain PyTorch: preconditioning, loss, update and samplers written out in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import count, pairwise

import torch
from torch import Tensor, nn
from torch.optim import Adam

__all__ = ["Centred", "Training", "bridge", "descent", "training_step"]

BETAS, CLIP = (0.9, 0.99), 1.0


@dataclass(frozen=True)
class Training:
    """How a denoiser learns.

    Attributes:
        rate: Learning rate at the start; it falls along a cosine.
        steps: Steps until it has fallen.
        average: Decay of the running average.
        mean: Mean of the logarithm of the noise level, in units of the data's spread.
        deviation: Its standard deviation.
    """

    rate: float
    steps: int
    average: float
    mean: float = -0.5
    deviation: float = 1.2


@dataclass(frozen=True)
class Centred:
    """F(x, c) as a denoiser, with the data's mean (*event) and spread ()."""

    net: nn.Module
    mean: Tensor
    spread: Tensor

    def __call__(self, y: Tensor, s: Tensor) -> Tensor:
        """D(y; s) of noisy samples (n, *event) at levels (n,) or (1,)."""
        own, noise = self.spread.square(), s.view(-1, *[1] * self.mean.dim()).square()
        r, centred = (noise + own).sqrt(), y - self.mean
        f = self.net(centred / r, (s / self.spread).log() / 4)
        return self.mean + own / (noise + own) * centred + (noise * own).sqrt() / r * f


def training_step(denoiser: Centred, x: Tensor, how: Training, seed: int) -> Callable[[], Tensor]:
    """One update on a batch (n, *event) for each call, which answers with the loss."""
    net, spread, rng = denoiser.net, denoiser.spread, torch.Generator().manual_seed(seed)
    weights: list[Tensor] = list(net.parameters())
    averaged: list[Tensor] = list(deepcopy(net).requires_grad_(False).parameters())
    optimiser = Adam(weights, lr=how.rate, betas=BETAS, fused=True)
    updates = count()

    def advance() -> Tensor:
        k = next(updates)
        relative = (how.mean + how.deviation * torch.randn(len(x), generator=rng, dtype=x.dtype)).exp()
        s = relative * spread
        y = x + s.view(-1, *[1] * (x.dim() - 1)) * torch.randn(x.shape, generator=rng, dtype=x.dtype)
        error = (denoiser(y, s) - x).flatten(1).square().mean(1)
        loss = ((1 + relative**-2) / spread**2 * error).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.param_groups[0]["lr"] = how.rate * (1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * k / how.steps)) / 2)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(averaged, weights, 1 - min(how.average, (2 + k) / (11 + k)))  # pyright: ignore[reportPrivateImportUsage]
        return loss.detach()

    return advance


def power(steps: int, high: float, low: float) -> list[float]:
    """Levels from high to low, evenly apart in their seventh roots, and 0."""
    top, bottom = high ** (1 / 7), low ** (1 / 7)
    return [*((top + k / (steps - 1) * (bottom - top)) ** 7 for k in range(steps)), 0.0]


def multistep(denoiser: Centred, x: Tensor, levels: list[float]) -> Tensor:
    """Points at the first level down to the last, which is 0, by one call a level."""
    past: tuple[Tensor, float] | None = None
    for s, low in pairwise(levels):
        found = led = denoiser(x, x.new_tensor([s]))
        if not low:
            return found
        h = math.log(s / low)
        if past is not None:
            led = found + h / (2 * past[1]) * (found - past[0])
        past = found, h
        x = led + low / s * (x - led)
    return x


@torch.no_grad()
def descent(denoiser: Centred, n: int, rng: torch.Generator, rows: int, *, steps: int = 36) -> Tensor:
    """Samples (n, *event) of a score model, `rows` at a time: from noise of 40 spreads down, in [-1, 1]."""
    spread, like = float(denoiser.spread), denoiser.mean
    levels = power(steps, 40.0 * spread, 0.004 * spread)
    start = like + spread * math.hypot(40, 1) * torch.randn(n, *like.shape, generator=rng, dtype=like.dtype)
    return torch.cat([multistep(denoiser, part, levels) for part in start.split(rows)]).clamp(-1, 1)


@torch.no_grad()
def bridge(denoiser: Centred, n: int, rng: torch.Generator, rows: int, *, first: int = 12, second: int = 24) -> Tensor:
    """Samples (n, *event) of the bridge, `rows` at a time: from the mean by the first stage, down by the second."""
    spread, like, made = float(denoiser.spread), denoiser.mean, []
    sigma, tau = 4.0 * spread, 32.0 * spread**2
    levels = power(second, sigma, 0.004 * spread)
    for part in torch.empty(n, 0).split(rows):
        x = torch.zeros(len(part), *like.shape, dtype=like.dtype)  # about the mean
        for k in range(first):
            t, u = k / first, (k + 1) / first
            now, then = tau - t * (tau - sigma**2), tau - u * (tau - sigma**2)
            end = torch.zeros_like(x)  # at time 0 there is nothing to ask: the mean of the data is all that is known
            if k:
                s = x.new_tensor([math.sqrt(sigma**2 + tau * (1 - t) / t)])
                end = denoiser(like + x / t, s) - like
            noise = torch.randn(x.shape, generator=rng, dtype=x.dtype)
            x = then / now * x + tau * (u - t) / now * end + math.sqrt(tau * (u - t) * then / now) * noise
        made.append(multistep(denoiser, like + x, levels))
    return torch.cat(made).clamp(-1, 1)
