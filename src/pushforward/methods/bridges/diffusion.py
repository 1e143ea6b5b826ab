r"""A score model: a net learns the denoiser D(y; s), and samples come down from noise by its drift or its flow.

    s ~ levels;  y = x + s e
    theta <- theta - rate * grad E weight(s) ||D_theta(y; s) - x||^2
    samples:  x ~ N(mean, high^2 + spread^2);  x down the levels to 0

References:
    Elucidating the design space of diffusion-based generative models (Karras et al., 2022), arXiv:2206.00364.
    Generative modeling by estimating gradients of the data distribution (Song & Ermon, 2019), arXiv:1907.05600.
    Classifier-free diffusion guidance (Ho & Salimans, 2022), arXiv:2207.12598.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from torch import Tensor

from pushforward.dynamics.bridges.clocks import Noisy, variance_exploding
from pushforward.dynamics.integrate import euler
from pushforward.dynamics.sde.annealed import Annealed, geometric_ladder
from pushforward.dynamics.sde.levels import power
from pushforward.dynamics.sde.likelihood import Reach, log_prob
from pushforward.dynamics.sde.process import Process
from pushforward.dynamics.sde.samplers import (
    Churn,
    EulerMaruyama,
    Exponential,
    Multistep,
    PredictorCorrector,
    ProbabilityFlow,
    Sampler,
    StochasticHeun,
)
from pushforward.dynamics.sde.simulate import calls, simulate
from pushforward.errors import UsageError
from pushforward.nets.mlp import FEW
from pushforward.nets.timed.preconditioned import Preconditioned
from pushforward.objectives.matching import Levels, LogNormal, Weight, balanced, denoising
from pushforward.randomness import stream
from pushforward.settings.options import Between
from pushforward.training.learner import Learner
from pushforward.types import Batch, Denoiser, Labels, Logs, Randomness, Samples, Scores, unpack

__all__ = ["Diffusion", "SamplerName", "ScoreSampling", "guided", "step_of"]

NUMBERS = 2**16  # of samples that go through the net at once: on a processor larger blocks are slower
SamplerName = Literal[
    "multistep", "heun", "euler", "churn", "exponential", "stochastic_heun", "euler_maruyama", "predictor_corrector"
]
SAMPLERS: dict[SamplerName, Sampler] = {
    "multistep": Multistep(),
    "heun": ProbabilityFlow(),
    "euler": ProbabilityFlow(euler),
    "exponential": Exponential(),
    "stochastic_heun": StochasticHeun(),
    "euler_maruyama": EulerMaruyama(),
    "predictor_corrector": PredictorCorrector(),
}


@dataclass(frozen=True)
class ScoreSampling:
    """How samples come down from noise.

    Attributes:
        sampler: multistep, heun and euler along the probability flow; churn, heun that puts some noise in anew;
            exponential (ancestral), stochastic_heun and euler_maruyama for the diffusion itself; predictor_corrector,
            exponential with a Langevin step after each; annealed, Langevin steps alone on a geometric ladder, as score
            networks were published.
        steps: Steps, or levels of annealed; heun, churn, stochastic_heun and predictor_corrector call the net twice
            in all but the last.
        high: First noise level, in units of the data's spread.
        low: Last one above 0, likewise.
        rho: How the levels lie: 1 evenly, larger closer together at the low end.
        churn: By how much churn raises levels, as a share, in all steps together; at most by .41 in one.
        rounds: Langevin steps of annealed on each level.
        guidance: How far samples of a class are led beyond what the net says of it, away from what it says of all.
    """

    sampler: SamplerName | Literal["annealed"] = "multistep"
    steps: Annotated[int, Between(1, 100_000)] = 36
    high: Annotated[float, Between(1e-3, 1e6)] = 40.0
    low: Annotated[float, Between(1e-6, 1e3)] = 0.004
    rho: Annotated[float, Between(0.1, 100)] = 7.0
    churn: Annotated[float, Between(0, 1000)] = 3.0
    rounds: Annotated[int, Between(1, 10_000)] = 5
    guidance: Annotated[float, Between(0, 100)] = 0.0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise UsageError(f"levels from high {self.high:g} to low {self.low:g}: give a low one below the high one")

    def levels(self, steps: int | None = None) -> list[float]:
        """The levels, in units of the data's spread, and 0."""
        return power(self.steps if steps is None else steps, self.high, self.low, self.rho)


@dataclass
class Diffusion:
    """A denoiser that learns from data with noise on them, and generates by going down the noise levels.

    Attributes:
        denoise: D, a `Preconditioned` net, and how it learns.
        rng: Where noise comes from.
        law: Levels that it learns at, in units of the data's spread.
        weight: Weight of a level, likewise.
        cell: Width of the cells that the data's numbers were rounded to, in model units, (), 2/255 for photographs in
            [-1, 1]; None where they are a continuum. Densities are taken at numbers spread evenly over their cells: see
            `log_prob`.
        project: Applied to samples at their end, for example `clamp(-1, 1)`.
        drop: Share of the rows whose class is withheld in training, so that guidance has something to lead away from.
        sampling: How samples come down.
    """

    denoise: Learner
    rng: Randomness
    law: Levels = field(default_factory=LogNormal)
    weight: Weight = balanced
    cell: Tensor | None = None
    project: Callable[[Samples], Samples] | None = None
    drop: float = 0.1
    sampling: ScoreSampling = field(default_factory=ScoreSampling)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One update of the denoiser for each yield.

        Args:
            batches: Endless batches of data (n, *event), or of (data, labels) for a conditional net.
            start: Number of steps done before.
        """
        for batch in batches:
            yield self.step(*unpack(batch))

    def step(self, x: Samples, labels: Labels | None = None) -> Logs:
        """One update of the denoiser on a batch."""
        net = self.net
        relative = self.law(self.rng, len(x)).to(x)
        noise = self.rng.normal(*x.shape).to(x)
        if labels is not None and self.drop:
            withheld = self.rng.uniform(len(x)).to(x) < self.drop
            labels = torch.where(withheld, net.classes, labels)
        weights = self.weight(relative) / net.spread.square()
        loss = denoising(self.denoise, x, relative * net.spread, noise, weights, labels)
        self.denoise.descend(loss)
        return {"denoising": loss.detach()}

    @property
    def net(self) -> Preconditioned:
        """The net that learns."""
        return _preconditioned(self.denoise.net)

    @property
    def mean(self) -> Tensor:
        """Mean of the data, (*event)."""
        return self.net.mean

    @property
    def spread(self) -> float:
        """Root mean square of the data about their mean, the unit of noise levels; reading it waits for the device."""
        return float(self.net.spread)

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        """D of the net's average, guided as `sampling` says, for classes (n,) of the n rows."""
        return self.guided(labels, self.sampling.guidance)

    def guided(self, labels: Labels | None, guidance: float) -> Denoiser:
        """The function `guided` of the net's average.

        Raises:
            UsageError: If there is guidance but no class to lead to, or none was withheld in training.
        """
        if guidance and labels is None:
            raise UsageError(f"guidance {guidance:g} without classes: leave it out, or train with classes")
        if guidance and not self.drop:
            raise UsageError(f"guidance {guidance:g}: this model learned with drop 0, and so nothing of all classes")
        return guided(self.denoise, labels, guidance)

    def levels(self, steps: int) -> list[float]:
        """Levels that suit so many steps, in model units, and 0."""
        return [self.spread * level for level in self.sampling.levels(steps)]

    @property
    def density_rows(self) -> int:
        """2,000 rows of up to three numbers, and 250 of more: a trace takes a pass back for each number, or luck."""
        return 2_000 if self.mean.numel() <= FEW else 250

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        r"""Log density (n,) of the law that the probability flow has, in nats, with respect to model units.

        It is exact, up to 32 steps of Runge and Kutta, for up to three numbers in a sample, and else unbiased, by one
        random direction a row, the same for the same rows at every call. It is the density of data with noise of level
        0.002 spreads; of rounded data with noise as wide as rounding, cell/sqrt(12), at points that are drawn evenly
        from the rows' cells: a bound from below of the log probability of their levels. With less noise a net that
        knows the levels would be asked for the density between them, which is next to nothing.

        Args:
            x: Points (n, *event).
            labels: Classes (n,), for a conditional net.
        """
        spread, few = self.spread, self.mean.numel() <= FEW
        rng = stream(0, "evaluate", part="density", device=x.device)
        low = 0.002 * spread
        if self.cell is not None:
            x = x + self.cell.to(x) * (rng.uniform(*x.shape).to(x) - 0.5)
            low = float(self.cell) / math.sqrt(12)
        ends = Reach(low, 80 * spread, self.mean, spread)
        denoiser = guided(self.denoise, labels)
        return log_prob(denoiser, x, ends, steps=32, probes=0 if few else 1, rng=rng)

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event), as `sampling` says."""
        rng, denoiser = rng or self.rng, self.denoiser(labels)
        if self.sampling.sampler == "annealed":
            chain, ladder = self._chain()
            return self.kept(chain(denoiser, self._noise()(rng, n), ladder, rng))
        process, levels, sampler = self._way(denoiser)
        return self.kept(simulate(process, n, levels, sampler, rng))

    @property
    def calls(self) -> int:
        """Calls of the net that a sample costs."""
        if self.sampling.sampler == "annealed":
            chain, ladder = self._chain()
            return chain.calls(ladder)
        return calls(*self._way(self.denoiser()))

    def _noise(self) -> Noisy:
        """The law of the first level."""
        return Noisy(self.mean, self.spread * math.hypot(self.sampling.high, 1.0))

    def _way(self, denoiser: Denoiser) -> tuple[Process, list[float], Sampler]:
        """The process, its levels and its step."""
        how = self.sampling
        assert how.sampler != "annealed"
        process = variance_exploding(denoiser, self._noise(), high=self.spread * how.high)
        return process, self.levels(how.steps), step_of(how.sampler, how.churn, how.steps)

    def _chain(self) -> tuple[Annealed, list[float]]:
        """Langevin steps alone, and their ladder."""
        how, spread = self.sampling, self.spread
        ladder = geometric_ladder(max(how.steps, 2), spread * how.high, spread * how.low)
        return Annealed(0.2 * ladder[-1] ** 2, how.rounds), ladder

    def kept(self, x: Samples) -> Samples:
        """Samples where data may lie."""
        return x if self.project is None else self.project(x)


def step_of(name: SamplerName, churn: float = 0.0, steps: int = 1) -> Sampler:
    """The step of a name; churn of so much in all steps together, and in none more than published."""
    return Churn(min(churn / steps, math.sqrt(2) - 1)) if name == "churn" else SAMPLERS[name]


def guided(learner: Learner, labels: Labels | None = None, guidance: float = 0.0) -> Denoiser:
    r"""The average of a denoiser in evaluation mode, :math:`D_k + w\,(D_k - D)` for classes k, some rows at a time.

    Args:
        learner: A `Preconditioned` net, and how it learns.
        labels: Classes k (n,) of the rows; None for no class.
        guidance: w.
    """
    net = _preconditioned(learner.sampler)

    def evaluated(y: Samples, s: float | Tensor, k: Labels | None) -> Samples:
        if net.training:  # there is no average: what learns answers itself
            net.eval()
            try:
                return evaluated(y, s, k)
            finally:
                net.train()
        with learner.autocast():
            if k is None or not guidance:
                return net(y, s) if k is None else net(y, s, k)
            level = torch.as_tensor(s).to(y).expand(len(y)).repeat(2)
            both = net(torch.cat([y, y]), level, torch.cat([k, torch.full_like(k, net.classes)]))
        own, common = both.chunk(2)
        return own + guidance * (own - common)

    def denoiser(y: Samples, s: float | Tensor) -> Samples:
        k = None if labels is None else labels.to(y.device)
        size = max(1, NUMBERS // max(y[:1].numel(), 1))
        if len(y) <= size:
            return evaluated(y, s, k).to(y)
        each = torch.as_tensor(s).to(y).expand(len(y)).split(size)
        classes = [None] * len(each) if k is None else k.split(size)
        parts = [evaluated(*part) for part in zip(y.split(size), each, classes, strict=True)]
        return torch.cat(parts).to(y)

    return denoiser


def _preconditioned(net: torch.nn.Module) -> Preconditioned:
    if not isinstance(net, Preconditioned):
        raise UsageError(
            f"a denoiser is a nets.timed.Preconditioned net, not a {type(net).__name__}: wrap yours in one"
        )
    return net
