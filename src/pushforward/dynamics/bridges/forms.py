r"""Forms of the first stage's drift: from a denoiser without sampling, or from a ratio by Monte Carlo.

The Föllmer process :math:`dX = b\,dt + \sqrt\tau\,dW` from 0 to the smoothed data :math:`q_\sigma` has

.. math:: b(t, x) = \tau\nabla\log E f(x + \sqrt{\tau(1-t)}\,Z), \qquad f = q_\sigma/\varphi_\tau,

which is one function, and may be had in many ways. With :math:`y_i = x + \sqrt{\tau(1-t)}\,z_i` and the shares
:math:`\omega_i = f(y_i)/\sum_j f(y_j)` of N draws

.. math::
    b \approx \tau\sum_i\omega_i\nabla\log f(y_i) \approx
    x + \tau\sum_i\omega_i\Bigl(\nabla\log q_\sigma(y_i) + \sqrt{\tfrac{1-t}{\tau}}\,z_i\Bigr) \approx
    \sqrt{\tfrac{\tau}{1-t}}\sum_i\omega_i z_i,

each with a bias of order 1/N and an error of order :math:`N^{-1/2}`; and with a denoiser, exactly,

.. math:: b = \frac{\tau D(x/t; s_t) - (\tau - \sigma^2)x}{\tau - t(\tau - \sigma^2)}, \qquad
    s_t^2 = \sigma^2 + \tau\frac{1-t}{t}.

References:
    Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Critic, Denoiser, Randomness, Samples, Scores

__all__ = ["DenoiserDrift", "Form", "RatioDrift", "checked", "collapsed", "level_at"]

Form: TypeAlias = Literal["autodiff", "score", "stein", "auto", "paper"]

BLOCK = 2**22  # numbers of the draws that are held at once
LEAST = 0.1  # share of the draws that must count for the weights to be worth their cost


@dataclass(frozen=True, eq=False)
class DenoiserDrift:
    r"""The drift by a denoiser: a velocity (x, t) -> b, 0 <= t <= 1, without Monte Carlo, exact where D is.

    .. math:: b = \frac{\tau D(x/t; s_t) - (\tau - \sigma^2)x}{\tau - t(\tau - \sigma^2)}, \qquad
        s_t^2 = \sigma^2 + \tau\frac{1-t}{t}

    At t = 0, where the process is at its start, D is the mean of the data.

    Attributes:
        denoiser: D(y; s), of the data as they are, at levels from sigma up to :math:`\sqrt{\sigma^2 + \tau(1-t)/t}`
            at the first t above 0.
        tau: Variance of the noise in one unit of time, above sigma^2.
        sigma: Width of the smoothing.
        mean: Mean of the data, (*event), where the process starts; the formula is that of x - mean.

    Raises:
        UsageError: If sigma^2 >= tau, or one is not a positive number.
    """

    denoiser: Denoiser
    tau: float
    sigma: float
    mean: Tensor

    def __post_init__(self) -> None:
        checked(self.tau, self.sigma)

    def predict(self, x: Samples, t: float = 0.0) -> Samples:
        """D, (n, *event): the mean of the data given X_t = x."""
        start = self.mean.to(x)
        if t <= 0:
            return start.expand_as(x)
        return self.denoiser(start + (x - start) / t, level_at(t, self.tau, self.sigma))

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """b(t, x), (n, *event)."""
        start, gap = self.mean.to(x), self.tau - self.sigma**2
        return (self.tau * (self.predict(x, t) - start) - gap * (x - start)) / (self.tau - t * gap)


@dataclass(frozen=True, eq=False)
class RatioDrift:
    r"""The drift by a log-ratio and Monte Carlo: a velocity (x, t) -> b, with draws of its own at every call.

    The process starts at 0: data with another mean are centred first. The variance of the weights grows with the power
    d of the dimension, so that a correct ratio is of use in a few dozen dimensions at most: see `with_share` and
    `collapsed`.

    The forms are autodiff, which averages slopes of the log-ratio; score, which takes the score at noise sigma in their
    place; stein, which averages the draws alone, and whose variance grows like 1/(1-t); auto, which is stein before
    `switch` and autodiff from there on; and paper, the published estimator: score by one draw, with another draw in the
    denominator. Where data are about as wide as sigma, autodiff is the best at every t; where they lie in narrow modes
    far apart, stein is several times better except near t = 1. The form paper multiplies by f(y)/f(y'), whose mean is
    finite only where E[1/f] is (for data of variance c after the smoothing, while
    :math:`\tau(1-t)(1/c - 1/\tau) < 1`); beyond, it runs off even with the exact ratio.

    Attributes:
        log_ratio: :math:`\log q_\sigma/\varphi_\tau` up to a constant, (m, *event) -> (m,): the logits of a balanced
            classifier of smoothed data against N(0, tau I). Only differences of it are exponentiated, and of these
            only the form paper takes such as may be large.
        tau: Variance of the noise in one unit of time, above sigma^2.
        sigma: Width of the smoothing.
        form: Which one of them.
        draws: N, at least 2; 1 in the form paper.
        rng: Where the z_i come from.
        score: :math:`\nabla\log q_\sigma`, (m, *event) -> (m, *event), for the forms score and paper.
        switch: The time at which auto changes over.

    Raises:
        UsageError: If sigma^2 >= tau, or the form lacks what it needs.
    """

    log_ratio: Critic
    tau: float
    sigma: float
    form: Form
    draws: int
    rng: Randomness
    score: Callable[[Samples], Samples] | None = None
    switch: float = 0.5

    def __post_init__(self) -> None:
        checked(self.tau, self.sigma)
        if self.form == "paper" and self.draws != 1:
            raise UsageError(f"{self.draws} draws in the form paper: give 1, as published, or use the form score")
        if self.form != "paper" and self.draws < 2:
            raise UsageError(f"{self.draws} draws in the form {self.form}: give 2 or more, as one weight says nothing")
        if self.form in ("score", "paper") and self.score is None:
            raise UsageError(f"the form {self.form} without a score: give score=, or use the form autodiff")

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """b(t, x), (n, *event)."""
        return self.with_share(x, t)[0]

    def with_share(self, x: Samples, t: float = 0.0) -> tuple[Samples, Scores]:
        r"""b(t, x), and the effective share of the draws at each point, (n,): :math:`1/(N\sum_i\omega_i^2)`.

        It is 1 where all draws count alike, and 1/N where one of them is all; not a number in the form paper, whose one
        draw says nothing of it.

        Raises:
            UsageError: If t = 1 in the form stein, which divides by 1 - t.
        """
        left = max(1.0 - t, 0.0)
        if self.form == "paper":
            return self._published(x, left), x.new_full((len(x),), math.nan)
        form = self.form if self.form != "auto" else "stein" if t < self.switch else "autodiff"
        if form == "stein" and not left:
            raise UsageError(f"the form stein at t = {t}: it divides by 1 - t; use the form auto or autodiff")
        mass, squares = x.new_full((2, len(x)), -math.inf)
        mean = torch.zeros_like(x)
        size = max(1, BLOCK // max(x.numel(), 1))
        for done in range(0, self.draws, size):
            drawn = [self.rng.normal(*x.shape).to(x) for _ in range(min(size, self.draws - done))]
            own, own_squares, vector = self._weighed(form, x, left, torch.stack(drawn))
            mass, squares = torch.logaddexp(mass, own), torch.logaddexp(squares, own_squares)
            mean = mean + _beside((own - mass).exp(), x) * (vector - mean)
        share = (2 * mass - squares).exp() / self.draws
        if form == "stein":
            return math.sqrt(self.tau / left) * mean, share
        return self.tau * mean + (x if form == "score" else 0), share

    def _weighed(self, form: str, x: Samples, left: float, z: Tensor) -> tuple[Tensor, Tensor, Samples]:
        """Logarithms of the sums of f and f^2 over draws z (k, n, *event), and the mean by f of what the form takes."""
        with torch.set_grad_enabled(form == "autodiff"):
            x = x.detach().requires_grad_(form == "autodiff")
            y = (x + math.sqrt(self.tau * left) * z).flatten(0, 1)
            logs = self.log_ratio(y).view(len(z), len(x))
            mass = torch.logsumexp(logs, 0)
            if form == "autodiff":
                (vector,) = torch.autograd.grad(mass.sum(), x)
            else:
                if form == "score":
                    z = self._slopes(y, z, left)
                vector = torch.einsum("kn,kn...->n...", logs.softmax(0), z)
        return mass.detach(), torch.logsumexp(2 * logs.detach(), 0), vector

    def _published(self, x: Samples, left: float) -> Samples:
        with torch.no_grad():
            z, other = (self.rng.normal(*x.shape).to(x) for _ in range(2))
            y, below = (x + math.sqrt(self.tau * left) * each for each in (z, other))
            ratio = (self.log_ratio(y) - self.log_ratio(below)).exp()
            return x + self.tau * _beside(ratio, x) * self._slopes(y, z, left)

    def _slopes(self, y: Tensor, z: Tensor, left: float) -> Tensor:
        r"""What the score form averages: :math:`\nabla\log f(y)` without x/tau, which no draw changes."""
        assert self.score is not None
        return self.score(y).view_as(z) + math.sqrt(left / self.tau) * z


def collapsed(share: float, draws: int, dims: int) -> str:
    """A warning where the weights of a `RatioDrift` rest on less than a tenth of its draws; else nothing.

    Of N draws at least one counts, whatever they are worth: held against a tenth is (N share - 1) / (N - 1).

    Args:
        share: Mean effective share of the draws, of `RatioDrift.with_share`; not a number warns of nothing.
        draws: N.
        dims: Numbers in one sample.
    """
    counting = share * draws
    if draws < 2 or not counting - 1 < LEAST * (draws - 1):
        return ""
    return (
        f"of {draws} draws {counting:.1f} count in {dims} dimensions: the weights of a ratio collapse, and the drift "
        "is that of its largest; use the form denoiser (DenoiserDrift), which draws nothing"
    )


def level_at(t: float, tau: float, sigma: float) -> float:
    r"""The noise level of x/t in stage 1, :math:`\sqrt{\sigma^2 + \tau(1-t)/t}`, for 0 < t <= 1."""
    return math.sqrt(sigma**2 + tau * max(1 - t, 0.0) / t)


def checked(tau: float, sigma: float) -> None:
    """Refuse a bridge on which q_sigma / N(0, tau I) would not be bounded.

    Raises:
        UsageError: Unless 0 < sigma^2 < tau.
    """
    if not (0 < sigma < math.inf and sigma**2 < tau < math.inf):
        raise UsageError(
            f"sigma {sigma:g} and tau {tau:g}: tau must be above sigma^2 = {sigma**2:g}; give a larger one"
        )


def _beside(numbers: Tensor, x: Samples) -> Tensor:
    """Numbers (n,) shaped to multiply points (n, *event)."""
    return numbers.view(-1, *[1] * (x.dim() - 1))
