"""Autoencoders of counts: laws given a row's size that sum to 1, and codes that need not say what nets are told."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data.toys import counts
from pushforward.densities.laws import StandardNormal
from pushforward.densities.likelihoods.counts import NegativeBinomial
from pushforward.errors import DataError, UsageError
from pushforward.methods.latent.vae import VAE, VAESampling
from pushforward.nets.variational.counts import Depths, perceptrons_of_counts
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.randomness import seeded, stream
from pushforward.recipes import RECIPES
from pushforward.training.learner import Learner
from pushforward.training.loop import train
from pushforward.types import Bounds, Labels, Randomness, able


class Sized(nn.Module):
    """Every row counted to one depth, whatever it sums to."""

    said = "of rows of one size"

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size

    def of(self, x: Tensor, labels: Labels | None) -> Tensor:
        return x.new_full((len(x), 1), self.size)

    def drawn(self, n: int, rng: Randomness | None, labels: Labels | None) -> Tensor:
        return torch.full((n, 1), self.size)


def made(x: Tensor, *, code: int = 2, batches: int = 0, given: nn.Module | None = None, seed: int = 0) -> LatentModel:
    depths = Depths(x.sum(1), torch.arange(len(x)) % max(1, batches), batches) if given is None else given
    with seeded(seed):
        sides = perceptrons_of_counts(x, batches, code, 2 * code, width=8, depth=1)
        encoder = Encoder(sides.encoder, code)
        model = LatentModel(encoder, sides.decoder, NegativeBinomial(), StandardNormal(code), given=depths)  # pyright: ignore[reportArgumentType]
        for parameter in sides.decoder.parameters():
            nn.init.normal_(parameter, std=0.7)
        for parameter in sides.encoder.parameters():
            nn.init.normal_(parameter, std=0.1)  # wider than the exact posterior, so that no weight is large
    return model


def vae(model: LatentModel, draws: int = 128) -> VAE:
    learner = Learner(model, partial(Adam, lr=1e-3, fused=True), ema=0.9)
    return VAE(learner, stream(0, "train"), sampling=VAESampling(draws=draws))


def rows(n: int = 60, columns: int = 5) -> Tensor:
    return torch.poisson(torch.full((n, columns), 4.0), generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize("size", [1.0, 2.5])
def test_given_a_size_the_probabilities_of_all_rows_sum_to_one_whatever_these_sum_to(size):
    method = vae(made(rows(columns=2), given=Sized(size)), draws=1_500)
    x = torch.tensor(list(product(range(30), repeat=2))).float()
    assert float(method.log_prob(x).exp().sum()) == pytest.approx(1, abs=0.02)
    assert able(method, Bounds)
    assert method.discrete
    assert "one size" in method.protocol


def test_the_size_of_a_likelihood_is_that_of_the_row_itself():
    x = rows()
    one = made(x)
    own = vae(one).log_prob(x[:6])
    for k in range(6):
        other = made(x, given=Sized(float(x[k].sum())))
        assert float(vae(other).log_prob(x[k : k + 1])) == pytest.approx(
            float(vae(one).log_prob(x[k : k + 1])), abs=1e-6
        )
    assert len(set(x[:6].sum(1).tolist())) > 2
    assert own.isfinite().all()


def test_columns_in_another_order_change_nothing_but_the_order():
    x, order = rows(), torch.tensor([3, 0, 4, 1, 2])
    one, other = made(x, batches=2), made(x, batches=2)
    labels = torch.arange(len(x)) % 2
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name.startswith("encoder") and parameter.shape == (8, 7):  # of the five columns, and two batches
                parameter[:, :5] = parameter[:, order]
            elif name.startswith("decoder") and parameter.shape[0] == 5:
                parameter.copy_(parameter[order])
    e = torch.randn(len(x), 2, generator=torch.Generator().manual_seed(1))
    for found, known in zip(vae(other).inferred(x[:, order], e, labels), vae(one).inferred(x, e, labels), strict=True):
        assert torch.allclose(found, known, atol=1e-4)
    z = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    means = vae(one).decode(z, labels[:7])
    assert torch.allclose(vae(other).decode(z, labels[:7]), means[:, order], rtol=1e-4)
    assert not torch.allclose(means[:, order], means, rtol=0.1)


def test_means_of_a_row_sum_to_its_size_and_samples_are_whole():
    x = rows(400)
    method = vae(made(x))
    usual = method.decode(torch.zeros(3, 2)).sum(1)
    assert torch.allclose(usual.log(), x.sum(1).log().quantile(0.5).expand(3), atol=1e-4)
    drawn = method.sample(500, stream(0, "sample"))
    assert torch.equal(drawn, drawn.round())
    assert drawn.min() >= 0
    assert drawn.shape == (500, 5)


def test_sizes_are_drawn_from_those_of_the_batch():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 2
    sizes = (torch.randn(3000, generator=generator).abs() * 0.3 + torch.where(labels == 0, 3.0, 6.0)).exp()
    depths = Depths(sizes, labels, 2)
    asked = torch.arange(20_000) % 2
    drawn = depths.drawn(20_000, stream(0, "sample"), asked)
    assert torch.equal(drawn[:, 1:].argmax(1), asked)
    for batch in range(2):
        own, mine = sizes[labels == batch], drawn[asked == batch, 0]
        assert own.min() * 0.999 < mine.min()
        assert mine.max() < own.max() * 1.001
        at = torch.linspace(0.05, 0.95, 19)
        assert torch.allclose(mine.log().quantile(at), own.log().quantile(at), atol=0.02)
        assert float(depths.drawn(1, None, torch.tensor([batch]))[0, 0]) == pytest.approx(
            float(own.log().quantile(0.5).exp()), rel=1e-4
        )
    with pytest.raises(UsageError, match="give labels"):
        depths.drawn(3, None, None)
    with pytest.raises(UsageError, match="give labels"):
        depths.of(sizes[:2, None], None)


def exact(x: np.ndarray, batch: np.ndarray) -> Tensor:
    """log p of rows of the toy given their sums and batches."""
    parts = [np.log(x.sum(1, keepdims=True) * counts.shares(np.full(len(x), kind), batch)) for kind in range(3)]
    found = [
        NegativeBinomial().log_prob(
            torch.from_numpy(x),
            torch.stack([torch.from_numpy(part), torch.full(part.shape, math.log(counts.INVERSE)).double()], 1),
        )
        for part in parts
    ]
    return torch.stack(found).logsumexp(0) - math.log(3)


def test_told_the_batch_codes_lose_it_and_keep_the_kind_below_the_exact_likelihood():
    from sklearn.linear_model import LogisticRegression

    told = dict[bool, float]()
    found = counts.draw(2_200, np.random.default_rng(0))
    for conditional in (False, True):
        small = {"limit": 2_200, "steps": 300, "code": 3, "width": 32, "rate": 3e-3}
        experiment = RECIPES["vae_counts"](**small, conditional=conditional)
        for _ in train(experiment):
            pass
        method, data = experiment.method, experiment.data
        assert isinstance(method, VAE)
        x, seen = torch.cat([data.train, data.test]), len(data.train)
        assert np.array_equal(x.numpy(), found.x)
        labels = torch.from_numpy(found.batch)
        z = method.encode(x, labels).detach().numpy()
        batch, kind = (
            LogisticRegression().fit(z[:seen], names[:seen]).score(z[seen:], names[seen:])
            for names in (found.batch, found.kind)
        )
        told[conditional] = batch
        assert kind > 0.95
        if conditional:
            bound, known = method.log_prob(data.test, data.test_labels), exact(found.x[seen:], found.batch[seen:])
            assert -12 < float((bound - known).mean()) < 0

    assert told[False] > 0.8
    assert told[True] < 0.65  # the half is chance


def test_what_is_no_count_or_has_no_law_is_refused():
    with pytest.raises(DataError, match="give raw counts"):
        RECIPES["vae_counts"](data="toy:ring8")
    with pytest.raises(UsageError, match="use mixture or maf"):
        RECIPES["vae_counts"](prior="vamp")
    with pytest.raises(UsageError, match="takes points"):
        RECIPES["vae_counts"](data="digits")
