r"""How what is known enters the steps from noise to data.

Samples go down a ladder of noise levels by a denoiser that knows nothing of y. To make them agree with y, either what
is known is put in after each step, with as much noise as the level has,

.. math:: x \leftarrow (I - P)\,x + P\,(y + u\,n),

which is biased even where the denoiser is exact, and less so when every step is gone through several times; or the
denoiser is told what is known, as `Guidance` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch

from pushforward.dynamics.editing.projection import Projection
from pushforward.errors import UsageError, meant
from pushforward.settings.options import Length, Rounds, examined
from pushforward.types import Denoiser, Randomness, Samples

__all__ = ["Fixed", "Fresh", "Guidance", "Resample", "Step", "Strategy", "Task", "strategy"]

Step: TypeAlias = Callable[[Samples, Samples, float, float, Samples], Samples]
"""(x, D(x; s), s, u, noise) -> x at level u: `ancestral` or `euler_maruyama` of `pushforward.dynamics.sde.levels`."""

NAMES = ("fixed", "fresh", "resample", "guidance")
LEAST = 0.1  # cosine between the guidance and the residual; what is further off its way moves no more than at this one


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be restored, and with what.

    Attributes:
        denoiser: D(x; s).
        projection: P.
        y: Samples of which the part P y is known, (n, *event).
        rng: Where noise comes from.
        step: From one level to the next.
        first: The noise of the start, (n, *event).
    """

    denoiser: Denoiser
    projection: Projection
    y: Samples
    rng: Randomness
    step: Step
    first: Samples

    def noise(self) -> Samples:
        """Standard normal numbers that were not drawn before, (n, *event)."""
        return self.rng.normal(*self.y.shape).to(self.y)

    def down(self, x: Samples, denoised: Samples, s: float, u: float) -> Samples:
        """x at level u, (n, *event), from x at level s and D."""
        return self.step(x, denoised, s, u, self.noise())

    def known(self, x: Samples, u: float, noise: Samples) -> Samples:
        """x with what is known at level u, (n, *event)."""
        return self.projection.replace(x, self.y + u * noise)


class Strategy(Protocol):
    """How a step from level s to level u is made to agree with what is known."""

    def __call__(self, task: Task, x: Samples, s: float, u: float) -> Samples:
        """Samples at level u, (n, *event)."""
        ...


@dataclass(frozen=True)
class Fixed:
    """What is known is put in with one noise throughout, that of the start.

    References:
        Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
    """

    def __call__(self, task: Task, x: Samples, s: float, u: float) -> Samples:
        """Samples at level u, (n, *event)."""
        return task.known(task.down(x, task.denoiser(x, s), s, u), u, task.first)


@dataclass(frozen=True)
class Fresh:
    """What is known is put in with new noise after every step.

    References:
        Score-based generative modeling through stochastic differential equations (Song et al., 2021), arXiv:2011.13456.
    """

    def __call__(self, task: Task, x: Samples, s: float, u: float) -> Samples:
        """Samples at level u, (n, *event)."""
        return task.known(task.down(x, task.denoiser(x, s), s, u), u, task.noise())


@dataclass(frozen=True)
class Resample:
    """The same, and each step is taken several times, with the noise put back in between: its two parts come to agree.

    Attributes:
        cycles: How often a step is taken; 1 is `Fresh`.

    Raises:
        UsageError: If it is taken less than once.

    References:
        RePaint: inpainting using denoising diffusion probabilistic models (Lugmayr et al., 2022), arXiv:2201.09865.
    """

    cycles: Rounds = 10

    def __post_init__(self) -> None:
        examined(self)

    def __call__(self, task: Task, x: Samples, s: float, u: float) -> Samples:
        """Samples at level u, (n, *event)."""
        once = Fresh()
        x = once(task, x, s, u)
        for _ in range(self.cycles - 1):
            x = once(task, x + math.sqrt(s * s - u * u) * task.noise(), s, u)
        return x


@dataclass(frozen=True)
class Guidance:
    r"""The denoiser is moved down the slope of the square of what it gets wrong, r = P(y − D(x; s)).

    .. math:: D' = D - \tfrac{w}{2}\,\frac{\|r\|^2}{\langle r, J^T r\rangle}\,\nabla_x \|r\|^2
              = D + w\,\frac{\|r\|^2}{\langle r, J^T r\rangle}\,J^T r, \qquad J = \partial D / \partial x

    :math:`s^2 J` is the covariance of what x may have come from, so that the move is the regression of everything on
    r, and takes P D' to y along r, where w = 1. That is the exact mean given y where the data are normal and r has one
    direction, and one step of conjugate gradients towards it elsewhere. Where the slope is nearly square to r, it is
    held to a length of |r| / 0.1. It costs a derivative of the denoiser.

    Attributes:
        scale: w.

    Raises:
        UsageError: If the scale is not positive, or the denoiser answers without derivatives.

    References:
        Diffusion posterior sampling for general noisy inverse problems (Chung et al., 2022), arXiv:2209.14687;
        Learning diffusion priors from observations by expectation maximization (Rozet et al., 2024), arXiv:2405.13712.
    """

    scale: Length = 1.0

    def __post_init__(self) -> None:
        examined(self)

    def __call__(self, task: Task, x: Samples, s: float, u: float) -> Samples:
        """Samples at level u, (n, *event)."""
        with torch.enable_grad():
            at = x.detach().requires_grad_(True)
            denoised = task.denoiser(at, s)
            residual = task.projection.known(task.y - denoised)
            slope = None
            if denoised.requires_grad:  # by its weights, if not by x
                (slope,) = torch.autograd.grad(residual.square().sum(), at, allow_unused=True)
        if slope is None:
            raise UsageError("guidance: this denoiser answers without derivatives; use fixed, fresh or resample")
        way, r, found = (-slope / 2).flatten(1), residual.detach().flatten(1), denoised.detach()
        along = torch.linalg.vecdot(way, r)
        least = LEAST * torch.linalg.vector_norm(way, dim=1) * torch.linalg.vector_norm(r, dim=1)
        tiny = torch.finfo(r.dtype).tiny
        length = self.scale * r.square().sum(1) / torch.maximum(along, least).clamp(min=tiny)
        move = torch.where(least[:, None] > tiny, length[:, None] * way, 0)
        return task.down(x, found + move.view_as(found), s, u)


def strategy(words: str) -> Strategy:
    """A strategy by its name: fixed, fresh, resample[:CYCLES] or guidance[:SCALE].

    Raises:
        UsageError: If there is none of that name, or its number is none or out of range.
    """
    name, colon, value = words.strip().partition(":")
    try:
        match name:
            case "fixed" | "fresh" if not colon:
                return Fixed() if name == "fixed" else Fresh()
            case "resample":
                return Resample(int(value)) if colon else Resample()
            case "guidance":
                return Guidance(float(value)) if colon else Guidance()
    except UsageError as error:
        raise UsageError(f"strategy {words}: {error}") from error
    except ValueError as error:
        raise UsageError(f"strategy {words}: {value!r} is no number; use {name} alone, or {name}:NUMBER") from error
    if name in ("fixed", "fresh"):
        raise UsageError(f"strategy {words}: {name} takes no number; use {name} alone")
    raise UsageError(f"strategy {words}: {meant(name, NAMES)}use {', '.join(NAMES)}, or resample:20, guidance:0.5")
