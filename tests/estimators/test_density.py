"""Laws of `FlowDensityEstimator`: scikit-learn's contract, densities in data units, classes, rounded columns, files."""

from __future__ import annotations

import doctest
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pushforward import FlowDensityEstimator
from pushforward.errors import DataError, TrainingError
from pushforward.estimators import density as module

MEAN, COVARIANCE = np.array([10.0, -3.0]), np.array([[4.0, 1.6], [1.6, 1.0]])
LAW = multivariate_normal(MEAN, COVARIANCE)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def flow(**changes) -> FlowDensityEstimator:
    small = {"steps": 5, "batch_size": 32, "width": 8, "depth": 1, "transforms": 2, "bins": 4, "random_state": 0}
    return FlowDensityEstimator(**small | changes)


@pytest.fixture(scope="module")
def moons():
    return make_moons(200, noise=0.05, random_state=0)


@parametrize_with_checks([flow(steps=2, batch_size=8)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_the_example_of_the_docstring_holds():
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


# Densities


def test_densities_of_a_normal_law_are_its_own_in_units_of_the_data():
    x, new = LAW.rvs(4000, random_state=0), LAW.rvs(2000, random_state=1)
    model = flow(steps=300, batch_size=256, lr=5e-3, width=16).fit(x)
    found, exact = model.score_samples(new), LAW.logpdf(new)
    assert (exact - found).mean() == pytest.approx(0, abs=0.03)  # without the volume of the units it is log 2 off
    assert np.abs(found - exact).mean() < 0.15
    assert model.score(new) == pytest.approx(found.mean(), rel=1e-12)
    drawn = model.sample(4000, 1)
    np.testing.assert_allclose(drawn.mean(0), MEAN, atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), COVARIANCE, rtol=0.12)


def test_a_density_in_units_of_the_data_integrates_to_one():
    x = np.random.default_rng(0).normal((3.0, 100.0), (0.5, 20.0), (500, 2))
    model = flow(steps=60).fit(x)
    a, b = np.linspace(-1, 7, 300), np.linspace(-60, 260, 300)
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
    q = np.exp(model.score_samples(grid)).sum() * (a[1] - a[0]) * (b[1] - b[0])
    beyond = np.abs((model.sample(5000, 0) - (3, 100)) / (4, 160)).max(1) > 1
    assert q + beyond.mean() == pytest.approx(1, abs=0.01)


def test_densities_move_with_the_units_of_the_data(moons):
    x, unit, shift = moons[0], np.array([3.7, 0.02]), np.array([-5.0, 100.0])
    here, there = flow().fit(x), flow().fit(unit * x + shift)
    found = there.score_samples(unit * x + shift)
    np.testing.assert_allclose(found, here.score_samples(x) - math.log(3.7 * 0.02), atol=0.01)
    np.testing.assert_allclose(there.sample(50, 1), unit * here.sample(50, 1) + shift, rtol=0, atol=2e-3)


def test_a_column_that_does_not_vary_comes_back_and_counts_for_nothing_in_a_density(moons):
    x = np.insert(moons[0], 1, 0.1, axis=1)
    model, plain = flow().fit(x), flow().fit(moons[0])
    np.testing.assert_array_equal(model.sample(20, 0), np.insert(plain.sample(20, 0), 1, 0.1, axis=1))
    assert model.notes_ == ("columns that do not vary come back as they are: 1",)
    np.testing.assert_array_equal(model.score_samples(x), plain.score_samples(moons[0]))
    x[3, 1] = 0.2
    assert np.flatnonzero(model.score_samples(x) == -np.inf).tolist() == [3]


def test_far_rows_have_a_density_or_none_and_never_nan(moons):
    model = flow(steps=50).fit(moons[0])
    found = model.score_samples([[0.0, 0.0], [30.0, -30.0], [1e6, 0.0], [1e30, 1e30], [1e300, 0.0]])
    assert not np.isnan(found).any()
    assert np.isfinite(found[:3]).all()
    assert (np.diff(found[:4]) < 0).all()
    assert found[4] == -np.inf


def test_rows_like_no_others_have_the_lowest_densities():
    rng = np.random.default_rng(0)
    x = np.stack([t := rng.normal(size=2000), t + 0.1 * rng.normal(size=2000)], 1)
    odd = rng.permuted(x[:100], axis=0)  # right marginals, wrong joint
    odd = odd[np.abs(odd[:, 0] - odd[:, 1]) > 0.5]
    model = flow(steps=200, batch_size=128, lr=5e-3, width=16).fit(x)
    assert model.score_samples(odd).max() < np.quantile(model.score_samples(x), 0.02)


def test_few_rows_are_not_learned_by_heart():
    x, new = LAW.rvs(100, random_state=0), LAW.rvs(2000, random_state=1)
    greedy = {"steps": 400, "width": 64, "depth": 2, "bins": 16, "lr": 1e-2, "batch_size": 100, "half_life": 1.0}
    stopped = flow(**greedy).fit(x)
    through = flow(**greedy, validation_fraction=0.0).fit(x)
    assert stopped.best_step_ < through.best_step_ == 400
    normal = multivariate_normal(x.mean(0), np.cov(x.T)).logpdf(new).mean()
    assert through.score(new) < normal - 0.5  # it knows the rows and not the law
    assert stopped.score(new) > through.score(new) + 0.4
    assert through.score(x) > stopped.score(x)


# Rounded columns


def test_rounded_columns_are_found_and_judged_as_the_cells_they_stand_for():
    """Of a law that is uniform on 4 levels the best density has log(1/4) - log(step); the loss cannot go below."""
    rng = np.random.default_rng(0)
    x = np.stack([5.0 * rng.integers(4, size=3000), rng.normal(size=3000)], 1)
    model = flow(steps=300, batch_size=256, lr=5e-3, width=16, bins=16).fit(x)
    np.testing.assert_allclose(model.cells_, [5.0, 0.0])
    assert "0 by 5" in model.notes_[0]
    best = -math.log(20) - 0.5 * (1 + math.log(2 * math.pi))
    assert best - 0.12 < model.score(x) < best + 0.04
    plain = flow(steps=5, dequantise=False).fit(x)
    assert plain.cells_.tolist() == [0.0, 0.0]
    assert plain.notes_ == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_no_density_of_coins_beats_their_entropy_however_few_different_rows_there_are(seed):
    x = (np.random.default_rng(seed).uniform(size=(2000, 1)) < 0.1).astype(float)
    model = flow(steps=300, batch_size=256, lr=1e-2, width=16, bins=16, random_state=seed).fit(x)
    share = x.mean()
    best = share * math.log(share) + (1 - share) * math.log(1 - share)
    assert best - 0.1 < model.score(x) < best + 0.01


def test_a_density_of_a_row_does_not_depend_on_the_rows_beside_it(moons):
    x = np.round(moons[0], 1)
    model = flow().fit(x)
    np.testing.assert_allclose(model.cells_, [0.1, 0.1])
    found = model.score_samples(x[:20])
    np.testing.assert_allclose(model.score_samples(x[19::-1])[::-1], found, rtol=1e-9)
    np.testing.assert_allclose([model.score_samples(row[None])[0] for row in x[:4]], found[:4], rtol=1e-9)


# Classes


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs([150, 50], centers=[[-10, 0], [10, 5]], random_state=0)
    return x, np.array(["left", "right"])[y]


@pytest.fixture(scope="module")
def sides(blobs) -> FlowDensityEstimator:
    return flow(steps=400, width=32, lr=1e-2).fit(*blobs)


def test_classes_are_respected_and_drawn_by_their_frequencies(sides, blobs):
    x, y = sides.sample(2000, 0, return_labels=True)
    assert ((x[:, 0] > 0) == (y == "right")).mean() > 0.97
    assert (y == "right").mean() == pytest.approx(0.25, abs=0.04)
    wanted = np.tile(["left", "right"], 25)
    assert ((sides.sample(50, 0, y=wanted)[:, 0] > 0) == (wanted == "right")).mean() > 0.9
    rows = blobs[0][:30]
    left, right = (sides.score_samples(rows, y=name) for name in ("left", "right"))
    np.testing.assert_allclose(
        sides.score_samples(rows), np.logaddexp(left + math.log(0.75), right + math.log(0.25)), rtol=1e-6
    )
    assert sides.score(*blobs) > sides.score(blobs[0], np.where(blobs[1] == "left", "right", "left")) + 1


def test_class_questions_without_answer_raise(blobs, sides):
    plain = flow().fit(blobs[0])
    for ask in (
        lambda: plain.sample(2, y="left"),
        lambda: plain.sample(2, return_labels=True),
        lambda: plain.score_samples(blobs[0], y="left"),
    ):
        with pytest.raises(ValueError, match="without classes"):
            ask()
    with pytest.raises(ValueError, match="'up' is unknown: fit saw 'left', 'right'"):
        sides.sample(2, y="up")
    assert flow().fit(*blobs).fit(blobs[0]).classes_ is None


# The face


def test_a_frame_comes_back_with_its_columns_and_types():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    data = pandas.DataFrame({"age": rng.integers(20, 60, 80), "size": rng.normal(size=80)})
    model = flow().fit(data)
    assert model.sample(5).dtypes.to_dict() == data.dtypes.to_dict()
    np.testing.assert_allclose(model.cells_, [1.0, 0.0])
    assert any("age by 1" in note for note in model.notes_)
    with pytest.raises(ValueError, match=r"in the same order|should match"):
        model.score_samples(data[["size", "age"]])


def test_seed_decides_everything_and_global_generators_are_left_alone(moons):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = flow().fit(moons[0])
    samples = model.sample(9, 4)
    np.testing.assert_array_equal(samples, clone(model).fit(moons[0]).sample(9, 4))
    assert (torch.get_rng_state() == before).all()
    assert (np.random.get_state()[1] == numpy_before).all()
    assert not np.allclose(samples, model.sample(9, 5))
    assert not np.allclose(samples, flow(random_state=1).fit(moons[0]).sample(9, 4))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "steps == 0"), ({"lr": -1.0}, "lr == -1"), ({"lr": math.nan}, "lr == nan"),
        ({"bins": 1}, "bins == 1"), ({"width": 0}, "width == 0"), ({"transforms": 0}, "transforms == 0"),
        ({"half_life": -1.0}, "half_life"),
        ({"validation_fraction": 1.0}, "validation_fraction == 1"),
        ({"flow": "glow"}, "'glow': expected maf or nsf or realnvp"),
        ({"device": "abacus"}, "abacus"),
    ],
)  # fmt: skip
def test_bad_parameters_raise_at_fit(parameters, message, moons):
    with pytest.raises(ValueError, match=message):
        flow(**parameters).fit(moons[0])


def test_bad_data_raise(moons):
    x = moons[0]
    with pytest.raises(NotFittedError):
        flow().score_samples(x)
    with pytest.raises(ValueError, match="constant"):
        flow().fit(np.ones((10, 3)))
    with pytest.raises(ValueError, match="NaN"):
        flow().fit(np.where(x > 1, np.nan, x))
    with pytest.raises(ValueError, match="give rows of numbers"):
        flow().fit(np.ones((10, 4, 4)))
    with pytest.raises(ValueError, match="3 features"):
        flow().fit(x).score(np.ones((5, 3)))
    with pytest.raises(TrainingError, match=r"step \d+: nll is (nan|inf)"):
        flow(lr=1e30, steps=50).fit(x)


def test_lives_in_pipelines_and_searches(moons):
    search = GridSearchCV(flow(steps=3), {"lr": [1e-3, 1e-2]}, cv=2).fit(*moons)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), flow(steps=3)).fit(moons[0])
    assert pipeline.score_samples(moons[0]).shape == (200,)


@pytest.mark.parametrize("classed", [False, True])
@pytest.mark.parametrize("kind", ["maf", "nsf", "realnvp"])
def test_a_file_and_a_pickle_bring_back_the_same_model(kind, classed, moons, tmp_path):
    path, x = tmp_path / "model.safetensors", np.insert(np.round(moons[0], 1), 1, 7.0, axis=1)
    model = flow(flow=kind, random_state=np.int64(3)).fit(x, moons[1] if classed else None)
    model.save(path)
    for again in (FlowDensityEstimator.load(path), pickle.loads(pickle.dumps(model))):
        assert again.get_params() == model.get_params()
        np.testing.assert_array_equal(again.sample(9, 1), model.sample(9, 1))
        np.testing.assert_array_equal(again.score_samples(x), model.score_samples(x))
        assert again.notes_ == model.notes_
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"model\.safetensors"):
        FlowDensityEstimator.load(path)
