"""What is learned comes near what is exact, the nearer the more data there are."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.optim import Adam

from pushforward.data import Batches
from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.two_stages import Bridge
from pushforward.nets.timed.mlp import perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, centred
from pushforward.objectives.matching import LogNormal
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine

LINE = Mixture.of([[-1.0], [0.8]], covariances=[[[0.04]], [[0.09]]], weights=[0.3, 0.7])
RING = Mixture.of([[5 * math.cos(k * math.pi / 4), 5 * math.sin(k * math.pi / 4)] for k in range(8)], sigma=0.562)
STEPS = 1_500


def learned(x: torch.Tensor, seed: int) -> Bridge:
    with seeded(seed):
        net = Preconditioned(perceptron(x.shape[1], width=96), *centred(x))
    denoise = Learner(net, partial(Adam, lr=4e-3, fused=True), ema=0.995, schedule=cosine(STEPS))
    model = Bridge(Diffusion(denoise, Noise(seed), LogNormal(-0.8, 1.5)), tau=8.0, sigma=2.0)
    for _ in zip(range(STEPS), model.learn(Batches(x, 256, seed=seed)), strict=False):
        pass
    return model


def errors(model: Bridge, law: Mixture) -> tuple[float, float]:
    """Mean squared errors of both stages' drift along the exact processes, over the variance of the drift."""
    rng, mean, scale = Noise(9), model.diffusion.mean, model.diffusion.spread
    tau, sigma = model.tau * scale**2, model.sigma * scale
    about = Mixture(law.means - mean.double(), law.covariances, law.weights)
    exact = MixtureFollmer.of(about, tau=tau, sigma=sigma)
    first, (second, _, _) = model.first(), model.second(mean[None])
    n, found = 2_000, ([], [])
    with torch.no_grad():
        for t in np.linspace(0.15, 0.9, 6):
            y = law.sample(n, torch.Generator().manual_seed(1))
            end = y - mean + sigma * rng.normal(*y.shape)
            x = t * end + math.sqrt(tau * t * (1 - t)) * rng.normal(*y.shape)
            wanted = exact.drift(x, float(t))
            found[0].append((first.drift(mean + x, float(t)) - wanted).square().sum(1).mean() / wanted.var(0).sum())
            x = y + sigma * math.sqrt(1 - t) * rng.normal(*y.shape)
            wanted = (exact.denoised(x - mean, sigma * math.sqrt(1 - t)) + mean - x) / (1 - t)
            found[1].append((second.drift(x, float(t)) - wanted).square().sum(1).mean() / wanted.var(0).sum())
    return float(torch.stack(found[0]).mean()), float(torch.stack(found[1]).mean())


@pytest.mark.slow
@pytest.mark.parametrize("law", [LINE, RING], ids=["line", "ring"])
def test_the_drifts_of_both_stages_come_nearer_with_more_data(law):
    sizes, rows = (32, 128, 512, 4096), []
    for n in sizes:
        runs = [errors(learned(law.sample(n, torch.Generator().manual_seed(seed)), seed), law) for seed in range(2)]
        rows.append(np.mean(np.log(runs), 0))
    for stage in range(2):
        slope = np.polyfit(np.log(sizes), [row[stage] for row in rows], 1)[0]
        assert slope < -0.25, (stage, slope, rows)
        assert rows[-1][stage] < math.log(0.02)  # of the drift's variance
