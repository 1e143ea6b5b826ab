"""Levels are told apart wherever they lie, in full precision, and a row without a class has a class of its own."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import UsageError
from pushforward.nets.timed.embedding import LevelEmbedding


def test_no_two_levels_over_ten_powers_of_ten_look_alike():
    embed = LevelEmbedding(8).double()
    c = torch.log(torch.logspace(-4, 6, 400, dtype=torch.float64)) / 4
    phases = c[:, None] * embed.frequencies
    apart = torch.cdist(*[torch.cat([phases.cos(), phases.sin()], 1)] * 2)
    lower = torch.cdist(c[:, None], c[:, None]).clamp(max=0.25)  # beyond a factor of e in s it is enough to differ
    assert (apart >= 4 * lower).all()


def test_levels_are_in_full_precision_under_autocast():
    embed, c = LevelEmbedding(16, classes=3), torch.linspace(-2.3, 3.4, 50)
    labels = torch.arange(50) % 4
    with torch.autocast("cpu", torch.bfloat16):
        under = embed(c, labels)
    assert under.dtype == torch.float32
    assert torch.equal(under, embed(c, labels))


def test_no_labels_are_the_label_of_no_class():
    embed, c = LevelEmbedding(16, classes=3), torch.linspace(-1, 1, 5)
    torch.testing.assert_close(embed(c), embed(c, torch.full((5,), 3)))
    assert not torch.allclose(embed(c), embed(c, torch.full((5,), 2)))


def test_one_level_for_all_rows_is_embedded_once():
    assert LevelEmbedding(16, classes=3)(torch.zeros(1)).shape == (1, 16)
    assert LevelEmbedding(16, classes=3)(torch.zeros(1), torch.tensor([0, 1, 3])).shape == (3, 16)


def test_labels_that_a_net_cannot_take_are_refused():
    with pytest.raises(UsageError, match="takes no classes: leave out the labels, or build it with classes=COUNT"):
        LevelEmbedding(16)(torch.zeros(2), torch.zeros(2, dtype=torch.int64))
