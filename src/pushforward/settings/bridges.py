"""Groups of options of bridges and score models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pushforward.settings.groups import Examples, LogRatio, Loop, decay
from pushforward.settings.options import Between, Count, Factor, Number, Only, Rate, Rounds, Units

__all__ = [
    "PICTURES",
    "POINTS",
    "STAMPS",
    "Bridging",
    "Convolved",
    "Denoising",
    "Distilling",
    "Pace",
    "Perceptrons",
    "Pictures",
    "Smoothing",
]


DISTILLED, REFINED = Only("distil_steps"), Only("refine_steps")


@dataclass(frozen=True)
class Denoising:
    """A denoiser, and how it learns.

    Attributes:
        width: Units of a hidden layer, or channels of a U-Net's maps at the full side.
        rate: Learning rate at the start; it falls along a cosine.
        rate_end: What is left of it at the end, as a factor.
        half_life: Images or rows in which the running average that samples come from forgets half of what it was, in
            thousands.
        law: Of the noise levels that it learns at: normal in their logarithm; or as first published, ten levels with a
            constant ratio from 4 spreads to a hundredth of that (geometric), or a thousand from 4 spreads on, evenly
            spaced in variance (linear), which are weighted by the score's error.
        level_mean: Mean of the logarithm of the noise level, in units of the data's spread, where that is normal.
        level_deviation: Its standard deviation; a larger one learns more of the finest and the coarsest.
        drop: Share of rows whose class is withheld, so that sampling can be guided; only with classes.
    """

    width: Units
    rate: Rate
    rate_end: Factor = 1e-3
    half_life: Annotated[float, Between(0, 1e6)] = 20.0
    law: Literal["normal", "geometric", "linear"] = "normal"
    level_mean: Annotated[float, Between(-20, 20), Only("law", ("normal",))] = -0.5
    level_deviation: Annotated[float, Between(1e-3, 20), Only("law", ("normal",))] = 1.2
    drop: Annotated[float, Between(0, 1), Only("conditional")] = 0.1

    def average(self, batch: int) -> float:
        """The decay of the running average for so many rows a step."""
        return decay(self.half_life, batch)


@dataclass(frozen=True)
class Pace:
    """What suits one kind of samples, in recipes and estimators alike.

    Attributes:
        net: Width, learning rate and noise levels.
        batch: Rows of a batch.
        low: Last noise level of samples above 0, in units of the data's spread.
        waves: Random Fourier features that a perceptron sees beside a sample.
    """

    net: Denoising
    batch: int
    low: float = 0.004
    waves: int = 0


POINTS = Pace(Denoising(128, 4e-3, level_mean=-1.5, level_deviation=2.0), 512, 0.002, 32)
STAMPS = Pace(Denoising(256, 2e-3), 192)
"""Images that a perceptron learns as well as convolutions."""
PICTURES = Pace(Denoising(32, 1e-3), 64)


@dataclass(frozen=True)
class Perceptrons:
    """A perceptron on points or flat images.

    Attributes:
        depth: Hidden layers.
        waves: Random Fourier features that the net sees beside the point; 0 for none.
    """

    depth: Rounds = 3
    waves: Count = 0


@dataclass(frozen=True)
class Smoothing:
    """The two stages of a bridge.

    Attributes:
        sigma: Width of the smoothed data between the stages, in units of the data's spread.
        tau: Variance of the noise of stage 1, in units of the data's variance; above the square of sigma.
        ratio: Also learn the density ratio that the Monte-Carlo forms of stage 1 need; the form denoiser needs none.
        ratio_width: Units of a hidden layer of it.
        ratio_rate: Its learning rate.
    """

    sigma: Annotated[float, Between(1e-3, 1e3)] = 4.0
    tau: Annotated[float, Between(1e-6, 1e6)] = 32.0
    ratio: bool = False
    ratio_width: Annotated[Units, Only("ratio")] = 128
    ratio_rate: Annotated[Rate, Only("ratio")] = 1e-3


@dataclass(frozen=True)
class Convolved:
    """A U-Net.

    Attributes:
        blocks: Residual blocks on each scale.
        dropout: Share of the maps that is left out at random in training.
    """

    blocks: Rounds = 1
    dropout: Annotated[float, Between(0, 0.9)] = 0.0


@dataclass(frozen=True)
class Pictures:
    """Images, a U-Net, and how long it learns on how many of them at a time."""

    loop: Loop = field(default=Loop(6_000, 64))
    net: Denoising = field(default=Denoising(16, 2e-3))
    examples: Examples = field(default=Examples())
    convolved: Convolved = field(default=Convolved())


@dataclass(frozen=True)
class Distilling:
    """A generator that does in one call of its net what the model does in many.

    Attributes:
        distil_steps: Regressions of a generator on where the model's flow carries noise; 0 for none. They count on top
            of `steps`, and samples then come from the generator; or, with model teacher among the settings of sampling,
            whose own stand beside it, from the model as before.
        distil_rate: Their learning rate at the start; it falls along a cosine.
        pairs: Pairs of noise and sample that it is regressed on. They are made once, and checkpoints hold them.
        pair_steps: Steps of the model's flow to a pair's sample, of one call each.
        refine_steps: Steps in which the regressed generator then follows a critic's flow to the data, one move a step,
            on top of all others; 0 for none. With model generator among the settings of sampling, samples come from it
            as it was before.
        refine_rate: The generator's learning rate then; it falls to 0 in a straight line.
        critic_rate: Learning rate of the critic that refines, likewise.
        critic_width: Units of a hidden layer of the critic and of a generator of points, or channels of the critic's
            largest map.
        critic_steps: Updates of the critic before each move.
        penalty: Weight of a zero-centred gradient penalty on data and samples, at some of the critic's updates.
    """

    distil_steps: Count = 0
    distil_rate: Annotated[Rate, DISTILLED] = 2e-3
    pairs: Annotated[Number, DISTILLED] = 20_000
    pair_steps: Annotated[int, Between(1, 100_000), DISTILLED] = 36
    refine_steps: Annotated[Count, DISTILLED] = 0
    refine_rate: Annotated[Rate, REFINED] = 2e-4
    critic_rate: Annotated[Rate, REFINED] = 1e-3
    critic_width: Annotated[Units, DISTILLED] = 256
    critic_steps: Annotated[Rounds, REFINED] = 1
    critic: Annotated[LogRatio, REFINED] = field(default=LogRatio("KL", penalty=0.3))


@dataclass(frozen=True)
class Bridging:
    """The stages of a bridge, and the generator that may take their place."""

    smoothing: Smoothing = field(default=Smoothing())
    distilling: Distilling = field(default=Distilling())
