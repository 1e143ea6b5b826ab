"""What recipes of variational autoencoders say of data: levels, black and white, rounded columns, unfit nets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward.errors import DataError, UsageError
from pushforward.methods.latent.vae import VAE
from pushforward.recipes.variational import vae_images, vae_mnist, vae_toy

SMALL = {"steps": 2, "batch": 16, "width": 16, "code": 2}


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Images of all levels, of four, in [0, 1], and of 12 x 12 pixels."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("grey") / "x.npz"
    levels = rng.integers(0, 256, (60, 8, 8)).astype(np.uint8)
    large = np.kron(levels[:, :6, :6], np.ones((1, 2, 2), np.uint8))
    np.savez(path, grey=levels, few=rng.integers(0, 5, (60, 8, 8)), shares=rng.uniform(size=(60, 8, 8)), large=large)
    return path


def test_a_likelihood_of_black_and_white_is_that_of_one_drawing_of_grey_rows_and_is_the_same_again(grey):
    experiment = vae_mnist(data=f"{grey}:grey", binarise="dynamic", prior="normal", **SMALL)
    method = experiment.method
    assert isinstance(method, VAE)
    x = experiment.data.train
    assert len(x.unique()) > 100
    found = method.log_prob(x)
    assert bool(found.isfinite().all())
    torch.testing.assert_close(method.log_prob(x[5:8]), found[5:8], rtol=1e-5, atol=1e-5)
    test = experiment.data.test
    assert test.unique().tolist() == [-1, 1]  # drawn once, and not again
    once = VAE(method.model, method.rng)
    torch.testing.assert_close(once.log_prob(test), method.log_prob(test), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "options", "error", "message"),
    [
        (vae_images, {"key": "shares", "likelihood": "logistic"}, DataError, "on none of 256 levels spread evenly"),
        (vae_images, {"key": "few", "levels": 5}, DataError, "give --levels N that has them"),
        (vae_images, {"key": "grey", "likelihood": "bernoulli"}, UsageError, "use logistic, --levels 2, or vae_mnist"),
        (vae_images, {"key": "grey", "bound": "doubly", "posterior": "maf"}, UsageError, "use --bound importance, or"),
        (vae_toy, {"net": "convolutional"}, UsageError, "--net convolutional: .* holds points; use dense"),
    ],
)
def test_what_does_not_suit_the_data_is_refused_by_the_names_of_options(recipe, options, error, message, grey):
    key = options.pop("key", None)
    data = {} if key is None else {"data": f"{grey}:{key}"}
    with pytest.raises(error, match=message):
        recipe(**data, **SMALL, **options)


def test_images_that_are_resized_and_levels_that_are_dark_are_told(grey):
    notes = vae_images(data=f"{grey}:large", likelihood="normal", net="dense", **SMALL).data.notes
    assert "images of 12 x 12 pixels are resized to 8 x 8, with antialiasing" in notes
    notes = vae_images(data=f"{grey}:few", likelihood="normal", net="dense", **SMALL).data.notes
    assert notes == ("whole numbers up to 4 are taken for levels of 255: multiply them if 4 is white",)
    assert vae_images(data=f"{grey}:grey", net="dense", **SMALL).data.notes == ()


def test_rounded_columns_are_told_to_have_no_density(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=np.stack([rng.normal(size=200), rng.poisson(2, 200)], 1))
    notes = vae_toy(data=str(tmp_path / "x.npz"), **SMALL).data.notes
    assert any("have no density: likelihoods grow without bound" in note and "(1 by 1)" in note for note in notes)
    assert not any("density" in note for note in vae_toy(**SMALL).data.notes)
