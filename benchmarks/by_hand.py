"""The same steps without the library: once as a careful user writes them, once as most public code does."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from itertools import count

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torch.optim import Adam

__all__ = ["careful_vgrow", "idiomatic_gpa", "idiomatic_particles", "idiomatic_vgrow"]

BETAS = (0.5, 0.9)


def careful_vgrow(
    generator: nn.Module,
    critic: nn.Module,
    p: Tensor,
    latent: int,
    *,
    rate: float,
    step: float,
    ema: float | None,
    seed: int,
) -> Callable[[], None]:
    """VGrow for KL, one move and one fit: one pass for q and p, fused Adam, a frozen critic in the move, no logs."""
    rng = torch.Generator().manual_seed(seed)
    critic_optimiser = Adam(critic.parameters(), lr=rate, betas=BETAS, fused=True)
    generator_optimiser = Adam(generator.parameters(), lr=rate, betas=BETAS, fused=True)
    average = None if ema is None else deepcopy(generator).requires_grad_(False).eval()
    weights: list[Tensor] = list(generator.parameters())
    averaged: list[Tensor] = [] if average is None else list(average.parameters())
    buffers = [] if average is None else list(zip(average.buffers(), generator.buffers(), strict=True))
    updates, n = count(1), len(p)

    def advance() -> None:
        x = generator(torch.randn(n, latent, generator=rng))
        q = x.detach()

        scores = critic(torch.cat([q, p]))
        loss = softplus(scores[:n]).mean() + softplus(-scores[n:]).mean()
        critic_optimiser.zero_grad()
        loss.backward()
        critic_optimiser.step()

        critic.requires_grad_(False)
        y = q.requires_grad_()
        (velocity,) = torch.autograd.grad(critic(y).sum(), y)
        critic.requires_grad_(True)
        target = q.detach() + step * velocity

        loss = (x - target).square().sum() / (2 * n)
        generator_optimiser.zero_grad()
        loss.backward()
        generator_optimiser.step()
        if ema is not None:
            k = next(updates)
            with torch.no_grad():
                torch._foreach_lerp_(averaged, weights, 1 - min(ema, (1 + k) / (10 + k)))  # pyright: ignore[reportPrivateImportUsage]
                for mine, theirs in buffers:
                    mine.copy_(theirs)

    return advance


def idiomatic_vgrow(
    generator: nn.Module, critic: nn.Module, p: Tensor, latent: int, *, rate: float, step: float, seed: int
) -> Callable[[], dict[str, float]]:
    """The same with two passes through the critic, torch's default Adam, and every loss read out as a number."""
    rng = torch.Generator().manual_seed(seed)
    critic_optimiser = Adam(critic.parameters(), lr=rate, betas=BETAS)
    generator_optimiser = Adam(generator.parameters(), lr=rate, betas=BETAS)
    n = len(p)

    def advance() -> dict[str, float]:
        x = generator(torch.randn(n, latent, generator=rng))

        critic_optimiser.zero_grad()
        real, fake = critic(p), critic(x.detach())
        critic_loss = binary_cross_entropy_with_logits(real, torch.ones_like(real)) + binary_cross_entropy_with_logits(
            fake, torch.zeros_like(fake)
        )
        critic_loss.backward()
        critic_optimiser.step()

        y = x.detach().requires_grad_()
        (velocity,) = torch.autograd.grad(critic(y).sum(), y)
        target = x.detach() + step * velocity

        generator_optimiser.zero_grad()
        loss = ((x - target) ** 2).flatten(1).sum(1).mean() / 2
        loss.backward()
        generator_optimiser.step()
        return {"critic": critic_loss.item(), "generator": loss.item()}

    return advance


def idiomatic_particles(
    critic: nn.Module, x: Tensor, p: Tensor, *, rate: float, step: float, updates: int
) -> tuple[Callable[[], float], Callable[[], Tensor]]:
    """Particles that move along grad d after `updates` critic updates; the second function tells where they are."""
    optimiser = Adam(critic.parameters(), lr=rate)
    where = x.clone()

    def advance() -> float:
        nonlocal where
        value = 0.0
        for _ in range(updates):
            optimiser.zero_grad()
            loss = softplus(critic(where)).mean() + softplus(-critic(p)).mean()
            loss.backward()
            optimiser.step()
            value = loss.item()
        y = where.clone().requires_grad_()
        (velocity,) = torch.autograd.grad(critic(y).sum(), y)
        where = where + step * velocity
        return value

    return advance, lambda: where


def idiomatic_gpa(
    phi: nn.Sequential, x: Tensor, p: Tensor, *, rate: float, step: float, updates: int
) -> tuple[Callable[[], float], Callable[[], Tensor]]:
    """Particles down a potential of slope 1 at most: Donsker and Varadhan's bound, Frobenius norms after each update.

    The second function tells where they are.
    """
    optimiser = Adam(phi.parameters(), lr=rate)
    where = x.clone()

    def advance() -> float:
        nonlocal where
        value = 0.0
        for _ in range(updates):
            optimiser.zero_grad()
            bound = phi(where).mean() - (torch.logsumexp(phi(p).squeeze(1), 0) - math.log(len(p)))
            (-bound).backward()
            optimiser.step()
            with torch.no_grad():
                for layer in phi:
                    if isinstance(layer, nn.Linear):
                        layer.weight /= layer.weight.norm()
            value = bound.item()
        y = where.clone().requires_grad_()
        (slope,) = torch.autograd.grad(phi(y).sum(), y)
        where = where - step * slope
        return value

    return advance, lambda: where
