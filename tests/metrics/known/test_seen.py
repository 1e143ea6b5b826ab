"""Modes that a few samples show: all of a perfect sampler's, those that are there of another's, and no rare one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pushforward.data.toys import plane
from pushforward.densities.mixture import Mixture
from pushforward.metrics.known.seen import of_classifier, of_labels, of_mixture


def mixture(name: str) -> tuple[Tensor, Tensor, Tensor, object]:
    """Training rows and their labels, held-out rows, and what counts the modes of a toy."""
    data = plane.load(name, n_train=20_000, n_test=1000)
    assert data.mixture is not None
    assert data.train_labels is not None
    return data.train, data.train_labels, data.test, of_mixture(data.mixture, data.decode, data.train)


@pytest.mark.parametrize(("name", "count"), [("ring8", 8), ("grid25", 25), ("mixture2", 2)])
def test_a_perfect_sampler_shows_all_modes_and_one_that_leaves_some_out_the_others(name, count):
    train, labels, test, seen = mixture(name)
    assert seen(test) == (count, count)
    for left in range(1, count):
        assert seen(train[labels < left][:1000]) == (left, count)


def test_modes_are_seen_from_a_tenth_of_their_share_on():
    train, labels, _, seen = mixture("ring8")
    first, others = train[labels == 0], train[labels != 0]
    for share, wanted in [(0.06, 7), (0.18, 8)]:  # of the 125 of 1,000 that it should have
        few = int(125 * share)
        assert seen(torch.cat([first[:few], others[: 1000 - few]])) == (wanted, 8)


def test_samples_far_from_all_modes_show_none():
    *_, test, seen = mixture("grid25")
    assert seen(test + 20) == (0, 25)
    assert seen(0.3 * torch.randn(1000, 2))[0] < 25


def test_a_mode_that_chance_may_hide_is_not_asked_for():
    shares = [0.5, 0.485, 0.015]
    law = Mixture.of([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], sigma=1.0, weights=shares)
    x = law.sample(20_000, torch.Generator().manual_seed(0)).float()
    seen = of_mixture(law, lambda y: y.double().numpy(), x)
    assert seen(x[:1000]) == (2, 2)
    assert seen(x[:4000]) == (3, 3)
    assert seen(x[:30]) == (0, 0)


def test_modes_in_many_dimensions_are_balls_that_hold_as_much():
    law = Mixture.of([[0.0] * 30, [9.0] * 30], sigma=1.0)
    x = law.sample(2000, torch.Generator().manual_seed(0)).float()
    assert of_mixture(law, lambda y: y.double().numpy(), x)(x[:500]) == (2, 2)


def test_classes_are_those_of_the_nearest_row_or_of_a_network():
    train, labels, test, _ = mixture("ring8")
    near = of_labels(train[:2000], labels[:2000], 8, train[2000:4000])
    assert near(test) == (8, 8)
    assert near(train[labels < 3][:1000]) == (3, 8)
    means = torch.stack([train[labels == k].mean(0) for k in range(8)])
    network = of_classifier(nn.Sequential(_Off(means)), train)
    assert network(test) == (8, 8)
    assert network(train[labels < 3][:1000]) == (3, 8)


class _Off(nn.Module):
    """Logits that fall with the distance from given points."""

    def __init__(self, means: Tensor) -> None:
        super().__init__()
        self.means = means

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(x, self.means)
