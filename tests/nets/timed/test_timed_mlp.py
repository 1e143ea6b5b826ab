"""Perceptrons that know the noise level: all their parts learn, and what they learn is the exact denoiser."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.densities.mixture import Mixture
from pushforward.dynamics.bridges.follmer import MixtureFollmer
from pushforward.errors import UsageError
from pushforward.nets.blocks import FourierFeatures
from pushforward.nets.timed.mlp import NoisyWaves, perceptron
from pushforward.nets.timed.preconditioned import Preconditioned, centred
from pushforward.randomness import Noise, seeded


@pytest.mark.parametrize("event", [1, (5,), (2, 3, 3)])
@pytest.mark.parametrize("depth", [1, 4])
def test_answers_have_the_shape_of_what_is_asked(event, depth):
    shape = (event,) if isinstance(event, int) else event
    net = perceptron(event, width=16, depth=depth)
    assert net(torch.randn(3, *shape), torch.zeros(3)).shape == (3, *shape)
    assert not net(torch.randn(3, *shape), torch.zeros(1)).any()


@pytest.mark.parametrize("kinds", [{}, {"classes": 3}, {"waves": 4, "octaves": 0}])
def test_every_parameter_gets_a_gradient(kinds, awake):
    net = awake(perceptron(2, width=16, **kinds))
    labels = (torch.arange(9) % 4,) if kinds.get("classes") else ()
    out = net(torch.randn(9, 2), torch.linspace(-1, 1, 9), *labels)
    (out * torch.randn_like(out)).sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]


def test_rows_are_answered_one_by_one(awake):
    net, x, c = awake(perceptron(4, width=16)), torch.randn(6, 4), torch.linspace(-1, 1, 6)
    torch.testing.assert_close(net(x, c)[2:4], net(x[2:4], c[2:4]))


def test_the_same_seed_builds_the_same_net():
    def built(seed: int) -> Tensor:
        with seeded(seed):
            return torch.cat([p.flatten() for p in perceptron(2, waves=3, classes=2).state_dict().values()])

    assert torch.equal(built(1), built(1))
    assert not torch.equal(built(1), built(2))


def test_waves_keep_of_their_height_what_noise_leaves_of_it():
    with seeded(0):
        waves = NoisyWaves(2, 5, 3).double()
    with seeded(0):
        plain = FourierFeatures(2, 5, octaves=3).double()
    x, noise = torch.randn(1, 2, dtype=torch.float64), torch.randn(400_000, 2, dtype=torch.float64)
    for s in (0.05, 0.3):
        share = s**2 / (1 + s**2)
        seen = plain(x + share**0.5 * noise).mean(0)[2:]
        kept = waves(x, torch.tensor([math.log(s) / 4], dtype=torch.float64))[0, 2:]
        torch.testing.assert_close(kept, seen, atol=0.01, rtol=0)
    assert waves(x, torch.full((1,), 3.0, dtype=torch.float64))[:, 2:].abs().max() < 0.14  # exp(-2 cubed): no data left


def test_waves_are_in_full_precision_under_autocast():
    waves, x, c = NoisyWaves(2, 5, 4), torch.randn(50, 2), torch.linspace(-2, 2, 50)
    with torch.autocast("cpu", torch.bfloat16):
        under = waves(x, c)
    assert torch.equal(under, waves(x, c))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"event": 0}, "give at least one of each"),
        ({"event": 2, "depth": 0}, "depth 0: give at least one"),
        ({"event": 2, "octaves": -1}, "octaves -1, classes 0: give 0 for none"),
    ],
)
def test_sizes_out_of_range_are_refused(given, words):
    with pytest.raises(UsageError, match=words):
        perceptron(**given)


def learned(net: Preconditioned, data: Tensor, steps: int, *, labels: Tensor | None = None) -> Preconditioned:
    """Denoising score matching with the weight and the levels of EDM, in units of the data's spread."""
    rng, spread, size = Noise(0), float(net.spread), 512
    adam = Adam(net.parameters(), lr=3e-3, betas=(0.9, 0.99), fused=True)
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = 3e-3 * min(1.0, 2 - 2 * step / steps)
        rows = rng.integers(len(data), size)
        s = spread * torch.exp(-1.2 + 1.2 * rng.normal(size))
        clean = data[rows]
        noisy = clean + s[:, None] * rng.normal(size, *data.shape[1:])
        said = net(noisy, s) if labels is None else net(noisy, s, labels[rows])
        weight = (s.square() + spread**2) / (s * spread).square()
        adam.zero_grad()
        (weight[:, None] * (said - clean).square()).mean().backward()
        adam.step()
    return net


def test_classes_tell_where_the_data_lie():
    labels = torch.arange(2000) % 2
    data = (2.0 * labels - 1)[:, None] + 0.1 * torch.randn(2000, 1)
    with seeded(0):
        net = Preconditioned(perceptron(1, width=32, classes=2), *centred(data))
    learned(net, data, 150, labels=labels)
    low, high = net(torch.zeros(2, 1), 5.0, torch.tensor([0, 1]))
    assert low < -0.7
    assert high > 0.7


def test_what_is_learned_is_the_exact_denoiser_of_a_narrow_mixture():
    """The best linear denoiser, which is where a net starts, is off by 0.52 of the noise that is to be told.

    600 steps, three seconds of a core, leave a seventieth to an eightieth of that, over three seeds, and 4000 steps a
    four hundredth.
    """
    corners = [[math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)] for k in range(8)]
    mixture = Mixture.of(corners, sigma=0.02)
    data = mixture(50_000, torch.Generator().manual_seed(0)).float()
    with seeded(0):
        net = Preconditioned(perceptron(2), *centred(data))
    learned(net, data, 600)
    rng, spread = Noise(1), float(net.spread)
    s = spread * torch.exp(-1.2 + 1.2 * rng.normal(4000))
    y = data[:4000] + s[:, None] * rng.normal(4000, 2)
    truth = MixtureFollmer.of(mixture, tau=2.0, sigma=1.0).denoised(y, s)
    linear = net.mean + (y - net.mean) * (spread**2 / (spread**2 + s.square()))[:, None]
    weight = ((s.square() + spread**2) / (s * spread).square())[:, None]

    def error(said: Tensor) -> float:
        return float((weight * (said - truth).square()).mean())

    with torch.no_grad():
        assert error(net(y, s)) < error(linear) / 40
