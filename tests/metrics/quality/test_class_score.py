"""Class score: its extremes, exact merging, zero probabilities, the bias of splits, error against Monte Carlo."""

import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.features import Features
from pushforward.metrics.quality.class_score import ClassSums, class_score, class_sums
from pushforward.randomness import generator


def logits(n, classes, seed, scale=2.0):
    draw = torch.randn(n, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return scale * draw + 0.3 * torch.arange(classes)


def same(x):
    return x


def certain(n, classes):
    """Balanced classes, each seen without doubt: all other probabilities are exactly zero."""
    labels = torch.arange(n) % classes
    return torch.where(torch.nn.functional.one_hot(labels, classes) > 0, 0.0, -torch.inf)


def finite(x):
    """A classifier that turns finite samples into the logits of `certain`."""
    return torch.where(x > 0, 0.0, -torch.inf)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_certain_and_balanced_classes_score_their_number(classes):
    p = certain(3 * classes, classes).softmax(1)
    assert class_sums(p).score == pytest.approx(classes, rel=1e-12)
    x = (p > 0).float()
    assert class_score(x, finite).value == pytest.approx(classes, rel=1e-12)
    assert class_score(1e4 * x, same).value == pytest.approx(classes, rel=1e-12)


def test_answers_that_do_not_depend_on_the_sample_score_one():
    same_row = torch.tensor([0.5, -1.0, 0.0, 3.0]).expand(40, 4)
    assert class_score(same_row, same).value == pytest.approx(1.0, abs=1e-12)
    one_class = torch.tensor([1.0, 0.0, 0.0]).expand(40, 3)
    assert class_score(one_class, finite).value == 1.0


def test_score_is_the_exponential_of_the_mean_divergence_from_the_mean():
    p = logits(200, 7, 0).softmax(1)
    mean = p.mean(0)
    wanted = float((p * (p / mean).log()).sum(1).mean().exp())
    assert class_sums(p).score == pytest.approx(wanted, rel=1e-12)
    assert class_score(logits(200, 7, 0), same).value == pytest.approx(wanted, rel=1e-12)


def test_zero_probabilities_stay_finite_and_count_nothing():
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    assert class_sums(p).score == pytest.approx(class_sums(p[:, :2]).score, rel=1e-15)
    assert class_sums(p).score == pytest.approx(np.exp(np.log(2) - np.log(2) / 3), rel=1e-12)


def test_sums_of_parts_are_the_sums_of_the_whole():
    p = logits(500, 9, 1).softmax(1)
    whole, parts = class_sums(p), [class_sums(part) for part in p.split([1, 99, 250, 150])]
    merged = sum(parts[1:], parts[0])
    assert merged.n == whole.n == 500
    torch.testing.assert_close(merged.total, whole.total, rtol=1e-13, atol=0)
    assert merged.negentropy == pytest.approx(whole.negentropy, rel=1e-13)
    assert merged.score == pytest.approx(whole.score, rel=1e-12)
    assert (whole - parts[0]).score == pytest.approx(class_sums(p[1:]).score, rel=1e-12)
    exact = ClassSums(2, torch.tensor([1.5, 0.5]), -0.25) + ClassSums(6, torch.tensor([2.0, 4.0]), -1.5)
    assert (exact.n, exact.total.tolist(), exact.negentropy) == (8, [3.5, 4.5], -1.75)


def test_blocks_do_not_change_the_score():
    x = logits(333, 5, 2)
    assert class_score(x, same, block=10).value == pytest.approx(class_score(x, same).value, rel=1e-13)
    seen = []
    class_score(x, lambda part: (seen.append(len(part)), part)[1], block=100)
    assert seen == [100, 100, 100, 33]


def test_ten_splits_of_certain_classes_lose_what_uneven_tenths_lose():
    x = (certain(1000, 10).softmax(1) > 0).float()
    found = np.array([class_score(x, finite, splits=10, seed=seed).value for seed in range(60)])
    # Tenths of 100 have multinomial counts without replacement: entropy log 10 - 9 / 200 * 900 / 999, to first order.
    assert found.mean() == pytest.approx(10 * np.exp(-0.045 * 900 / 999), rel=2e-3)
    assert class_score(x, finite, splits=10).value == pytest.approx(9.59, abs=4 * found.std())
    assert class_score(x, finite).value > found.max()


def test_splits_are_random_parts_of_equal_size_with_the_stated_spread():
    x = logits(200, 6, 3)
    found = class_score(x, same, splits=4, ddof=1, seed=5)
    labels = generator(5, "evaluate", part="class_score").permutation(200) % 4
    scores = [class_sums(x[torch.from_numpy(labels == part)].softmax(1)).score for part in range(4)]
    assert found.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert found.protocol["std"] == pytest.approx(np.std(scores, ddof=1), rel=1e-9)
    assert class_score(x, same, splits=4, seed=5).protocol["std"] == pytest.approx(np.std(scores), rel=1e-9)
    assert found.se == pytest.approx(np.std(scores, ddof=1) / 2, rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_error_is_the_spread_over_draws(splits):
    found = [class_score(logits(400, 6, i), same, splits=splits, seed=i) for i in range(200)]
    spread = np.std([one.value for one in found], ddof=1)
    # 5 % for the spread, 10 or 24 % / 200^0.5 for the errors, three times; the jackknife leans 2 % to the large side.
    assert np.mean([one.se**2 for one in found]) ** 0.5 == pytest.approx(spread, rel=0.19)


def test_floor_is_the_score_of_as_many_real_samples():
    fake, real = logits(300, 6, 0, scale=1.0), logits(300, 6, 1)
    found = class_score(fake, same, real=real)
    assert found.floor == pytest.approx(class_score(real, same).value, rel=1e-12)
    assert found.value < found.floor
    assert (found.n_fake, found.n_real, found.better) == (300, 300, "higher")
    more = class_score(fake, same, real=logits(5000, 6, 1))
    assert more.n_real == 300
    assert class_score(fake, same).floor is None


def test_features_bring_their_classifier_and_their_name():
    space = Features("mine", "abcdef0123456789", 6, same, classify=same)
    x, shares = logits(50, 6, 0), []
    found = class_score(x, space, tick=shares.append, block=20)
    assert found.features == "mine-abcdef01"
    assert found.value == class_score(x, same).value
    assert shares == [0.4, 0.8, 1.0]
    torch.testing.assert_close(found.detail["mean_probabilities"], x.softmax(1).mean(0))
    with pytest.raises(UsageError, match="features mine-abcdef01 have no classifier"):
        class_score(x, space.computed)


def test_bad_answers_and_settings_are_refused():
    x = logits(20, 3, 0)
    with pytest.raises(DataError, match=r"classify gave shape \(20,\) for 20 samples"):
        class_score(x, lambda part: part.argmax(1))
    with pytest.raises(DataError, match="NaN or infinity"):
        class_score(x, lambda part: part * torch.nan)
    for settings in ({"splits": 0}, {"splits": 11}, {"splits": 2, "ddof": 2}):
        with pytest.raises(UsageError, match="splits is"):
            class_score(x, same, **settings)
    with pytest.raises(DataError, match="real has 3 sample"):
        class_score(x, same, real=x[:3], splits=2)
