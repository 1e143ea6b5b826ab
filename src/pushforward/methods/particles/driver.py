"""Particles that obey a flow: x <- x + h v(x), with a fresh look at the data at every step.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.dynamics.integrate import Integrator, Lawful, Remembering, calls, euler, fresh
from pushforward.dynamics.velocity import measured, restrained
from pushforward.errors import DataError, UsageError
from pushforward.flows.critic import conditional
from pushforward.methods.particles import looks, tape
from pushforward.methods.particles.stopping import Accounts, Until
from pushforward.parallel import sharing
from pushforward.parallel.doubles import finest
from pushforward.settings.groups import FIELDS
from pushforward.training.schedule import constant
from pushforward.types import (
    Batch,
    Blends,
    External,
    Flow,
    Given,
    Labels,
    Logs,
    Randomness,
    Replayable,
    Samples,
    Schedule,
    Velocity,
    able,
    logged,
    unpack,
)

if TYPE_CHECKING:
    from pushforward.flows.compiled import Stride

__all__ = ["Particles"]


@dataclass
class Particles:
    """Samples that follow any flow by an explicit scheme.

    Attributes:
        flow: Anything with velocity(q, p).
        particles: Where they are now, (n, *event).
        step: Time of one step.
        rng: Where `sample` and mini-batches of particles draw from.
        scheme: `euler`, `heun`, `rk4` or `AdamsBashforth` of `pushforward.dynamics.integrate`, or any other integrator.
        project: Applied after each step, for example a clamp to the data's box.
        source: Law of the first particles, (rng, n) -> (n, *event); new points for `sample` come from it.
        record: Keep the field of every step (True), or of every `record`-th, which then serves for the steps up to the
            next, so that `transport` can carry new points along.
        fields: Most fields that are kept, in at most 256 MB; twice as many steps share one, their mean where the flow
            can tell it, wherever there would be more. 0 keeps all.
        compile: Compile critic updates, optimiser and move into one graph; for a `CriticFlow` with Adam.
        warmup: Calls of the flow before the first step, in which nothing moves: a critic that knows nothing moves
            particles anywhere, and looks like convergence.
        schedule: Steps done -> factor on `step`.
        refit: Ask the flow afresh at every stage of the scheme, where the stage's points are: that is its order, at as
            many calls of the flow (Heun 2, Runge-Kutta 4, Adams-Bashforth 1, and 4 in its first steps). Without, a
            field is held for the whole step: Heun and Runge-Kutta are of order 1, Adams-Bashforth of order 2. No order
            shows under a flow that is random, as with mini-batches, or not smooth, as a critic with ReLUs.
        labels: Classes (n,) of the particles, which they keep; batches then carry labels too.
        tracers: Further points (k, *event) that feel the same field and never enter a loss.
        tracer_labels: Their classes (k,).
        batch: Particles shown to the flow at a time, over all processes, drawn anew at each call; None shows all.
        block: Points moved at a time.
        held: Gives held-out data, on which the flow's value is logged too; a function, so that no checkpoint has it.
        diagnose: Steps between two looks at what costs more: value on held-out data, certificate and slope of a
            critic, effective size of its weights; 0 for never; None for as many as let all looks cost a twentieth of
            the steps at most (`looks.stride`). The last step is looked at too; no look changes where particles go.
        steps: Steps in all, where that is known, so that the last can be told.
        until: When to end before the last step.
        tape: The recorded fields, oldest first.
        done: Steps done.
        paced: Times of the steps done, as one entry; a run may go on at another pace, and what was done keeps its own.
        accounts: Energy, path and dissipation so far.
        stopped: Why `learn` ended, if it ended by itself.
    """

    flow: Flow
    particles: Samples
    step: float
    rng: Randomness
    scheme: Integrator = euler
    project: Callable[[Samples], Samples] | None = None
    source: Callable[[Randomness, int], Samples] | None = None
    record: bool | int = False
    fields: int = FIELDS
    compile: bool = False
    warmup: int = 0
    schedule: Schedule = constant
    refit: bool = True
    labels: Labels | None = None
    tracers: Samples | None = None
    tracer_labels: Labels | None = None
    batch: int | None = None
    block: int = 2**14
    held: Callable[[], Batch] | None = None
    diagnose: int | None = None
    steps: int | None = None
    until: Until = field(default_factory=Until)
    tape: list[dict[str, Tensor]] = field(default_factory=list, repr=False)
    done: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64), repr=False)
    paced: list[dict[str, Tensor]] = field(default_factory=list, repr=False)
    accounts: Accounts = field(init=False, repr=False)
    stopped: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.record and not able(self.flow, Replayable):
            raise UsageError(f"record=True needs a flow with snapshot and replay; {type(self.flow).__name__} has none")
        if self.tracers is not None and (self.labels is None) != (self.tracer_labels is None):
            raise UsageError("give classes to both the particles and the tracers, or to neither")
        if isinstance(self.scheme, Lawful):
            self._keeps_its_law()
        self.accounts = Accounts(self.particles)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One step of all particles for each yield; ends when `until` says so, and `stopped` then tells why.

        Args:
            batches: Endless batches of data, (m, *event), with labels if the particles have some.
            start: Number of steps done before.

        Raises:
            UsageError: If a plateau is waited for and the flow does not say what it lowers.
        """
        stride, stream, every = self._stride(), iter(batches), self._every()
        if start == 0:
            for batch in (next(stream) for _ in range(self.warmup)):
                self._field(self.particles, batch)
        time, before = 0.0, self.times(start)
        for k, dt in enumerate(before):  # one after the other, as below: `sum` rounds otherwise in newer Pythons
            self._pace(k, dt)
            time += dt
        if start and int(self.done) == start:  # a run that goes on knows by its accounts whether it had ended here
            self.stopped = self.until.reason(self.accounts, start, time)
        for k in count(start):
            if self.stopped or (batch := next(stream, None)) is None:
                return
            dt = self.step * self.schedule(k)
            logs = self._advance(batch, k, time, dt, stride, every)
            self._pace(k, dt)
            time += dt
            if self.until.plateau is not None and "divergence" not in logs:
                raise UsageError(
                    f"until.plateau watches the divergence, and {type(self.flow).__name__} logs none here: use a dual "
                    "divergence such as KL_LIP, or stop by kinetic energy or horizon"
                )
            self.done.fill_(k + 1)
            yield logs

    def times(self, n: int) -> list[float]:
        """Times of the first n steps: as they were taken, and as they will be."""
        taken = self.paced[0]["dt"][: min(n, int(self.done))].tolist() if self.paced else []
        return taken + [self.step * self.schedule(k) for k in range(len(taken), n)]

    def _pace(self, k: int, dt: float) -> None:
        """Write down the time of a step."""
        if not self.paced:
            self.paced.append({"dt": torch.zeros(64, dtype=finest(self.particles.device))})
        known = self.paced[0]["dt"]
        if k >= len(known):
            self.paced[0]["dt"] = known = torch.cat([known, torch.zeros_like(known)])
        known[k] = dt

    def _every(self) -> int:
        """Steps from one look to the next; 0 for none."""
        if self.diagnose is not None:
            return self.diagnose
        n, held = len(self.particles), 0 if self.held is None else len(unpack(self.held())[0])
        return looks.stride(self._size(n), n, held, self.compile)

    def _advance(self, batch: Batch, k: int, t: float, dt: float, stride: Stride | None, every: int) -> Logs:
        """Move everything once; tracers ride along with the particles as further rows."""
        n, before = len(self.particles), self._joint(self.particles, self.tracers)
        labels = None if self.labels is None else self._joint(self.labels, self.tracer_labels)
        stages: list[dict[str, Tensor]] = []
        measures: tuple[Tensor, Tensor] | None = None
        if stride is not None and not self._afresh and stride.fuses(self.scheme):
            q, y = self._shown(self.particles)
            moved, first, measures = stride.move(q, batch, before, dt, self.scheme, y, labels, n)
            logs = dict(logged(self.flow))
            self._write(stages, k)
        else:
            found: Velocity | None = None
            first, logs = before, Logs()

            def velocity(x: Samples, t: float = 0.0) -> Samples:
                nonlocal found, first, logs
                fresh_look, new = self._afresh or found is None, found is None
                if stride is not None and fresh_look:
                    q, y = self._shown(x[:n])
                    v, found = stride.velocity(q, batch, x, y, labels)
                    self._write(stages, k)
                else:
                    if fresh_look:
                        found = self._field(x[:n], batch)
                        self._write(stages, k)
                    assert found is not None
                    v = self._evaluate(found, x, t, labels)
                if new:  # the numbers of a step are those of its beginning
                    first, logs = v, dict(logged(self.flow))
                return v

            moved = self.scheme(velocity, before, t, dt)
        if stages:
            self._keeping().enter(self.tape, stages, k)
        if self.project is not None:
            free, moved = moved, self.project(moved)
            at_hand = (free, moved) if self.scheme is euler else ()
            made = restrained(self.project, first, before, dt, *at_hand)
            measures = measured(first[:n], before[:n], moved[:n], made[:n])
        elif measures is None:
            measures = measured(first[:n], before[:n], moved[:n])
        logs |= self.accounts.note(k, logs.get("divergence"), *measures, dt)
        self.stopped = self.until.reason(self.accounts, k + 1, t + dt)
        if every and (k % every == 0 or k + 1 == self.steps or self.stopped):
            seen = slice(None) if self._size(n) >= n else looks.rows(n, self._size(n), k).to(moved.device)
            y = None if self.labels is None else self.labels[seen]
            logs |= looks.look(self.flow, self.particles[seen], batch, y, self.held)
        if stages and (serves := tape.stride(len(self.tape), k + 1, int(self.record))) > int(self.record):
            logs["serves"] = torch.tensor(float(serves), device=moved.device)
        self.particles = moved[:n]
        if self.tracers is not None:
            self.tracers = moved[n:]
        return logs

    @property
    def _afresh(self) -> bool:
        """Whether stages of a step have fields of their own: where they should, and there may be more than one."""
        begins = isinstance(self.scheme, Remembering)  # by steps of more calls than it says
        return self.refit and (begins or calls(self.scheme) != 1)

    def _keeps_its_law(self) -> None:
        """Refuse what would make a scheme that promises a law break the promise."""
        who = type(self.scheme).__name__
        if not (able(self.flow, External) and self.flow.external):
            raise UsageError(
                f"{who} keeps its law only along a field that does not depend on the particles, and that of "
                f"{type(self.flow).__name__} does, for all it says: use ScoreFlow, or the scheme Langevin(rng, "
                "temperature); a flow of your own declares `external = True`"
            )
        if self.project is not None:
            raise UsageError(
                f"{who} followed by a projection does not keep its law: leave project out, and let log_density be -inf "
                "outside"
            )

    def _field(self, x: Samples, batch: Batch) -> Velocity:
        """The flow's velocity between some or all of the particles, now at x, and a batch of data."""
        (p, labels_p), (q, labels_q) = unpack(batch), self._shown(x)
        if labels_q is None:
            return self.flow.velocity(q, p)
        if labels_p is None:
            raise UsageError("the particles have classes and the batches carry none: give the data's labels")
        return conditional(self.flow).velocity(q, p, (labels_q, labels_p))

    def _shown(self, x: Samples) -> tuple[Samples, Labels | None]:
        """What the flow gets to see of the particles."""
        if (size := self._size(len(x))) >= len(x):
            return x, self.labels
        rows = self.rng.integers(len(x), size).to(x.device)
        return x[rows], None if self.labels is None else self.labels[rows]

    def _size(self, n: int) -> int:
        """How many of n particles the flow is shown."""
        return n if self.batch is None else min(n, max(1, self.batch // sharing.world()))

    def _evaluate(self, velocity: Velocity, x: Samples, t: float, labels: Labels | None) -> Samples:
        """A velocity at many points, block by block."""
        parts = []
        for k in range(0, len(x), self.block):
            rows = slice(k, k + self.block)
            here = velocity.given(labels[rows]) if labels is not None and able(velocity, Given) else velocity
            parts.append(here(x[rows], t))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _joint(self, x: Tensor, tracers: Tensor | None) -> Tensor:
        return x if tracers is None else torch.cat([x, tracers])

    def _stride(self) -> Stride | None:
        if not self.compile:
            return None
        from pushforward.flows.compiled import Stride

        return Stride.of(self.flow)

    def _write(self, stages: list[dict[str, Tensor]], k: int) -> None:
        if self.record and k % int(self.record) == 0 and able(self.flow, Replayable):
            stages.append(self.flow.snapshot())

    def _keeping(self) -> tape.Keeping:
        """How the tape is kept."""

        def time(a: int, b: int) -> float:
            past = min(b, int(self.done)) if self.paced else a
            taken = float(self.paced[0]["dt"][a:past].sum()) if past > a else 0.0
            return taken + sum(self.step * self.schedule(k) for k in range(max(a, past), b))

        blend = self.flow.blend if able(self.flow, Blends) else None
        return tape.Keeping(int(self.record), self.fields, time, blend, self._afresh)

    def remarks(self, steps: int) -> tuple[str, ...]:
        """What is to be known of the recorded fields in a run of so many steps; see `tape.remarks`."""
        return tape.remarks(self.tape, int(self.done), steps, int(self.record), self.fields)

    @property
    def serves(self) -> int:
        """Steps that a recorded field serves."""
        return tape.stride(len(self.tape), int(self.done), int(self.record))

    def transport(self, x: Samples, labels: Labels | None = None) -> Samples:
        """Carry new points (m, *event) along the recorded fields.

        Args:
            x: Where the points start, in the particles' units.
            labels: Their classes (m,), where the particles have some.

        Raises:
            UsageError: If nothing was recorded, or classes are missing.
        """
        if not self.tape or not able(self.flow, Replayable):
            raise UsageError("no fields were recorded: build Particles with record=True before it learns")
        if (labels is None) != (self.labels is None):
            raise UsageError(
                "the particles have classes and the points none, or the other way round: give both or none"
            )
        x, scheme, t, serves = x.to(self.particles), fresh(self.scheme), 0.0, self.serves
        if not self._keeping().possible(self.tape, serves):
            raise DataError(f"{int(self.done)} steps were done and {len(self.tape)} fields are here: restore the run")
        labels = None if labels is None else labels.to(x.device)
        for k, dt in enumerate(self.times(int(self.done))):
            fields = self._fields(self.tape[k // serves])
            found: list[Velocity] = []

            def velocity(
                x: Samples, t: float = 0.0, fields: Iterator[Velocity] = fields, found: list[Velocity] = found
            ) -> Samples:
                if self._afresh or not found:
                    found.append(next(fields))
                return self._evaluate(found[-1], x, t, labels)

            x = scheme(velocity, x, t, dt)
            x, t = x if self.project is None else self.project(x), t + dt
        return x

    def _fields(self, entry: dict[str, Tensor]) -> Iterator[Velocity]:
        """The velocities of one step, one for each time that the flow was asked."""
        assert able(self.flow, Replayable)
        if not self._afresh:
            yield self.flow.replay(entry)
            return
        for stage in count():
            state = {name.split(".", 1)[1]: value for name, value in entry.items() if name.startswith(f"{stage}.")}
            if not state:
                return
            yield self.flow.replay(state)

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples: fresh points from the source carried along, or else a random choice of the particles.

        Args:
            n: Number of samples.
            rng: Where they are drawn from.
            labels: Classes wanted (n,), where the particles have some.

        Raises:
            UsageError: If more samples are wanted than there are particles, of a class or in all, and no fields were
                recorded; or classes are wanted of particles that have none.
        """
        if labels is not None and self.labels is None:
            raise UsageError("classes are wanted and the particles have none: leave the labels out")
        rng = rng or self.rng
        if self.source is not None and self.tape:
            return self.transport(self.source(rng, n), labels)
        keys = rng.uniform(len(self.particles)).to(self.particles.device)
        if labels is None or self.labels is None:
            return self.particles[self._enough(torch.argsort(keys), n, "")]
        chosen = torch.empty(n, dtype=torch.int64, device=self.particles.device)
        for label in labels.unique().tolist():
            wanted = torch.nonzero(labels.to(chosen.device) == label)[:, 0]
            mine = torch.nonzero(self.labels == label)[:, 0]
            chosen[wanted] = self._enough(mine[torch.argsort(keys[mine])], len(wanted), f" of class {label}")
        return self.particles[chosen]

    def _enough(self, rows: Tensor, n: int, what: str) -> Tensor:
        if n > len(rows):
            raise UsageError(
                f"{n} samples{what} wanted but there are {len(rows)} particles: record the fields "
                "(record=True, with a source), or take fewer"
            )
        return rows[:n]

    def shard(self) -> None:
        """Keep this process's share of the particles, where several processes share the work.

        Raises:
            UsageError: If they cannot be shared out evenly.
        """
        if len(self.particles) % sharing.world():
            raise UsageError(f"{len(self.particles)} particles: not a multiple of the {sharing.world()} processes")
        self.particles, own = sharing.own_rows(self.particles), sharing.own_rows
        self.labels = None if self.labels is None else own(self.labels)
        self.tracers = None if self.tracers is None else own(self.tracers)
        self.tracer_labels = None if self.tracer_labels is None else own(self.tracer_labels)
        self.accounts.shard()

    def shared(self, name: str) -> bool:
        """Whether the tensor of this dotted name has a row for each particle: they, their ways, a scheme's memory."""
        rows = ("particles", "labels", "tracers", "tracer_labels", "accounts.path")
        return name in rows or re.fullmatch(r"scheme\.past\.\d+\.velocity", name) is not None
