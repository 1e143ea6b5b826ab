"""Classifier tests: exact held-out p-values, balance, and a score that never poses as a test."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.permutation import relabellings
from pushforward.metrics.core.scale import fit_scale
from pushforward.metrics.two_sample.classifier import c2st, c2st_score
from pushforward.metrics.two_sample.classifiers import boosting, forest, logistic, nearest, network

CLASSIFIERS = [logistic, nearest, network, boosting, forest]


def normal(n, dim, seed, shift=0.0, scale=1.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale + shift


class Watched:
    """Scores by the first column, and remembers what it saw."""

    def __init__(self, seed=0):
        self.fitted, self.tested = None, None

    def fit(self, x, y):
        self.fitted = (x, y)

    def predict_proba(self, x):
        self.tested = x
        fake = 1 / (1 + np.exp(-x[:, 0]))
        return np.stack([1 - fake, fake], 1)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: c.__name__)
def test_laws_far_apart_are_told_apart_and_the_p_value_is_the_smallest(classifier):
    measure = c2st(normal(100, 3, 0, shift=6.0), normal(100, 3, 1), classifier=classifier, permutations=199)
    assert measure.value > 0.97
    assert measure.p == 1 / 200
    assert measure.protocol["binomial_p"] < 1e-20
    assert measure.protocol["classifier"] == classifier.__name__


@pytest.mark.parametrize("classifier", [nearest, network, boosting, forest], ids=lambda c: c.__name__)
def test_a_difference_in_scale_is_seen_by_all_but_the_linear_one(classifier):
    q, p = normal(600, 2, 0, scale=3.0), normal(600, 2, 1)
    assert c2st(q, p, classifier=classifier).value > 0.7
    assert abs(c2st(q, p).value - 0.5) < 0.1


def grid(n, modes, seed):
    rng = np.random.default_rng(seed)
    which = rng.integers(0, modes, n)
    return torch.from_numpy(np.stack([which // 5, which % 5], 1) * 2 + 0.05 * rng.standard_normal((n, 2)))


def test_a_forest_sees_that_one_mode_of_twenty_five_is_missing():
    """The best classifier says 25/49 in the modes of both and 0 in the one that fake lacks, so that T is 1/49."""
    missing, whole = grid(3000, 24, 0), grid(3000, 25, 1)
    measure = c2st(missing, whole, classifier=forest, permutations=999)
    assert measure.p < 0.01
    assert measure.detail["statistic"].item() == pytest.approx(1 / 49, abs=0.01)
    assert c2st(grid(3000, 25, 2), whole, classifier=forest, permutations=999).p > 0.01


def test_a_forest_looks_at_few_columns_of_many():
    """The work of a cut does not grow with columns beyond those it looks at."""
    q, p = normal(60, 400, 0), normal(60, 400, 1)
    fitted = forest(0)
    fitted.fit(torch.cat([q, p]).numpy(), np.repeat([1.0, 0.0], 60))
    assert fitted.votes.max_features == 32
    assert fitted.predict_proba(q.numpy()).shape == (60, 2)


def test_accuracy_of_the_best_line_is_that_of_the_normal_law():
    measure = c2st(normal(8000, 2, 0, shift=0.5), normal(8000, 2, 1))
    wanted = stats.norm.cdf(0.5 * 2**0.5 / 2)
    assert abs(measure.value - wanted) < 4 * measure.se
    assert measure.se == pytest.approx((wanted * (1 - wanted) / 8000) ** 0.5, rel=0.02)


def test_larger_sample_is_cut_so_that_guessing_scores_one_half():
    measure = c2st(normal(60, 2, 0), normal(500, 2, 1), classifier=lambda seed: Constant())
    assert (measure.value, measure.floor, measure.n_fake, measure.n_real) == (0.5, 0.5, 30, 30)
    assert (measure.p, measure.protocol["fitted_on"]) == (1.0, "30 and 30 other rows")


class Constant(Watched):
    def predict_proba(self, x):
        return np.tile([0.63, 0.37], (len(x), 1))


def test_fit_and_test_rows_are_apart_stratified_and_scaled_by_the_rows_fitted_on():
    seen = []

    def classifier(seed):
        seen.append(Watched())
        return seen[-1]

    q, p = normal(40, 2, 0, shift=5.0), normal(40, 2, 1, scale=2.0)
    measure = c2st(q, p, classifier=classifier, test_fraction=0.25)
    (x, y), held_out = seen[0].fitted, seen[0].tested
    assert (len(x), y.sum(), len(held_out), measure.n_fake) == (60, 30, 20, 10)
    scale = fit_scale(torch.from_numpy(x))
    np.testing.assert_allclose(scale.centre, 0, atol=1e-12)
    np.testing.assert_allclose(scale.width, 1, rtol=1e-12)
    together = np.concatenate([x, held_out])
    assert len(np.unique(together[:, 0])) == 80  # no row twice
    assert abs(held_out.mean(0)).max() > 1e-3  # not scaled by themselves


def test_p_value_permutes_the_held_out_labels_of_the_difference_of_mean_scores():
    measure = c2st(normal(60, 2, 0, shift=0.2), normal(60, 2, 1), permutations=150, seed=3)
    scores = torch.cat([measure.detail["fake"], measure.detail["real"]])
    labels = relabellings(30, 30, 150, seed=3)
    differences = torch.stack([scores[line].mean() - scores[~line].mean() for line in labels])
    torch.testing.assert_close(measure.detail["null"], differences[1:], rtol=0, atol=1e-9)
    torch.testing.assert_close(measure.detail["statistic"], differences[:1], rtol=0, atol=1e-9)
    assert measure.p == (1 + int((differences[1:] >= differences[0] - 1e-12).sum())) / 151


def test_binomial_p_is_the_tail_of_the_count_of_right_answers():
    measure = c2st(normal(60, 2, 0, shift=0.3), normal(60, 2, 1))
    right, rows = round(measure.value * 60), 60
    tail = sum(math.comb(rows, k) for k in range(right, rows + 1)) / 2**rows
    assert measure.protocol["binomial_p"] == pytest.approx(tail, rel=1e-10)


def test_accuracy_below_one_half_is_left_below():
    class Wrong(Watched):
        def predict_proba(self, x):
            return super().predict_proba(x)[:, ::-1]

    measure = c2st(normal(100, 1, 0, shift=3.0), normal(100, 1, 1), classifier=Wrong)
    assert measure.value < 0.2
    assert measure.p == 1.0
    assert measure.protocol["binomial_p"] > 0.999


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: c.__name__)
def test_a_seed_gives_the_same_numbers_whatever_the_global_generator_does(classifier):
    q, p = normal(40, 2, 0, shift=0.5), normal(50, 2, 1)
    torch.manual_seed(1)
    first, state = c2st(q, p, classifier=classifier, seed=5), torch.get_rng_state()
    torch.manual_seed(2)
    second = c2st(q, p, classifier=classifier, seed=5)
    assert first == second
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_cross_validated_score_never_has_a_p_value_or_an_error(classifier, shift):
    measure = c2st_score(normal(30, 2, 0, shift=shift), normal(40, 2, 1), classifier=classifier)
    assert measure.p is None
    assert measure.se is None
    assert not any(key == "p" or key.endswith("_p") for key in measure.protocol)
    assert "c2st is the test" in measure.protocol["note"]


@pytest.mark.slow
def test_the_score_spreads_more_than_the_binomial_that_a_naive_test_would_use():
    pairs = ((normal(100, 5, 2 * i), normal(100, 5, 2 * i + 1)) for i in range(300))
    scores = np.array([c2st_score(q, p, seed=i).value for i, (q, p) in enumerate(pairs)])
    assert scores.std() > 1.1 * (0.25 / 200) ** 0.5
    naive = stats.binom.sf(np.rint(scores * 200) - 1, 200, 0.5)
    assert (naive <= 0.05).mean() > 0.065


def test_every_row_is_scored_once_by_a_fit_without_it():
    seen = []

    def classifier(seed):
        seen.append(Watched())
        return seen[-1]

    q, p = normal(23, 2, 0), normal(23, 2, 1)
    c2st_score(q, p, classifier=classifier, folds=4)
    assert [len(one.tested) for one in seen] == [12, 12, 12, 10]
    assert all(len(one.tested) + len(one.fitted[0]) == 46 for one in seen)
    assert all(abs(one.fitted[1].mean() - 0.5) < 1e-12 for one in seen)


def test_unusable_settings_are_refused():
    q, p = normal(20, 2, 0), normal(20, 2, 1)
    with pytest.raises(UsageError, match="test_fraction is 1"):
        c2st(q, p, test_fraction=1.0)
    with pytest.raises(DataError, match="draw more"):
        c2st(q[:3], p)
    with pytest.raises(UsageError, match="folds is 1"):
        c2st_score(q, p, folds=1)
    with pytest.raises(DataError, match="4 rows of each"):
        c2st_score(q[:4], p, folds=5)

    class Broken(Watched):
        def predict_proba(self, x):
            return np.full((len(x), 2), np.nan)

    with pytest.raises(DataError, match="predict_proba"):
        c2st(q, p, classifier=Broken)
