r"""Distillation: a generator regressed on where a flow carried its source points.

    the teacher learns for `lessons` steps, if there is one;  y_i = its transport of x_i
    theta <- theta - rate * grad E ||G_theta(x_i) - y_i||^2 / 2

Afterwards one pass through G takes the place of all recorded fields. G learns the coupling x_i -> y_i of the flow, not
only its last law, so it carries new points as the flow does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.methods.adversarial.vgrow import regression
from pushforward.methods.sources import Latent, Pass, generate
from pushforward.parallel import sharing
from pushforward.training.learner import Learner
from pushforward.training.stages import Stage, Stages
from pushforward.types import Batch, Labels, Logs, Method, Randomness, Restores, Samples, Shared, Transports, able

__all__ = ["Distilled", "pairs"]


@dataclass
class Distilled:
    """A generator that imitates a flow, from pairs (start, end) that the flow made or will make.

    Attributes:
        generator: The generator, start -> end, and how it learns.
        starts: Source points, (n, *start).
        ends: Where the flow carried them, (n, *event), row by row. With a teacher they are overwritten once it has
            learned, so that only their shape counts before.
        source: Law of new source points, for `sample`; `starts` should be drawn from it.
        rng: Where batches and new source points come from.
        batch: Pairs in one regression, over all processes.
        labels: Classes (n,) of the pairs, for a conditional generator.
        teacher: A method that learns first and then carries `starts` along: particles with recorded fields.
        lessons: Steps of the teacher; it may end before by itself.
        stages: The teacher's steps, then those of the generator.

    Raises:
        UsageError: If there are not as many ends as starts, or the teacher carries no points.
    """

    generator: Learner
    starts: Tensor
    ends: Samples
    source: Latent
    rng: Randomness
    batch: int = 256
    labels: Labels | None = None
    teacher: Method | None = None
    lessons: int = 0
    stages: Stages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.starts) != len(self.ends):
            raise UsageError(f"{len(self.starts)} starts and {len(self.ends)} ends: give as many of either")
        if self.teacher is not None and not able(self.teacher, Transports):
            raise UsageError(f"teacher: a {type(self.teacher).__name__} carries no points; use one with transport")
        # copies: a checkpoint keeps a tensor once that is also a teacher's, or is two fields
        self.starts, self.ends = self.starts.clone(), self.ends.clone()
        self.labels = None if self.labels is None else self.labels.clone()
        taught = Stage("teacher", self.lessons, self._teach, restore=self._restore)
        imitated = Stage("generator", None, self._imitate, begin=self._carry)
        self.stages = Stages((imitated,) if self.teacher is None else (taught, imitated))

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Steps of the teacher, then regressions of the generator, one for each yield.

        Args:
            batches: Endless batches of data, for the teacher; the generator sees none of them.
            start: Number of steps done before, of either.
        """
        return self.stages.learn(self, batches, start)

    def restore(self, step: int) -> None:
        """Build what the teacher had built after so many steps, of either."""
        self.stages.restore(self, step)

    @property
    def stage(self) -> str:
        """Whether the teacher or the generator did the last step, where there is a teacher."""
        return self.stages.stage

    def _teach(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        assert self.teacher is not None
        return self.teacher.learn(batches, start)

    def _restore(self, step: int) -> None:
        if able(self.teacher, Restores):
            self.teacher.restore(step)

    def _carry(self) -> None:
        """Where the flow carries the starts, now that it has learned."""
        if able(self.teacher, Transports):
            self.ends = self.teacher.transport(self.starts, self.labels)

    def _imitate(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        while True:
            yield {"regression": self._fit()}

    def _fit(self) -> Tensor:
        """One regression on a random batch of pairs; the loss is half the mean squared distance before it."""
        starts, ends, labels = self.starts, self.ends, self.labels
        if self.batch < len(starts):
            rows = self.rng.integers(len(starts), max(1, self.batch // sharing.world())).to(starts.device)
            starts, ends, labels = starts[rows], ends[rows], None if labels is None else labels[rows]
        x = self.generator(starts) if labels is None else self.generator(starts, labels)
        loss = regression(x, ends)
        self.generator.descend(loss)
        return loss.detach()

    def shard(self) -> None:
        """Keep this process's share of the teacher's particles; the pairs are whole everywhere."""
        if able(self.teacher, Shared):
            self.teacher.shard()

    def shared(self, name: str) -> bool:
        """Whether the tensor of this dotted name is one of the teacher's that is shared out."""
        within = name.removeprefix("teacher.")
        return within != name and able(self.teacher, Shared) and self.teacher.shared(within)

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event): new source points through the generator's average."""
        return generate(self.generator, self.source, n, rng or self.rng, labels)

    def one_pass(self) -> Pass:
        """The generator's average, and the law of its source points."""
        return Pass(self.source, (self.generator.sampler,))

    def transport(self, x: Tensor, labels: Labels | None = None) -> Samples:
        """Carry new points (m, *start) along in one pass, as the generator learned it from the flow."""
        return generate(self.generator, lambda rng, n: x, len(x), self.rng, labels)


def pairs(
    teacher: Transports, source: Latent, rng: Randomness, n: int, labels: Labels | None = None
) -> tuple[Tensor, Samples]:
    """n new source points and where a flow that has learned carries them: as many pairs as one likes.

    Args:
        teacher: Particles with recorded fields, or anything with `transport`.
        source: Law of the points the particles started from.
        rng: Where the points come from.
        n: Number of pairs.
        labels: Classes (n,) of the points, where the teacher has some.
    """
    starts = source(rng, n)
    with torch.no_grad():
        return starts, teacher.transport(starts, labels)
