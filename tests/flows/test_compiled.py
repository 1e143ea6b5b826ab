"""A compiled step is the eager step: same particles, critic, optimiser, average and logs, and the same after a resume."""

import os
import shutil
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from pushforward.data.noise import Noise
from pushforward.divergences import JEFFREYS, KL, dual
from pushforward.dynamics.integrate import euler, heun, rk4
from pushforward.errors import UsageError
from pushforward.flows.compiled import compiled_step
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles import Particles
from pushforward.nets import mlp
from pushforward.penalties import both, gradient_penalty, lipschitz, r1, r2, spectral
from pushforward.training.learner import Learner
from pushforward.training.placement import Placement
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
    net = mlp.critic(2, width=16, depth=2, activation=nn.SiLU, fourier=3).to(dtype)
    return Learner(net, partial(optimiser, **({"lr": 3e-3} | options.pop("adam", {}))), **options)


def particles(compiled: bool, dtype=torch.float64, flow=None, scheme=euler, **options) -> Particles:
    flow = {"steps": 3} | (flow() if callable(flow) else flow or {})
    start = torch.randn(N, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    return Particles(CriticFlow(learner(dtype, **options), **flow), start, 0.05, Noise(0), scheme, compile=compiled)


def batches(dtype=torch.float64):
    rng = torch.Generator().manual_seed(5)
    while True:
        yield (torch.randn(M, 2, generator=rng, dtype=torch.float64) + 1.0).to(dtype)


def run(method: Particles, steps: int, data) -> list[dict]:
    return [logs for _, logs in zip(range(steps), method.learn(data))]


def close(a: Particles, b: Particles, logs_a: list, logs_b: list, tolerance: float) -> None:
    near = partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    assert [list(logs) for logs in logs_a] == [list(logs) for logs in logs_b]
    near(logs_a, logs_b)
    near(weights(a), weights(b))
    near(resume_state(a), resume_state(b))


CASES = {
    "everything": {
        "flow": lambda: {"divergence": JEFFREYS, "cap": 2.0, "every": 3,
                         "penalty_schedule": linear(30, 0.1)} | penalised(),
        "optimiser": AdamW, "adam": {"weight_decay": 0.1, "betas": (0.5, 0.9)}, "scheme": heun,
        "ema": 0.99, "clip": 0.5, "schedule": cosine(100),
    },
    "plain": {},
    "dual contrast": {"flow": {"contrast": dual(KL)}},
    "r1, r2 and both": {"flow": {"penalties": (r1, r2, both), "steps": 2}},
    "rk4 and decay": {"scheme": rk4, "adam": {"weight_decay": 0.1, "fused": True}, "flow": {"steps": 1}},
}  # fmt: skip


@compiles
@pytest.mark.parametrize("case", [c if c == "everything" else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_twenty_compiled_steps_are_twenty_eager_steps(case):
    ours, eager = (particles(compiled, **CASES[case]) for compiled in (True, False))
    close(ours, eager, run(ours, 20, batches()), run(eager, 20, batches()), 1e-10)


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
    close(ours, eager, first + second, run(eager, 20, batches(torch.float32)), 1e-4)
    close(ours, resumed, second, again, 0.0)
    torch.testing.assert_close(ours.flow.critic.optimiser.state_dict(), resumed.flow.critic.optimiser.state_dict())
