"""`LatentFlow`: scikit-learn's contract, equivariance, replay, seeds, safe files, and an honest account."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.decomposition import PCA as ReferencePCA  # noqa: N811
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from pushforward import LatentFlow
from pushforward.codecs import PCA
from pushforward.divergences import KL_LIP
from pushforward.errors import DataError
from pushforward.estimators import latent as module
from pushforward.methods.particles import tape

RNG = np.random.default_rng(0)
PLANE = np.linalg.qr(RNG.standard_normal((6, 2)))[0] * np.array([3.0, 1.5])
TARGET = (RNG.standard_normal((150, 2)) + np.array([2.0, 0.0])) @ PLANE.T + 0.05 * RNG.standard_normal((150, 6))
SOURCE = (RNG.standard_normal((80, 2)) - np.array([1.0, 1.0])) @ PLANE.T + 0.05 * RNG.standard_normal((80, 6))
KINDS = pytest.mark.parametrize("codec", ["pca:2", "autoencoder:2"])


def flow(codec: str = "pca:2", **changes) -> LatentFlow:
    small = {"steps": 8, "warmup": 2, "critic_steps": 2, "width": 8, "depth": 2, "codec_steps": 30, "codec_width": 16}
    return LatentFlow(codec, **(small | {"random_state": 0} | changes))


def expected(estimator):
    return {"check_fit_score_takes_y": "the second argument is the source cloud and bears that name"}


@parametrize_with_checks([flow("pca:1", steps=2, critic_steps=1)], expected_failed_checks=expected)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_docstring_example():
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@KINDS
def test_the_source_arrives_at_the_particles_and_units_do_not_matter(codec):
    model = flow(codec).fit(TARGET, SOURCE)
    np.testing.assert_allclose(model.transport(SOURCE), model.particles_, atol=1e-4)
    assert model.particles_.shape == (80, 6)
    assert model.codes_.shape == (80, 2)
    unit, shift = np.array([1.0, 100.0, 1e-3, 5.0, 0.2, 7.0]), np.arange(6.0)
    scaled = flow(codec).fit(unit * TARGET + shift, unit * SOURCE + shift)
    np.testing.assert_allclose((scaled.particles_ - shift) / unit, model.particles_, atol=2e-3)


@KINDS
def test_seed_decides_everything_and_global_generators_are_left_alone(codec):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    model = flow(codec).fit(TARGET)
    samples = model.sample(9, 4)
    np.testing.assert_array_equal(samples, clone(model).fit(TARGET).sample(9, 4))
    assert (torch.get_rng_state() == torch_before).all()
    assert (np.random.get_state()[1] == numpy_before).all()
    assert samples.dtype == np.float64
    assert not np.allclose(samples, model.sample(9, 5))
    assert not np.allclose(samples, flow(codec, random_state=1).fit(TARGET).sample(9, 4))


def test_a_flow_of_codes_is_a_flow_on_the_plane_of_the_codec():
    model = flow("pca:2").fit(TARGET, SOURCE)
    standard = (np.concatenate([TARGET, SOURCE]) - model.unit_.shift) / model.unit_.scale
    plane = ReferencePCA(2).fit(standard)
    moved = (model.particles_ - model.unit_.shift) / model.unit_.scale
    np.testing.assert_allclose(plane.inverse_transform(plane.transform(moved)), moved, atol=1e-4)


def test_particles_come_as_near_to_the_target_as_one_half_of_it_to_the_other():
    model = flow("pca:2", steps=80, critic_steps=3, warmup=20, width=32).fit(TARGET, SOURCE)
    still = {"steps": 1, "step": 1e-9, "warmup": 0}
    floor = flow(**still).fit(TARGET[:80], TARGET[80:])
    assert flow(**still).fit(TARGET, SOURCE).score(TARGET) < 4 * floor.score(TARGET[:80])
    assert model.score(TARGET) > 1.5 * floor.score(TARGET[:80])
    account = model.report(TARGET, rows=40)
    assert account.bound < 1.5 * floor.report(TARGET[:80], rows=40).bound
    assert account.holds
    assert account.exact
    assert account.decoded == pytest.approx(account.bound, abs=0.2)  # standard units are no isometry of the codes
    assert "PCA of 230 rows" in str(account)


@KINDS
@pytest.mark.parametrize("source", [None, SOURCE], ids=["noise", "source"])
def test_files_bring_back_everything(codec, source, tmp_path):
    model = flow(codec).fit(TARGET, source)
    path = tmp_path / "flow.safetensors"
    model.save(path)
    again = LatentFlow.load(path)
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.particles_, model.particles_)
    np.testing.assert_array_equal(again.transport(SOURCE), model.transport(SOURCE))
    np.testing.assert_array_equal(again.sample(5, 3), model.sample(5, 3))
    assert again.score(TARGET) == model.score(TARGET)
    assert again.method_.codec.budget == model.method_.codec.budget
    tensors = load_file(path)
    tensors["method.particles"] += 1
    save_file(tensors, path)
    with pytest.raises(DataError, match="digest"):
        LatentFlow.load(path)


def test_a_codec_of_ones_own_is_used_as_it_is_and_cannot_be_saved(tmp_path):
    standard = (TARGET - TARGET.mean(0)) / TARGET.std(0)
    codec = PCA.fit(torch.from_numpy(standard).float(), 3)
    model = flow(codec).fit(TARGET)
    assert model.codes_.shape[1] == 3
    with pytest.raises(DataError, match="can be saved"):
        model.save(tmp_path / "flow.safetensors")


def test_a_divergence_from_outside_is_asked_for(tmp_path):
    model = flow(divergence=replace(KL_LIP, name="mine", variation=lambda d: -2 * d)).fit(TARGET)
    model.save(tmp_path / "flow.safetensors")
    with pytest.raises(DataError, match=r"load\(path, divergence"):
        LatentFlow.load(tmp_path / "flow.safetensors")


def test_constant_columns_come_back_as_they_are():
    x = np.insert(TARGET, 1, 0.1, axis=1)
    samples = flow().fit(x).sample(20, 0)
    assert (samples[:, 1] == 0.1).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"codec": "pca:9"}, "9 numbers"), ({"codec": "ica:2"}, "ica:2"), ({"steps": 0}, "steps == 0"),
     ({"slope": 0.0}, "slope"), ({"width": 7}, "even"), ({"divergence": "KLL"}, "no divergence")],
)  # fmt: skip
def test_parameters_that_cannot_be_used_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        flow(**parameters).fit(TARGET)
    with pytest.raises(NotFittedError):
        flow(**parameters).sample()


@KINDS
def test_what_is_to_be_known_of_the_recorded_fields_is_among_the_notes(codec, monkeypatch):
    assert flow(codec, steps=4).fit(TARGET).notes_ == ()
    monkeypatch.setattr(tape, "BYTES", 300)
    fewest, shared = flow(codec, steps=4).fit(TARGET).notes_
    assert fewest.startswith("two recorded fields are kept in any case")
    assert shared.startswith("step 3: 2 recorded fields are kept")
