"""Stages: a method that learns one thing after the other, and may build or grow nets when a stage begins.

    for each stage:  build its structure;  begin with what is computed from what was learned;  learn for its steps

A stage begins at its first step, not at the last one of the stage before. So a checkpoint between the two holds the
structure of the one before, and a run that goes on from there builds and begins as one that was never cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parallel.placement import Placement
from pushforward.training.state import changing
from pushforward.types import Batch, Logs, Method

__all__ = ["Stage", "Stages"]

ENDED = {"stage": (1, torch.int64), "step": (1, torch.int64)}  # numbers and type of each tensor of an end


@dataclass(frozen=True)
class Stage:
    """One stage of a method.

    Attributes:
        name: What it is called, in a word or two.
        steps: Number of its steps; None goes on until it ends by itself, or the run ends.
        learn: (batches, steps of this stage done before) -> an iterator of logs, one a step, as `Method.learn` has it.
            It may end before its steps are done, and the next stage then begins. Resumed there it must end at once.
        build: Makes or changes the structure that this stage needs: nets that are built, rebuilt or grown in place.
            It runs once when the stage begins, and again where a checkpoint of this stage or a later one is to be
            loaded; so it may depend on the method's fixed fields and on earlier stages' structure, not on what was
            learned. Learners that it makes are placed, and those whose net it changes adopt it.
        begin: Computes what this stage starts from out of what was learned: tensors that are fields of the method. It
            runs when the stage begins, after `build`, and not where a run goes on within the stage.
        restore: (steps of this stage done) -> None, for a stage whose method has stages of its own: builds theirs.
        batches: A stream of its own in the place of the method's. Its position is part of the state.
    """

    name: str
    steps: int | None
    learn: Callable[[Iterator[Batch], int], Iterator[Logs]]
    build: Callable[[], None] | None = None
    begin: Callable[[], None] | None = None
    restore: Callable[[int], None] | None = None
    batches: Iterator[Batch] | None = None


@dataclass
class Stages:
    """Stages in a row, as a field of the method that learns in them, whose `learn` and `restore` are theirs.

    Attributes:
        stages: The stages, in order.
        ended: For each stage that ended before its steps were done, its number `stage` from 0 and the method's steps
            until then, `step`. Nothing else of the position needs to be kept: the rest follows from the steps done.
        placement: Where the method lives.
        current: Number from 1 of the stage that did the last step.
        stopped: Why `learn` ended before its last step; empty while it goes on, and where every stage took its steps.

    Raises:
        UsageError: If there are no stages, two of one name, or a negative number of steps.

    Example:
        >>> class Method:
        ...     def __init__(self):
        ...         self.stages = Stages((Stage("easy", 2, self.easy), Stage("hard", None, self.hard)))
        ...     def easy(self, batches, start): return ({} for _ in batches)
        ...     def hard(self, batches, start): return ({} for _ in batches)
        ...     def learn(self, batches, start=0): return self.stages.learn(self, batches, start)
        ...     def restore(self, step): self.stages.restore(self, step)
        >>> method = Method()
        >>> [method.stages.stage for _ in zip(range(4), method.learn(range(9)))]
        ['easy', 'easy', 'hard', 'hard']
    """

    stages: Sequence[Stage]
    ended: list[dict[str, Tensor]] = field(default_factory=list, init=False, repr=False)
    placement: Placement = field(default_factory=Placement, init=False, repr=False)
    current: int = field(default=1, init=False)
    stopped: str = field(default="", init=False)
    _built: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"stages {', '.join(names) or '(none)'}: give at least one, each with a name of its own")
        for stage in self.stages:
            if stage.steps is not None and stage.steps < 0:
                raise UsageError(f"stage {stage.name}: {stage.steps} steps; give 0 or more, or None for no end")

    @property
    def steps(self) -> int | None:
        """Steps of all stages, those that ended early with the steps they took; None if one has no end."""
        return self._end(len(self.stages) - 1)

    @property
    def stage(self) -> str:
        """Name of the stage that did the last step; empty where only one has any."""
        several = sum(stage.steps != 0 for stage in self.stages) > 1
        return self.stages[self.current - 1].name if several else ""

    def place(self, placement: Placement) -> None:
        """Remember where learners live that a stage builds."""
        self.placement = placement

    def learn(self, method: Method, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Steps of the stages, one after the other, one for each yield.

        Args:
            method: The method whose stages these are; what a stage builds is found among its fields.
            batches: Endless batches, of which each stage takes up where the one before left off.
            start: Number of steps done before, of all stages.

        Raises:
            UsageError: If the method is to learn from a step before its present structure was built.
        """
        stream, done, last = iter(batches), start, len(self.stages) - 1
        self.ended = [entry for entry in self.ended if start and int(entry["step"]) <= start]
        self.restore(method, start)
        self.stopped, first = "", self._at(start)
        for k in range(first, len(self.stages)):
            stage, before = self.stages[k], self._start(k)
            if k > first or start == 0:
                self._enter(method, k)
            end = self._end(k)
            own = stream if stage.batches is None else stage.batches
            steps = iter(()) if done == end else stage.learn(own, done - before)
            for logs in islice(steps, None if end is None else end - done):
                done, self.current = done + 1, k + 1
                if done == end and k == last:
                    self.stopped = self._over()
                yield logs
            if end is None or done < end:
                self.ended.append({"stage": torch.tensor(k), "step": torch.tensor(done)})
        self.stopped = self._over()

    def restore(self, method: Method, step: int) -> None:
        """Build what was there after so many steps, so that a checkpoint can be loaded. Again does nothing more.

        Args:
            method: The method whose stages these are.
            step: Steps done, of all stages.

        Raises:
            UsageError: If the method has been built beyond that step.
            ValueError: If what a checkpoint says of stages that ended makes no sense.
        """
        for entry in self.ended:
            if {name: (value.numel(), value.dtype) for name, value in entry.items()} != ENDED:
                raise ValueError(f"the end of a stage is {entry!r:.60}")
            if not 0 <= int(entry["stage"]) < len(self.stages) or int(entry["step"]) < 0:
                raise ValueError(f"stage {int(entry['stage'])} ended at step {int(entry['step'])}")
        at = self._at(step)
        begun = at + (step > 0 and at < len(self.stages))
        if changed := [stage.name for stage in self.stages[begun : self._built] if stage.build is not None]:
            raise UsageError(f"stage {changed[0]} was built already: make the method anew to learn from step {step}")
        for k in range(begun):
            self._build(method, k)
            within = self.stages[k].restore
            if within is not None:
                end = self._end(k)
                within((step if end is None else min(step, end)) - self._start(k))
        self.current = max(begun, 1)

    def _enter(self, method: Method, k: int) -> None:
        """Begin a stage."""
        self._build(method, k)
        begin = self.stages[k].begin
        if begin is not None:
            begin()

    def _build(self, method: Method, k: int) -> None:
        """Run a stage's structural hook, once; what is new is placed, and learners adopt what grew."""
        if k < self._built:
            return
        self._built = k + 1
        build = self.stages[k].build
        if build is not None:
            with changing(method, self.placement):
                build()

    def _over(self) -> str:
        """Why the last step came before it was planned, where it did: the run cannot know that by counting."""
        early = ", ".join(self.stages[int(entry["stage"])].name for entry in self.ended)
        return f"all stages are done; ended by itself: {early}" if early else ""

    def _start(self, k: int) -> int:
        """The method's steps before a stage; those with an end come first."""
        start = self._end(k - 1) if k else 0
        assert start is not None, "a stage follows one that has not ended"
        return start

    def _end(self, k: int) -> int | None:
        """The method's steps when a stage is done; None if it or one before it has no end."""
        end: int | None = 0
        early = {int(entry["stage"]): int(entry["step"]) for entry in self.ended}
        for j, stage in enumerate(self.stages[: k + 1]):
            end = early.get(j, None if end is None or stage.steps is None else end + stage.steps)
        return end

    def _at(self, step: int) -> int:
        """The stage that did the last of so many steps; the number of stages if all were done before."""
        ends = (self._end(k) for k in range(len(self.stages)))
        return next((k for k, end in enumerate(ends) if end is None or step <= end), len(self.stages))
