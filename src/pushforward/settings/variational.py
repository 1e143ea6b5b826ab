"""Groups of options of variational autoencoders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pushforward.settings.densities import FlowName
from pushforward.settings.groups import Classes, Examples, Images, Loop, Rows, decay
from pushforward.settings.options import Between, Count, Factor, Layers, Only, Rate, Rounds, Steps, Units, Weight

__all__ = [
    "Autoencoding",
    "Bounding",
    "CodeLaws",
    "Counted",
    "Encoded",
    "Learned",
    "LikelihoodName",
    "PosteriorName",
    "PriorName",
]


PriorName = Literal["normal", "mixture", "vamp", FlowName]
PosteriorName = Literal["diagonal", FlowName]
LikelihoodName = Literal["normal", "bernoulli", "logistic", "mixture", "categorical"]
FLOWS = get_args(FlowName)
LEVELLED = ("bernoulli", "logistic", "mixture", "categorical")
PRIOR, POSTERIOR, ELBO = Only("prior", FLOWS), Only("posterior", FLOWS), Only("bound", ("elbo",))


@dataclass(frozen=True)
class CodeLaws:
    """The laws of codes.

    Attributes:
        code: Numbers of a code.
        prior: normal is N(0, I); mixture, of normal laws with full covariances; vamp, of the posteriors of inputs that
            are learned; maf, nsf and realnvp are normalising flows, as fast in training as the others.
        components: Laws in a mixture, or inputs of vamp.
        posterior: diagonal; or maf, nsf and realnvp, flows of a diagonal one, which the encoder also tells of a row.
        flow_steps: Steps of each flow.
        flow_width: Units of the hidden layers of its nets.
        context: Numbers that the encoder tells the flow of the posterior; 0 for none.
    """

    code: Annotated[int, Between(1, 4096)] = 16
    prior: PriorName = "normal"
    components: Annotated[Rounds, Only("prior", ("mixture", "vamp"))] = 50
    posterior: PosteriorName = "diagonal"
    flow_steps: Annotated[Rounds, PRIOR, POSTERIOR] = 4
    flow_width: Annotated[Units, PRIOR, POSTERIOR] = 128
    context: Annotated[Count, POSTERIOR] = 0

    @property
    def told(self) -> int:
        """Numbers that an encoder gives: means, logarithms of deviations, and what a flow is told."""
        return 2 * self.code + (0 if self.posterior == "diagonal" else self.context)


@dataclass(frozen=True)
class Bounding:
    """What is descended.

    Attributes:
        bound: elbo; importance, of several codes of a row; doubly, the same with a gradient of the encoder that keeps
            its signal, for a diagonal posterior.
        draws: Codes of a row in a step.
        beta: Weight of KL(q(z|x) ‖ p(z)) in the elbo; at anything but 1 it is no bound of the likelihood.
        free: Nats of that divergence, on average over a batch, that cost nothing.
        warmup: Steps in which beta rises from 0.
    """

    bound: Literal["elbo", "importance", "doubly"] = "elbo"
    draws: Rounds = 1
    beta: Annotated[Weight, ELBO] = 1.0
    free: Annotated[Weight, ELBO] = 0.0
    warmup: Annotated[Count, ELBO] = 0


@dataclass(frozen=True)
class Autoencoding:
    """A variational autoencoder.

    Attributes:
        likelihood: Of a number given its code: bernoulli for black and white; logistic, mixture (of five logistic laws)
            and categorical for levels; normal where numbers are a continuum, of one width, of points one a column.
        levels: That pixels have, evenly from black to white; if not given 256, of the bundled digits 17. There are 2
            where images are put in black and white.
        net: dense, perceptrons; or convolutional.
        width: Units of a hidden layer; an eighth of them are the channels of the largest map.
        depth: Hidden layers of perceptrons, of the encoder and of the decoder.
        rate: Learning rate at the start; it falls along a cosine.
        rate_end: What is left of it at the end, as a factor.
        half_life: Rows in which the running average that answers forgets half of what it was, in thousands.
    """

    likelihood: LikelihoodName = "logistic"
    levels: Annotated[int | None, Between(2, 65_536), Only("likelihood", LEVELLED)] = None
    net: Literal["dense", "convolutional"] = "dense"
    width: Units = 256
    depth: Annotated[Layers, Only("net", ("dense",))] = 2
    rate: Rate = 1e-3
    rate_end: Factor = 1e-2
    half_life: Annotated[float, Between(0, 1e6)] = 20.0
    codes: CodeLaws = field(default=CodeLaws())
    bounding: Bounding = field(default=Bounding())

    def average(self, batch: int) -> float:
        """The decay of the running average for so many rows a step."""
        return decay(self.half_life, batch)


@dataclass(frozen=True)
class Encoded:
    """Images, a variational autoencoder of them, and how long it learns on how many of them at a time."""

    loop: Loop = field(default=Loop(10_000, 128))
    model: Autoencoding = field(default=Autoencoding())
    rows: Rows = field(default=Rows("digits"))
    images: Images = field(default=Images())

    @property
    def examples(self) -> Examples:
        """The images, of which there is one law for all classes."""
        return Examples(self.rows, images=self.images)


@dataclass(frozen=True)
class Counted:
    """Counts, a variational autoencoder of them, and how long it learns.

    Attributes:
        data: toy:counts, or PATH[:key] of whole numbers from 0 on: columns of a table, an array, X or a layer of .h5ad.
        conditional: Tell both nets the class of a row, as the batch of a cell, so that codes need not carry it.
        width: Units of a hidden layer.
        depth: Hidden layers of the encoder and of the decoder.
        rate: Learning rate at the start; it falls along a cosine.
        rate_end: What is left of it at the end, as a factor.
        half_life: Rows in which the running average that answers forgets half of what it was, in thousands.
    """

    rows: Rows = field(default=Rows("toy:counts"))
    classes: Classes = field(default=Classes())
    loop: Loop = field(default=Loop(4_000, 128))
    width: Units = 128
    depth: Layers = 2
    rate: Rate = 1e-3
    rate_end: Factor = 1e-2
    half_life: Annotated[float, Between(0, 1e6)] = 20.0
    codes: CodeLaws = field(default=CodeLaws(10))
    bounding: Bounding = field(default=Bounding())

    def average(self, batch: int) -> float:
        """The decay of the running average for so many rows a step."""
        return decay(self.half_life, batch)


@dataclass(frozen=True)
class Learned:
    """A prior that is learned after the autoencoder, on codes drawn from its posteriors.

    Attributes:
        learner: What learns their law: score, a score model; bridge, one in two stages; vgrow, a generator; particles.
        prior_steps: Its steps, on top of those of the autoencoder.
        prior_width: Units of a hidden layer of its nets; those of the critic of particles have 64.
        prior_rate: Its learning rate at the start.
        output: draw pixels from p(x|z), or their mean, which has less noise in it than data have.
    """

    learner: Literal["score", "bridge", "vgrow", "particles"] = "bridge"
    prior_steps: Steps = 6_000
    prior_width: Units = 256
    prior_rate: Rate = 2e-3
    output: Literal["draw", "mean"] = "mean"
