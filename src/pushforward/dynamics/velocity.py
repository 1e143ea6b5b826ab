"""From a critic to a velocity: v(x) = w(d(x)) grad d(x), minus the gradient of the first variation psi(d)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.divergences import Divergence, weight
from pushforward.types import Critic, Labels, Logs, Samples, Scalar, Scores, Velocity

__all__ = ["Ascent", "limited", "linear_critic", "measured", "observed", "quadratic_critic", "restrained"]


@dataclass(frozen=True)
class Ascent:
    r"""The velocity :math:`v(x) = w(d(x))\,\nabla d(x)`, the weight capped and the speed limited.

    Attributes:
        critic: Log-ratio d, (n, *event) -> (n,); its parameters should be frozen, or their gradients are computed too.
        divergence: Supplies w.
        cap: Largest weight.
        labels: Classes (n,) of the points, for a conditional critic.
        limit: Largest speed of a point: the slope L of a critic that a penalty only keeps near it.
    """

    critic: Critic
    divergence: Divergence
    cap: float = math.inf
    labels: Labels | None = None
    limit: float = math.inf

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time."""
        if self.divergence.log_weight is torch.zeros_like and self.cap >= 1:  # w = 1: nothing to evaluate
            return limited(self._rise(x)[0], self.limit)[0]
        return self.with_weights(x)[0]

    def with_weights(self, x: Samples) -> tuple[Samples, Tensor, Scalar]:
        """Velocity, weights w (n,) and the share of points whose weight is at the cap."""
        slope, scores = self._rise(x)
        w, capped = weight(self.divergence, scores.detach(), self.cap)
        return limited(slope * w.view(-1, *[1] * (x.dim() - 1)), self.limit)[0], w, capped

    def _rise(self, x: Samples) -> tuple[Samples, Scores]:
        """grad d and d at x."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            scores = self.critic(x) if self.labels is None else self.critic(x, self.labels)
            (slope,) = torch.autograd.grad(scores.sum(), x)
        return slope, scores

    def given(self, labels: Labels | None) -> Ascent:
        """The same field for points of other classes."""
        return replace(self, labels=labels)


def limited(v: Samples, limit: float) -> tuple[Samples, Scalar]:
    """Velocities (n, *event) whose length passes the limit brought back to it, and the share of those."""
    if limit == math.inf:
        return v, v.new_zeros(())
    speed = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.dim() - 1))
    return v * (limit / speed).clamp(max=1.0), (speed > limit).to(v.dtype).mean()


def observed(velocity: Velocity, x: Samples) -> tuple[Samples, Logs]:
    """The velocity at x, with its root mean square.

    For an `Ascent` also the mean weight, the share at the cap and, where its speed is limited, the share at the limit.
    """
    if isinstance(velocity, Ascent):
        v, weights, capped = replace(velocity, limit=math.inf).with_weights(x)
        logs = {"weight": weights.mean(), "capped": capped}
        if velocity.limit < math.inf:
            v, logs["limited"] = limited(v, velocity.limit)
    else:
        v, logs = velocity(x), {}
    return v, logs | {"speed": v.square().sum().div(len(v)).sqrt()}


def measured(v: Samples, before: Samples, after: Samples, made: Samples | None = None) -> tuple[Tensor, Tensor]:
    """What a step was like: its lengths (n,), and (mean |u|², mean square of the lengths, largest |v|², mean <v, u>).

    Args:
        v: Velocity before the step, (n, *event).
        before: Points before it, (n, *event).
        after: Points after it, (n, *event).
        made: u, what a wall or another projection leaves of v, (n, *event); v itself if None.
    """
    squares, moved = v.flatten(1).square().sum(1), (after - before).flatten(1).square().sum(1)
    means = [squares.mean(), moved.mean(), squares.max()]
    if made is None:
        return moved.sqrt(), torch.stack([*means, means[0]])
    u = made.flatten(1)
    return moved.sqrt(), torch.stack([u.square().sum(1).mean(), *means[1:], (u * v.flatten(1)).sum(1).mean()])


def restrained(
    project: Callable[[Samples], Samples],
    v: Samples,
    x: Samples,
    dt: float,
    free: Samples | None = None,
    there: Samples | None = None,
) -> Samples:
    r"""What a projection P after each step leaves of a velocity, :math:`(P(x + v\,dt) - x) / dt`: 0 against a wall.

    Args:
        project: P.
        v: Velocity at x, (n, *event); where P changes nothing, it is the answer, to the bit.
        x: Points, (n, *event).
        dt: Time of the step; at 0 the answer is v.
        free: x + v dt, where that is at hand.
        there: P of it, where that is at hand.
    """
    if not dt:
        return v
    free = x + dt * v if free is None else free
    there = project(free) if there is None else there
    return torch.where(there == free, v, (there - x) / dt)


def linear_critic(slope: Tensor, offset: float = 0.0) -> Critic:
    """The oracle d(x) = slope . x + offset: the exact log-ratio between equal Gaussians that are shifted."""
    return lambda x: x @ slope + offset


def quadratic_critic(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor]) -> Critic:
    """The oracle d = log p - log q between two Gaussians.

    Args:
        q: Mean (k,) and covariance (k, k) of the model.
        p: Mean (k,) and covariance (k, k) of the data.
    """
    law_q, law_p = (torch.distributions.MultivariateNormal(mean, covariance) for mean, covariance in (q, p))
    return lambda x: law_p.log_prob(x) - law_q.log_prob(x)
