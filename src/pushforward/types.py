"""The words of the house: samples, scores, critics, velocities, and the one seam that joins them.

Everywhere p is the data, q the model, r = q/p and d = log p/q; q comes before p in every signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor, device

from pushforward.terms import Term

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "Batch",
    "Blends",
    "Bounds",
    "Conditional",
    "Contrast",
    "CountsCalls",
    "Critic",
    "Denoiser",
    "Denoises",
    "Described",
    "Examined",
    "Explains",
    "External",
    "Flow",
    "Given",
    "HasCodes",
    "HasCritic",
    "HasEnergy",
    "HasParticles",
    "Infers",
    "KnowsPrior",
    "LabelPair",
    "Labels",
    "Likely",
    "Logged",
    "Logs",
    "Method",
    "Pathways",
    "Penalty",
    "Place",
    "Placeable",
    "Randomness",
    "Records",
    "Replayable",
    "Restores",
    "Resumable",
    "Samples",
    "Scalar",
    "Schedule",
    "Scores",
    "Shared",
    "Sourced",
    "Sparing",
    "Staged",
    "Stops",
    "TakesSettings",
    "Transports",
    "Untrained",
    "Valued",
    "ValuedByClass",
    "Velocity",
    "Wraps",
    "able",
    "logged",
    "unpack",
]

Samples: TypeAlias = Float[Tensor, "n *event"]
Scores: TypeAlias = Float[Tensor, "n"]
Scalar: TypeAlias = Float[Tensor, ""]
Labels: TypeAlias = Int[Tensor, "n"]
LabelPair: TypeAlias = tuple[Labels, Labels]
"""Classes of model samples, (n,), and of data samples, (m,)."""
Logs: TypeAlias = dict[str, Tensor]
Batch: TypeAlias = Tensor | tuple[Tensor, Tensor]

Critic: TypeAlias = Callable[..., Scores]
"""(n, *event) -> (n,), high where data lie. A conditional critic takes labels (n,) as a second argument."""

Penalty: TypeAlias = Callable[[Critic, Samples, Samples], Scalar]
"""(critic, q, p) -> scalar added to the critic's loss."""

Contrast: TypeAlias = Callable[[Scores, Scores], Scalar]
"""(scores of q, scores of p) -> the critic's loss."""

Schedule: TypeAlias = Callable[[int], float]
"""Number of updates done so far -> factor."""

Denoiser: TypeAlias = Callable[[Samples, "float | Tensor"], Samples]
"""(y, s) -> D(y; s) = E[Y | Y + s e = y], (n, *event): Y are data, e is standard normal, s > 0, one for all or (n,)."""


class Velocity(Protocol):
    """A field (x, t) -> dx/dt that depends on nothing else, so that it can be replayed on new points."""

    def __call__(self, x: Samples, t: float = 0.0) -> Samples: ...


@runtime_checkable
class Flow(Protocol):
    """Anything that answers samples of q and of p with the velocity that lowers D(q‖p)."""

    def velocity(self, q: Samples, p: Samples) -> Velocity:
        """The velocity at q; a learned flow trains its critic on the way. Valid until the next call."""
        ...


class Place(Protocol):
    """Where work happens: see `pushforward.parallel.placement.Placement`."""

    @property
    def device(self) -> device: ...
    @property
    def rank(self) -> int: ...
    @property
    def world(self) -> int: ...


class Randomness(Protocol):
    """Seeded draws that agree between one process and many: see `pushforward.randomness.Noise`."""

    def normal(self, n: int, *event: int) -> Tensor: ...
    def uniform(self, n: int, *event: int) -> Tensor: ...
    def integers(self, high: int, n: int) -> Tensor: ...
    def permutations(self, rows: int, columns: int) -> Tensor: ...


@runtime_checkable
class Method(Protocol):
    """A generative method: `learn` is its pseudo-code, one yield a step; every tensor it needs later is a field."""

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]: ...
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples: ...


# What a flow can do beyond `velocity`.


@runtime_checkable
class Given(Protocol):
    """A velocity that can be asked for points of other classes."""

    def given(self, labels: Labels | None) -> Velocity: ...


@runtime_checkable
class Logged(Protocol):
    """A flow that leaves the numbers of its last call in `logs`."""

    @property
    def logs(self) -> Logs: ...


@runtime_checkable
class Conditional(Protocol):
    """A flow that takes the classes of q and of p beside them; its velocities are `Given`."""

    @property
    def classes(self) -> int:
        """Number of classes that its critic knows; 0 where that is not known."""
        ...

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Velocity: ...


@runtime_checkable
class External(Protocol):
    """A flow whose velocity at a point is given from outside: the same wherever the samples of q are, at every call."""

    @property
    def external(self) -> bool: ...


@runtime_checkable
class Untrained(Protocol):
    """A flow that may be past its training: its next velocity is then found from the samples of a call alone."""

    @property
    def untrained(self) -> bool: ...


@runtime_checkable
class Valued(Protocol):
    """A flow that says, of any samples, what it lowers; a `Conditional` one takes their classes too."""

    def value(self, q: Samples, p: Samples) -> Scalar: ...


@runtime_checkable
class ValuedByClass(Conditional, Protocol):
    """A flow that is both `Conditional` and `Valued`."""

    def value(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Scalar: ...


@runtime_checkable
class Examined(Protocol):
    """A flow that can be looked at between q and p, at some cost; a `Conditional` one is given their classes too."""

    def diagnose(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Logs: ...


@runtime_checkable
class Replayable(Flow, Protocol):
    """A flow whose velocities can be written down as tensors and read back."""

    def snapshot(self) -> dict[str, Tensor]: ...
    def replay(self, state: dict[str, Tensor]) -> Velocity: ...


@runtime_checkable
class Blends(Replayable, Protocol):
    """A replayable flow that can tell a field between two snapshots, nearly: so that one serves for several steps."""

    def blend(self, one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
        """A state for `replay`: at share 0 the first, at 1 the other."""
        ...


@runtime_checkable
class HasCritic(Protocol):
    """A flow that moves along a learned critic, and what is known of that critic when a run is wired."""

    @property
    def logistic(self) -> bool:
        """Whether the critic's loss is the logistic one."""
        ...

    @property
    def dual(self) -> bool:
        """Whether the critic is itself the first variation, learned by the divergence's own contrast."""
        ...

    @property
    def fastest(self) -> float | None:
        """A speed that no sample exceeds, in model units per unit of time; None where none is known."""
        ...


# What a law of latents can do beyond drawing.


@runtime_checkable
class Described(Protocol):
    """A law that can be written down: in the words of one of `pushforward.densities.latents`, which draws the same."""

    def as_dict(self) -> dict[str, Any]: ...


# What a method can do beyond `learn` and `sample`.


@runtime_checkable
class HasParticles(Protocol):
    """A method that moves a cloud of particles (n, *event), with classes (n,) or None."""

    particles: Samples
    labels: Labels | None


@runtime_checkable
class Transports(Protocol):
    """A method that carries new points the way its own particles went."""

    def transport(self, x: Samples, labels: Labels | None = None) -> Samples: ...


@runtime_checkable
class Records(Protocol):
    """A method that writes down its velocities: `tape` has an entry for each that is kept, and is empty otherwise."""

    @property
    def tape(self) -> Sequence[object]: ...


@runtime_checkable
class Sourced(Protocol):
    """A method that knows the law of its first particles; None where they are all there is."""

    @property
    def source(self) -> object | None: ...


@runtime_checkable
class Stops(Protocol):
    """A method that may end by itself, and says why: in words, empty as long as it goes on."""

    @property
    def stopped(self) -> str: ...


@runtime_checkable
class Remarks(Protocol):
    """A method that has something to say of itself beside numbers: sentences, of which a run tells each once.

    `remarks(steps)` is asked for after each of so many steps, and forgets nothing that it said; it is cheap.
    """

    def remarks(self, steps: int) -> Sequence[str]: ...


@runtime_checkable
class Likely(Protocol):
    """A law that answers for its density: log q(x), (n,), in nats, with respect to the model's units."""

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores: ...


@runtime_checkable
class Sparing(Likely, Protocol):
    """A law whose density takes long: an evaluation asks for it of so many rows of a kind, and not of all.

    Where these are fewer than a thousand, it asks only if somebody names what needs it.
    """

    @property
    def density_rows(self) -> int:
        """Rows of a kind that it is worth asking for."""
        ...


@runtime_checkable
class Bounds(Likely, Protocol):
    """A law whose `log_prob` is a bound from below, or a probability, and says so."""

    @property
    def discrete(self) -> bool:
        """Whether it is of the probability of levels, which has no unit to convert, and not of a density."""
        ...

    @property
    def protocol(self) -> str:
        """How it is found, in words."""
        ...

    def bounded(self, x: Samples, labels: Labels | None = None) -> tuple[Scores, Scores]:
        """`log_prob`, and how many draws count in the number of each row, NaN where there are none, (n,) each."""
        ...


@runtime_checkable
class Infers(Protocol):
    """What knows the codes that a row may have: z = T(z0; x) of normal z0 with independent numbers is of law q(z|x)."""

    @property
    def posterior_flow(self) -> Literal["none", "common", "own"]:
        """What T is: nothing, one map for all rows, or one that sees the row."""
        ...

    @property
    def discrete(self) -> bool:
        """Whether p(x|z) is a probability of levels, which has no unit to convert, and not a density."""
        ...

    def base(self, x: Samples, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
        """Means of z0 and logarithms of its deviations, (n, code) each, of samples (n, *event) and their classes."""
        ...

    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        """The codes z (n, code) that standard normal e (n, code) stand for, log p(x|z) and log q(z|x), in nats.

        With e = 0 it is the code that the middle of z0 goes to.
        """
        ...


@runtime_checkable
class HasCodes(Infers, Protocol):
    """A method whose samples are decoded codes, z ~ p(z) and x ~ p(x|z)."""

    def prior_codes(self, n: int, rng: Randomness) -> Tensor:
        """n draws of p(z), (n, code)."""
        ...

    def decode(self, z: Tensor) -> Samples:
        """Samples (n, *event) of codes."""
        ...


@runtime_checkable
class KnowsPrior(HasCodes, Protocol):
    """One that answers for the density of p(z), so that what a bound loses to it is known."""

    def log_prior(self, z: Tensor) -> Scores:
        """log p(z), (n,), in nats, of codes (n, code)."""
        ...


@runtime_checkable
class Denoises(Protocol):
    """A method that knows the mean of the data behind a noisy sample: enough to generate, to restore and to blend."""

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        """D(y; s), for samples of the given classes (n,), in the model's units; it takes as many rows as labels."""
        ...

    def levels(self, steps: int) -> Sequence[float]:
        """The noise levels that sampling goes down by: steps + 1 of them, the last one 0."""
        ...

    @property
    def mean(self) -> Tensor:
        """Mean of the data, (*event), in the model's units."""
        ...

    @property
    def spread(self) -> float:
        """Root mean square of the data about their mean, the unit of noise levels."""
        ...


@runtime_checkable
class CountsCalls(Protocol):
    """A method that says how many calls of its net a sample costs."""

    @property
    def calls(self) -> int:
        """The number, for the settings of sampling as they are."""
        ...


@runtime_checkable
class Pathways(CountsCalls, Protocol):
    """A method whose samples go along paths of a diffusion, in stages that take a unit of time each: 0 to 1, 1 to 2."""

    def paths(self, n: int, rng: Randomness, labels: Labels | None = None) -> tuple[Sequence[float], Tensor]:
        """Times that rise from 0 to the number of stages, and the points (times, n, *event) of n samples then."""
        ...

    def drift(self, x: Samples, t: float, rng: Randomness, labels: Labels | None = None) -> Samples:
        """The drift at points (n, *event) and a time below the last; at a whole one that of the stage that begins."""
        ...


@runtime_checkable
class HasEnergy(Protocol):
    """A method that finds the energy of its first stage in two ways, which agree where what it learned is exact."""

    def energies(self, n: int, rng: Randomness) -> tuple[float, float]:
        r""":math:`E\int\|b\|^2 dt` by the drift along n paths, and by log densities where they end."""
        ...


@runtime_checkable
class TakesSettings(Protocol):
    """A method whose sampling has settings of its own: `sampling`, a dataclass that may be replaced by another.

    On the command line each field is an option, `--sampling.FIELD VALUE`.
    """

    sampling: Any


@runtime_checkable
class Restores(Protocol):
    """A method whose structure depends on the step: nets that grow, parts that come with a stage.

    `restore(step)` builds what was there after so many steps. It is called once, after the recipe has built the method
    and before weights are loaded, to resume and to sample.
    """

    def restore(self, step: int) -> None: ...


@runtime_checkable
class Resumable(Protocol):
    """A random source or a stream: its state is a dictionary of numbers and tensors."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Placeable(Protocol):
    """Anything that must know its device and rank: `place` is given a `pushforward.parallel.placement.Placement`."""

    def place(self, placement: Place) -> None: ...


@runtime_checkable
class Shared(Protocol):
    """A method whose rows are shared out to several processes."""

    def shard(self) -> None:
        """Keep this process's share of the rows."""
        ...

    def shared(self, name: str) -> bool:
        """Whether the tensor of this dotted name holds such rows."""
        ...


@runtime_checkable
class Staged(Protocol):
    """A method that learns in stages (`pushforward.training.stages`), and says which one did the last step."""

    @property
    def stage(self) -> str:
        """Its name; empty where there is only one."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A method, flow or codec that logs numbers under names of its own, and what they are called and how to read."""

    @property
    def terms(self) -> Mapping[str, Term]: ...


@runtime_checkable
class Wraps(Protocol):
    """What wraps another, and can do some things only if that one can."""

    def offers(self, capability: type) -> bool:
        """Whether the one inside allows a capability, given that this one has its attributes."""
        ...


T = TypeVar("T")


def able(thing: object, capability: type[T]) -> TypeIs[T]:
    """Whether something has a capability, honestly: a wrapper answers for what it wraps.

    This is the one way in which readers ask what a method, a flow or a codec can do.

    Args:
        thing: Anything that may have it: a method, flow, codec, velocity, stream or random source.
        capability: A runtime-checkable Protocol of this module or of `pushforward.codecs.codec`.
    """
    if isinstance(thing, Wraps) and not thing.offers(capability):
        return False
    return isinstance(thing, capability)


def logged(flow: object) -> Logs:
    """The numbers of a flow's last call; empty where it leaves none."""
    return flow.logs if able(flow, Logged) else {}


def unpack(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Split a batch into samples and, where there are any, labels."""
    return batch if isinstance(batch, tuple) else (batch, None)
