"""One compiled graph for a whole particle step: the critic's updates, its optimiser, its average and the move.

    `flow.steps` times:  g = grad (contrast(d(q), d(p)) + factor * penalties);  theta <- Adam(theta, g)
    then:                x <- scheme(x, w(d) grad d)

Small nets spend their time between operations, not in them. So the step is traced once for each shape, as plain tensor
operations on parameters laid end to end in one tensor, and handed to `torch.compile` whole. Nets, moments and averages
become views into such tensors: optimisers, checkpoints and eager code go on reading and writing the same numbers.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from inspect import Parameter, signature
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim import Adam, AdamW, Optimizer

from pushforward.dynamics.integrate import Integrator, euler, heun, rk4
from pushforward.dynamics.velocity import Ascent, measured
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow, pooled
from pushforward.training.adam.flat import Memory, pieces
from pushforward.training.learner import Learner
from pushforward.types import Batch, Critic, Flow, Labels, Penalty, Randomness, Samples, Velocity, unpack

__all__ = ["Stride"]

Draw: TypeAlias = Callable[[], Tensor]
Out: TypeAlias = tuple[Tensor, ...]
Graph: TypeAlias = Callable[..., Out]
FUSED: tuple[Integrator, ...] = (euler, heun, rk4)


@dataclass
class Stride:
    """The critic's updates with what follows them, as graphs over the learner laid out flat; one for each key met.

    It does what `flow.velocity` and one evaluation of the field, or one step of a scheme, do, up to rounding. A first
    call compiles, for 10 to 30 seconds; so does a first call with other shapes and, where penalties are not evaluated
    at every update, with the penalised update at another place in the call.

    Attributes:
        flow: A `CriticFlow` whose critic has no batch norm, dropout or `penalties.spectral`, and learns by Adam or
            AdamW on one process in float32 or better.
    """

    flow: CriticFlow
    memory: Memory | None = None
    graphs: dict[Any, tuple[Graph, list[Draw]]] = field(default_factory=dict)

    @staticmethod
    def of(flow: Flow) -> Stride:
        """The graphs of a flow.

        Raises:
            UsageError: If the flow, its optimiser, its placement or this machine cannot do that.
        """
        return Stride(_checked(flow))

    @staticmethod
    def fuses(scheme: Integrator) -> bool:
        """Whether a scheme can be part of the graph: one without memory and randomness."""
        return scheme in FUSED

    def velocity(
        self, q: Samples, batch: Batch, x: Samples, labels_q: Labels | None = None, labels: Labels | None = None
    ) -> tuple[Samples, Velocity]:
        """Train on particles q and a batch of data; the velocity at points x, and the field itself."""
        (v,) = self._call(None, q, batch, x, 0.0, 0, labels_q, labels)
        return v, Ascent(self.flow.scores, self.flow.divergence, self.flow.cap, labels, self.flow.limit)

    def move(
        self,
        q: Samples,
        batch: Batch,
        x: Samples,
        dt: float,
        scheme: Integrator = euler,
        labels_q: Labels | None = None,
        labels: Labels | None = None,
        watched: int | None = None,
    ) -> tuple[Samples, Samples, tuple[Tensor, Tensor]]:
        """Train on particles q and a batch of data, and follow the field from x for a time dt.

        Args:
            q: Particles that the critic sees, (n, *event).
            batch: Data (m, *event), with labels if the critic is conditional.
            x: Points to move, (k, *event).
            dt: Time of the step.
            scheme: One that `fuses`.
            labels_q: Classes (n,) of q.
            labels: Classes (k,) of x.
            watched: Number of x's first rows whose step is measured; None for all.

        Returns:
            The points after the step, their velocities before it, and what is `measured` of the step.
        """
        moved, v, lengths, squares = self._call(
            scheme, q, batch, x, dt, len(x) if watched is None else watched, labels_q, labels
        )
        return moved, v, (lengths, squares)

    def _call(
        self,
        scheme: Integrator | None,
        q: Samples,
        batch: Batch,
        x: Samples,
        dt: float,
        watched: int,
        labels_q: Labels | None,
        labels: Labels | None,
    ) -> Out:
        p, labels_p = unpack(batch)
        if q.shape[1:] != p.shape[1:]:
            raise ValueError(f"q has event shape {tuple(q.shape[1:])} and p {tuple(p.shape[1:])}; they must be equal")
        learner, same = self.flow.critic, x is q and labels is labels_q
        if self.memory is None or not self.memory.serves(learner):
            if self.memory is not None and self.memory.optimiser is not learner.optimiser:
                self.graphs.clear()  # they were traced through a net that has changed since
            self.memory = Memory.of(learner)
        plan, penalised = _plan(self.flow, self.memory, dt)
        classes = [] if labels_q is None or labels_p is None or labels is None else [labels_q, labels_p, labels]
        inputs = [*self.memory.tensors, q.detach(), p, x.detach(), plan, *classes]
        key = (scheme, same, watched, q.shape, p.shape, x.shape, q.dtype, q.device, penalised, len(classes),
               _constants(learner.optimiser))  # fmt: skip
        if key not in self.graphs:
            self.graphs[key] = self._graph(scheme, penalised, len(classes), same, watched, inputs)
        graph, draws = self.graphs[key]
        with torch.no_grad():
            first, *rest = graph(*inputs, *[draw() for draw in draws])
        results = 1 if scheme is None else 4
        self.flow.log(*rest[results - 1 :])
        return first, *rest[: results - 1]

    def _graph(
        self,
        scheme: Integrator | None,
        penalised: Sequence[bool],
        classes: int,
        same: bool,
        watched: int,
        inputs: list[Tensor],
    ) -> tuple[Graph, list[Draw]]:
        """The compiled graph, and what has to be drawn before each of its calls, in order."""
        q, p, labels = inputs[-4 - classes], inputs[-3 - classes], inputs[len(inputs) - classes :][:2]
        draws, drawn = _rehearsed(self.flow, q, p, labels) if any(penalised) else ([], [])
        examples = [tensor.detach().clone() for tensor in inputs + drawn * sum(penalised)]
        traced = make_fx(partial(_step, self.flow, scheme, penalised, classes, same, watched))(*examples)
        if any(torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) for node in traced.graph.nodes):
            raise UsageError(
                "the critic or a penalty draws random numbers past any `rng`, so no seed governs them: "
                "bind one, partial(lipschitz, rng=noise), or use compile=False"
            )
        options: dict[str, Any] = {"cpp_wrapper": q.device.type == "cpu"}  # kernels called from C++: 1.2 times as fast
        if trusting := getattr(torch.compiler, "skip_all_guards_unsafe", None):
            options["guard_filter_fn"] = trusting  # the key has said already what a guard would ask at every call
        # the method, not the module, whose call costs as much as some twenty small operations
        return torch.compile(traced.forward, fullgraph=True, dynamic=False, options=options), draws * sum(penalised)


def _step(
    flow: CriticFlow,
    scheme: Integrator | None,
    penalised: Sequence[bool],
    classes: int,
    same: bool,
    watched: int,
    *inputs: Tensor,
) -> Out:
    """What is traced: the flow's updates and the move; new parameters and moments overwrite the old ones.

    Args:
        flow: The flow; only its fixed parts are looked at.
        scheme: The integrator; None evaluates the field once.
        penalised: For each update, whether the penalties are added.
        classes: Number of inputs that are labels: 3 for a conditional critic, else 0.
        same: Whether the points to move are those that the critic is trained on.
        watched: Number of moved points whose step is measured.
        inputs: The memory's tensors, q, p, x, the plan, the labels of q, p and x, and the draws.

    Returns:
        Moved points, their first velocities and what is measured of the step, or velocities only; the last update's
        loss and, if it had one, penalty.
    """
    learner, net, rest = flow.critic, flow.critic.net, iter(inputs)
    memory = [next(rest) for _ in range(4 if learner.average is None else 5)]
    buffers = {name: next(rest) for name, _ in net.named_buffers()}
    q, p, x, plan = (next(rest) for _ in range(4))
    labels = [next(rest) for _ in range(classes)]
    x = q if same else x
    penalties = [_rebound(penalty, lambda draw: next(rest)) for penalty in flow.penalties]
    names, parameters = zip(*net.named_parameters())
    pair = (labels[0], labels[1]) if labels else None

    def critic(theta: Tensor) -> Critic:
        tensors = dict(zip(names, pieces(theta, parameters))) | buffers
        return lambda *given, **options: functional_call(net, tensors, given, options)

    state, logs = memory, []
    for row, with_penalties in zip(plan[:-1], penalised, strict=True):
        with torch.enable_grad():
            theta = state[0].detach().requires_grad_(True)
            scores = critic(theta)(torch.cat([q, p]), *([torch.cat(pair)] if pair else []))
            loss = flow.loss(scores[..., : len(q)], scores[..., len(q) :])
            logs = [loss.detach()]
            if with_penalties:
                seen = flow.penalised(critic(theta), q, p, pair)
                penalty = flow.members * sum((penalty(*seen) for penalty in penalties), start=q.new_zeros(()))
                logs.append(penalty.detach())
                loss = loss + row[FACTOR] * penalty
            (slope,) = torch.autograd.grad(loss, theta)
        state = _adam(learner, state, slope, row)
    learned = critic(state[0])
    ascent = Ascent(
        lambda *given: pooled(learned(*given)), flow.divergence, flow.cap, labels[2] if labels else None, flow.limit
    )
    if scheme is None:
        results = [ascent(x)]
    else:
        seen_velocities: list[Tensor] = []

        def velocity(x: Samples, t: float = 0.0) -> Samples:
            seen_velocities.append(ascent(x))
            return seen_velocities[-1]

        moved = scheme(velocity, x, 0.0, plan[-1, 0])  # pyright: ignore[reportArgumentType]
        first = seen_velocities[0]
        results = [moved, first, *measured(first[:watched], x[:watched], moved[:watched])]
    for old, new in zip(memory, state, strict=True):
        old.copy_(new)
    return *results, *logs


def _adam(learner: Learner, state: list[Tensor], slope: Tensor, row: Tensor) -> list[Tensor]:
    """The memory's tensors after one update with the gradient `slope` and the plan's `row`; nothing is overwritten."""
    (beta1, beta2), eps, decay, decoupled = _constants(learner.optimiser)
    theta, first, second, counts, *average = state
    if learner.clip is not None:
        slope = slope * (learner.clip / (torch.linalg.vector_norm(slope) + 1e-6)).clamp(max=1.0)
    if decay and decoupled:
        theta = theta * row[KEEP]
    elif decay:
        slope = slope + decay * theta
    first = first.lerp(slope, 1 - beta1)
    second = beta2 * second + (1 - beta2) * slope * slope
    theta = theta - row[RATE] * first / (second.sqrt() / row[SCALE] + eps)
    return [theta, first, second, counts + 1, *[torch.lerp(mean, theta, row[FOLLOW]) for mean in average]]


RATE, SCALE, KEEP, FACTOR, FOLLOW = range(5)
"""Columns of a plan: rate / (1 - beta1^k), sqrt(1 - beta2^k), 1 - rate * weight decay, penalties' factor, 1 - EMA."""


def _plan(flow: CriticFlow, memory: Memory, dt: float) -> tuple[Tensor, tuple[bool, ...]]:
    """The coefficients of the updates to come and dt, (steps + 1, 5), and which updates see the penalties.

    The updates then count as done. All this is one tensor, so that a schedule does not compile anew.
    """
    learner, rows = flow.critic, []
    (group,) = learner.optimiser.param_groups
    (beta1, beta2), _, decay, _ = _constants(learner.optimiser)
    done = int(memory.counts[0])
    for k in range(done + 1, done + flow.steps + 1):
        factor = flow.penalty_factor()
        learner.set_rates()
        rate = float(group["lr"])
        learner.updates += 1
        rows.append((rate / (1 - beta1**k), (1 - beta2**k) ** 0.5, 1 - rate * decay, factor, 1 - learner.decay))
    plan = memory.counts.new_tensor([*rows, [dt, 0, 0, 0, 0]], dtype=memory.theta.dtype)
    return plan, tuple(bool(row[FACTOR]) for row in rows)


def _constants(optimiser: Optimizer) -> tuple[tuple[float, float], float, float, bool]:
    """Betas, eps, weight decay, and whether that shrinks the parameters (AdamW) or adds to the gradient."""
    (group,) = optimiser.param_groups
    decoupled = bool(group.get("decoupled_weight_decay", isinstance(optimiser, AdamW)))
    return tuple(group["betas"]), group["eps"], group["weight_decay"], decoupled


@dataclass(frozen=True)
class _Source:
    """A random source that hands each draw to `serve`, which answers with a tensor like it."""

    rng: Randomness
    serve: Callable[[Draw], Tensor]

    def normal(self, n: int, *event: int) -> Tensor:
        return self.serve(partial(self.rng.normal, n, *event))

    def uniform(self, n: int, *event: int) -> Tensor:
        return self.serve(partial(self.rng.uniform, n, *event))

    def integers(self, high: int, n: int) -> Tensor:
        return self.serve(partial(self.rng.integers, high, n))

    def permutations(self, rows: int, columns: int) -> Tensor:
        return self.serve(partial(self.rng.permutations, rows, columns))


def _rebound(penalty: Penalty, serve: Callable[[Draw], Tensor]) -> Penalty:
    """The penalty with a `_Source` in place of the random source it was bound to; itself if it was bound to none."""
    bound = signature(penalty).parameters.get("rng")
    if bound is None or bound.default in (None, Parameter.empty):
        return penalty
    return partial(penalty, **{"rng": _Source(bound.default, serve)})


def _rehearsed(flow: CriticFlow, q: Samples, p: Samples, labels: Sequence[Labels]) -> tuple[list[Draw], list[Tensor]]:
    """What the penalties draw in one update, in order, and tensors like it; the sources stay where they are."""
    draws: list[Draw] = []
    drawn: list[Tensor] = []

    def serve(draw: Draw) -> Tensor:
        draws.append(draw)
        drawn.append(deepcopy(draw)())
        return drawn[-1]

    seen = flow.penalised(flow.critic.net, q, p, (labels[0], labels[1]) if labels else None)
    for penalty in flow.penalties:
        _rebound(penalty, serve)(*seen)
    return draws, drawn


REFUSED = ("amsgrad", "maximize", "differentiable")


def _checked(flow: Flow) -> CriticFlow:
    """The flow, if it can be compiled."""
    if not isinstance(flow, CriticFlow):
        raise UsageError(f"compile=True takes a CriticFlow, not a {type(flow).__name__}; use compile=False")
    learner, optimiser = flow.critic, flow.critic.optimiser
    if not isinstance(optimiser, Adam | AdamW):
        raise UsageError(f"compile=True takes Adam or AdamW, not {type(optimiser).__name__}; use compile=False")
    groups = optimiser.param_groups
    if len(groups) > 1 or any(groups[0].get(option) for option in REFUSED):
        raise UsageError(
            f"compile=True takes one parameter group and plain Adam; here are {len(groups)} groups, with "
            f"{', '.join(option for option in REFUSED if groups[0].get(option)) or 'no option'}; use "
            "compile=False"
        )
    if learner.placement.world > 1:
        raise UsageError(f"compile=True runs on one process, not {learner.placement.world}; use compile=False")
    if learner.placement.precision != "fp32":
        raise UsageError(f"compile=True does not go with --precision {learner.placement.precision}; use fp32")
    if learner.has_modes:
        raise UsageError(
            "compile=True takes no critic with batch norm, dropout or spectral norm; use compile=False, "
            "or a penalty (r1, lipschitz) in place of spectral norm"
        )
    if len(kinds := {(parameter.dtype, parameter.device) for parameter in learner.net.parameters()}) != 1:
        raise UsageError(f"compile=True takes parameters of one type and device, not of {len(kinds)}; convert the net")
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler.split()[0]) is None and learner.placement.device.type == "cpu" and sys.platform != "win32":
        raise UsageError(
            f"compile=True needs a C++ compiler and there is no {compiler}: install one, name yours in "
            "the environment variable CXX, or use compile=False"
        )
    return flow
