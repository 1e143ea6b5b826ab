r"""Steps with noise, in the form of an integrator: Langevin's, and Langevin's with the Metropolis correction.

.. math:: x' = x + v(x)\, dt + \sqrt{2 T\, dt}\; \xi, \qquad \xi \sim N(0, I)

With the score for a velocity and T = 1 this samples p; with any flow it adds T times the negative entropy to what is
lowered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Randomness, Samples, Scores, Velocity

__all__ = ["Langevin", "Metropolis"]


@dataclass
class Langevin:
    """The step of Euler and Maruyama: unadjusted Langevin (ULA) on a score, diffusion on any other flow.

    Its law is off by O(dt): the variance of N(0, 1) comes out as 1 / (1 - dt / 2).

    Attributes:
        rng: Where noise comes from.
        temperature: T, or how many nats of entropy one unit of the flow's divergence is worth.

    Raises:
        UsageError: If the temperature is negative.

    References:
        Exponential convergence of Langevin distributions and their discrete approximations (Roberts & Tweedie, 1996).
    """

    rng: Randomness
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise UsageError(f"temperature is {self.temperature}: give 0 for no noise, or a positive number")

    @property
    def calls(self) -> int:
        """One call of the velocity in a step."""
        return 1

    def __call__(self, velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
        """Points (n, *event) at t + dt."""
        noise = self.rng.normal(*x.shape).to(x)
        return x + dt * velocity(x, t) + math.sqrt(2 * self.temperature * dt) * noise


@dataclass
class Metropolis:
    """A Langevin step that is taken or refused, so that its law is p whatever dt (MALA).

    The velocity should be the score of p; another function of the point costs acceptance, but leaves the law as it is.
    A field that depends on the points, found anew where they are, does not: a move is weighed against the way back, and
    the way back would be along another field. Three points that follow SVGD on N(0, 1) end with a variance of 0.79. So
    `Particles` refuses a flow that is not `pushforward.types.External`; `ScoreFlow` is.

    Attributes:
        log_density: log p up to a constant, (n, *event) -> (n,).
        rng: Where noise and lots come from.
        accepted: Share of the points that moved in the last step; 0.574 is a good one in high dimensions.

    References:
        Exponential convergence of Langevin distributions and their discrete approximations (Roberts & Tweedie, 1996);
        Optimal scaling of discrete approximations to Langevin diffusions (Roberts & Rosenthal, 1998).
    """

    log_density: Callable[[Samples], Scores]
    rng: Randomness
    accepted: Tensor = field(default_factory=lambda: torch.zeros(()))

    @property
    def calls(self) -> int:
        """Two calls of the velocity in a step: the way back has one of its own."""
        return 2

    def __call__(self, velocity: Velocity, x: Samples, t: float, dt: float) -> Samples:
        """Points (n, *event) at t + dt; those refused stay where they are."""
        if not dt:
            velocity(x, t)  # whoever listens hears of every step
            return x
        noise = self.rng.normal(*x.shape).to(x)
        lots = self.rng.uniform(len(x)).to(x).log()
        moved = x + dt * velocity(x, t) + math.sqrt(2 * dt) * noise
        back = x - moved - dt * velocity(moved, t)
        gain = (self.log_density(moved) - self.log_density(x)).detach()
        gain = gain + noise.flatten(1).square().sum(1) / 2 - back.flatten(1).square().sum(1) / (4 * dt)
        taken = lots < gain  # a density of 0, or one that is not a number, is refused
        self.accepted = taken.to(x.dtype).mean()
        return torch.where(taken.view(-1, *[1] * (x.dim() - 1)), moved, x)
