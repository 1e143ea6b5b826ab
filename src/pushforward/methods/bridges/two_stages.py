r"""The Schrödinger bridge in two stages: from the data's mean to smoothed data, and from there to the data.

    s ~ levels;  the denoiser learns as that of a score model
    where a form of the drift needs it:  R <- logistic regression of Y + sigma e against sqrt(tau) e'
    samples:  dX = b dt + sqrt(tau) dW from the mean;  dX = sigma^2 grad log q dt + sigma dW from where it ends

The first stage forgets nothing and the second forgets what the first got wrong: where data have the variance v an
error of a variance shrinks by :math:`v/(v + \sigma^2)` along the flow, and by the square of that where noise comes
anew. So few steps do for the first.

References:
    Deep generative learning via Schrödinger bridge (Wang et al., 2021), arXiv:2106.10410.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import torch
from torch import Tensor

from pushforward.divergences import logistic
from pushforward.dynamics.bridges.clocks import to_data, to_smoothed, variance_exploding
from pushforward.dynamics.bridges.forms import RatioDrift, checked, collapsed
from pushforward.dynamics.sde.levels import power
from pushforward.dynamics.sde.likelihood import Reach, log_prob
from pushforward.dynamics.sde.process import Process
from pushforward.dynamics.sde.samplers import EulerMaruyama, Exponential, Sampler, StochasticHeun
from pushforward.dynamics.sde.simulate import calls, energy, simulate, tent, uniform, walk
from pushforward.errors import UsageError
from pushforward.methods.bridges.diffusion import Diffusion, SamplerName, guided, step_of
from pushforward.nets.mlp import FEW
from pushforward.parallel.doubles import fine
from pushforward.settings.options import Between
from pushforward.training.learner import Learner
from pushforward.types import Batch, Denoiser, Labels, Logs, Randomness, Samples, Scores, Velocity, unpack

__all__ = ["Bridge", "BridgeSampling", "Form"]

Form = Literal["denoiser", "autodiff", "score", "stein", "auto", "paper"]
FIRST: dict[str, Sampler] = {
    "exponential": Exponential(), "euler_maruyama": EulerMaruyama(), "stochastic_heun": StochasticHeun(),
}  # fmt: skip


@dataclass(frozen=True)
class BridgeSampling:
    """How samples go through the two stages.

    Attributes:
        first: Step of stage 1: exponential, euler_maruyama or stochastic_heun (two calls).
        first_steps: Steps of it; a grid of numbers has its own.
        first_grid: Its times: uniform, tent (short steps at both ends), or numbers from 0 to 1 with commas between.
        second: Step of stage 2, as of a score model.
        second_steps: Steps of it, likewise; heun, churn, stochastic_heun and predictor_corrector call the net twice in
            all but the last.
        second_grid: Its times: power (noise levels as of a score model), uniform, tent, or numbers from 0 to 1.
        churn: As of a score model, for churn.
        low: Last noise level of the grid power, in units of the data's spread.
        denoise: Whether D(x; s) is taken at the end of euler_maruyama, as published; one more call.
        form: The drift of stage 1: denoiser needs no ratio and draws nothing; autodiff, score, stein, auto and paper
            are Monte Carlo by a learned ratio.
        draws: Draws of these at each step, 2 or more; paper has one.
        guidance: As of a score model.
    """

    first: Literal["exponential", "euler_maruyama", "stochastic_heun"] = "exponential"
    first_steps: Annotated[int, Between(1, 100_000)] = 12
    first_grid: Literal["uniform", "tent"] | tuple[float, ...] = "uniform"
    second: SamplerName = "multistep"
    second_steps: Annotated[int, Between(1, 100_000)] = 24
    second_grid: Literal["power", "uniform", "tent"] | tuple[float, ...] = "power"
    churn: Annotated[float, Between(0, 1000)] = 3.0
    low: Annotated[float, Between(1e-6, 1e3)] = 0.004
    denoise: bool = False
    form: Form = "denoiser"
    draws: Annotated[int, Between(1, 100_000)] = 16
    guidance: Annotated[float, Between(0, 100)] = 0.0

    def __post_init__(self) -> None:
        for name, grid in (("first_grid", self.first_grid), ("second_grid", self.second_grid)):
            if isinstance(grid, tuple) and (
                (*grid[:1], *grid[-1:]) != (0, 1) or any(t >= u for t, u in pairwise(grid))
            ):
                raise UsageError(f"{name} {','.join(map(str, grid))}: give times that go from 0 to 1 and rise")
        if self.form not in ("denoiser", "paper") and self.draws < 2:
            raise UsageError(f"form {self.form} with {self.draws} draws: give 2 or more, or the form paper")
        if self.form != "denoiser" and self.first == "exponential":
            raise UsageError(f"form {self.form}: exponential steps need the denoiser; give first=euler_maruyama")
        usual = type(self)
        idle = (
            ("churn", self.churn, usual.churn, self.second != "churn", "give second=churn"),
            ("draws", self.draws, usual.draws, self.form in ("denoiser", "paper"), "give another form"),
            (
                "first_steps",
                self.first_steps,
                usual.first_steps,
                isinstance(self.first_grid, tuple),
                "the grid has its own",
            ),
            (
                "second_steps",
                self.second_steps,
                usual.second_steps,
                isinstance(self.second_grid, tuple),
                "the grid has its own",
            ),
        )
        for name, value, default, unused, remedy in idle:
            if unused and value != default:
                raise UsageError(f"{name} {value:g}: does nothing here, {remedy}; or leave it out")
        if self.denoise and self.second != "euler_maruyama":
            raise UsageError(f"denoise after {self.second}: its last step is the denoiser's prediction; leave it out")

    def first_times(self) -> list[float]:
        """Times of stage 1."""
        return _times(self.first_grid, self.first_steps)

    def second_times(self, sigma: float) -> list[float]:
        """Times of stage 2 whose smoothing is sigma, in units of the data's spread."""
        if self.second_grid != "power":
            return _times(self.second_grid, self.second_steps)
        if self.low >= sigma:
            raise UsageError(f"low {self.low:g}: stage 2 begins at sigma {sigma:g}; give a low one below it")
        levels = power(self.second_steps, sigma, self.low)
        return [0.0, *(1 - (level / sigma) ** 2 for level in levels[1:])]


def _times(grid: str | tuple[float, ...], steps: int) -> list[float]:
    if isinstance(grid, tuple):
        return list(grid)
    return tent(steps, 0.1, 1.0) if grid == "tent" else uniform(steps)


Way: TypeAlias = tuple[Process, list[float], Sampler]


@dataclass
class Bridge:
    r"""A denoiser that drives both stages, and where it is wanted a ratio for the first one's published forms.

    Attributes:
        diffusion: The denoiser and how it learns.
        tau: Variance of stage 1's noise in a unit of time, in units of the data's spread squared.
        sigma: Width of the smoothing, in units of the spread; its square is below tau.
        ratio: :math:`\log q_\sigma/N(0, \tau I)` of points about the mean, in units of the spread, and how it learns;
            None where no form needs it.
        sampling: How samples go through the stages.
        told: What was seen of Monte Carlo's weights while samples were drawn, in words.

    Raises:
        UsageError: If sigma^2 >= tau, or stage 2 would begin below its last level.
    """

    diffusion: Diffusion
    tau: float = 32.0
    sigma: float = 4.0
    ratio: Learner | None = None
    sampling: BridgeSampling = field(default_factory=BridgeSampling)
    told: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        checked(self.tau, self.sigma)
        self.sampling.second_times(self.sigma)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One update of the denoiser, and of the ratio where there is one, for each yield; as `Diffusion.learn`."""
        for batch in batches:
            x, labels = unpack(batch)
            yield self.diffusion.step(x, labels) | self._contrast(x)

    def _contrast(self, x: Samples) -> Logs:
        """One update of the ratio: smoothed data against the law that noise alone has at the end of stage 1."""
        if self.ratio is None:
            return {}
        rng = self.diffusion.rng
        relative = (x - self.diffusion.mean.to(x)) / self.diffusion.net.spread
        p = relative + self.sigma * rng.normal(*x.shape).to(x)
        q = math.sqrt(self.tau) * rng.normal(*x.shape).to(x)
        scores = self.ratio(torch.cat([q, p]))
        loss = logistic(scores[: len(x)], scores[len(x) :])
        self.ratio.descend(loss)
        return {"ratio": loss.detach()}

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        """D(y; s) for samples of the given classes (n,), guided as `sampling` says."""
        return self._guided(labels)

    def levels(self, steps: int) -> list[float]:
        """Levels that suit so many steps of a score model, down to the last one of stage 2, in model units, and 0."""
        score = self.diffusion.sampling
        down = replace(score, low=min(self.sampling.low, score.high)).levels(steps)
        return [self.spread * level for level in down]

    @property
    def mean(self) -> Tensor:
        """Mean of the data, (*event)."""
        return self.diffusion.mean

    @property
    def spread(self) -> float:
        """Root mean square of the data about their mean; reading it waits for the device."""
        return self.diffusion.spread

    @property
    def density_rows(self) -> int:
        """As of the score model that the denoiser is."""
        return self.diffusion.density_rows

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        """Log density (n,) of the score model that the denoiser is: see `Diffusion.log_prob`."""
        return self.diffusion.log_prob(x, labels)

    def first(self, labels: Labels | None = None, rng: Randomness | None = None) -> Process:
        """Stage 1, in model units.

        Raises:
            UsageError: If the form of the drift needs a ratio, and there is none.
        """
        scale, how = self.diffusion.spread, self.sampling
        drift = None if how.form == "denoiser" else self._by_ratio(labels, rng or self.diffusion.rng)
        return to_smoothed(
            self._guided(labels), self.diffusion.mean, tau=self.tau * scale**2, sigma=self.sigma * scale, drift=drift
        )

    def second(self, x: Samples, labels: Labels | None = None) -> Way:
        """Stage 2 from points of stage 1, in model units: the process, its times and its step."""
        how, high, denoiser = self.sampling, self.sigma * self.diffusion.spread, self._guided(labels)
        times = how.second_times(self.sigma)
        if how.second == "churn":  # the same way, with noise levels for time
            process = variance_exploding(denoiser, lambda rng, n: x, high=high)
            return process, [high * math.sqrt(1 - t) for t in times], step_of(how.second, how.churn, len(times) - 1)
        return to_data(denoiser, lambda rng, n: x, sigma=high), times, step_of(how.second)

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event), as `sampling` says."""
        how, rng = self.sampling, rng or self.diffusion.rng
        x = simulate(self.first(labels, rng), n, how.first_times(), FIRST[how.first], rng)
        process, times, sampler = self.second(x, labels)
        return self.diffusion.kept(simulate(process, n, times, sampler, rng, denoise=how.denoise))

    @torch.no_grad()
    def paths(self, n: int, rng: Randomness, labels: Labels | None = None) -> tuple[list[float], Tensor]:
        """Times, 0 to 1 in stage 1 and 1 to 2 in stage 2, and the points (times, n, *event) of n samples then.

        Those of stage 2 are of its published clock, 2 - (s / sigma)^2 at the noise level s, whatever the sampler.
        """
        how, process = self.sampling, self.first(labels, rng)
        x = process.start(rng, n)
        way = [(0.0, x), *walk(process, x, how.first_times(), FIRST[how.first], rng)]
        process, times, sampler = self.second(way[-1][1], labels)
        high, falls = self.sigma * self.diffusion.spread, how.second == "churn"
        for t, x in walk(process, way[-1][1], times, sampler, rng):
            way.append((2 - (t / high) ** 2 if falls else 1 + t, x))
        return [t for t, _ in way], torch.stack([x for _, x in way])

    @torch.no_grad()
    def drift(self, x: Samples, t: float, rng: Randomness, labels: Labels | None = None) -> Samples:
        """The drift at points (n, *event) and a time of `paths`, below 2, in model units; from 1 on that of stage 2.

        Raises:
            UsageError: If the time is another.
        """
        if not 0 <= t < 2:
            raise UsageError(f"drift at {t:g}: give a time from 0, and below 2, where stage 2 ends")
        if t < 1:
            return self.first(labels, rng).drift(x, t)
        second = to_data(self._guided(labels), lambda rng, n: x, sigma=self.sigma * self.diffusion.spread)
        return second.drift(x, t - 1)

    @torch.no_grad()
    def energies(self, n: int, rng: Randomness, steps: int = 100) -> tuple[float, float]:
        r"""The energy of stage 1, and what it is of the exact bridge: two numbers that should agree.

        .. math:: E\int_0^1\|b(X_t, t)\|^2 dt = 2\tau\,KL(q_\sigma \| N(m, \tau I))

        On the left the drift along n paths of so many steps of Euler's, on the right log q_sigma at their ends by the
        probability flow, less :math:`2\sqrt\tau\int b\,dW`, which is 0 in the mean and most of what paths differ by;
        both in units of the data's variance.
        """
        process, scale = self.first(rng=rng), self.diffusion.spread
        mean, tau, sigma = self.diffusion.mean, self.tau * scale**2, self.sigma * scale
        x, spent, added = energy(process, process.start(rng, n), uniform(steps), rng)
        ends, few = Reach(sigma, 80 * scale, mean, scale), mean.numel() <= FEW
        own = log_prob(guided(self.diffusion.denoise), x, ends, steps=32, probes=0 if few else 1, rng=rng)
        offset = fine(x - mean).flatten(1)
        other = -0.5 * (offset.square().sum(1) / tau + mean.numel() * math.log(2 * math.pi * tau))
        exact = 2 * self.tau * (own - other) - added / scale**2
        return float(spent.mean()) / scale**2, float(exact.mean())

    @property
    def calls(self) -> int:
        """Calls of the denoiser that a sample costs; those of a ratio aside, of which there is one for each draw.

        At the start of stage 1, which is the mean of the data, the denoiser need not be asked.
        """
        how = self.sampling
        draws = {"denoiser": 1, "score": how.draws, "paper": 1}.get(how.form, 0)  # that ask the denoiser in a step
        one = draws * calls(self.first(), how.first_times(), FIRST[how.first]) if draws else 0
        one -= how.form == "denoiser"
        return one + calls(*self.second(self.diffusion.mean[None]), denoise=how.denoise)

    def remarks(self, steps: int) -> tuple[str, ...]:
        """That Monte Carlo's weights collapsed, where they did."""
        return (self.told,) if self.told else ()

    def _guided(self, labels: Labels | None) -> Denoiser:
        return self.diffusion.guided(labels, self.sampling.guidance)

    def _by_ratio(self, labels: Labels | None, rng: Randomness) -> Velocity:
        """The drift of stage 1 by Monte Carlo, in model units about the mean."""
        how, scale, mean = self.sampling, self.diffusion.spread, self.diffusion.mean
        if self.ratio is None:
            raise UsageError(f"form {how.form}: this model has no ratio; use the form denoiser, or train with one")
        if labels is not None:
            raise UsageError(f"form {how.form}: the ratio knows no classes; use the form denoiser")
        net, denoiser, sigma = self.ratio.sampler, guided(self.diffusion.denoise), self.sigma

        def score(y: Samples) -> Samples:
            there = mean + scale * y
            return (denoiser(there, sigma * scale) - there) / (scale * sigma**2)

        draws = 1 if how.form == "paper" else how.draws
        assert how.form != "denoiser"
        form = RatioDrift(net, self.tau, sigma, how.form, draws, rng, score)

        def drift(x: Samples, t: float = 0.0) -> Samples:
            b, share = form.with_share((x - mean) / scale, t)
            self.told = self.told or collapsed(float(share.mean()), draws, mean.numel())
            return scale * b

        return drift
