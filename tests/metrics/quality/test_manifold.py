"""Precision, recall, density, coverage: null laws, identical and repeated points, invariances, floors, memory."""

import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.features import Features
from pushforward.metrics.quality.balls import cover, squared_radii
from pushforward.metrics.quality.manifold import manifold, null_coverage


def normal(n, dim, seed, scale=1.0, shift=0.0):
    draw = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


def covered(q, p, k=5, **options):
    return cover(q, p, squared_radii(q, k, **options), squared_radii(p, k, **options), k, **options)


def scores(found):
    return found.precision, found.recall, found.density, found.coverage


@pytest.mark.parametrize(("n", "dim", "k"), [(6, 1, 5), (300, 2, 1), (700, 5, 3), (520, 40, 5)])
def test_radii_are_distances_to_the_kth_other_point(n, dim, k):
    x = normal(n, dim, 0, shift=50.0)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(x.numpy()).kneighbors()
    np.testing.assert_allclose(squared_radii(x, k).sqrt().numpy(), distances[:, -1], rtol=1e-9)
    small = squared_radii(x, k, budget=32 * 11**2)
    torch.testing.assert_close(small, squared_radii(x, k), rtol=1e-9, atol=0)


def test_a_small_case_worked_by_hand():
    p = torch.tensor([[0.0], [1.0], [3.0], [7.0]])  # balls of radius 1, 1, 2, 4
    q = torch.tensor([[0.5], [2.5], [20.0], [4.8]])  # radii 2, 2, 15.2, 2.3
    assert squared_radii(p, 1).sqrt().tolist() == pytest.approx([1, 1, 2, 4])
    found = covered(q, p, k=1)
    # 0.5 lies about 0 and 1; 2.5 about 3; 4.8 about 3 and 7; 20 about none. 7 lies about 4.8, the rest near 0.5 or 2.5.
    assert found.around_fakes.tolist() == [2, 1, 0, 2]
    assert found.around_real.tolist() == [1, 1, 2, 1]
    assert found.reached.tolist() == [True] * 4
    assert scores(found) == (0.75, 1.0, 1.25, 1.0)


@pytest.mark.parametrize("dim", [2, 30])
def test_a_sample_against_itself_is_covered_and_its_kth_neighbours_count(dim):
    for x in (normal(600, dim, 0, shift=1e3), normal(300, dim, 1, 1e-6)):
        assert scores(covered(x, x)) == (1.0, 1.0, pytest.approx(6 / 5, rel=1e-12), 1.0)


def test_copies_of_a_point_lie_in_its_ball_even_of_radius_zero():
    p = normal(80, 12, 0, shift=300.0).repeat(7, 1)
    assert float(squared_radii(p, 5).max()) < 1e-20 * float(p.square().sum(1).max()) + 1e-9
    assert scores(covered(p[:80].repeat(6, 1), p))[0::3] == (1.0, 1.0)
    moved = p + 1e-3  # much more than rounding, much less than the distance of different points
    assert scores(covered(moved, p)) == (0.0, 0.0, 0.0, 0.0)


def test_equal_laws_have_density_one_and_the_coverage_of_random_ranks():
    n, m, k = 150, 250, 4
    found = np.array([scores(covered(normal(n, 5, 2 * i), normal(m, 5, 2 * i + 1), k)) for i in range(150)])
    errors = found.std(0, ddof=1) / 150**0.5
    assert abs(found[:, 2].mean() - 1) < 3 * errors[2]
    assert abs(found[:, 3].mean() - null_coverage(n, m, k)) < 3 * errors[3]
    assert errors[2] < 0.02
    assert abs(null_coverage(m, n, k) - null_coverage(n, m, k)) > 10 * errors[3]  # the sizes must not be swapped


def test_null_coverage_has_its_known_values():
    assert null_coverage(500, 500, 5) == pytest.approx(0.9692, abs=5e-5)
    assert null_coverage(10**6, 10**6, 3) == pytest.approx(1 - 2**-3, rel=1e-5)
    assert null_coverage(1, 2, 1) == 1 - 1 / 2


def test_strays_cost_precision_and_a_lost_mode_costs_recall():
    p = torch.cat([normal(400, 3, 0), normal(400, 3, 1, shift=30.0)])
    one_mode = covered(normal(400, 3, 2), p)
    assert one_mode.precision > 0.9
    assert one_mode.recall < 0.51
    assert one_mode.coverage < 0.51
    strays = covered(torch.cat([normal(300, 3, 2), normal(100, 3, 3, shift=-1e3)]), normal(400, 3, 0))
    assert strays.precision == pytest.approx(0.75, abs=0.05)
    assert not strays.around_fakes[300:].any()


def test_swapping_the_samples_swaps_precision_and_recall():
    q, p = normal(260, 4, 0, 0.8), normal(300, 4, 1)
    there, back = covered(q, p), covered(p, q)
    assert (there.precision, there.recall) == (back.recall, back.precision)


def test_results_do_not_depend_on_order_motion_units_or_tiles():
    q, p = normal(350, 6, 0, 1.1, 0.2), normal(400, 6, 1)
    turn, wanted = torch.linalg.qr(normal(6, 6, 2))[0], scores(covered(q, p))
    assert scores(covered(q.flip(0), p.flip(0))) == wanted
    assert scores(covered(1e4 * q @ turn + 7, 1e4 * p @ turn + 7)) == wanted
    assert scores(covered(q, p, budget=32 * 23**2)) == wanted


def test_memory_is_a_small_part_of_the_full_matrices():
    q, p = normal(2500, 8, 0), normal(2500, 8, 1)
    tracemalloc.start()
    covered(q, p)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2500 * 8 * 8 < peak < 3 * 2500**2 * 8 / 8


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.8, 0.2)])
def test_errors_are_near_the_spread_over_draws(scale, shift):
    found = [
        manifold(normal(250, 8, 2 * i, scale, shift), normal(350, 8, 2 * i + 1), repeats=0) for i in range(100)
    ]  # fmt: skip
    for name in ("precision", "recall", "density", "coverage"):
        spread = np.std([one[name].value for one in found], ddof=1)
        claimed = np.mean([one[name].se for one in found])
        assert 0.7 < claimed / spread < 1.8, name


def test_floors_come_from_train_from_halves_or_from_laws():
    fake, real, train = normal(300, 8, 0, 1.2), normal(400, 8, 1), normal(900, 8, 2)
    with_train = manifold(fake, real, train=train, repeats=3)
    assert with_train["precision"].protocol["floor"] == "train 300 vs real 400, mean of 3"
    halves = manifold(fake, real, repeats=2)
    assert halves["recall"].protocol["floor"] == "real 200 vs real 200, mean of 2"
    none = manifold(fake, real, repeats=0)
    for found in (with_train, halves, none):
        assert found["density"].floor == 1.0
        assert found["coverage"].floor == null_coverage(300, 400, 5)
        assert [found[name].value for name in found] == [none[name].value for name in found]
    assert none["precision"].floor is None
    assert with_train["precision"].value < with_train["precision"].floor < 1
    assert abs(halves["precision"].floor - with_train["precision"].floor) < 0.1
    rng = np.random.default_rng(0)
    same_size = manifold(fake, real, train=train[:300], repeats=3)
    wanted = covered(train[:300][torch.from_numpy(rng.permutation(300))], real)
    assert (same_size["precision"].floor, same_size["recall"].floor) == (wanted.precision, wanted.recall)
    assert same_size["precision"].protocol["floor"] == "train 300 vs real 400, mean of 1"


def test_larger_samples_are_cut_and_the_detail_names_the_rows():
    fake, real, shares = normal(200, 3, 0), normal(300, 3, 1), []
    doubled = Features("doubled", "", 3, lambda x: 2 * x)
    found = manifold(fake, real, doubled, max_n=120, k=4, seed=3, tick=shares.append)
    assert {(one.n_fake, one.n_real, one.features) for one in found.values()} == {(120, 120, "doubled")}
    rows_q, rows_p = found["precision"].detail["rows"], found["recall"].detail["rows"]
    wanted = covered(fake[rows_q], real[rows_p], 4)
    assert torch.equal(found["precision"].detail["around_fakes"], wanted.around_fakes)
    assert torch.equal(found["coverage"].detail["around_real"], wanted.around_real)
    assert torch.equal(found["recall"].detail["reached"], wanted.reached)
    assert tuple(one.value for one in found.values()) == scores(wanted)
    assert found["precision"].protocol["floor"] == "real 120 vs real 120, mean of 1"  # from rows beyond the cut
    assert {"k", "balls", "max_n", "seed", "se"} <= found["recall"].protocol.keys()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_too_few_points_for_a_kth_neighbour_are_refused():
    with pytest.raises(UsageError, match=r"k is 5 with 5 rows: give a k between 1 and 4"):
        manifold(normal(20, 2, 0), normal(5, 2, 1))
    with pytest.raises(UsageError, match="k is 0"):
        squared_radii(normal(20, 2, 0), 0)
    with pytest.raises(DataError, match="event shape"):
        manifold(normal(20, 2, 0), normal(20, 3, 1))
    assert manifold(normal(20, 2, 0), normal(9, 2, 1))["recall"].floor is None  # halves of 4 have no 5th neighbour


def counts(n, rng):
    return rng.poisson(2, (n, 2))


def lattice(n, rng):
    return rng.poisson(3, (n, 6))


def zeros(n, rng):
    return np.where(rng.random((n, 1)) < 0.3, 0.0, rng.normal(size=(n, 3)))


@pytest.mark.parametrize("law", [counts, lattice, zeros])
@pytest.mark.parametrize(("n", "m"), [(300, 300), (150, 400)])
def test_floors_of_tied_data_are_what_two_samples_of_one_law_score(law, n, m):
    rng, found = np.random.default_rng(0), []
    for _ in range(30):
        q, p = (torch.from_numpy(law(size, rng)).double() for size in (n, m))
        found.append(manifold(q, p, repeats=0))
    assert {one["density"].protocol["floor"] for one in found} == {f"measured, real {m} in its own balls"}
    for name, off in (("density", 0.05), ("coverage", 0.02)):
        values, floors = (np.array([getattr(one[name], key) for one in found]) for key in ("value", "floor"))
        assert values.mean() == pytest.approx(floors.mean(), rel=off)
        assert law is zeros or np.mean(np.abs(values / floors - 1) < 0.15) >= 0.9  # the zeros' number itself scatters
    assert np.mean([one["density"].floor for one in found]) > 1.15  # a continuous law has 1
    assert np.mean([one["coverage"].floor for one in found]) > null_coverage(n, m, 5) + 0.005


def test_a_repeated_row_turns_to_measured_floors_and_barely_moves_them():
    fake, real = normal(200, 3, 0), normal(300, 3, 1)
    plain = manifold(fake, real, repeats=0)
    assert (plain["density"].floor, plain["density"].protocol["floor"]) == (1.0, "exact")
    real[1] = real[0]
    one = manifold(fake, real, repeats=0)
    for name in ("density", "coverage"):
        assert str(one[name].protocol["floor"]).startswith("measured")
        assert one[name].floor == pytest.approx(plain[name].floor, rel=0.005)
    real[2:9] = real[0]
    assert manifold(fake, real, repeats=0)["density"].floor > 1.01


@pytest.mark.parametrize(("n", "m", "k"), [(80, 50, 3), (30, 200, 5)])
def test_the_coverage_floor_of_rounded_rows_is_the_mean_over_relabellings_of_the_pool(n, m, k):
    rng = np.random.default_rng(3)
    pool = torch.from_numpy(rng.normal(size=(n + m, 2)).round())
    found = []
    for _ in range(150):
        rows = torch.from_numpy(rng.permutation(n + m))
        found.append(manifold(pool[rows[:n]], pool[rows[n:]], k=k, repeats=0)["coverage"])
    values, floors = (np.array([getattr(one, key) for one in found]) for key in ("value", "floor"))
    off = values - floors  # the floor is exact of the pool, on average over which of its rows are data
    assert abs(off.mean()) < 3.5 * off.std() / 150**0.5
