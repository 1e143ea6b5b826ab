"""The contests: the same nets, weights, latents and data on both sides; data loading is in neither."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.optim import Adam

from benchmarks.by_hand import BETAS, careful_vgrow, idiomatic_particles, idiomatic_vgrow
from benchmarks.measure import Contest, Side
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.vgrow import VGrow, gan
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import dcgan, mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner
from pushforward.types import Method

__all__ = ["CASES"]

RATE, STEP, SEED = 1e-4, 0.5, 1
Nets = tuple[nn.Module, nn.Module, Tensor, int]


def _points() -> Nets:
    """Perceptrons, 3 hidden layers of 256, on 1,000 points in the plane: generator, critic, data, latent size."""
    torch.manual_seed(0)
    return mlp.generator(16, 2, width=256), mlp.critic(2, width=256), torch.randn(1000, 2) + 2, 16


def _images() -> Nets:
    """DCGAN nets of width 32 on 32 grey images of side 32."""
    torch.manual_seed(0)
    return dcgan.generator(32, width=32), dcgan.critic(32, width=32), torch.rand(32, 1, 32, 32) * 2 - 1, 128


def _vgrow(nets: Nets, ema: float | None) -> VGrow:
    generator, critic, _, latent = nets
    optimiser = partial(Adam, lr=RATE, betas=BETAS, fused=True)
    flow = CriticFlow(Learner(critic, optimiser))
    return gan(
        Learner(generator, optimiser, ema=ema),
        flow,
        normal(latent),
        Noise(SEED, dtype=torch.get_default_dtype()),
        step=STEP,
    )


def _side(name: str, method: Method, p: Tensor, tensors: Callable[[], list[Tensor]]) -> Side:
    steps: Iterator[object] = method.learn(repeat(p))
    return Side(name, partial(next, steps), tensors)


def _trained(nets: Nets) -> list[Tensor]:
    return [*nets[0].parameters(), *nets[1].parameters()]


def _against_careful(make: Callable[[], Nets], ema: float | None) -> Contest:
    ours, theirs = make(), make()
    library = _side("VGrow", _vgrow(ours, ema), ours[2], partial(_trained, ours))
    step = careful_vgrow(*theirs, rate=RATE, step=STEP, ema=ema, seed=SEED)
    return Contest(library, Side("careful loop", step, partial(_trained, theirs)), f"{len(ours[2])} + {len(ours[2])}")


def _against_idiomatic(make: Callable[[], Nets]) -> Contest:
    ours, theirs = make(), make()
    library = _side("VGrow", _vgrow(ours, None), ours[2], partial(_trained, ours))
    step = idiomatic_vgrow(*theirs, rate=RATE, step=STEP, seed=SEED)
    return Contest(library, Side("idiomatic loop", step, partial(_trained, theirs)), f"{len(ours[2])} + {len(ours[2])}")


def _cloud() -> tuple[nn.Module, Tensor, Tensor]:
    """A critic of width 32 with three hidden layers, 200 particles and 200 points of data in the plane."""
    torch.manual_seed(0)
    return mlp.critic(2, width=32), torch.randn(200, 2), torch.randn(200, 2) + 2


def _particles(compiled: bool) -> Side:
    critic, x, p = _cloud()
    flow = CriticFlow(Learner(critic, partial(Adam, lr=RATE, fused=True)), steps=3)
    method = Particles(flow, x, 0.01, Noise(SEED, dtype=torch.get_default_dtype()), compile=compiled)
    name = "Particles, compiled" if compiled else "Particles, eager"
    return _side(name, method, p, lambda: [method.particles, *critic.parameters()])


def _idiomatic_particles() -> Side:
    critic, x, p = _cloud()
    step, where = idiomatic_particles(critic, x, p, rate=RATE, step=0.01, updates=3)
    return Side("idiomatic loop", step, lambda: [where(), *critic.parameters()])


CASES: dict[str, Callable[[], Contest]] = {
    "vgrow-mlp": lambda: _against_careful(_points, None),
    "vgrow-mlp-ema": lambda: _against_careful(_points, 0.999),
    "vgrow-dcgan": lambda: _against_careful(_images, None),
    "vgrow-dcgan-ema": lambda: _against_careful(_images, 0.999),
    "vgrow-mlp-idiomatic": lambda: _against_idiomatic(_points),
    "vgrow-dcgan-idiomatic": lambda: _against_idiomatic(_images),
    "particles-eager": lambda: Contest(_particles(False), _idiomatic_particles(), "200 + 200"),
    "particles-compiled": lambda: Contest(_particles(True), _idiomatic_particles(), "200 + 200"),
    "particles-compiled-eager": lambda: Contest(_particles(True), _particles(False), "200 + 200"),
}
