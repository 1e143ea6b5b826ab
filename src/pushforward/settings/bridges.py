"""Groups of options of bridges and score models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pushforward.settings.groups import Examples, Loop
from pushforward.settings.options import Between, Count, Factor, Rate, Rounds, Units

__all__ = ["Convolved", "Denoising", "Perceptrons", "Pictures", "Smoothing"]


@dataclass(frozen=True)
class Denoising:
    """A denoiser, and how it learns.

    Attributes:
        width: Units of a hidden layer, or channels of a U-Net's maps at the full side.
        rate: Learning rate at the start; it falls along a cosine.
        rate_end: What is left of it at the end, as a factor.
        half_life: Images or rows in which the running average that samples come from forgets half of what it was, in
            thousands.
        level_mean: Mean of the logarithm of the noise level, in units of the data's spread.
        level_deviation: Its standard deviation; a larger one learns more of the finest and the coarsest.
        drop: Share of rows whose class is withheld, so that sampling can be guided; only with classes.
    """

    width: Units
    rate: Rate
    rate_end: Factor = 1e-3
    half_life: Annotated[float, Between(0, 1e6)] = 20.0
    level_mean: Annotated[float, Between(-20, 20)] = -0.5
    level_deviation: Annotated[float, Between(1e-3, 20)] = 1.2
    drop: Annotated[float, Between(0, 1)] = 0.1

    def average(self, batch: int) -> float:
        """The decay of the running average for so many rows a step."""
        return 0.5 ** (batch / (1000 * self.half_life)) if self.half_life else 0.0


@dataclass(frozen=True)
class Perceptrons:
    """A perceptron on points or flat images.

    Attributes:
        depth: Hidden layers.
        waves: Of random frequencies, which the net sees of a point beside it; 0 for none.
    """

    depth: Rounds = 3
    waves: Count = 0


@dataclass(frozen=True)
class Smoothing:
    """The two stages of a bridge.

    Attributes:
        sigma: Width of the smoothed data between the stages, in units of the data's spread.
        tau: Variance of the noise of stage 1, in units of the data's variance; above the square of sigma.
        ratio: Learn the ratio as well that the Monte-Carlo forms of stage 1 need; the form denoiser needs none.
        ratio_width: Units of a hidden layer of it.
        ratio_rate: Its learning rate.
    """

    sigma: Annotated[float, Between(1e-3, 1e3)] = 2.0
    tau: Annotated[float, Between(1e-6, 1e6)] = 8.0
    ratio: bool = False
    ratio_width: Units = 128
    ratio_rate: Rate = 1e-3


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
