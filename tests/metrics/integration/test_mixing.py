"""Scores of a merge: closed forms, behaviour under the null, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.errors import DataError
from pushforward.metrics.integration.conservation import clisi, clusters, graph_connectivity, label_silhouette, transfer
from pushforward.metrics.integration.mixing import (
    Neighbourhoods,
    batch_silhouette,
    ilisi,
    kbet,
    kbet_per_label,
    lisi,
    neighbourhoods,
    pcr_comparison,
    principal_regression,
    silhouettes,
)
from pushforward.metrics.integration.table import ABOUT, integration, split_floor, total


@pytest.fixture(scope="module")
def blobs():
    """Three classes far apart, two batches mixed at random in each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 200)
    x = rng.normal(size=(600, 4)) + 12 * np.eye(4)[np.repeat([0, 1, 2], 200)]
    return x, rng.integers(0, 2, 600), labels


def test_lisi_of_equal_distances_is_the_inverse_simpson_index_of_the_neighbours():
    names = np.array([0, 1, 1, 2, 0, 0, 1])
    near = Neighbourhoods(np.array([[0.0, *[2.0] * 6]]), np.array([[3, 0, 1, 2, 4, 5, 6]]))
    shares = np.array([3, 3, 0]) / 6  # of the neighbours; the row itself, of name 2, does not count
    assert lisi(near, names, perplexity=6)[0] == pytest.approx(1 / np.square(shares).sum(), rel=1e-9)


@pytest.mark.parametrize("wanted", [3.0, 10.0, 25.0])
def test_lisi_weighs_neighbours_by_the_perplexity_that_is_asked_for(wanted):
    distances = np.sort(np.random.default_rng(1).exponential(size=40))
    near = Neighbourhoods(np.r_[0.0, distances][None], np.arange(41)[None])
    # With every neighbour its own name LISI is 1 / sum w^2; find beta for the entropy by a fine search.
    betas = np.geomspace(1e-3, 1e3, 400_001)
    low, high = 0, len(betas)
    while high - low > 1:
        middle = (low + high) // 2
        w = np.exp(-betas[middle] * (distances - distances[0]))
        w /= w.sum()
        entropy = -(w * np.log(np.maximum(w, 1e-300))).sum()
        low, high = (middle, high) if entropy > np.log(wanted) else (low, middle)
    w = np.exp(-betas[low] * (distances - distances[0]))
    w /= w.sum()
    assert lisi(near, np.arange(41), wanted)[0] == pytest.approx(1 / np.square(w).sum(), rel=1e-3)


def test_ilisi_is_near_one_where_batches_mix_and_zero_where_they_lie_apart(blobs):
    x, batch, _ = blobs
    assert ilisi(neighbourhoods(x), batch) > 0.9
    assert ilisi(neighbourhoods(x + 100 * batch[:, None]), batch) == pytest.approx(0.0, abs=1e-9)


def test_ilisi_of_unequal_batches_reaches_the_index_of_their_shares():
    rng = np.random.default_rng(2)
    batch = (rng.random(4000) < 0.2).astype(int)
    found = ilisi(neighbourhoods(rng.normal(size=(4000, 2)), 300), batch)
    assert found == pytest.approx(1 / (0.2**2 + 0.8**2) - 1, abs=0.05)


def test_kbet_accepts_one_minus_the_level_under_the_null_and_nothing_where_batches_lie_apart():
    rng = np.random.default_rng(3)
    x, batch = rng.normal(size=(3000, 3)), rng.integers(0, 3, 3000)
    near = neighbourhoods(x, 51)
    for level in (0.05, 0.2):
        assert kbet(near, batch, 51, level) == pytest.approx(1 - level, abs=0.03)
    assert kbet(neighbourhoods(x + 100 * batch[:, None], 51), batch) == 0.0


def test_kbet_per_label_forgives_unequal_shares_of_the_classes_which_kbet_does_not(blobs):
    x, _, labels = blobs
    rng = np.random.default_rng(4)
    share = np.where(labels == "a", 0.8, np.where(labels == "b", 0.5, 0.2))
    batch = (rng.random(600) < share).astype(int)
    assert kbet(neighbourhoods(x), batch) < 0.5
    assert kbet_per_label(x, batch, labels) > 0.85


def test_silhouettes_are_those_of_scikit_learn_whatever_the_block(blobs):
    from sklearn.metrics import silhouette_samples

    x, _, labels = blobs
    for budget in (2**26, 2**14):
        np.testing.assert_allclose(silhouettes(x, labels, budget=budget), silhouette_samples(x, labels), atol=1e-12)
    assert label_silhouette(x, labels) == pytest.approx(silhouette_samples(x, labels).mean() / 2 + 0.5)


def test_silhouettes_against_all_others_agree_with_those_against_the_nearest_for_two_names(blobs):
    x, batch, _ = blobs
    np.testing.assert_allclose(silhouettes(x, batch, other="mean"), silhouettes(x, batch), atol=1e-12)


@pytest.mark.parametrize("adapted", [True, False])
def test_batch_silhouette_is_near_one_for_mixed_and_falls_for_parted_batches(blobs, adapted):
    x, batch, labels = blobs
    mixed = batch_silhouette(x, batch, labels, adapted=adapted)
    parted = batch_silhouette(x + np.array([0, 0, 0, 40]) * batch[:, None], batch, labels, adapted=adapted)
    assert mixed > 0.92  # 1 - O(n^-1/2) for the 200 cells of a class
    assert parted < 0.35


def test_variance_explained_by_a_shift_is_its_share_and_comparison_is_one_without_it(blobs):
    x, batch, _ = blobs
    clean = x.copy()
    for name in (0, 1):
        clean[batch == name] -= clean[batch == name].mean(0)
    s, f = 3.0, batch.mean()
    shifted = clean + s * batch[:, None] * np.eye(4)[0]
    between = f * (1 - f) * s**2
    assert principal_regression(shifted, batch) == pytest.approx(between / (between + clean.var(0).sum()), rel=1e-12)
    assert pcr_comparison(shifted, clean, batch) == pytest.approx(1.0, abs=1e-12)
    assert pcr_comparison(shifted, shifted, batch) == pytest.approx(0.0, abs=1e-12)


def test_principal_regression_is_the_sum_over_components(blobs):
    x, batch, _ = blobs
    centred = x - x.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    scores, b = left * values, batch - batch.mean()
    r2 = np.square(b @ scores) / (np.square(b).sum() * np.square(scores).sum(0))
    assert principal_regression(x, batch) == pytest.approx((values**2 @ r2) / (values**2).sum(), rel=1e-10)


def test_biology_scores_are_one_for_classes_far_apart(blobs):
    x, _, labels = blobs
    near = neighbourhoods(x)
    assert clisi(near, labels) == pytest.approx(1.0)
    assert graph_connectivity(near, labels) == 1.0
    assert clusters(x, labels) == (pytest.approx(1.0), pytest.approx(1.0))


def test_graph_connectivity_is_the_share_of_the_largest_part():
    x = np.concatenate([np.random.default_rng(5).normal(size=(count, 2)) + at for count, at in ((60, 0.0), (40, 99.0))])
    assert graph_connectivity(neighbourhoods(x), np.zeros(100), k=8) == pytest.approx(0.6)


def test_transfer_votes_and_the_nearest_breaks_ties():
    known = np.array([[0.0], [1.0], [2.0], [10.0]])
    labels = np.array(["u", "v", "v", "u"])
    names, shares = transfer(np.array([[0.1], [9.0]]), known, labels, k=3)
    assert names.tolist() == ["v", "v"]
    np.testing.assert_allclose(shares, 2 / 3)
    names, shares = transfer(np.array([[0.1], [9.0]]), known, labels, k=2)
    assert names.tolist() == ["u", "u"]
    np.testing.assert_allclose(shares, 0.5)


def test_scores_do_not_change_with_a_rotation_a_scale_names_or_the_order_of_cells(blobs):
    x, batch, labels = blobs
    rng = np.random.default_rng(6)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    order = rng.permutation(600)
    names = np.array(["old", "new"])[batch]
    one = integration(x, batch, labels, before=x + batch[:, None], matched=x[:, 0] > 0, reference=0)
    other = integration((7 * x @ turn)[order], names[order], labels[order],
                        before=(7 * (x + batch[:, None]) @ turn)[order],
                        matched=(x[:, 0] > 0)[order], reference="old")  # fmt: skip
    assert set(one) == set(ABOUT)
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=1e-6), name


def test_the_floor_of_a_homogeneous_target_is_that_of_mixed_batches(blobs):
    x, batch, labels = blobs
    floor, mixed = split_floor(x, labels, seed=1), integration(x, batch, labels, reference=0)
    for name, width in (("ilisi", 0.05), ("kbet", 0.1), ("kbet_label", 0.06), ("bras", 0.03), ("clisi", 0.01)):
        assert floor[name] == pytest.approx(mixed[name], abs=width), name


def test_the_total_weighs_mixing_by_two_fifths():
    names = ("bras", "ilisi", "kbet_label", "connectivity", "pcr", "nmi", "ari", "asw_label", "clisi")
    assert total(dict.fromkeys(names[:5], 1.0) | dict.fromkeys(names[5:], 0.0)) == pytest.approx(0.4)


def test_two_cells_have_no_neighbourhoods():
    with pytest.raises(DataError, match="at least 3"):
        neighbourhoods(np.zeros((2, 1)))
