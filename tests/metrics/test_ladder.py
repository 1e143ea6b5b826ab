"""Damage of growing harm to real digits scores in that order, and copies are seen by the checks meant for them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

from pushforward.metrics import digits8, evaluate
from pushforward.metrics.suite import PARTS

ORDER = ["train", "noise .1", "two classes gone", "noise .3", "Gaussian fit", "shift", "blur", "one class", "uniform"]


@pytest.fixture(scope="module")
def split():
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    images = (pixels[order] / 8 - 1).reshape(-1, 8, 8)
    return images[:1200], labels[order][:1200], images[1200:]


def rungs(train, labels):
    """Nine samples, from the training images themselves to noise."""
    rng = np.random.default_rng(1)
    flat = train.reshape(len(train), -1)
    fitted = rng.multivariate_normal(flat.mean(0), np.cov(flat.T), len(train)).reshape(train.shape)
    return {
        "train": train,
        "noise .1": train + 2 * 0.1 * rng.normal(size=train.shape),  # noise as a share of the pixels' range, 2
        "two classes gone": train[labels < 8],
        "noise .3": train + 2 * 0.3 * rng.normal(size=train.shape),
        "Gaussian fit": fitted,
        "shift": np.roll(train, 1, axis=2),
        "blur": np.stack([gaussian_filter(x, 1.0) for x in train]),
        "one class": train[labels == 1],
        "uniform": rng.uniform(-1, 1, train.shape),
    }


def tensor(x):
    return torch.from_numpy(x.clip(-1, 1)).float()[:, None]


def test_the_ladder_of_damage_keeps_its_order(split):
    train, labels, real = split
    samples = rungs(train, labels)
    assert list(samples) == ORDER
    parts = [PARTS["fd"], PARTS["kid"], PARTS["manifold"]]
    found = {name: evaluate(tensor(x), tensor(real), metrics=parts) for name, x in samples.items()}
    space = digits8().id
    distances = [found[name][f"FD@{space}"].value for name in ORDER]
    coverages = [found[name][f"coverage@{space}"].value for name in ORDER]
    kernels = [found[name][f"kid@{space}"].value for name in ORDER]
    assert spearmanr(distances, range(9)).statistic > 0.9
    assert spearmanr(kernels, range(9)).statistic > 0.9
    assert spearmanr(coverages, range(9)).statistic < -0.9


def test_copies_are_flagged_by_memorisation_while_the_kernel_test_passes_them(split):
    train, _, real = split
    parts = [PARTS["mmd"], PARTS["memorisation"]]
    found = evaluate(tensor(train[:600]), tensor(real), train=tensor(train), metrics=parts)
    space = digits8().id
    assert found[f"mmd@{space}"].p > 0.05
    assert found[f"copying@{space}"].value < -10
    assert found[f"authenticity@{space}"].value < 0.05
    assert found.warnings
    honest = evaluate(tensor(real[:300]), tensor(real[300:]), train=tensor(train), metrics=parts)
    assert honest[f"copying@{space}"].value > -4
    assert honest.warnings == ()
