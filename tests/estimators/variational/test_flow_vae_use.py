"""How `FlowVAE` is used: seeds, parameters that are looked at before any work, frames, searches, and files."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pushforward import FlowVAE
from pushforward.errors import DataError, TrainingError
from pushforward.estimators.variational import vae as module

X = make_moons(100, noise=0.05, random_state=0)[0]
IMAGES = np.random.default_rng(0).integers(0, 5, (30, 10, 10))


def small(**changes) -> FlowVAE:
    given = {"steps": 5, "batch_size": 32, "width": 16, "depth": 1, "prior": "normal", "likelihood_draws": 8}
    return FlowVAE(**given | {"components": 4, "random_state": 0} | changes)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_seed_decides_everything_and_global_generators_are_left_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = small(prior="mixture").fit(X)
    drawn, score = model.sample(9, 4), model.score(X)
    again = clone(model).fit(X)
    np.testing.assert_array_equal(drawn, again.sample(9, 4))
    np.testing.assert_array_equal(drawn, model.sample(9, np.random.RandomState(4)))
    assert again.score(X) == score
    assert (torch.get_rng_state() == torch_before).all()
    assert (np.random.get_state()[1] == numpy_before).all()
    assert not np.allclose(drawn, model.sample(9, 5))
    assert not np.allclose(drawn, small(prior="mixture", random_state=1).fit(X).sample(9, 4))


def test_labels_are_not_looked_at():
    assert small().fit(X, np.arange(100)).score(X, None) == small().fit(X).score(X, np.zeros(100))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"code": 0}, "code == 0"),
        ({"code": 5000}, "code 5000: give at most 4096"),
        ({"levels": 1}, "levels == 1"),
        ({"levels": 10**6}, "levels 1000000: give at most 16384"),
        ({"steps": 0}, "steps == 0"),
        ({"batch_size": 0}, "batch_size == 0"),
        ({"components": 0}, "components == 0"),
        ({"draws": 0}, "draws == 0"),
        ({"likelihood_draws": 0}, "likelihood_draws == 0"),
        ({"warmup": -1}, "warmup == -1"),
        ({"depth": -1}, "depth == -1"),
        ({"lr": -1.0}, "lr == -1"),
        ({"beta": -1.0}, "beta == -1"),
        ({"free": math.inf}, "free == inf"),
        ({"half_life": math.nan}, "half_life == nan"),
        ({"prior": "gauss"}, "prior 'gauss': use 'normal', 'mixture', 'vamp', 'maf', 'nsf', 'realnvp'"),
        ({"posterior": "full"}, "posterior 'full': use 'diagonal', 'maf'"),
        ({"likelihood": "bernouli"}, "likelihood 'bernouli': use 'auto', 'normal', 'bernoulli'"),
        ({"likelihood": "bernoulli"}, "likelihood 'bernoulli': X is a table"),
        ({"bound": "iwae"}, "bound 'iwae': use 'elbo', 'importance', 'doubly'"),
        ({"bound": "doubly", "posterior": "maf"}, "bound 'doubly' with posterior 'maf': use bound 'importance'"),
        ({"bound": "importance", "beta": 0.5}, "beta 0.5, free 0, warmup 0 are of the elbo: use bound 'elbo'"),
        ({"bound": "importance", "warmup": 7}, "warmup 7 are of the elbo"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_bad_parameters_raise_at_fit_in_one_line_before_any_work(parameters, message, monkeypatch):
    monkeypatch.setattr(module, "follow", lambda *given: pytest.fail("it learned"))
    with pytest.raises(ValueError, match=message) as caught:
        small(**parameters).fit(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["steps", "code", "components", "draws", "likelihood_draws", "depth", "warmup"])
def test_truth_values_and_fractions_are_no_counts(name):
    for value in (True, 1.5):
        with pytest.raises(TypeError, match=name):
            small(**{name: value}).fit(X)


def test_bad_data_raise():
    with pytest.raises(NotFittedError):
        small().sample()
    with pytest.raises(ValueError, match="constant"):
        small().fit(np.ones((10, 3)))
    with pytest.raises(ValueError, match="NaN"):
        small().fit(np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match="minimum of 2"):
        small().fit(X[:1])
    for event in ((4, 8), (5, 8, 8), (2, 2, 2, 2)):
        with pytest.raises(ValueError, match="flatten them to vectors"):
            small().fit(np.zeros((10, *event)))
    model = small().fit(X)
    for ask in (model.score_samples, model.encode, model.reconstruct, model.account):
        with pytest.raises(ValueError, match="3 features"):
            ask(np.ones((5, 3)))
    with pytest.raises(ValueError, match="n == 0"):
        model.sample(0)
    with pytest.raises(ValueError, match="1 rows"):
        model.account(X[:1])
    with pytest.raises(ValueError, match="likelihood_draws == 0"):
        model.set_params(likelihood_draws=0).score(X)


def test_pixels_off_the_levels_have_no_probability_and_have_a_code():
    model = small(code=2).fit(IMAGES)
    for ask in (model.score_samples, model.account):
        for images, value in ((IMAGES[:3] + 0.5, "0.5|1.5|2.5|3.5|4.5"), (IMAGES[:3] + 5, "[5-9]")):
            with pytest.raises(DataError, match=rf"such as ({value}), are on none of the 5 levels from 0 to 4"):
                ask(images)
    assert model.encode(IMAGES[:3] + 0.5).shape == (3, 2)


def test_a_loss_that_is_not_finite_is_named_by_step_and_term():
    with pytest.raises(TrainingError, match=r"step \d+: \w+ is (nan|-?inf)"):
        small(lr=1e30, steps=30).fit(X)


def test_a_fit_that_is_stopped_leaves_what_it_was(monkeypatch):
    model = small().fit(X)
    before = model.sample(5, 0)

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "follow", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(10 * X)
    np.testing.assert_array_equal(model.sample(5, 0), before)


@pytest.mark.parametrize("bound", ["importance", "doubly"])
def test_bounds_of_several_codes_learn_too(bound):
    model = small(bound=bound, draws=4, steps=200, lr=5e-3).fit(X)
    assert model.score(X) > small(steps=1).fit(X).score(X) + 0.15


def test_lives_in_pipelines_and_searches():
    search = GridSearchCV(small(), {"code": [1, 2]}, cv=2).fit(X)
    assert search.best_estimator_.sample(2).shape == (2, 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert make_pipeline(StandardScaler(), small()).fit(X)[-1].sample(2).shape == (2, 2)


def test_verbose_speaks_on_stderr_only(capsys):
    small(verbose=True).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    assert "elbo" in err


def test_frames_come_back_with_columns_and_what_is_decoded_has_fractions():
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame({"a": X[:, 0], "n": np.arange(100)}, index=[f"r{k}" for k in range(100)])
    model = small().fit(x)
    assert model.sample(3).dtypes.to_dict() == x.dtypes.to_dict()
    got, codes = model.reconstruct(x[:5]), model.encode(x[:5])
    assert list(got.index) == list(x.index[:5])
    assert list(got.columns) == ["a", "n"]
    np.testing.assert_array_equal(model.decode(codes).to_numpy(), got.to_numpy())
    assert (got["n"] % 1 != 0).any()


# Files


@pytest.mark.parametrize("prior", ["normal", "mixture", "vamp", "maf", "nsf", "realnvp"])
def test_a_file_brings_back_the_same_model(prior, tmp_path):
    path = tmp_path / "model.safetensors"
    model = small(prior=prior, posterior="realnvp", random_state=np.int64(3)).fit(X)
    model.save(path)
    for again in (FlowVAE.load(path), pickle.loads(pickle.dumps(model))):
        assert again.get_params() == model.get_params()
        assert again.notes_ == model.notes_
        np.testing.assert_array_equal(again.sample(9, 1), model.sample(9, 1))
        np.testing.assert_array_equal(again.score_samples(X[:9]), model.score_samples(X[:9]))
        np.testing.assert_array_equal(again.encode(X[:9]), model.encode(X[:9]))
    assert FlowVAE.load(path).fit(X).sample(1).shape == (1, 2)


@pytest.mark.parametrize("likelihood", ["auto", "mixture", "categorical", "normal"])
def test_a_file_keeps_images_and_their_levels(likelihood, tmp_path):
    path = tmp_path / "model.safetensors"
    model = small(likelihood=likelihood, code=2, prior="vamp").fit(IMAGES)
    model.save(path)
    again = FlowVAE.load(path)
    np.testing.assert_array_equal(again.sample(3, 1), model.sample(3, 1))
    np.testing.assert_array_equal(again.score_samples(IMAGES[:3]), model.score_samples(IMAGES[:3]))


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    small().fit(X).save(path)
    whole = path.read_bytes()
    for content in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-10]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"model\.safetensors"):
            FlowVAE.load(path)
