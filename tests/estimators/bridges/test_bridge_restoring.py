"""What is known of a sample stays to the last bit, what is not has its law given that, and paths join two samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward import BridgeSampler
from pushforward.dynamics.editing import Guidance
from pushforward.errors import DataError, UsageError

MEAN, COVARIANCE = np.array([10.0, -3.0]), np.array([[4.0, 1.6], [1.6, 1.0]])


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, 4000)


@pytest.fixture(scope="module")
def normal(x) -> BridgeSampler:
    return BridgeSampler(steps=800, batch_size=256, width=32, depth=2, random_state=0).fit(x)


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, BridgeSampler]:
    x = np.random.default_rng(0).random((60, 8, 8))
    return x, BridgeSampler(steps=3, batch_size=16, width=8, random_state=0).fit(x)


@pytest.mark.parametrize("strategy", ["resample", "guidance", Guidance()], ids=str)
@pytest.mark.parametrize("seen", [0, 1])
def test_what_is_missing_of_a_normal_law_has_its_conditional_mean_and_spread(seen, strategy, normal):
    other, deviation = 1 - seen, math.sqrt(COVARIANCE[seen, seen])
    row = np.full(2, np.nan)
    row[seen] = MEAN[seen] + 1.5 * deviation
    found = normal.restore(row[None], n=800, strategy=strategy, random_state=1)[:, 0]
    slope = COVARIANCE[0, 1] / COVARIANCE[seen, seen]
    spread = math.sqrt(COVARIANCE[other, other] - slope * COVARIANCE[0, 1])
    own = math.sqrt(COVARIANCE[other, other])  # the mean is 1.2 of these above that of all
    assert found[:, other].mean() == pytest.approx(MEAN[other] + 1.5 * slope * deviation, abs=0.15 * own)
    assert found[:, other].std() == pytest.approx(spread, rel=0.15)
    assert (found[:, seen] == row[seen]).all()


def test_more_cycles_agree_better_with_what_is_known(normal):
    row, exact = np.array([[14.0, np.nan]]), -3 + 0.4 * 4
    off = [abs(normal.restore(row, n=500, strategy=way)[..., 1].mean() - exact) for way in ("fresh", "resample:10")]
    assert off[1] < off[0] - 0.2


def test_rows_may_each_have_another_number_missing(normal, x):
    given = x[:64].copy()
    given[::3, 0], given[1::3, 1] = np.nan, np.nan
    found = normal.restore(given, n=3)
    assert found.shape == (3, 64, 2)
    known = ~np.isnan(given)
    assert (found[:, known] == given[known]).all()
    assert np.isfinite(found).all()
    assert (found[0] != found[1])[~known].all()
    assert np.corrcoef(found.mean(0)[::3, 0], given[::3, 1])[0, 1] > 0.5


def test_a_mask_and_missing_numbers_say_the_same(normal, x):
    hidden = np.where([True, False], x[:9], np.nan)
    by_nan = normal.restore(hidden, n=2, steps=10)
    np.testing.assert_array_equal(normal.restore(x[:9], [True, False], 2, steps=10), by_nan)
    np.testing.assert_array_equal(normal.restore(x[:9], np.tile([1, 0], (9, 1)), 2, steps=10), by_nan)
    np.testing.assert_array_equal(normal.restore(hidden, ~np.isnan(hidden), 2, steps=10), by_nan)


def test_what_is_not_known_is_not_looked_at(normal, x):
    other = x[:9].copy()
    other[:, 1] = 1e6
    mask = [True, False]
    np.testing.assert_array_equal(normal.restore(other, mask, steps=10), normal.restore(x[:9], mask, steps=10))


def test_few_draws_are_the_first_of_many_and_a_seed_decides_them(normal):
    row = np.array([[11.0, np.nan], [np.nan, -2.0]])
    many = normal.restore(row, n=150, steps=5, random_state=3)
    for n in (1, 2, 31, 33, 100):
        np.testing.assert_array_equal(normal.restore(row, n=n, steps=5, random_state=3), many[:n])
    assert not np.array_equal(normal.restore(row, n=1, steps=5, random_state=4), many[:1])
    assert len(np.unique(many[:, 0, 1])) == 150


def test_samples_of_which_all_is_known_come_back(normal, x):
    np.testing.assert_array_equal(normal.restore(x[:5], n=2, steps=2), np.stack([x[:5]] * 2))


def test_of_nothing_known_a_sample_of_the_model_is_made(normal):
    found = normal.restore(np.full((1000, 2), np.nan), strategy="fresh")[0]
    np.testing.assert_allclose(found.mean(0), MEAN, atol=0.3)
    np.testing.assert_allclose(np.cov(found.T), COVARIANCE, rtol=0.2)


def test_columns_that_do_not_vary_are_filled_with_what_they_always_hold(x):
    data = np.insert(x, 1, 0.1, axis=1)
    model = BridgeSampler(steps=3, batch_size=16, width=8, random_state=0).fit(data)
    found = model.restore([[10.0, np.nan, np.nan], [np.nan, 0.1, -3.0]], steps=5)[0]
    assert found[0, 1] == 0.1
    assert found[1, 1] == 0.1
    assert np.isfinite(found).all()


@pytest.mark.parametrize("shape", [(8,), (8, 8), (5, 8, 8)], ids=str)
def test_of_images_a_part_is_known_by_a_mask_of_their_last_axes(shape, images):
    x, model = images
    mask = np.random.default_rng(1).random(shape) < 0.5
    found = model.restore(x[:5], mask, n=2, steps=3)
    whole = np.broadcast_to(mask, (2, 5, 8, 8))
    assert found.shape == (2, 5, 8, 8)
    assert (found == x[:5])[whole].all()
    assert not (found == x[:5])[~whole].any()


def test_a_class_decides_what_is_missing():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    x = np.stack([rng.normal(size=600), rng.normal(8.0 * y - 4, 1)], 1)
    model = BridgeSampler(steps=300, batch_size=64, width=32, depth=2, random_state=0).fit(x, y)
    row = np.array([[0.0, np.nan]] * 40)
    assert (model.restore(row, y=1)[0, :, 1] > 0).mean() > 0.95
    assert (model.restore(row, y=np.repeat([0, 1], 20))[0, :, 1] > 0).tolist() == [False] * 20 + [True] * 20
    assert 0.2 < (model.restore(row, n=5)[..., 1] > 0).mean() < 0.8


def test_whole_numbers_of_a_frame_are_whole_where_they_were_missing():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    ages = pandas.array(rng.integers(0, 90, 60), dtype="Int64")
    data = pandas.DataFrame({"age": ages, "member": rng.random(60) < 0.5, "size": rng.normal(size=60)})
    model = BridgeSampler(steps=3, batch_size=16, width=8, random_state=0).fit(data)
    given = data[:9].astype({"member": float})
    given.loc[:4, "age"], given.loc[2:6, "member"], given.loc[3, "size"] = pandas.NA, np.nan, np.nan
    found = model.restore(given, steps=5)[0]
    known = given.notna().to_numpy()
    assert (found[known] == given.to_numpy(float, na_value=np.nan)[known]).all()
    np.testing.assert_array_equal(found[:5, 0], np.rint(found[:5, 0]))
    assert set(found[2:7, 1]) <= {0.0, 1.0}
    assert found[3, 2] != np.rint(found[3, 2])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m, x: m.restore(x, [True, False, True]), r"known has shape \(3,\)"),
        (lambda m, x: m.restore(x, [0.5, 1]), "known holds float64, not True and False"),
        (lambda m, x: m.restore(x, ["yes", "no"]), "not True and False"),
        (lambda m, x: m.restore([[np.nan, 1.0]], [True, False]), r"X\[0, 0\] is NaN and said to be known"),
        (lambda m, x: m.restore([[np.inf, 1.0]]), "infinity"),
        (lambda m, x: m.restore([[1e300, np.nan]]), r"X\[0, 0\] is 1e\+300, more than 100 deviations"),
        (lambda m, x: m.restore([[np.nan, 1e6]]), r"X\[0, 1\] is 1e\+06, more than 100 deviations"),
        (lambda m, x: m.interpolate([0.0, 1e30], x[1]), r"a\[0, 1\] is 1e\+30"),
        (lambda m, x: m.restore(x, strategy=None), "strategy None: give its name"),
        (lambda m, x: m.set_params(guidance=0.0).restore(x, strategy=3), "strategy 3"),
        (lambda m, x: m.restore(np.ones((2, 3))), "3 features"),
        (lambda m, x: m.restore(x, n=0), "n == 0"),
        (lambda m, x: m.restore(x, steps=0), "steps == 0"),
        (lambda m, x: m.restore(x, strategy="magic"), "strategy magic: use fixed"),
        (lambda m, x: m.restore(x, strategy="resample:0"), "resample:0"),
        (lambda m, x: m.interpolate(x[0], x[:2]), r"b has shape \(2, 2\)"),
        (lambda m, x: m.interpolate([np.nan, 1.0], x[0]), "a holds NaN"),
        (lambda m, x: m.interpolate(["u", "v"], x[0]), "a holds what is no number"),
        (lambda m, x: m.interpolate(x[0], x[1], 1), "n == 1"),
        (lambda m, x: m.interpolate(x[0], x[1], level=0.0), "level == 0"),
        (lambda m, x: m.interpolate(x[0], x[1], level=np.nan), "level == nan"),
        (lambda m, x: m.interpolate(x[0], x[1], path="round"), "path 'round'"),
        (lambda m, x: m.interpolate(x[0], x[1], y=0), "without classes"),
    ],
)
def test_what_cannot_be_restored_or_joined_is_said_in_one_line(ask, message, normal, x):
    with pytest.raises((DataError, UsageError, ValueError), match=message) as caught:
        ask(normal, x[:9])
    assert "\n" not in str(caught.value).strip()


# Paths


def test_a_path_of_little_noise_is_the_mixture_of_its_ends(normal, x):
    row = normal.interpolate(x[0], x[1], 5, level=0.01)
    shares = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_allclose(row, (1 - shares) * x[0] + shares * x[1], atol=0.1)


def test_a_path_of_much_noise_has_the_law_of_the_data_and_not_its_ends(normal):
    a, b = MEAN + np.array([30.0, 0.0]), MEAN - np.array([30.0, 0.0])
    far = normal.interpolate(a, b, 11, level=0.1)
    near = normal.interpolate(a, b, 11, level=100.0)
    assert np.abs(far[0] - a).max() < 10
    assert np.abs(near - MEAN).max() < 9


def test_a_path_of_a_class_stays_in_it_and_rows_of_frames_are_ends():
    pandas = pytest.importorskip("pandas")
    y = np.repeat(["u", "v"], 200)
    data = pandas.DataFrame({"a": np.random.default_rng(0).normal(np.where(y == "u", -5, 5)), "b": np.arange(400)})
    model = BridgeSampler(steps=300, batch_size=64, width=32, depth=2, random_state=0).fit(data, y)
    row = model.interpolate(data.iloc[0], data.iloc[[1]], 4, y="v", level=20.0)
    assert row.dtypes.to_dict() == data.dtypes.to_dict()
    assert (row["a"] > 0).all()
    with pytest.raises(ValueError, match=r"in the same order|should match"):
        model.interpolate(data.iloc[0, ::-1], data.iloc[1], 4)
    with pytest.raises(DataError, match=r"b has shape \(2, 2\)"):
        model.interpolate(data.iloc[0], data.iloc[:2], 4)


def test_a_path_of_images_has_their_shape(images):
    x, model = images
    assert model.interpolate(x[0], x[1], 4, steps=5, path="spherical").shape == (4, 8, 8)
    np.testing.assert_array_equal(
        model.interpolate(x[0], x[1], 4, 7, steps=5), model.interpolate(x[0], x[1], 4, 7, steps=5)
    )


def test_a_column_that_did_not_vary_is_restored_with_its_value_alone():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=200), np.full(200, 7.0)])
    model = BridgeSampler(steps=20, width=8, random_state=0).fit(x)
    assert (model.restore([[np.nan, 7.0]], n=3, steps=2)[..., 1] == 7).all()
    for work in (lambda: model.restore([[np.nan, 9.0]], steps=2), lambda: model.interpolate([0, 7.0], [1, 9.0])):
        with pytest.raises(DataError, match="is 9, in a column that did not vary"):
            work()


def test_guidance_in_restoring_asks_for_a_class():
    x = np.random.default_rng(0).normal(size=(100, 2))
    model = BridgeSampler(steps=20, width=8, guidance=1.0, random_state=0).fit(x, x[:, 0] > 0)
    for work in (lambda: model.restore([[0.0, np.nan]], steps=2), lambda: model.interpolate(x[0], x[1])):
        with pytest.raises(UsageError, match="guidance 1 leads to a class: give y"):
            work()
    assert model.restore([[0.0, np.nan]], steps=2, y=True).shape == (1, 1, 2)


def test_a_far_row_that_sets_a_scale_is_said():
    x = np.random.default_rng(0).normal(size=(300, 2))
    x[17, 1] = 1e6
    (note,) = BridgeSampler(steps=5, width=8, random_state=0).fit(x).notes_
    assert "column 1: its scale is that of a few far rows, the farthest 17 standard deviations out" in note
