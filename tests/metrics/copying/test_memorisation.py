"""Memorisation: copies are caught, honest models are not accused, two-sample tests see neither."""

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.errors import DataError
from pushforward.metrics.copying.memorisation import copies, memorisation, nearest_training
from pushforward.metrics.copying.near import near_training, train_gap
from pushforward.metrics.core.permutation import relabellings
from pushforward.metrics.two_sample.kernel import mmd

DIM, ROWS = 16, 1000


def normal(n, dim, seed, scale=1.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.fixture(scope="module")
def splits():
    return normal(ROWS, DIM, 1), normal(ROWS, DIM, 2)  # train, held out


def shuffled(x, seed=9):
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]


def test_an_honest_sampler_scores_the_floors_and_is_not_accused(splits):
    train, real = splits
    for seed in (3, 4, 5):
        found = memorisation(normal(ROWS, DIM, seed), real, train)
        authentic, gap = found["authenticity"], found["train_gap"]
        band = 4 * (2 * authentic.floor * (1 - authentic.floor) / ROWS) ** 0.5
        assert abs(authentic.value - authentic.floor) < band
        assert 0.55 < authentic.floor < 0.75
        assert abs(found["copying"].value) < 4
        assert abs(gap.value) < 4 * gap.se
        assert found["near_copies"].p > 1e-3
        assert found["duplicates"].value == found["duplicates"].floor == 0
        assert copies(found) is None


@pytest.mark.parametrize("scale", [1e-4, 0.04, 0.25])
def test_copies_are_caught_where_mmd_sees_nothing(splits, scale):
    train, real = splits
    fake = shuffled(train) + normal(ROWS, DIM, 5, scale)
    found = memorisation(fake, real, train)
    # Every copy is nearer to train than any held-out row: the rank sum is as small as it can be.
    lowest = -(ROWS**2 / 2) / (ROWS**2 * (2 * ROWS + 1) / 12) ** 0.5
    assert found["copying"].value == pytest.approx(lowest, rel=1e-9)
    assert lowest == pytest.approx(-38.7, abs=0.05)
    assert found["authenticity"].value == 0
    assert found["near_copies"].value == 1
    assert found["train_gap"].value < -20 * found["train_gap"].se < 0
    assert "100.0% of its samples" in copies(found)
    assert "Two-sample tests do not see this" in copies(found)
    if scale < 0.1:  # beyond, the blur itself is about to be seen
        assert mmd(fake, real).p > 0.1


def test_blurred_copies_are_caught(splits):
    train, real = splits
    found = memorisation(shuffled(train) + normal(ROWS, DIM, 5, 0.5), real, train)
    assert 0.01 < found["authenticity"].value < 0.2
    assert -38 < found["copying"].value < -24
    assert copies(found) is not None


def test_a_few_copies_among_noise_are_caught_where_ranks_are_blind(splits):
    train, real = splits
    fake = normal(ROWS, DIM, 8, 5.0)
    fake[:500] = train[:500] + 0.01 * fake[:500]
    found = memorisation(fake, real, train)
    assert abs(found["copying"].value) < 1
    assert found["near_copies"].value == 0.5
    assert copies(found) is not None


def test_a_narrow_sampler_is_near_its_training_rows_but_does_not_copy(splits):
    train, real = splits
    found = memorisation(normal(ROWS, DIM, 6, 0.7), real, train)
    assert found["copying"].value < -10
    assert abs(found["train_gap"].value) < 3 * found["train_gap"].se
    assert copies(found) is None


def test_shares_and_gap_are_their_definitions():
    train, real, fake = normal(30, 2, 0), normal(25, 2, 1), normal(40, 2, 2)
    found = memorisation(fake, real, train)

    def authentic(x):
        to_train, place = torch.cdist(x, train).min(1)
        own = (torch.cdist(train, train) + torch.diag(torch.full((30,), torch.inf))).min(1).values
        return (to_train > own[place]).double().mean().item()

    assert found["authenticity"].value == pytest.approx(authentic(fake))
    assert found["authenticity"].floor == pytest.approx(authentic(real))
    to_train, held = torch.cdist(fake, train).min(1).values, torch.cdist(real, train).min(1).values
    less = (to_train[:, None] < held).double().sum() - 500
    assert found["copying"].value == pytest.approx(-less.item() / (1000 * 66 / 12) ** 0.5)

    even = memorisation(fake, real, train[:25])["train_gap"]
    near = [torch.cdist(fake, x).min(1).values for x in (train[:25], real)]
    assert even.value == pytest.approx((near[0] - near[1]).mean().item(), rel=1e-9)
    assert even.protocol["rows_of_each"] == 25


@pytest.mark.parametrize("rows", [(25, 25), (60, 25), (25, 60)], ids=["even", "more train", "more held out"])
def test_the_gap_is_relabelled_as_its_definition_says(rows):
    train, real, fake = normal(rows[0], 3, 0), normal(rows[1], 3, 1), normal(40, 3, 2)
    q, p, t = fake.numpy(), real.numpy(), train.numpy()
    found = near_training(q, p, t, 2**26, None)
    gap = train_gap((q, p, t), found, 50, np.random.default_rng(7), 3, 2**12, None)
    drawn = np.random.default_rng(7)
    t, p = (x if len(x) == 25 else x[drawn.permutation(len(x))[:25]] for x in (t, p))
    apart = torch.cdist(fake, torch.from_numpy(np.concatenate([t, p]))).numpy()
    values = [
        (apart[:, label].min(1) - apart[:, ~label].min(1)).mean() for label in relabellings(25, 25, 50, seed=3).numpy()
    ]
    assert gap.value == pytest.approx(values[0], rel=1e-9)
    np.testing.assert_allclose(gap.detail["null"].numpy(), values[1:], rtol=1e-9, atol=1e-12)


def test_rank_statistic_allows_for_ties_as_scipy_does():
    rng = np.random.default_rng(0)
    fake, real, train = (torch.from_numpy(rng.integers(0, 3, (n, 2)).astype(float)) for n in (60, 80, 5))
    found = memorisation(fake, real, train)["copying"]
    distances = [torch.cdist(x, train).min(1).values.numpy() for x in (fake, real)]
    wanted = stats.mannwhitneyu(*distances, alternative="less", method="asymptotic", use_continuity=False)
    assert len(np.unique(np.concatenate(distances))) < 6
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-6)
    same = memorisation(torch.zeros(5, 1), torch.zeros(6, 1), torch.zeros(7, 1))
    assert (same["copying"].value, copies(same)) == (0.0, None)


@pytest.mark.slow
def test_p_values_of_honest_samplers_are_uniform_or_larger():
    found = [
        memorisation(normal(60, 3, 3 * i), normal(50, 3, 3 * i + 1), normal(50, 3, 3 * i + 2), permutations=39)
        for i in range(200)
    ]
    band = 3 * (0.1 * 0.9 / 200) ** 0.5
    for name in ("copying", "train_gap", "near_copies"):
        values = np.array([measures[name].p for measures in found])
        assert (values <= 0.1).mean() < 0.1 + band
    assert stats.kstest([measures["copying"].p for measures in found], "uniform").pvalue > 0.01
    gaps = np.array([measures["train_gap"].value / measures["train_gap"].se for measures in found])
    assert abs(gaps.mean()) < 3.5 / 200**0.5
    assert gaps.std() == pytest.approx(1, abs=3 * 0.5**0.5 * 200**-0.5 + 0.05)


def test_near_copies_count_with_the_beta_binomial_law():
    train = torch.zeros(2, 1).double()
    real = torch.arange(1.0, 301).double()[:, None]
    fake = torch.cat([torch.full((7, 1), 2.5), torch.full((93, 1), 400.0)]).double()
    found = memorisation(fake, real, train)["near_copies"]  # the third held-out distance is the limit
    assert found.value == 0.07
    assert found.floor == pytest.approx(3 / 301)
    assert found.p == pytest.approx(stats.betabinom.sf(6, 100, 3, 298), rel=1e-8)


def test_collapse_shows_as_duplicates():
    real, fake = normal(400, 4, 0), normal(40, 4, 1).repeat(10, 1)
    found = memorisation(fake, real, normal(400, 4, 2))
    assert found["duplicates"].value == 1
    assert found["duplicates"].floor < 0.02
    assert copies(found) is None


def test_duplicates_do_not_depend_on_the_order_in_which_samples_are_stored():
    rng = np.random.default_rng(5)
    tight, wide = rng.normal(size=(200, 2)) * 1e-4, rng.normal(size=(1800, 2))
    fake, p, train = (torch.from_numpy(x) for x in (np.r_[tight, wide], *rng.normal(size=(2, 200, 2))))
    value = memorisation(fake, p, train, permutations=0)["duplicates"].value  # a tenth of the fakes lie close together
    assert abs(value - 0.1) < 4 * (0.1 * 0.9 / 200) ** 0.5 + 0.05


def test_unit_and_order_do_not_matter():
    train, real, fake = normal(80, 3, 0), normal(70, 3, 1), normal(60, 3, 2)
    once, again = memorisation(fake, real, train), memorisation(3 * shuffled(fake), 3 * real, 3 * shuffled(train))
    for name in ("authenticity", "copying", "near_copies", "duplicates"):
        assert again[name].value == pytest.approx(once[name].value, rel=1e-9, abs=1e-12)
    even, turned = memorisation(fake, real, train[:70]), memorisation(3 * fake.flip(0), 3 * real, 3 * train[:70])
    assert turned["train_gap"].value == pytest.approx(3 * even["train_gap"].value, rel=1e-9)


def test_suspects_are_rows_of_the_samples_given_and_their_copies():
    train = normal(300, 4, 0)
    fake = normal(500, 4, 1)
    fake[[17, 305]] = train[[250, 3]] + 1e-6
    found = memorisation(fake, normal(200, 4, 2), train, suspects=2)["copying"].detail
    assert {int(fake_row): int(row) for fake_row, row in zip(found["suspects"], found["nearest"])} == {17: 250, 305: 3}
    torch.testing.assert_close(found["distance"], torch.full((2,), 2e-6, dtype=torch.float64), rtol=1e-3, atol=0)
    assert (len(found["fake"]), len(found["real"])) == (500, 200)
    few = memorisation(fake, normal(200, 4, 2), train, max_n=60)["copying"]
    pairs = (fake[few.detail["suspects"]] - train[few.detail["nearest"]]).norm(dim=1)
    torch.testing.assert_close(pairs, few.detail["distance"])
    assert (few.n_fake, few.n_real, few.protocol["n_train"]) == (60, 60, 300)


def test_nearest_training_rows_are_those_of_the_whole_matrix():
    fake, train = normal(20, 12, 0).view(20, 3, 2, 2), normal(50, 12, 1).view(50, 3, 2, 2)
    rows, distances = nearest_training(fake, train, 3)
    wanted, places = torch.cdist(fake.flatten(1), train.flatten(1)).topk(3, largest=False)
    torch.testing.assert_close(distances, wanted)
    torch.testing.assert_close(rows, places)


def test_progress_rises_to_one_and_bad_input_is_refused():
    done = []
    memorisation(normal(20, 2, 0), normal(20, 2, 1), normal(20, 2, 2), tick=done.append)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    with pytest.raises(DataError, match="event shape"):
        memorisation(normal(20, 3, 0), normal(20, 2, 1), normal(20, 2, 2))
    with pytest.raises(DataError, match="at least 2"):
        memorisation(normal(20, 2, 0), normal(20, 2, 1), normal(1, 2, 2))
    assert copies({}) is None


@pytest.mark.parametrize("seed", range(3))
def test_blends_of_training_rows_are_told_as_such_and_not_as_copies(seed):
    """A normal law fitted to 60 rows in 40 dimensions equals none of them, and lies by them rather than by others."""
    train, real, weights = normal(60, 40, seed), normal(300, 40, seed + 10), normal(400, 60, seed + 20) / 60**0.5
    blends = train.mean(0) + (weights - weights.mean(1, keepdim=True)) @ train
    words = copies(memorisation(blends, real, train))
    assert "blends" in words
    assert "by training rows rather than by held-out ones" in words
    moved = train[torch.arange(400) % 60] + 0.01 * normal(400, 40, seed + 30)
    assert "copies training data" in copies(memorisation(moved, real, train))
