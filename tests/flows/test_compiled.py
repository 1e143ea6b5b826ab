"""A compiled step is the eager step: same particles, critic, optimiser, average, logs, also after a resume."""

import os
import shutil
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from pushforward.divergences import JEFFREYS, KL, KL_LIP, alpha_lip, dual
from pushforward.dynamics.integrate import euler, heun, rk4
from pushforward.errors import UsageError
from pushforward.flows.compiled import Stride
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets import mlp
from pushforward.nets.ensemble import Ensemble
from pushforward.nets.lipschitz import critic as lipschitz_critic
from pushforward.objectives.penalties import both, excess, gradient_penalty, lipschitz, r1, r2, spectral
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine, linear
from pushforward.training.state import load_state, resume_state, weights

compiles = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++").split()[0]) is None, reason="compiling a step needs a C++ compiler"
)
N, M = 48, 40


def penalised() -> dict:
    return {"penalties": (r1, partial(lipschitz, weight=2.0, rng=Noise(3)), partial(gradient_penalty, rng=Noise(4)))}


def learner(dtype: torch.dtype, optimiser=Adam, **options) -> Learner:
    torch.manual_seed(1)
    make = options.pop("net", partial(mlp.critic, 2, width=16, depth=2, activation=nn.SiLU, fourier=3))
    return Learner(make().to(dtype), partial(optimiser, **({"lr": 3e-3} | options.pop("adam", {}))), **options)


def particles(compiled: bool, dtype=torch.float64, flow=None, scheme=euler, **options) -> Particles:
    flow = {"steps": 3} | (flow() if callable(flow) else flow or {})
    start = torch.randn(N, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    # a scheme is part of the graph where the critic stands still in a step; left alone, compiled steps are looked at
    # more seldom, and their logs then have other names
    driven = CriticFlow(learner(dtype, **options), **flow)
    return Particles(driven, start, 0.05, Noise(0), scheme, compile=compiled, refit=False, diagnose=1)


def batches(dtype=torch.float64):
    rng = torch.Generator().manual_seed(5)
    while True:
        yield (torch.randn(M, 2, generator=rng, dtype=torch.float64) + 1.0).to(dtype)


def run(method: Particles, steps: int, data) -> list[dict]:
    return [logs for _, logs in zip(range(steps), method.learn(data, start=int(method.done)))]


def close(a: Particles, b: Particles, logs_a: list, logs_b: list, tolerance: float) -> None:
    near = partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    assert [list(logs) for logs in logs_a] == [list(logs) for logs in logs_b]
    near(logs_a, logs_b)
    near(weights(a), weights(b))
    near(resume_state(a), resume_state(b))


CASES = {
    "everything": {
        "flow": lambda: {"divergence": JEFFREYS, "cap": 2.0, "limit": 0.5, "steps": 4, "every": 2,
                         "penalty_schedule": linear(30, 0.1)} | penalised(),
        "optimiser": AdamW, "adam": {"weight_decay": 0.1, "betas": (0.5, 0.9)}, "scheme": heun,
        "ema": 0.99, "clip": 0.5, "schedule": cosine(100),
    },
    "plain": {},
    "dual contrast": {"flow": {"contrast": dual(KL)}},
    "contrast of the divergence": {"flow": {"divergence": KL_LIP}},
    "contrast with a search in it": {"flow": {"divergence": alpha_lip(2), "steps": 1}},
    "r1, r2 and both": {"flow": {"penalties": (r1, r2, both), "steps": 2}},
    "rk4 and decay": {"scheme": rk4, "adam": {"weight_decay": 0.1, "fused": True}, "flow": {"steps": 1}},
}  # fmt: skip


@compiles
@pytest.mark.parametrize("case", [c if c == "everything" else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_twenty_compiled_steps_are_twenty_eager_steps(case):
    ours, eager = (particles(compiled, **CASES[case]) for compiled in (True, False))
    # a contrast that no constant changes leaves the last bias to rounding, which Adam enlarges
    assert isinstance(ours.flow, CriticFlow)
    tolerance = 1e-7 if ours.flow.objective is ours.flow.divergence.contrast else 1e-10
    close(ours, eager, run(ours, 20, batches()), run(eager, 20, batches()), tolerance)


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["bjorck", "spectral"])
def test_ensembles_of_bounded_critics_compile(mode):
    options = {
        "net": lambda: Ensemble([lipschitz_critic(2, width=8, depth=2, mode=mode) for _ in range(2)]),
        "flow": lambda: {"divergence": KL_LIP, "contrast": None, "limit": 0.9, "steps": 1,
                         "penalties": (partial(excess, slope=0.5, rng=Noise(6)),)},
    }  # fmt: skip
    ours, eager = (particles(compiled, **options) for compiled in (True, False))
    # the loss does not see the head's bias, so that Adam moves it by rounding errors over its eps
    close(ours, eager, run(ours, 10, batches()), run(eager, 10, batches()), 1e-7)


@pytest.mark.slow
@compiles
def test_single_precision_differs_by_rounding_only_and_a_resumed_run_not_at_all():
    ours, eager = (particles(compiled, torch.float32, ema=0.9) for compiled in (True, False))
    data = batches(torch.float32)
    first = run(ours, 10, data)
    tensors, state = weights(ours), resume_state(ours)
    resumed = particles(True, torch.float32, ema=0.9)
    load_state(resumed, tensors, state)
    rest = [next(data) for _ in range(10)]
    second, again = run(ours, 10, iter(rest)), run(resumed, 10, iter(rest))
    near, data = run(eager, 20, batches(torch.float32)), batches(torch.float32)
    close(ours, eager, first + second, near, 1e-4)
    close(ours, resumed, second, again, 0.0)
    ours.compile = False
    close(ours, eager, run(ours, 3, data), run(eager, 3, batches(torch.float32)), 1e-4)


@compiles
@pytest.mark.slow
def test_a_graph_ends_with_the_net_that_it_was_traced_through():
    ours, eager = (CriticFlow(learner(torch.float64, ema=0.9), steps=2) for _ in range(2))
    stride, data, x = Stride.of(ours), batches(), torch.randn(N, 2, dtype=torch.float64)
    for activation in (nn.Tanh, nn.ReLU, nn.Tanh):  # parameters keep their names and shapes
        for _ in range(3):
            p = next(data)
            v, _ = stride.velocity(x, p, x)
            torch.testing.assert_close(v, eager.velocity(x, p)(x), rtol=1e-9, atol=1e-9)
        for flow in (ours, eager):
            torch.manual_seed(4)
            flow.critic.adopt(mlp.critic(2, width=16, depth=2, activation=activation).double())


class Still:
    """A flow without a critic."""

    def velocity(self, q, p):
        return lambda x, t=0.0: torch.zeros_like(x)


def flow(optimiser=Adam, net=None, **options) -> CriticFlow:
    return CriticFlow(Learner(net or mlp.critic(2, width=4), partial(optimiser, lr=1e-3, **options)))


def placed(**options) -> CriticFlow:
    there = flow()
    there.critic.placement = Placement(**options)
    return there


REFUSED = {
    "another flow": (Still, "takes a CriticFlow, not a Still"),
    "another optimiser": (lambda: flow(SGD), "Adam or AdamW, not SGD"),
    "amsgrad": (lambda: flow(amsgrad=True), "amsgrad"),
    "spectral norm": (lambda: flow(net=spectral(mlp.critic(2, width=4))), "spectral norm"),
    "dropout": (lambda: flow(net=nn.Sequential(nn.Linear(2, 1), nn.Dropout())), "dropout"),
    "several processes": (lambda: placed(world=2), "one process, not 2"),
    "bf16": (lambda: placed(precision="bf16"), "bf16"),
}


@compiles
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compiled_is_named_with_a_remedy(case):
    make, message = REFUSED[case]
    with pytest.raises(UsageError, match=message) as refusal:
        Stride.of(make())
    assert "use" in str(refusal.value)


def test_a_missing_compiler_is_named_with_a_remedy(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match=r"no-such-compiler.*compile=False"):
        Stride.of(flow())


def test_a_penalty_with_unseeded_points_is_refused_before_anything_is_compiled():
    unseeded = flow()
    unseeded.penalties = (lipschitz,)
    with pytest.raises(UsageError, match="rng=noise"):
        Stride.of(unseeded).move(torch.randn(8, 2), torch.randn(8, 2), torch.randn(8, 2), 0.1)


def test_particles_and_data_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="they must be equal"):
        Stride.of(flow()).move(torch.randn(8, 2), torch.randn(8, 3), torch.randn(8, 2), 0.1)
