"""Learned codecs: a linear one finds the principal subspace, and resuming is exact."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.codecs import PCA, Autoencoder, Codec, bernoulli, squared
from pushforward.data.batches import Batches
from pushforward.dynamics.mobility import lipschitz_constant
from pushforward.errors import UsageError
from pushforward.nets import autoencoder
from pushforward.randomness import Noise, seeded
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.training.state import load_state, resume_state, weights


def build(d: int, code: int, seed: int = 0, steps: int = 1, rate: float = 1e-2, **options) -> Autoencoder:
    with seeded(seed):
        net = autoencoder.perceptron(d, code, **options)
    return Autoencoder(Learner(net, partial(Adam, lr=rate), schedule=cosine(steps)), rows=200)


def fit(codec: Autoencoder, x: Tensor, steps: int) -> None:
    for _, _ in zip(range(steps), codec.learn(Batches(x, 50))):
        pass


def test_a_linear_autoencoder_loses_what_principal_components_lose():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=generator) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.3, 0.1]) + 1
    codec = build(6, 2, steps=600, rate=3e-2, depth=0)
    fit(codec, x, 600)
    exact = PCA.fit(x, 2)
    lost = squared(codec.decode(codec.encode(x)), x)
    least = squared(exact.decode(exact.encode(x)), x)
    assert least <= lost * (1 + 1e-6)
    assert lost < 1.01 * least


def test_a_curve_is_coded_by_one_number_that_a_line_cannot():
    t = torch.linspace(-1.5, 1.5, 200)
    x = torch.stack([t, t.square()], 1)
    codec = build(2, 1, steps=800, width=32)
    fit(codec, x, 800)
    line = PCA.fit(x, 1)
    lost = squared(codec.decode(codec.encode(x)), x)
    assert lost < 0.02 * squared(line.decode(line.encode(x)), x)
    z = codec.encode(x)
    assert float(z.mean().detach()) == pytest.approx(0.0, abs=0.05)
    assert float(z.square().mean().detach()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("output", [nn.Identity, nn.Tanh])
def test_no_slope_is_steeper_than_the_certificate_and_a_linear_decoder_reaches_it(output):
    codec = build(5, 3, width=16, depth=2, output=output)
    fit(codec, 3 * torch.randn(100, 5), 20)
    z = torch.randn(200, 3)
    assert lipschitz_constant(codec.decode, z, Noise(0)) <= codec.certificate()
    linear = build(5, 3, depth=0)
    fit(linear, 3 * torch.randn(100, 5), 20)
    assert linear.certificate() == pytest.approx(
        lipschitz_constant(linear.decode, z, Noise(0), iterations=300), rel=1e-4
    )
    images = Autoencoder(Learner(autoencoder.convolutional((1, 8, 8), 3), Adam), rows=1)
    with pytest.raises(UsageError, match="ConvTranspose2d"):
        images.certificate()


def test_cross_entropy_is_least_at_the_data_and_the_same_in_every_box():
    x = torch.rand(5, 3, dtype=torch.float64)
    other = torch.rand(5, 3, dtype=torch.float64)
    loss = bernoulli()
    by_hand = -(x * other.log() + (1 - x) * (1 - other).log()).sum() / 5
    torch.testing.assert_close(loss(other, x), by_hand)
    assert loss(x, x) < loss(other, x)
    torch.testing.assert_close(bernoulli(-1, 1)(2 * other - 1, 2 * x - 1), loss(other, x))
    assert torch.isfinite(loss(torch.ones(2, 3), torch.zeros(2, 3)))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_stopping_and_continuing_is_the_same_as_not_stopping(ema):
    x = torch.randn(60, 4)

    def make(seed: int) -> Autoencoder:
        with seeded(seed):
            net = autoencoder.perceptron(4, 2, width=8, output=nn.Tanh)
        return Autoencoder(Learner(net, partial(Adam, lr=1e-2), ema=ema), rows=60)

    straight = make(0)
    fit(straight, x, 6)
    first, stream = make(0), Batches(x, 50)
    for _, _ in zip(range(2), first.learn(stream)):
        pass
    second = make(9)
    load_state(second, weights(first), resume_state(first))
    for _, _ in zip(range(4), second.learn(stream, 2)):
        pass
    assert torch.equal(straight.encode(x), second.encode(x))
    assert torch.equal(straight.decode(x[:, :2]), second.decode(x[:, :2]))
    assert second.budget == "autoencoder of 60 rows, 6 updates"
    assert isinstance(second, Codec)
