"""Whom the benchmark sets side by side: the same weights, data and draws on all sides of a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.bridges.by_hand import BETAS, CLIP, Centred, Training, bridge, descent, training_step
from benchmarks.measure import Side
from pushforward.methods.adversarial.vgrow import clamp
from pushforward.methods.bridges.diffusion import NUMBERS, Diffusion
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, centred
from pushforward.nets.timed.unet import unet
from pushforward.objectives.matching import LogNormal
from pushforward.parallel.placement import Placement, Precision
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine

__all__ = ["SAMPLES", "STEPS", "WIDE", "Case", "precisions", "samples", "steps"]

SEED = 1


@dataclass(frozen=True)
class Case:
    """A net, its data and how it learns, as a recipe has them.

    Attributes:
        event: Shape of a sample.
        batch: Rows of a batch.
        net: Builds F.
        how: How it learns.
    """

    event: tuple[int, ...]
    batch: int
    net: Callable[[], nn.Module]
    how: Training

    def made(self) -> tuple[nn.Module, Tensor]:
        """F with weights of which none is 0, so that all of it matters, and a batch (n, *event) in [-1, 1]."""
        rng = torch.Generator().manual_seed(0)
        with seeded(0):
            net = self.net()
        for parameter in net.parameters():
            if not parameter.detach().any():
                nn.init.normal_(parameter, std=0.02, generator=rng)
        return net, torch.rand(self.batch, *self.event, generator=rng, dtype=torch.get_default_dtype()) * 2 - 1


def _decay(batch: int) -> float:
    """Of an average that forgets half of what it was in 20,000 rows."""
    return 0.5 ** (batch / 20_000)


STEPS = {
    "perceptron, plane": Case(
        (2,), 512, partial(perceptron, 2, waves=32), Training(4e-3, 8_000, _decay(512), -1.5, 2.0)
    ),
    "perceptron, 8 x 8": Case(
        (1, 8, 8), 192, partial(perceptron, (1, 8, 8), width=256), Training(2e-3, 10_000, _decay(192))
    ),
    "U-Net, 32 x 32": Case((1, 32, 32), 64, partial(unet, 32), Training(2e-3, 6_000, _decay(64))),
}
WIDE = Case((1, 32, 32), 64, partial(unet, 32, width=32), Training(2e-3, 6_000, _decay(64)))
SAMPLES = {"8 x 8": STEPS["perceptron, 8 x 8"], "32 x 32": STEPS["U-Net, 32 x 32"]}


def _model(net: nn.Module, x: Tensor, how: Training) -> Diffusion:
    """The library's score model, as its recipes wire it."""
    learner = Learner(
        Preconditioned(net, *centred(x)), partial(Adam, lr=how.rate, betas=BETAS, fused=True), ema=how.average,
        schedule=cosine(how.steps, 1e-3), clip=CLIP,
    )  # fmt: skip
    rng = Noise(SEED, dtype=x.dtype)
    return Diffusion(learner, rng, LogNormal(how.mean, how.deviation), project=clamp(-1, 1))


def steps(case: Case) -> list[Side]:
    """A training step of the library and by hand."""
    (net, x), how = case.made(), case.how
    model, other = _model(net, x, how), Centred(deepcopy(net), *centred(x))
    return [
        Side("Diffusion", partial(model.step, x), lambda: list(net.parameters())),
        Side("loop by hand", training_step(other, x, how, SEED), lambda: list(other.net.parameters())),
    ]


def precisions(case: Case, compiled: bool) -> list[Side]:
    """The library's training step in two precisions, as it comes and, if wanted, with F compiled."""

    def side(precision: Precision, compiled: bool) -> Side:
        net, x = case.made()
        model = _model(net, x, case.how)
        model.denoise.place(Placement(precision=precision))
        if compiled:
            net.compile(dynamic=False)
        name = f"{precision}, {'compiled' if compiled else 'eager'}"
        return Side(name, partial(model.step, x), lambda: list(net.parameters()))

    more = [side("fp32", True), side("bf16", True)] if compiled else []
    return [*more, side("bf16", False), side("fp32", False)]


def samples(case: Case, n: int) -> dict[str, Sequence[Side]]:
    """n samples of the library and by hand, for the score model and for the bridge."""
    net, x = case.made()
    model, other = _model(net, x, case.how), Centred(deepcopy(net).eval(), *centred(x))
    rows = max(1, NUMBERS // x[0].numel())
    crossing, found = Bridge(model), dict[str, list[Tensor]]()

    def side(name: str, draw: Callable[[], Tensor]) -> Side:
        def step() -> None:
            found[name] = [draw()]

        return Side(name, step, lambda: found[name])

    ours, theirs = (Noise(SEED, dtype=x.dtype) for _ in range(2))
    return {
        "score model": [
            side("Diffusion.sample", partial(model.sample, n, ours)),
            side("loop by hand", partial(descent, other, n, theirs.generator, rows)),
        ],
        "bridge": [
            side("Bridge.sample", partial(crossing.sample, n, ours)),
            side("loop by hand", partial(bridge, other, n, theirs.generator, rows)),
        ],
    }
