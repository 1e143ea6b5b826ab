"""All that the driver does, compiled: classes, tracers, mini-batches, refits, schemes with a memory, schedules."""

import os
import shutil
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.divergences import KL_LIP
from pushforward.dynamics.integrate import AdamsBashforth, euler, heun
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets.lipschitz import critic
from pushforward.objectives.penalties import excess
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

CASES = {
    "classes, tracers and a penalty": {"classes": 3, "tracers": 5, "penalty": True},
    "tracers, a scheme with a memory and a schedule": {"tracers": 4, "scheme": AdamsBashforth(3), "schedule": True},
    "mini-batches": {"batch": 16, "scheme": heun},
    "refits": {"refit": True, "scheme": heun, "tracers": 3},
}


def built(compiled: bool, case: dict) -> Particles:
    torch.manual_seed(0)
    classes, tracers, scheme = case.get("classes", 0), case.get("tracers", 0), case.get("scheme", euler)
    net = critic(2, width=8, depth=2, mode="spectral", classes=classes).double()
    flow = CriticFlow(
        Learner(net, partial(Adam, lr=3e-3)),
        KL_LIP,
        penalties=(partial(excess, slope=0.5, rng=Noise(4)),) if case.get("penalty") else (),
        steps=2,
    )
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return Particles(
        flow,
        x,
        0.2,
        Noise(1),
        scheme=scheme.fresh() if isinstance(scheme, AdamsBashforth) else scheme,
        compile=compiled,
        schedule=(lambda k: 0.8**k) if case.get("schedule") else (lambda k: 1.0),
        refit=case.get("refit", False),
        batch=case.get("batch"),
        labels=torch.arange(40) % classes if classes else None,
        tracers=x[:tracers] * 2 if tracers else None,
        tracer_labels=torch.arange(tracers) % classes if tracers and classes else None,
        record=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++").split()[0]) is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("case", CASES)
def test_a_compiled_run_is_the_eager_run(case):
    given = CASES[case]
    p = torch.randn(30, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 1
    batch: object = (p, torch.arange(30) % given["classes"]) if "classes" in given else p
    ours, eager = built(True, given), built(False, given)
    logs: list[list[dict[str, Tensor]]] = [
        [each for _, each in zip(range(6), method.learn([batch] * 6))]  # type: ignore[list-item]
        for method in (ours, eager)
    ]
    near = partial(torch.testing.assert_close, rtol=1e-7, atol=1e-7)
    near(ours.particles, eager.particles)
    if "tracers" in given:
        near(ours.tracers, eager.tracers)
    near(logs[0], logs[1])
    labels = ours.labels[:7] if ours.labels is not None else None
    near(ours.transport(p[:7], labels), eager.transport(p[:7], labels))
