"""Who has a counterpart, and how much is asked of the target: types withheld, equal laws, what must not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from merging.clusters import clusters

from pushforward.merging.codes import principal_axes
from pushforward.metrics.integration.support import mutual, support

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def test_pairs_are_near_both_ways():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    far = np.linalg.norm(x[:, None] - y[None], axis=2)
    wanted = (far.argsort(1).argsort(1) < 4) & (far.argsort(0).argsort(0) < 4)
    assert set(zip(*mutual(x, y, 4), strict=True)) == set(zip(*np.nonzero(wanted), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_that_the_target_lacks_has_no_counterpart_however_heavy_the_others_are(seed):
    x, names = clusters(seed, {0: 200, 1: 150, 2: 100}, shift=3)
    target, _ = clusters(
        seed + 10, {0: 600, 2: 100, 3: 200}
    )  # 1 is missing, 0 three times as heavy, 3 the target's own
    found = support(x, target, seed)
    assert found.matched[names != 1].mean() > 0.99
    assert found.matched[names == 1].mean() < 0.01
    back = support(target, x, seed)  # and of the target's cells
    assert back.matched[:700].mean() > 0.95
    assert back.matched[700:].mean() < 0.01


@pytest.mark.parametrize(("shared", "found"), [(30, 0), (120, 120)])
def test_so_few_that_chance_could_have_found_them_have_no_counterpart(shared, found):
    x, names = clusters(0, {0: shared, 1: 400}, shift=3)
    target, _ = clusters(10, {0: 200, 2: 200})
    matched = support(x, target, 0).matched
    assert matched[names == 0].sum() == pytest.approx(found, abs=2)
    assert not matched[names == 1].any()


@pytest.mark.parametrize("seed", range(3))
def test_equal_laws_have_counterparts_at_a_level_near_one(seed):
    x, _ = clusters(seed, {0: 300, 1: 100, 2: 60})
    target, _ = clusters(seed + 10, {0: 300, 1: 100, 2: 60})
    found = support(x, target, seed)
    assert found.matched.all()
    assert np.median(found.level) > 0.95


@pytest.mark.parametrize(("n", "m"), [(2000, 200), (1000, 100), (1000, 40), (100, 2000), (50, 1000), (60, 60)])
def test_how_many_cells_stand_for_a_law_does_not_matter(n, m):
    x, names = clusters(0, {0: 2 * n // 5, 1: 2 * n // 5, 2: n // 5}, shift=2)
    target, theirs = clusters(10, {0: 7 * m // 10, 2: 3 * m // 10})
    found = support(x, target)
    assert found.matched[names != 1].mean() > 0.99
    assert found.matched[names == 1].mean() < 0.01
    assert found.shares[theirs == 0].sum() / len(target) == pytest.approx(2 / 3, abs=0.05)
    equal, _ = clusters(0, {0: 2 * n // 3, 2: n // 3}, shift=2)
    assert support(equal, target).matched.mean() > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_of_equal_laws_no_part_of_the_target_is_asked_for_more_than_another(seed):
    for n in (125, 500, 2000):
        x, _ = clusters(seed, {0: n // 5 * 4, 1: n // 5})
        target, theirs = clusters(seed + 10, {0: n // 5 * 4, 1: n // 5})
        found = support(x, target)
        assert found.shares.mean() == pytest.approx(1)
        assert found.shares.std() < 0.05
        left = target[:, 0] < np.median(target[:, 0])
        for part in (left, ~left, theirs == 0, theirs == 1):
            assert found.shares[part].mean() == pytest.approx(1, abs=0.02)


def test_cells_that_are_equal_are_no_other_law_than_cells_that_nearly_are():
    rng = np.random.default_rng(0)
    x, target = (rng.integers(0, 3, (300, 2)).astype(float) for _ in range(2))  # 9 places, 33 cells on each
    assert support(x, target).matched.all()
    assert support(np.ones((50, 2)), np.ones((60, 2))).matched.all()
    lost = np.concatenate([x, np.tile([[30.0, 0.0]], (60, 1))])
    np.testing.assert_array_equal(support(lost, target).matched, np.arange(360) < 300)
    constant = np.zeros((300, 1))
    same = support(np.hstack([x, constant]), np.hstack([target, constant]))
    np.testing.assert_array_equal(same.matched, np.ones(300, bool))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("unit", [1.0, 2.0])
def test_whole_numbers_have_counterparts_as_what_they_are_rounded_from(unit, seed):
    rng, middles = np.random.default_rng(seed), np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 12.0]])
    names, theirs = (np.repeat(np.arange(3), sizes) for sizes in ([60, 50, 40], [120, 0, 60]))
    x, target = (rng.standard_normal((len(n), 2)) + middles[n] for n in (names, theirs))
    found = support(((x + 0.5) / unit).round(), (target / unit).round(), seed)
    np.testing.assert_array_equal(found.matched, names != 1)


@pytest.mark.parametrize("d", [1, 3, 12])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 300), (300, 1), (2, 9), (9, 2), (5, 5), (5, 2500), (2500, 5)])
def test_a_handful_of_cells_is_told_of_in_numbers(n, m, d):
    rng = np.random.default_rng(0)
    found = support(rng.standard_normal((n, d)), rng.standard_normal((m, d)))
    assert found.matched.shape == found.level.shape == (n,)
    assert np.isfinite(found.shares).all()
    assert found.shares.mean() == pytest.approx(1)
    assert n > m or found.matched.all()  # a handful is like anything


def test_neither_units_nor_place_nor_axes_matter():
    x, _ = clusters(0, {0: 200, 1: 150}, shift=3)
    target, _ = clusters(10, {0: 300})
    found = support(x, target)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    np.testing.assert_array_equal(support(8 * x, 8 * target).level, found.level)
    there = support(x @ turn + 5, target @ turn + 5)
    np.testing.assert_array_equal(there.matched, found.matched)
    np.testing.assert_allclose(there.level, found.level, atol=1e-9)


def test_many_cells_are_judged_by_the_nearest_of_those_that_are_looked_at():
    x, names = clusters(0, {0: 6000, 1: 3000}, shift=3)
    target, _ = clusters(10, {0: 9000})
    found = support(x, target)
    assert found.matched[names == 0].mean() > 0.99
    assert found.matched[names == 1].mean() < 0.01


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of data")
@pytest.mark.parametrize("withheld", ["B", "Mono", "NK", "T"])
def test_types_of_blood_withheld_from_the_target(withheld):
    from scipy.sparse import csr_matrix

    found = np.load(DATA / "pbmc_3batch.npz")
    shape = tuple(map(int, found["shape"]))
    genes = csr_matrix((found["data"], found["indices"].astype(np.int64), found["indptr"]), shape=shape)
    x, batch = principal_axes(genes, 20).encode(genes), found["batch_names"][found["batch"]]
    kind = found["cell_type_broad_names"][found["cell_type_broad"]]
    target = x[(batch == "5p") & (kind != withheld)]
    for name in ("3pv1", "3pv2"):
        mine = batch == name
        matched = support(x[mine], target).matched
        assert matched[kind[mine] == withheld].mean() < 0.2
        assert matched[kind[mine] != withheld].mean() > 0.95
        assert support(x[mine], x[batch == "5p"]).matched.mean() > 0.98
        few = np.isin(kind, ["B", "NK", "DC", "HSC"])
        assert support(x[mine & ~few], x[(batch == "5p") & few]).matched.mean() < 0.05  # nothing in common
