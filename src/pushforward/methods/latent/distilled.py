r"""Distillation: a generator regressed on where a flow carried its source points, and then led on to the data.

    the teacher learns for `lessons` steps, if there is one;  y_i = where its flow carries z_i
    theta <- theta - rate * grad E ||G_theta(z_i) - y_i||^2 / 2
    then, if it is refined, a copy of G follows the flow from its law to the data

Afterwards one pass through G takes the place of all recorded fields, or of all calls of a denoiser. G learns the
coupling z_i -> y_i of the flow, not only its last law, so it carries new points as the flow does. What it misses of the
flow blurs its law: regression alone knows no law, and the refinement looks at nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.methods.adversarial.vgrow import VGrow, regression
from pushforward.methods.sources import Box, Latent, Pass, generate
from pushforward.parallel import sharing
from pushforward.training.learner import Learner
from pushforward.training.stages import Stage, Stages
from pushforward.types import (
    Batch,
    Denoiser,
    Denoises,
    HasParticles,
    Labels,
    Logs,
    Method,
    Randomness,
    Remarks,
    Restores,
    Samples,
    Shared,
    TakesSettings,
    Transports,
    able,
)

__all__ = ["Carries", "Distilled", "DistilledSampling", "pairs"]


class Carries(Protocol):
    """Where a flow carries source points, the same at every call: `pushforward.methods.bridges.flow_map.FlowMap`."""

    @property
    def calls(self) -> int:
        """Calls of the teacher's net for one point."""
        ...

    def __call__(self, z: Tensor, labels: Labels | None = None) -> Samples: ...


@dataclass(frozen=True)
class DistilledSampling:
    """What samples come from.

    Attributes:
        model: teacher; generator, as regressed on the teacher's flow; refined, that generator after its refinement; or
            last, the one of these that learned last.
        teacher: The settings of the teacher's own sampling, where it has some; None leaves them as they are.
    """

    model: Literal["last", "teacher", "generator", "refined"] = "last"
    teacher: Any = None


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
        teacher: A method that learns first and then carries `starts` along: particles with recorded fields, or any
            method beside what carries for it.
        lessons: Steps of the teacher; it may end before by itself.
        carry: How the teacher's flow carries starts along; its own `transport` if None.
        ready: Called when the regressions begin, once the teacher has learned: to give the generator its weights.
        imitations: Regressions; None for all steps that are left.
        refined: A copy of the generator and the flow that it follows then, towards the data. It starts with the weights
            of the regressed one's average; its latents should have the law of the starts.
        project: Applied to samples, for example a clamp to the box that images live in.
        sampling: What samples come from.
        stages: The teacher's steps, then those of the generator, then those of the refined one.

    Raises:
        UsageError: If there are not as many ends as starts, the teacher carries no points, or a refinement follows
            regressions without end.
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
    carry: Carries | None = None
    ready: Callable[[], None] | None = None
    imitations: int | None = None
    refined: VGrow | None = None
    project: Callable[[Samples], Samples] | None = None
    sampling: DistilledSampling = field(default_factory=DistilledSampling)
    stages: Stages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.starts) != len(self.ends):
            raise UsageError(f"{len(self.starts)} starts and {len(self.ends)} ends: give as many of either")
        if self.teacher is not None and self.carry is None and not able(self.teacher, Transports):
            raise UsageError(f"teacher: a {type(self.teacher).__name__} carries no points; use one with transport")
        if self.refined is not None and self.imitations is None:
            raise UsageError("a refinement after regressions without end: give imitations, how many there are")
        # copies: a checkpoint keeps a tensor once that is also a teacher's, or is two fields
        self.starts, self.ends = self.starts.clone(), self.ends.clone()
        self.labels = None if self.labels is None else self.labels.clone()
        if able(self.teacher, TakesSettings) and self.sampling.teacher is None:
            self.sampling = replace(self.sampling, teacher=self.teacher.sampling)
        stages = [Stage("generator", self.imitations, self._imitate, begin=self._carry)]
        if self.teacher is not None:
            stages.insert(0, Stage("teacher", self.lessons, self._teach, restore=self._restore))
        if self.refined is not None:
            stages.append(Stage("refined", None, self.refined.learn, begin=self._copy))
        self.stages = Stages(tuple(stages))

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Steps of the teacher, regressions of the generator, steps of its refinement, one for each yield.

        Args:
            batches: Endless batches of data, for the teacher and the refinement; regressions see none of them.
            start: Number of steps done before, of all.
        """
        return self.stages.learn(self, batches, start)

    def restore(self, step: int) -> None:
        """Build what the teacher had built after so many steps, of all stages."""
        self.stages.restore(self, step)

    @property
    def stage(self) -> str:
        """Which stage did the last step, where there are several."""
        return self.stages.stage

    def _teach(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        assert self.teacher is not None
        return self.teacher.learn(batches, start)

    def _restore(self, step: int) -> None:
        if able(self.teacher, Restores):
            self.teacher.restore(step)

    def _carry(self) -> None:
        """Where the flow carries the starts, now that it has learned."""
        if self.carry is not None:
            self.ends = self.carry(self.starts, self.labels)
        elif able(self.teacher, Transports):
            self.ends = self.teacher.transport(self.starts, self.labels)
        if self.ready is not None:
            self.ready()

    def _copy(self) -> None:
        """The refined generator, and its average, as the regressed one's average."""
        assert self.refined is not None
        for net in {self.refined.generator.net, self.refined.generator.sampler}:
            net.load_state_dict(self.generator.sampler.state_dict())

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

    def offers(self, capability: type) -> bool:
        """Whether it denoises, as its teacher may, carries points, and has anything to choose samples from."""
        if capability is Denoises:
            return able(self.teacher, Denoises)
        if capability is Transports:  # a flow from noise begins at no point of anybody's
            return self.teacher is None or able(self.teacher, Transports)
        return capability is not TakesSettings or len(self.stages.stages) > 1

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        """The teacher's D(y; s)."""
        return self._denoises().denoiser(labels)

    def levels(self, steps: int) -> list[float]:
        """The teacher's noise levels for so many steps, and 0."""
        return list(self._denoises().levels(steps))

    @property
    def mean(self) -> Tensor:
        """Mean of the teacher's data, (*event)."""
        return self._denoises().mean

    @property
    def spread(self) -> float:
        """Root mean square of the teacher's data about their mean."""
        return self._denoises().spread

    def _denoises(self) -> Denoises:
        if not able(self.teacher, Denoises):
            raise UsageError(f"teacher: a {type(self.teacher).__name__} has no denoiser; use a score model or a bridge")
        return self.teacher

    def remarks(self, steps: int) -> tuple[str, ...]:
        """What the pairs cost, once they are made, and what the teacher and the refinement say of themselves."""
        said = tuple(self.teacher.remarks(min(steps, self.lessons))) if able(self.teacher, Remarks) else ()
        if self.carry is not None and self._learned("generator"):
            n, each = len(self.starts), self.carry.calls
            said += (
                f"the generator learns from {n:,} pairs of the teacher's flow, which took {each:,} calls of its net "
                f"each, {n * each:,} in all",
            )
        return said + (self.refined.remarks(steps) if self.refined is not None and self._learned("refined") else ())

    def _learned(self, name: str) -> bool:
        """Whether a stage of that name has begun."""
        return name in [stage.name for stage in self.stages.stages[: self.stages.current]]

    def _model(self) -> Learner | Method:
        """What samples come from.

        Raises:
            UsageError: If there is no such model, it has not begun to learn, or settings are of another.
        """
        wanted, own = self.sampling.model, self.sampling.teacher
        if wanted == "last":
            wanted = self.stages.stages[self.stages.current - 1].name
            if wanted == "teacher" and able(self.teacher, HasParticles):
                wanted = "generator"  # particles show themselves; new points take a pass through all their fields
        elif not self._learned(wanted):
            there = ", ".join(stage.name for stage in self.stages.stages[: self.stages.current])
            raise UsageError(f"samples of model {wanted}: this run has learned {there}; give one of these, or last")
        if wanted == "teacher":
            assert self.teacher is not None
            if own is not None and able(self.teacher, TakesSettings):
                self.teacher.sampling = own
            return self.teacher
        if own is not None and able(self.teacher, TakesSettings) and own != self.teacher.sampling:
            raise UsageError(
                f"samples of model {wanted}: other settings are the teacher's; give model teacher with them"
            )
        return self.refined.generator if wanted == "refined" and self.refined is not None else self.generator

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event) of what `sampling` says: new source points through a generator's average, or others."""
        model, rng = self._model(), rng or self.rng
        known = isinstance(model, Learner)
        x = generate(model, self.source, n, rng, labels) if known else model.sample(n, rng, labels)
        return x if self.project is None else self.project(x)

    def one_pass(self) -> Pass:
        """The average of the generator that learned last, and the law of its source points.

        Raises:
            UsageError: If samples are kept anywhere but in a box, or no generator has begun to learn.
        """
        if self.carry is not None and not self._learned("generator"):
            raise UsageError("the generator has learned nothing yet: samples are still the teacher's; train on")
        if self.project is not None and not isinstance(self.project, Box):
            raise UsageError("samples by a function of one's own: no pass of nets; give a clamp, or none")
        refined = self.refined is not None and self._learned("refined")
        chosen = self.refined.generator if refined and self.refined is not None else self.generator
        return Pass(self.source, (chosen.sampler,), self.project)

    def transport(self, x: Tensor, labels: Labels | None = None) -> Samples:
        """Carry new points (m, *start) along in one pass, as the generator learned it from the flow."""
        carried = generate(self.generator, lambda rng, n: x, len(x), self.rng, labels)
        return carried if self.project is None else self.project(carried)


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
