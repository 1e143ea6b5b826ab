"""Groups of options that recipes and estimators share; a recipe gives the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pushforward.settings.options import (
    Between,
    Count,
    Data,
    Factor,
    File,
    Later,
    Layers,
    Length,
    Number,
    Only,
    Rate,
    Rounds,
    Seed,
    Steps,
    Units,
    Weight,
)

__all__ = [
    "FIELDS",
    "Bound",
    "Classes",
    "Cloud",
    "CodeDrive",
    "Coding",
    "Constraint",
    "Contrast",
    "Convolutions",
    "Critic",
    "Ends",
    "Examples",
    "Generator",
    "Images",
    "LogRatio",
    "Loop",
    "OuterLoop",
    "Pace",
    "Rows",
    "Scheme",
    "decay",
]

FIELDS = 16384  # recorded fields that a run keeps; with fewer, new points go astray in long runs
Constraint = Literal["bjorck", "spectral", "reference", "penalty"]
Contrast = Literal["logistic", "dual"]
LEARNED = Only("codec", ("autoencoder",))
Scheme = Literal["euler", "heun", "rk4", "ab2", "ab3", "ab4", "ab5"]


def decay(half_life: float, rows: int) -> float:
    """What is left of a running average after so many rows: half, after a half-life in thousands; 0 for none."""
    return 0.5 ** (rows / (1000 * half_life)) if half_life else 0.0


@dataclass(frozen=True)
class Rows:
    """What is learned from.

    Attributes:
        data: digits, toy:NAME, a folder of images, or PATH[:key].
        limit: Use at most so many rows.
        test_fraction: Share of the rows held out; what the source says, or a tenth, if not given.
    """

    data: Data
    limit: int | None = None
    test_fraction: float | None = None


@dataclass(frozen=True)
class Classes:
    """Classes of the rows.

    Attributes:
        labels: Name of an array or column with classes, or their file.
        conditional: Learn one law for each class; particles keep the class that they start with.
    """

    labels: File | None = None
    conditional: bool = False


@dataclass(frozen=True)
class Images:
    """How images are read, and judged.

    Attributes:
        side: Height and width, a power of two; chosen by the images if not given.
        channels: 1, 3 or 4; chosen by the images if not given.
        features: Network that judges the samples: digits8 for digits, raw for pixels, auto for digits8 on digits only.
    """

    side: int | None = None
    channels: int | None = None
    features: Literal["auto", "raw", "digits8"] = "auto"


@dataclass(frozen=True)
class Examples:
    """What is learned from, its classes, and how images among it are read and judged."""

    rows: Rows = field(default=Rows("digits"))
    classes: Classes = field(default=Classes())
    images: Images = field(default=Images())


@dataclass(frozen=True)
class Loop:
    """How long, on how much at a time.

    Attributes:
        steps: Steps of training, or of all particles.
        batch: Rows of data, and of samples or particles, that are seen in a step.
        seed: Seed of everything: the split, the nets, the batches, latents and first particles.
    """

    steps: Steps
    batch: Annotated[int, Between(1, 10**6)]
    seed: Seed = 0


@dataclass(frozen=True)
class OuterLoop:
    """How long VGrow trains, and what a step of its outer loop does; what is not given suits the number of moves.

    Attributes:
        steps: Steps of training; if not given, the recipe's own number, the smaller the more moves a step has.
        batch: Rows of data, and particles, that the critic sees in an update.
        seed: Seed of everything: the split, the nets, the batches and latents.
        moves: Moves of the pool for one step.
        pool: Particles in a pool, as a multiple of the batch; if not given, as many as moves, up to 5.
        fits: Passes of the regression over the pool for one step; if not given, as many as make an update of the
            generator for each move, or more.
        step: Length of a move per unit velocity, in units of the data as nets see them: standardised for points.
        radius: Furthest that a particle goes in one move at the start, in the same units; if not given, as far as the
            flow says for one move; for several, .46 over their number, times the root of the numbers in a sample.
        radius_end: What is left of it at the end, as a factor.
    """

    steps: Steps | None = None
    batch: Annotated[int, Between(1, 10**6)] = 192
    seed: Seed = 0
    moves: Rounds = 1
    pool: Rounds | None = None
    fits: Rounds | None = None
    step: Length = 1.0
    radius: Length | None = None
    radius_end: Factor = 0.05

    def loop(self, one: int, several: int) -> Loop:
        """As a loop; if no steps are given, of `one` steps of one move, or as many as make `several` moves."""
        usual = one if self.moves == 1 else max(1, several // self.moves)
        return Loop(self.steps or usual, self.batch, self.seed)


@dataclass(frozen=True)
class Generator:
    """A net that generates.

    Attributes:
        latent: Size of z.
        width: Units of a hidden layer of generator and critic.
        rate: Learning rate of generator and critic at the start.
        ema: Decay of the generator's running average.
    """

    latent: Annotated[int, Between(1, 10**5)]
    width: Units
    rate: Rate
    ema: Annotated[float, Between(0, 0.999999)] = 0.999


@dataclass(frozen=True)
class Convolutions:
    """Nets for images.

    Attributes:
        net: dcgan or resnet.
        norm: Normalisation in the generator.
        spectral: Spectral norm in the critic.
    """

    net: Literal["dcgan", "resnet"] = "dcgan"
    norm: Literal["batch", "pixel", "none"] = "batch"
    spectral: bool = False


@dataclass(frozen=True)
class LogRatio:
    """A critic that learns log p/q, and what its ascent lowers.

    Attributes:
        divergence: KL, REVERSE_KL, JS, LOGD, JEFFREYS, PEARSON, NEYMAN, HELLINGER, LIN, alpha(A) or
            package.module:NAME.
        contrast: The critic's loss where the divergence has none of its own: logistic regression, or its f-GAN dual.
        penalty: Weight of a zero-centred gradient penalty on data and samples at the start; 0 for none.
        cap: Largest weight of a sample.
    """

    divergence: str = "KL"
    contrast: Contrast = "logistic"
    penalty: Annotated[Weight, Later()] = 0.0
    cap: Annotated[float, Between(1e-6, float("inf")), Later()] = 100.0


@dataclass(frozen=True)
class Critic:
    """A critic of bounded slope, and the Lipschitz-regularised divergence that its ascent lowers.

    Attributes:
        divergence: KL_LIP, REVERSE_KL_LIP, JS_LIP, HELLINGER_LIP, PEARSON_LIP, TV_LIP, alpha_lip(A), W1; another
            constant of `pushforward.divergences`; or package.module:NAME.
        slope: Largest slope, and so largest speed, in scores per model unit: standardised data, codes of unit size, or
            pixels in [-1, 1].
        width: Units of a hidden layer of the critic, even.
        depth: Hidden layers of the critic.
        rate: Learning rate of the critic at the start; it falls to a tenth along a cosine, over warmup and steps.
        critic_steps: Critic updates in one call, of which there is one for each step.
    """

    divergence: str = "KL_LIP"
    slope: Weight = 1.0
    width: Units = 32
    depth: Layers = 3
    rate: Rate = 5e-3
    critic_steps: Rounds = 3


@dataclass(frozen=True)
class Bound:
    """How the slope of a critic is bounded.

    Attributes:
        critic: bjorck is tight, spectral by layers, reference (Frobenius norms) loose, penalty soft with a speed limit.
        penalty: Weight on slopes beyond the bound, for penalty.
        cap: Largest weight of a particle, where the divergence gives them weights.
    """

    critic: Constraint = "bjorck"
    penalty: Annotated[Weight, Only("critic", ("penalty",))] = 10.0
    cap: Annotated[float, Between(1e-6, float("inf"))] = 100.0


@dataclass(frozen=True)
class Cloud:
    """Particles and where they start: a normal cloud, alike in each coordinate, in model units.

    Attributes:
        particles: Number of particles.
        start: Mean of the first particles.
        spread: Their standard deviation.
    """

    particles: Number
    start: Annotated[float, Between(-1e30, 1e30)] = 0.0
    spread: Annotated[float, Between(0, 1e30)] = 1.0


@dataclass(frozen=True)
class Pace:
    """How fast particles go.

    Attributes:
        step: Time of a step at the start: a particle moves by `slope * step` model units at most.
        step_end: Factor on it at the end.
        warmup: Calls of the flow, each with all its critic updates, before anything moves.
    """

    step: Length
    step_end: Factor = 0.1
    warmup: Annotated[int, Between(0, 10**6)] = 50


@dataclass(frozen=True)
class Ends:
    """When to stop before the last step.

    Attributes:
        tol: Stop when the mean kinetic energy of 20 steps is below this, times slope squared; 0 never stops.
        plateau: Stop when the divergence changes by less than this share of its first value in 20 steps; 0 never stops.
        horizon: Stop at this time; 0 never stops.
    """

    tol: Annotated[Weight, Later()] = 0.0
    plateau: Annotated[Weight, Later()] = 0.0
    horizon: Annotated[Weight, Later()] = 0.0


@dataclass(frozen=True)
class Coding:
    """A codec, between data and codes of unit size.

    Attributes:
        codec: pca:K, or autoencoder:K, with K numbers in a code.
        codec_steps: Steps in which an autoencoder learns before anything moves; they count on top of `steps`.
        codec_width: Units of its hidden layers.
        codec_rate: Its learning rate at the start; it falls to zero.
        net: Its layers: dense or convolutional.
    """

    codec: str
    codec_steps: Annotated[Steps, LEARNED] = 1500
    codec_width: Annotated[Units, LEARNED] = 256
    codec_rate: Annotated[Rate, LEARNED] = 1e-3
    net: Annotated[Literal["dense", "convolutional"], LEARNED] = "dense"


@dataclass(frozen=True)
class CodeDrive:
    """Particles and the critic that drives them, in code space unless the codec is none.

    Attributes:
        particles: Number of particles.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
    """

    coding: Coding = field(default=Coding("pca:16"))
    critic: Critic = field(default=Critic(critic_steps=5))
    loop: Loop = field(default=Loop(300, 500))
    particles: Number = 1_000
    pace: Pace = field(default=Pace(0.5))
    fields: Count = FIELDS
