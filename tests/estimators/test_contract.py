"""Laws of the estimators: scikit-learn's contract, equivariance, replay, seeds, and files that cannot run code."""

import doctest
import json
import math
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pushforward import FlowGenerator, LatentFlow, ParticleFlow
from pushforward.data.toys.plane import grid25
from pushforward.divergences import KL, TV, alpha
from pushforward.errors import DataError, TrainingError
from pushforward.estimators import generator as generator_module
from pushforward.estimators import particles as particles_module
from pushforward.estimators.layout import NetShape
from pushforward.metrics.known.modes import modes
from pushforward.training.checkpoint import digest_of

MINE = replace(KL, name="mine", variation=lambda d: -2 * d)  # no constant of the package: a divergence from outside


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def moons():
    return make_moons(300, noise=0.05, random_state=0)


def generator(**changes) -> FlowGenerator:
    return FlowGenerator(**{"steps": 30, "batch_size": 32, "width": 16, "depth": 2, "random_state": 0} | changes)


def flow(**changes) -> ParticleFlow:
    small = {"steps": 20, "warmup": 4, "width": 16, "depth": 2, "batch_size": 64, "random_state": 0}
    return ParticleFlow(**small | changes)


def codes(**changes) -> LatentFlow:
    return LatentFlow("pca:2", **{"steps": 5, "width": 8, "random_state": 0} | changes)


SMALL = (generator, flow)


def expected(estimator):
    if isinstance(estimator, ParticleFlow):
        return {"check_fit_score_takes_y": "the second argument is the source cloud and bears that name"}
    return {}


@parametrize_with_checks(
    [generator(steps=2, batch_size=8, width=8), flow(steps=2, width=8, critic_steps=1)], expected_failed_checks=expected
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("module", [generator_module, particles_module], ids=lambda module: module.__name__)
def test_docstring_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("make", SMALL)
def test_samples_move_with_the_units_of_the_data(make, moons):
    x, unit, shift = moons[0], np.array([3.7, 0.02]), np.array([-5.0, 100.0])
    here, there = make().fit(x), make().fit(unit * x + shift)
    np.testing.assert_allclose(there.sample(50, 1), unit * here.sample(50, 1) + shift, rtol=0, atol=2e-3 * unit.max())
    assert there.score(unit * x + shift) == pytest.approx(here.score(x), rel=1e-2)


@pytest.mark.parametrize("make", SMALL)
def test_constant_columns_come_back_as_they_are(make, moons):
    x = np.insert(moons[0], 1, 0.1, axis=1)
    model = make().fit(x)
    samples = model.sample(20, 0)
    assert (samples[:, 1] == 0.1).all()
    assert samples[:, [0, 2]].std(0).min() > 0
    assert model.score(x) == pytest.approx(-abs(model.score(x)))


@pytest.mark.parametrize("make", SMALL)
def test_seed_decides_everything_and_global_generators_are_left_alone(make, moons):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = make().fit(moons[0])
    samples = model.sample(9, 4)
    np.testing.assert_array_equal(samples, clone(model).fit(moons[0]).sample(9, 4))
    np.testing.assert_array_equal(samples, model.sample(9, np.random.RandomState(4)))
    assert (torch.get_rng_state() == torch_before).all()
    assert (np.random.get_state()[1] == numpy_before).all()
    assert not np.allclose(samples, model.sample(9, 5))
    assert not np.allclose(samples, make(random_state=1).fit(moons[0]).sample(9, 4))


@pytest.mark.parametrize(
    "make", [*SMALL, lambda **kw: LatentFlow("pca:2", steps=5, width=8, **{"random_state": 0} | kw)]
)
def test_a_draw_without_a_seed_follows_the_estimator_as_scikit_learn_has_it(make, moons):
    model = make().fit(moons[0])
    few, before = model.sample(5), np.random.get_state()[1].copy()
    for again in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(few, again.sample(5))
        np.testing.assert_array_equal(few, again.sample(10)[:5])
    assert (np.random.get_state()[1] == before).all()
    np.testing.assert_array_equal(few, model.sample(5, 0))
    assert not np.allclose(few, model.sample(5, 1))
    for going_on in (np.random.RandomState(0), None):
        other = make(random_state=going_on).fit(moons[0])
        assert not np.array_equal(other.sample(5), other.sample(5))


@pytest.mark.parametrize("make", SMALL)
def test_random_state_instance_gives_a_new_fit_each_time(make, moons):
    model = make(random_state=np.random.RandomState(0))
    assert not np.allclose(model.fit(moons[0]).sample(5, 0), model.fit(moons[0]).sample(5, 0))


@pytest.mark.parametrize("make", SMALL)
def test_samples_are_plain_float64_rows(make, moons):
    samples = make().fit(moons[0].astype(np.float32)).sample(7)
    assert isinstance(samples, np.ndarray)
    assert samples.shape == (7, 2)
    assert samples.dtype == np.float64
    assert np.isfinite(samples).all()


@pytest.mark.parametrize("make", SMALL)
def test_bad_data_raise(make, moons):
    x = moons[0]
    with pytest.raises(NotFittedError):
        make().sample()
    with pytest.raises(ValueError, match="constant"):
        make().fit(np.ones((10, 3)))
    with pytest.raises(ValueError, match="NaN"):
        make().fit(np.where(x > 1, np.nan, x))
    with pytest.raises(ValueError, match="minimum of 2"):
        make().fit(x[:1])
    with pytest.raises(ValueError, match="too large"):
        make().fit(x * 1e300)
    model = make().fit(x)
    with pytest.raises(ValueError, match="3 features"):
        model.score(np.ones((5, 3)))
    with pytest.raises(ValueError, match="n == 0"):
        model.sample(0)


@pytest.mark.parametrize("make", SMALL)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "steps == 0"),
        ({"lr": -1.0}, "lr == -1"),
        ({"penalty": -1.0}, "penalty"),
        ({"penalty": float("nan")}, "penalty == nan, must be a number"),
        ({"lr": float("inf")}, "lr == inf"),
        ({"cap": float("nan")}, "cap == nan"),
        ({"step": 0.0}, "step"),
        ({"divergence": "KLL"}, "no divergence"),
        ({"divergence": TV}, "no flow"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_bad_parameters_raise_at_fit(make, parameters, message, moons):
    model = make(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(moons[0])


NUMBERS = [
    (FlowGenerator, ("step", "lr", "radius", "cap", "penalty", "ema")),
    (ParticleFlow, ("step", "lr", "slope", "tol", "cap", "penalty", "decay")),
    (LatentFlow, ("step", "lr", "slope", "codec_lr")),
]
COUNTS = [
    (FlowGenerator, ("steps", "batch_size", "depth", "moves", "latent_dim", "width", "pool", "fits")),
    (
        ParticleFlow,
        ("steps", "batch_size", "depth", "critic_steps", "width", "n_particles", "warmup", "record", "fields"),
    ),
    (LatentFlow, ("steps", "batch_size", "width", "depth", "critic_steps", "codec_steps", "codec_width", "warmup")),
]


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, names in NUMBERS for name in names])
def test_nan_is_refused_by_name_before_any_work(model, name, moons):
    with pytest.raises(ValueError, match=f"{name} == nan"):
        model(**{name: math.nan}).fit(moons[0])


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, names in COUNTS for name in names])
def test_true_and_false_are_no_counts(model, name, moons):
    for value in (True, False):
        with pytest.raises(TypeError, match=f"{name} must be a whole number, not {value}"):
            model(**{name: value}).fit(moons[0])
    with pytest.raises(TypeError, match=name):
        model(**{name: 1.5}).fit(moons[0])


def test_an_average_that_never_moves_is_refused_and_an_endless_radius_is_none(moons):
    with pytest.raises(ValueError, match="ema == 1"):
        generator(ema=1.0).fit(moons[0])
    free = generator(moves=2, radius=math.inf).fit(moons[0]).sample(5)
    np.testing.assert_array_equal(free, generator(moves=2, radius=1e9).fit(moons[0]).sample(5))


def test_divergence_is_named_by_step_and_term(moons):
    with pytest.raises(TrainingError, match=r"step \d+: \w+ is (nan|inf)"):
        generator(lr=1e30).fit(moons[0])


@pytest.mark.parametrize("make", SMALL)
def test_lives_in_pipelines_and_searches(make, moons):
    x, y = moons
    search = GridSearchCV(make(steps=3), {"lr": [1e-3, 1e-2]}, cv=2).fit(x, y if make is generator else None)
    assert search.best_estimator_.sample(2).shape == (2, 2)
    assert search.cv_results_["mean_test_score"].max() < 0
    pipeline = make_pipeline(StandardScaler(), make(steps=3)).fit(x, y)
    assert pipeline[-1].sample(2).shape == (2, 2)


@pytest.mark.parametrize("make", SMALL)
def test_verbose_speaks_on_stderr_only(make, moons, capsys):
    make(verbose=True).fit(moons[0])
    out, err = capsys.readouterr()
    assert out == ""
    assert "critic" in err


@pytest.mark.parametrize("make", SMALL)
def test_score_prefers_the_data_to_another_cloud(make, moons):
    model = make(steps=150).fit(moons[0])
    assert 0 > model.score(moons[0]) > model.score(moons[0] + 2) + 1
    assert model.score(moons[0]) == model.score(moons[0])


# Classes


@pytest.fixture(scope="module")
def blobs():
    x, y = make_blobs([150, 50], centers=[[-10, 0], [10, 5]], random_state=0)
    return x, np.array(["left", "right"])[y]


def test_classes_are_respected_and_drawn_by_their_frequencies(blobs):
    model = generator(steps=400, lr=3e-3).fit(*blobs)
    x, y = model.sample(2000, 0, return_labels=True)
    assert ((x[:, 0] > 0) == (y == "right")).mean() > 0.99
    assert (y == "right").mean() == pytest.approx(0.25, abs=0.04)
    assert (model.sample(50, 0, y="left")[:, 0] < 0).all()
    wanted = np.tile(["left", "right"], 25)
    np.testing.assert_array_equal(model.sample(50, 0, y=wanted)[:, 0] > 0, wanted == "right")
    assert model.score(*blobs) > model.score(blobs[0], np.where(blobs[1] == "left", "right", "left")) + 1


@pytest.mark.slow
@pytest.mark.parametrize(("moves", "steps"), [(1, 5000), (5, 1000)])
def test_a_generator_of_defaults_finds_every_mode_of_the_grid(moves, steps):
    x, real = (grid25(n, np.random.default_rng(k)).double() for k, n in enumerate((20_000, 10_000)))
    model = FlowGenerator(moves=moves, steps=steps, random_state=0).fit(x.numpy())
    y = torch.from_numpy(model.sample(10_000, random_state=1))
    found = modes(y, grid25.means, grid25.sigma)
    assert found["modes_captured_20"].value == 25
    assert found["high_quality"].value > 0.9 * modes(real, grid25.means, grid25.sigma)["high_quality"].value
    assert found["mode_kl"].value < 0.02


def test_rows_in_any_order_have_their_law():
    x = torch.cat([torch.zeros(15_000, 2), torch.full((15_000, 2), 5.0)])
    shape = NetShape.choose((2,), latent=2, width=8, depth=1, classes=0, moves=1)
    start = shape.generator(x).body
    torch.testing.assert_close(start.mean, torch.full((2,), 2.5))
    torch.testing.assert_close(start.axes.T @ start.axes, torch.full((2, 2), 6.25))


def test_class_questions_without_answer_raise(blobs):
    plain, known = generator(steps=2).fit(blobs[0]), generator(steps=2).fit(*blobs)
    with pytest.raises(ValueError, match="without classes"):
        plain.sample(2, y="left")
    with pytest.raises(ValueError, match="without classes"):
        plain.sample(2, return_labels=True)
    with pytest.raises(ValueError, match="'up' is unknown: fit saw 'left', 'right'"):
        known.sample(2, y="up")
    with pytest.raises(ValueError, match="shape"):
        known.sample(3, y=["left", "left"])
    with pytest.raises(ValueError, match="Unknown label type"):
        generator(steps=2).fit(blobs[0], blobs[0][:, 0])
    assert known.fit(blobs[0]).classes_ is None


# Images


@pytest.mark.parametrize("event", [(8, 8), (1, 4, 4), (3, 8, 8)], ids=str)
def test_images_keep_their_shape_and_their_range(event):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (40, *event)), rng.integers(3, size=40)
    model = generator(steps=3, width=4).fit(x, y)
    images = model.sample(6, 0)
    assert images.shape == (6, *event)
    assert images.min() >= 0
    assert images.max() <= 16
    assert model.score(x, y) < 0
    with pytest.raises(ValueError, match="but fit saw"):
        model.score(np.zeros((2, *event, 2)).reshape(2, event[0], -1))


@pytest.mark.parametrize("event", [(6, 6), (4, 8), (5, 8, 8), (2, 2, 2, 2)], ids=str)
def test_other_arrays_raise_with_a_remedy(event):
    with pytest.raises(ValueError, match="flatten them to vectors"):
        generator().fit(np.random.default_rng(0).random((10, *event)))


def test_many_moves_and_fits_are_a_model_too(moons):
    assert generator(steps=5, moves=3, fits=2, divergence="JS").fit(moons[0]).sample(3).shape == (3, 2)
    assert generator(steps=5, moves=3, pool=2, radius=0.1).fit(*moons).sample(3, y=1).shape == (3, 2)
    for name, value in (("pool", 0), ("fits", 0), ("radius", 0.0), ("radius", -1.0)):
        with pytest.raises(ValueError, match=name):
            generator(steps=5, moves=3, **{name: value}).fit(moons[0])


def test_one_move_has_neither_pool_nor_radius_unless_asked(moons):
    plain, told = (generator(steps=5, random_state=0, **given).fit(moons[0]).sample(4, random_state=0)
                   for given in ({}, {"pool": 1, "fits": 1, "radius": 1e9}))  # fmt: skip
    np.testing.assert_array_equal(plain, told)


# Particles


@pytest.mark.parametrize("scheme", ["euler", "heun", "rk4"])
def test_transport_carries_the_source_to_the_particles(scheme, moons):
    rng = np.random.default_rng(0)
    source = rng.normal(size=(80, 2)) * 3 + 5
    model = flow(scheme=scheme).fit(moons[0], source)
    assert model.particles_.shape == source.shape
    np.testing.assert_allclose(model.transport(source), model.particles_, atol=1e-4)
    before = model.transport(source)
    model.set_params(step=9.0, scheme="euler", divergence="JS", width=3)
    np.testing.assert_array_equal(model.transport(source), before)


def test_particles_arrive_at_a_shifted_gaussian():
    rng = np.random.default_rng(0)
    target, source = rng.normal((4.0, -1.0), 1.0, (500, 2)), rng.normal(size=(300, 2))
    model = ParticleFlow(steps=100, width=32, batch_size=200, random_state=0).fit(target, source)
    np.testing.assert_allclose(model.particles_.mean(0), [4.0, -1.0], atol=0.25)
    np.testing.assert_allclose(model.particles_.std(0), 1.0, atol=0.25)


def test_few_data_do_not_burst_the_cloud():
    target = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    model = flow(steps=150, n_particles=50).fit(target)
    assert np.abs(model.particles_).max() < 3
    assert np.abs(model.sample(50, 0)).max() < 3


def test_samples_after_a_fit_with_a_source_are_particles(moons):
    model = flow().fit(moons[0], moons[0][:40] + 1)
    rows = {tuple(row) for row in model.particles_}
    assert {tuple(row) for row in model.sample(40, 0)} == rows
    assert {tuple(row) for row in model.sample(100, 0)} <= rows


def test_labels_in_place_of_a_source_are_ignored(moons):
    np.testing.assert_array_equal(flow().fit(*moons).particles_, flow().fit(moons[0]).particles_)


def test_number_of_particles(moons):
    assert flow(steps=1).fit(moons[0]).particles_.shape == (300, 2)
    assert flow(steps=1, n_particles=17).fit(moons[0]).particles_.shape == (17, 2)
    assert flow(steps=1).fit(np.tile(moons[0], (7, 1))).particles_.shape == (2000, 2)


def test_source_with_other_columns_raises(moons):
    with pytest.raises(ValueError, match="3 features"):
        flow().fit(moons[0], np.ones((5, 3)))
    with pytest.raises(ValueError, match="scheme 'leapfrog'"):
        flow(scheme="leapfrog").fit(moons[0])


# Files


@pytest.mark.parametrize("make", SMALL)
def test_a_file_brings_back_the_same_model(make, moons, tmp_path):
    path = tmp_path / "model.safetensors"
    model = make(divergence=alpha(1.5), random_state=np.int64(3)).fit(moons[0])
    model.save(path)
    again = type(model).load(path)
    assert again.get_params() == model.get_params() | {"divergence": "alpha(1.5)"}
    np.testing.assert_array_equal(again.sample(9, 1), model.sample(9, 1))
    assert again.score(moons[0]) == model.score(moons[0])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert again.fit(moons[0]).sample(1).shape == (1, 2)


@pytest.mark.parametrize("make", SMALL)
def test_a_file_keeps_names_of_columns(make, moons, tmp_path):
    frame = pytest.importorskip("pandas").DataFrame(moons[0], columns=["width", "height"])
    model = make(steps=2).fit(frame)
    model.save(tmp_path / "model.safetensors")
    again = type(model).load(tmp_path / "model.safetensors")
    assert again.score(frame) == model.score(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        again.score(frame.rename(columns={"width": "depth"}))


def test_a_file_keeps_classes_and_images(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "model.safetensors"
    model = generator(steps=3, width=4).fit(rng.random((30, 1, 8, 8)), np.repeat(["a", "b"], 15))
    model.save(path)
    again = FlowGenerator.load(path)
    for mine, theirs in zip(again.sample(9, 1, return_labels=True), model.sample(9, 1, return_labels=True)):
        np.testing.assert_array_equal(mine, theirs)


def test_a_file_keeps_recorded_fields(moons, tmp_path):
    path = tmp_path / "model.safetensors"
    model = flow(scheme="heun").fit(moons[0], moons[0] + 3)
    model.set_params(step=7.0, scheme="rk4").save(path)
    again = ParticleFlow.load(path)
    np.testing.assert_array_equal(again.transport(moons[0]), model.transport(moons[0]))
    np.testing.assert_array_equal(again.particles_, model.particles_)


@pytest.mark.parametrize("make", SMALL)
def test_damaged_files_raise(make, moons, tmp_path):
    path = tmp_path / "model.safetensors"
    model = make(steps=2).fit(moons[0])
    model.save(path)
    whole = path.read_bytes()
    damaged = {
        "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "a parameter": whole.replace(b'\\"cap\\": 100', b'\\"cap\\": 900'),
        "truncated": whole[:-10],
        "empty": b"",
        "pickle": pickle.dumps([1, 2, 3]),
    }
    for content in damaged.values():
        assert content != whole
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"model\.safetensors"):
            type(model).load(path)
    with pytest.raises(DataError):
        type(model).load(tmp_path / "missing.safetensors")
    path.write_bytes(whole)
    with pytest.raises(DataError, match=f"holds a {type(model).__name__}"):
        (FlowGenerator if make is flow else ParticleFlow).load(path)


def rewritten(path, **params):
    """Change parameters in a file and forge its digest."""
    with safe_open(path, "pt") as file:
        header = dict(file.metadata())
    run, tensors = json.loads(header["run"]), load_file(path)
    run["params"] |= params
    header = {"run": json.dumps(run), "resume": header["resume"]}
    save_file(tensors, path, header | {"digest": digest_of(tensors, header)})


@pytest.mark.parametrize("make", SMALL)
def test_no_file_makes_us_import_code(make, moons, tmp_path):
    path = tmp_path / "model.safetensors"
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n")
    make(steps=2).fit(moons[0]).save(path)
    rewritten(path, divergence="evil:KL")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(DataError, match="lives outside this package"):
            ParticleFlow.load(path) if make is flow else FlowGenerator.load(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert "evil" not in sys.modules
    rewritten(path, divergence="KL", spell="abracadabra")
    with pytest.raises(DataError, match="no parameter 'spell'"):
        ParticleFlow.load(path) if make is flow else FlowGenerator.load(path)


@pytest.mark.parametrize("make", SMALL)
def test_a_divergence_from_outside_is_given_at_loading(make, moons, tmp_path):
    path = tmp_path / "model.safetensors"
    model = make(steps=2, divergence=MINE).fit(moons[0])
    model.save(path)
    with pytest.raises(DataError, match="outside:mine"):
        type(model).load(path)
    again = type(model).load(path, divergence=MINE)
    assert again.divergence is MINE
    np.testing.assert_array_equal(again.sample(4, 0), model.sample(4, 0))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (KL, "KL"),
        (clone(generator(divergence=KL)).divergence, "KL"),
        ("linear", "linear"),
        (alpha(1.5), "alpha(1.5)"),
        (alpha(1 / 3), "alpha(0.3333333333333333)"),  # fewer digits would name another divergence
    ],
    ids=str,
)
def test_divergences_of_the_package_are_stored_by_name(given, stored, moons, tmp_path):
    path = tmp_path / "model.safetensors"
    generator(steps=1, divergence=given).fit(moons[0]).save(path)
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["run"])["params"]["divergence"] == stored


@pytest.mark.parametrize("make", SMALL)
def test_fitted_models_survive_pickle_and_clone_forgets(make, moons):
    model = make(steps=2).fit(moons[0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).sample(3, 0), model.sample(3, 0))
    with pytest.raises(NotFittedError):
        clone(model).sample()
