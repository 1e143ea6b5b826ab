"""Laws of `BridgeSampler`: scikit-learn's contract, samples, densities, classes, images, seeds, files."""

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

from pushforward import BridgeSampler
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.estimators.bridges import sampler as module

MEAN, COVARIANCE = np.array([10.0, -3.0]), np.array([[4.0, 1.6], [1.6, 1.0]])
LAW = multivariate_normal(MEAN, COVARIANCE)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def bridge(**changes) -> BridgeSampler:
    small = {"steps": 5, "batch_size": 32, "width": 16, "depth": 2, "first_steps": 2, "second_steps": 4}
    return BridgeSampler(**small | {"random_state": 0} | changes)


@pytest.fixture(scope="module")
def moons():
    return make_moons(200, noise=0.05, random_state=0)


@pytest.fixture(scope="module")
def normal() -> BridgeSampler:
    x = LAW.rvs(4000, random_state=0)
    return BridgeSampler(steps=400, batch_size=256, width=32, depth=2, random_state=0).fit(x)


@parametrize_with_checks([bridge(steps=2, batch_size=8, width=8)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_the_example_of_the_docstring_holds():
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


# Laws


def test_samples_of_a_normal_law_have_its_mean_and_covariance(normal):
    x = normal.sample(4000, 1)
    np.testing.assert_allclose(x.mean(0), MEAN, atol=0.15)
    np.testing.assert_allclose(np.cov(x.T), COVARIANCE, rtol=0.12)


def test_densities_of_a_normal_law_are_its_own_in_units_of_the_data(normal):
    x = LAW.rvs(500, random_state=1)
    found, exact = normal.score_samples(x), LAW.logpdf(x)
    assert found.shape == (500,)
    assert abs((found - exact).mean()) < 0.04  # without the volume of the units it is log 2 = 0.69 off
    assert np.abs(found - exact).mean() < 0.2
    assert normal.score(x) == pytest.approx(found.mean(), rel=1e-12)


def test_densities_of_many_columns_are_right_on_average_and_the_same_at_every_call():
    x = np.random.default_rng(0).normal(2.0, 3.0, (2000, 5))
    model = BridgeSampler(steps=400, batch_size=256, width=32, depth=2, random_state=0).fit(x)
    found = model.score_samples(x[:400])
    exact = multivariate_normal(np.full(5, 2.0), 9 * np.eye(5)).logpdf(x[:400])
    assert found.mean() == pytest.approx(exact.mean(), abs=0.25)
    assert np.corrcoef(found, exact)[0, 1] > 0.8
    np.testing.assert_array_equal(model.score_samples(x[:400]), found)


def test_densities_move_with_the_units_of_the_data(moons):
    x, unit, shift = moons[0], np.array([3.7, 0.02]), np.array([-5.0, 100.0])
    here, there = bridge().fit(x), bridge().fit(unit * x + shift)
    found = there.score_samples(unit * x + shift)
    np.testing.assert_allclose(found, here.score_samples(x) - math.log(3.7 * 0.02), atol=0.02)
    np.testing.assert_allclose(there.sample(50, 1), unit * here.sample(50, 1) + shift, rtol=0, atol=2e-3)


def test_a_density_of_one_column_integrates_to_one():
    x = np.random.default_rng(0).normal(3.0, 0.5, (500, 1))
    model = bridge(steps=100).fit(x)
    grid = np.linspace(-2, 8, 2000)
    assert np.trapezoid(np.exp(model.score_samples(grid[:, None])), grid) == pytest.approx(1, abs=0.01)


def test_a_column_that_does_not_vary_comes_back_and_counts_for_nothing_in_a_density(moons):
    x = np.insert(moons[0], 1, 0.1, axis=1)
    model, plain = bridge().fit(x), bridge().fit(moons[0])
    np.testing.assert_array_equal(model.sample(20, 0), np.insert(plain.sample(20, 0), 1, 0.1, axis=1))
    assert model.notes_ == ("columns that do not vary come back as they are: 1",)
    np.testing.assert_array_equal(model.score_samples(x), plain.score_samples(moons[0]))
    x[3, 1] = 0.2
    assert np.flatnonzero(model.score_samples(x) == -np.inf).tolist() == [3]


def test_a_density_of_a_row_does_not_depend_on_the_rows_beside_it(moons):
    model = bridge().fit(moons[0])
    found = model.score_samples(moons[0][:20])
    np.testing.assert_allclose(model.score_samples(moons[0][19::-1])[::-1], found, rtol=1e-9)
    np.testing.assert_allclose([model.score_samples(row[None])[0] for row in moons[0][:4]], found[:4], rtol=1e-9)


def test_what_lies_beyond_all_numbers_has_no_density(moons):
    x = np.array([[1e300, 0.0], [0.0, 0.0]])
    found = bridge().fit(moons[0]).score_samples(x)
    assert found[0] == -np.inf
    assert np.isfinite(found[1])


# Classes


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs([150, 50], centers=[[-10, 0], [10, 5]], random_state=0)
    return x, np.array(["left", "right"])[y]


@pytest.fixture(scope="module")
def sides(blobs) -> BridgeSampler:
    return bridge(steps=1000, width=32, first_steps=12, second_steps=24).fit(*blobs)


def test_classes_are_respected_and_drawn_by_their_frequencies(sides):
    x, y = sides.sample(2000, 0, return_labels=True)
    assert ((x[:, 0] > 0) == (y == "right")).mean() > 0.99
    assert (y == "right").mean() == pytest.approx(0.25, abs=0.04)
    assert (sides.sample(50, 0, y="left")[:, 0] < 0).all()
    wanted = np.tile(["left", "right"], 25)
    np.testing.assert_array_equal(sides.sample(50, 0, y=wanted)[:, 0] > 0, wanted == "right")


def test_a_density_without_a_class_is_the_mixture_of_those_with_one(sides, blobs):
    x = blobs[0][:30]
    left, right = (sides.score_samples(x, y=name) for name in ("left", "right"))
    np.testing.assert_allclose(
        sides.score_samples(x), np.logaddexp(left + math.log(0.75), right + math.log(0.25)), rtol=1e-9
    )
    assert sides.score(*blobs) > sides.score(blobs[0], np.where(blobs[1] == "left", "right", "left")) + 1


def test_guidance_leads_further_into_a_class_and_is_changed_after_a_fit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 1)), np.repeat([0, 1], 300)
    x[y == 1] += 1.0
    model = bridge(steps=300, width=32).fit(x, y)
    plain = model.sample(500, 0, y=1).mean()
    assert model.set_params(guidance=3.0).sample(500, 0, y=1).mean() > plain + 0.3


def test_class_questions_without_answer_raise(blobs, sides):
    plain = bridge().fit(blobs[0])
    for ask in (
        lambda: plain.sample(2, y="left"),
        lambda: plain.sample(2, return_labels=True),
        lambda: plain.score_samples(blobs[0], y="left"),
        lambda: plain.restore(blobs[0], y="left"),
    ):
        with pytest.raises(ValueError, match="without classes"):
            ask()
    with pytest.raises(ValueError, match="'up' is unknown: fit saw 'left', 'right'"):
        sides.sample(2, y="up")
    with pytest.raises(UsageError, match=r"guidance 2\.0: leads samples of a class"):
        bridge(guidance=2.0).fit(blobs[0])
    with pytest.raises(UsageError, match=r"guidance 2\.0: leads samples of a class"):
        bridge().fit(blobs[0]).set_params(guidance=2.0).sample()
    assert bridge().fit(*blobs).fit(blobs[0]).classes_ is None


# Images and frames


@pytest.mark.parametrize("event", [(8, 8), (1, 4, 4), (3, 8, 8), (16, 16)], ids=str)
def test_images_keep_their_shape_and_have_densities(event):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (40, *event)), rng.integers(3, size=40)
    model = bridge(width=8).fit(x, y)
    assert model.sample(6, 0).shape == (6, *event)
    assert model.score_samples(x[:3], y[:3]).shape == (3,)
    with pytest.raises(ValueError, match="but fit saw"):
        model.score(np.zeros((2, *event, 2)).reshape(2, event[0], -1))


def test_a_density_of_images_is_one_in_their_own_units():
    x = np.random.default_rng(0).random((60, 4, 4))
    here, there = bridge().fit(x), bridge().fit(100 * x)
    np.testing.assert_allclose(there.score_samples(100 * x), here.score_samples(x) - 16 * math.log(100), rtol=1e-3)


@pytest.mark.parametrize("event", [(6, 6), (4, 8), (5, 8, 8), (2, 2, 2, 2)], ids=str)
def test_other_arrays_raise_with_a_remedy(event):
    with pytest.raises(ValueError, match="flatten them to vectors"):
        bridge().fit(np.random.default_rng(0).random((10, *event)))


def test_a_mean_image_is_left_where_nothing_else_was_learned():
    x = np.random.default_rng(0).random((60, 8, 8)) + np.eye(8)
    assert np.corrcoef(bridge().fit(x).sample(64, 0).mean(0).ravel(), x.mean(0).ravel())[0, 1] > 0.9


# Seeds, data, parameters


def test_seed_decides_everything_and_global_generators_are_left_alone(moons):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = bridge().fit(moons[0])
    samples = model.sample(9, 4)
    np.testing.assert_array_equal(samples, clone(model).fit(moons[0]).sample(9, 4))
    np.testing.assert_array_equal(samples, model.sample(9, np.random.RandomState(4)))
    assert (torch.get_rng_state() == torch_before).all()
    assert (np.random.get_state()[1] == numpy_before).all()
    assert not np.allclose(samples, model.sample(9, 5))
    assert not np.allclose(samples, bridge(random_state=1).fit(moons[0]).sample(9, 4))


def test_a_draw_without_a_seed_follows_the_estimator_as_scikit_learn_has_it(moons):
    model = bridge().fit(moons[0])
    few = model.sample(5)
    for again in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(few, again.sample(5))
        np.testing.assert_array_equal(few, again.sample(200)[:5])
    np.testing.assert_array_equal(few, model.sample(5, 0))
    for going_on in (np.random.RandomState(0), None):
        other = bridge(random_state=going_on).fit(moons[0])
        assert not np.array_equal(other.sample(5), other.sample(5))


def test_steps_of_sampling_are_changed_after_a_fit(moons):
    model = bridge().fit(moons[0])
    fine = model.set_params(second_steps=30).sample(5, 0)
    assert not np.allclose(model.set_params(second_steps=4).sample(5, 0), fine)
    with pytest.raises(ValueError, match="second_steps == 0"):
        model.set_params(second_steps=0).sample()


def test_bad_data_raise(moons):
    x = moons[0]
    with pytest.raises(NotFittedError):
        bridge().sample()
    with pytest.raises(ValueError, match="constant"):
        bridge().fit(np.ones((10, 3)))
    with pytest.raises(ValueError, match="NaN"):
        bridge().fit(np.where(x > 1, np.nan, x))
    with pytest.raises(ValueError, match="minimum of 2"):
        bridge().fit(x[:1])
    with pytest.raises(ValueError, match="too large"):
        bridge().fit(x * 1e300)
    model = bridge().fit(x)
    with pytest.raises(ValueError, match="3 features"):
        model.score_samples(np.ones((5, 3)))
    with pytest.raises(ValueError, match="NaN"):
        model.score_samples(np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match="n == 0"):
        model.sample(0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "steps == 0"),
        ({"batch_size": 0}, "batch_size == 0"),
        ({"lr": -1.0}, "lr == -1"),
        ({"lr": float("inf")}, "lr == inf"),
        ({"sigma": 0.0}, "sigma == 0"),
        ({"sigma": float("inf")}, "sigma == inf"),
        ({"tau": 16.0}, r"sigma 4 and tau 16: tau must be above sigma\^2 = 16"),
        ({"half_life": -1.0}, "half_life == -1"),
        ({"half_life": float("inf")}, "half_life == inf"),
        ({"guidance": -0.5}, "guidance == -0.5"),
        ({"first_steps": 0}, "first_steps == 0"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_bad_parameters_raise_at_fit_in_one_line(parameters, message, moons):
    with pytest.raises(ValueError, match=message) as caught:
        bridge(**parameters).fit(moons[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["lr", "sigma", "tau", "half_life", "guidance"])
def test_what_is_no_number_is_refused_by_name_before_any_work(name, moons):
    with pytest.raises(ValueError, match=f"{name} == nan"):
        bridge(**{name: math.nan}).fit(moons[0])
    with pytest.raises(TypeError, match=f"{name} must be a number, not True"):
        bridge(**{name: True}).fit(moons[0])


@pytest.mark.parametrize("name", ["steps", "batch_size", "width", "depth", "first_steps", "second_steps"])
def test_true_and_false_and_fractions_are_no_counts(name, moons):
    for value in (True, False):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, not {value}"):
            bridge(**{name: value}).fit(moons[0])
    with pytest.raises(TypeError, match=name):
        bridge(**{name: 1.5}).fit(moons[0])


def test_a_loss_that_is_not_finite_is_named_by_step_and_term(moons):
    with pytest.raises(TrainingError, match=r"step \d+: \w+ is (nan|inf)"):
        bridge(lr=1e30, steps=30).fit(moons[0])


def test_a_fit_that_is_stopped_leaves_what_it_was(moons, monkeypatch):
    model = bridge().fit(moons[0])
    before = model.sample(5, 0)

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "follow", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(10 * moons[0])
    np.testing.assert_array_equal(model.sample(5, 0), before)


def test_lives_in_pipelines_and_searches(moons):
    search = GridSearchCV(bridge(), {"lr": [1e-3, 1e-2]}, cv=2).fit(moons[0], moons[1])
    assert search.best_estimator_.sample(2).shape == (2, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert make_pipeline(StandardScaler(), bridge()).fit(*moons)[-1].sample(2).shape == (2, 2)


def test_verbose_speaks_on_stderr_only(moons, capsys):
    bridge(verbose=True).fit(moons[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "denoising" in err


# Files


def test_a_file_brings_back_the_same_model(moons, tmp_path):
    path = tmp_path / "model.safetensors"
    model = bridge(random_state=np.int64(3)).fit(*moons)
    model.save(path)
    again = BridgeSampler.load(path)
    assert again.get_params() == model.get_params()
    for mine, theirs in zip(again.sample(9, 1, return_labels=True), model.sample(9, 1, return_labels=True)):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(again.score_samples(moons[0][:9]), model.score_samples(moons[0][:9]))
    assert again.fit(moons[0]).sample(1).shape == (1, 2)


@pytest.mark.parametrize("side", [8, 16])
def test_a_file_keeps_images(side, tmp_path):
    path = tmp_path / "model.safetensors"
    model = bridge(width=8).fit(np.random.default_rng(0).random((30, 1, side, side)))
    model.save(path)
    np.testing.assert_array_equal(BridgeSampler.load(path).sample(3, 1), model.sample(3, 1))


def test_a_damaged_file_and_one_of_another_estimator_are_refused(moons, tmp_path):
    path = tmp_path / "model.safetensors"
    bridge().fit(moons[0]).save(path)
    whole = path.read_bytes()
    for content in (
        whole[:-1] + bytes([whole[-1] ^ 1]),
        whole[:-10],
        whole.replace(b'\\"tau\\": 32', b'\\"tau\\": 33'),
    ):
        assert content != whole
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"model\.safetensors"):
            BridgeSampler.load(path)
