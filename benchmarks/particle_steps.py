"""Steps of particles that follow a Lipschitz critic: against a loop by hand, with ensembles, and of many particles."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise, repeat

import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.by_hand import idiomatic_gpa
from benchmarks.measure import Contest, Side
from pushforward.data.batches import Batches
from pushforward.divergences import KL_LIP
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets.ensemble import Ensemble
from pushforward.nets.lipschitz import Mode, critic
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

__all__ = ["CONTESTS", "contest", "seconds", "slope"]

RATE, STEP, UPDATES, ROWS, MEMBERS = 1e-3, 0.05, 3, 200, 8


def clouds(n: int = ROWS) -> tuple[Tensor, Tensor]:
    """Particles and data in the plane, (n, 2) each."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, 2, generator=rng), torch.randn(n, 2, generator=rng) * 0.8 + 2


def flow(net: nn.Module) -> CriticFlow:
    """KL's flow of a critic that makes three updates a call."""
    return CriticFlow(Learner(net, partial(Adam, lr=RATE, fused=True)), KL_LIP, steps=UPDATES)


def library(mode: Mode, compiled: bool, diagnose: int | None = 0, members: int = 0) -> Side:
    """Particles with a critic of three hidden layers of 32, or with an ensemble of such."""
    torch.manual_seed(0)
    net = Ensemble([critic(2, mode=mode) for _ in range(members)]) if members else critic(2, mode=mode)
    x, p = clouds()
    method = Particles(flow(net), x, STEP, Noise(0), compile=compiled, diagnose=diagnose)
    words = [f"{mode} critic", f"{members} at once" if members else "", "compiled" if compiled else "eager"]
    words += ["as it comes"] if diagnose is None else ["looked at each step"] if diagnose else []
    return Side(", ".join(filter(None, words)), partial(next, method.learn(repeat(p))), lambda: [method.particles])


def by_hand() -> Side:
    """The same net, updates and move as an ordinary loop."""
    torch.manual_seed(0)
    widths = [2, 32, 32, 32]
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    x, p = clouds()
    step, where = idiomatic_gpa(nn.Sequential(*layers, nn.Linear(32, 1)), x, p, rate=RATE, step=STEP, updates=UPDATES)
    return Side("loop by hand", step, lambda: [where()])


def one_by_one(mode: Mode) -> Side:
    """As many critics as in the ensemble, one after the other, and their mean velocity."""
    torch.manual_seed(0)
    flows = [flow(critic(2, mode=mode)) for _ in range(MEMBERS)]
    x, p = clouds()

    def advance() -> None:
        velocities = [each.velocity(x, p)(x) for each in flows]
        x.add_(torch.stack(velocities).mean(0), alpha=STEP)

    return Side(f"{MEMBERS} flows, one by one", advance, lambda: [x])


CONTESTS: dict[str, dict[str, Callable[[], tuple[Side, Side]]]] = {
    "step": {
        "compiled": lambda: (library("reference", True), by_hand()),
        "eager": lambda: (library("reference", False), by_hand()),
        "compiled default": lambda: (library("reference", True, None), by_hand()),
        "eager default": lambda: (library("reference", False, None), by_hand()),
        "eager looked at": lambda: (library("reference", False, 1), by_hand()),
        "bjorck": lambda: (library("bjorck", True), library("bjorck", False)),
        "spectral": lambda: (library("spectral", True), library("spectral", False)),
        "none": lambda: (library("none", True), library("none", False)),
    },
    "ensemble": {
        "eager": lambda: (library("reference", False, members=MEMBERS), one_by_one("reference")),
        "compiled": lambda: (library("reference", True, members=MEMBERS), one_by_one("reference")),
        "bjorck": lambda: (library("bjorck", False, members=MEMBERS), one_by_one("bjorck")),
    },
}


def contest(sides: tuple[Side, Side]) -> Contest:
    """The two sides, with their sizes."""
    return Contest(*sides, f"{ROWS} + {ROWS}")


def seconds(n: int, shown: int | None) -> float:
    """CPU seconds of a step of n particles and n data.

    Args:
        n: Number of each.
        shown: Particles, and data, that each call of the critic sees; None shows all.
    """
    torch.manual_seed(0)
    x, p = clouds(n)
    method = Particles(flow(critic(2, mode="reference")), x, STEP, Noise(0), batch=shown, diagnose=0)
    steps = method.learn(Batches(p, shown) if shown else repeat(p))
    next(steps)
    spent, made = 0.0, 0
    while spent < 1.0 and made < 200:
        began = time.process_time()
        next(steps)
        spent, made = spent + time.process_time() - began, made + 1
    return spent / made


def slope(sizes: list[int], times: list[float]) -> float:
    """The exponent of times ~ sizes^a, by least squares on logarithms."""
    x, y = ([math.log(value) for value in values] for values in (sizes, times))
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
