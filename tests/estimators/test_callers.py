"""Estimators and runs do what they do wherever they are called: without gradients, under another default type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import evaluate
from pushforward.commands.training import train
from pushforward.data.source import load
from pushforward.data.units import pooled
from pushforward.errors import DataError
from pushforward.estimators import BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, LatentFlow, ParticleFlow
from pushforward.options import defaults
from pushforward.settings.running import Running
from pushforward.training import checkpoint

X = np.random.default_rng(0).normal(size=(80, 3))


@contextmanager
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


CALLERS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "no_grad": torch.no_grad, "inference_mode": torch.inference_mode, "float64": double,
}  # fmt: skip
ESTIMATORS = {
    "particles": lambda: ParticleFlow(steps=3, n_particles=30, warmup=1, random_state=0),
    "generator": lambda: FlowGenerator(steps=3, width=8, random_state=0),
    "latent": lambda: LatentFlow("pca:2", steps=3, warmup=1, random_state=0),
    "bridge": lambda: BridgeSampler(steps=3, batch_size=16, width=8, random_state=0),
    "autoencoder": lambda: FlowVAE(steps=3, batch_size=16, width=8, random_state=0),
    "density": lambda: FlowDensityEstimator(steps=3, batch_size=16, width=8, random_state=0),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_learns_and_answers_the_same_bit_for_bit(name, caller):
    make = ESTIMATORS[name]

    def answers() -> list[np.ndarray]:
        found = make().fit(X)
        drawn = [np.asarray(found.sample(5, random_state=1)), np.asarray(found.score(X))]
        if name == "bridge":
            return [*drawn, found.restore(X[:5], [True, False, False], steps=3)]
        if name == "autoencoder":
            return [*drawn, found.encode(X), found.reconstruct(X), np.asarray(found.account(X).information)]
        return drawn if name in ("generator", "density") else [*drawn, np.asarray(found.transport(X))]

    outside = answers()
    with CALLERS[caller]():
        inside = answers()
    for a, b in zip(outside, inside, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("recipe", ["toy_particles", "toy_vgrow"])
def test_a_run_is_the_same_bit_for_bit(recipe, caller, tmp_path):
    small = {"data": "toy:moons", "limit": 120, "steps": 2, "batch": 20, "width": 8}
    small |= {"particles": 20, "warmup": 1} if recipe == "toy_particles" else {}

    def weights(folder: Path) -> dict[str, torch.Tensor]:
        train(recipe, defaults(recipe) | small, folder, Running(threads=1))
        return checkpoint.load(folder / "checkpoints" / "last").weights

    outside = weights(tmp_path / "outside")
    with CALLERS[caller]():
        inside = weights(tmp_path / "inside")
    assert outside.keys() == inside.keys()
    assert all(torch.equal(outside[name], inside[name]) for name in outside)


@pytest.mark.parametrize("caller", CALLERS)
def test_an_evaluation_is_the_same(caller):
    y = X[:40] + 1
    outside = evaluate(X[40:], y, permutations=19).as_dict()
    with CALLERS[caller]():
        assert evaluate(X[40:], y, permutations=19).as_dict() == outside


@pytest.mark.parametrize("size", [1e-170, 1e-300, 1e170, 1e300])
def test_values_whose_squares_are_no_numbers_are_refused_before_the_work_in_one_line(size, tmp_path):
    np.save(tmp_path / "x.npy", X * size)
    with pytest.raises(DataError, match=r"column '0'.*(too little|too large).* to standardise.*rescale it"):
        load(str(tmp_path / "x.npy"))
    with pytest.raises(ValueError, match=r"column 0 .*to standardise.*rescale"):
        ParticleFlow(steps=1).fit(X * size)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_values_whose_squares_are_numbers_are_learned_as_those_of_size_one(size):
    one, other = pooled(X), pooled(X * size)
    torch.testing.assert_close(one.encode(X), other.encode(X * size))
    np.testing.assert_allclose(other.decode(other.encode(X * size)), X * size, rtol=1e-5, atol=1e-6 * size)
