"""Fréchet and kernel distances against torchmetrics, with one network of our own as the extractor."""

import pytest
import torch
from torch import nn

from pushforward.metrics.core.features import of_module
from pushforward.metrics.quality.frechet import frechet, frechet_distance, frechet_rows, moments
from pushforward.metrics.quality.kid import CUBIC, kid, kid_subsets, polynomial_mmd

pytest.importorskip("torchmetrics")

from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

pytestmark = pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all")


class Extractor(nn.Module):
    """A small convolution net in double precision."""

    num_features = 24

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.net = nn.Sequential(
                nn.Conv2d(1, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, 24)
            ).double()

    def forward(self, x):
        return self.net(x.double())


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    real = torch.rand(400, 1, 14, 14, generator=generator)
    return torch.rand(300, 1, 14, 14, generator=generator).square(), real


@pytest.fixture(scope="module")
def space():
    return of_module("extractor", Extractor().eval(), 24)


def test_frechet_distance_is_the_same_number(images, space):
    fake, real = images
    theirs = FrechetInceptionDistance(feature=Extractor(), normalize=True, input_img_size=(1, 14, 14))
    theirs.set_dtype(torch.float64)
    for part in fake.split(70):
        theirs.update(part, real=False)
    for part in real.split(90):
        theirs.update(part, real=True)
    wanted = float(theirs.compute())
    assert frechet_distance(fake, real, space).value == pytest.approx(wanted, abs=1e-8, rel=1e-6)
    assert frechet(moments(space.stream(fake, 50)), moments(space(real))) == pytest.approx(wanted, abs=1e-8, rel=1e-6)
    assert frechet_rows(space(fake), space(real)) == pytest.approx(wanted, abs=1e-8, rel=1e-6)
    assert wanted > 1e-3


def test_kernel_distance_of_one_full_subset_is_the_same_number(images, space):
    fake, real = images[0], images[1][:300]
    theirs = KernelInceptionDistance(feature=Extractor(), normalize=True, subsets=1, subset_size=300)
    theirs.set_dtype(torch.float64)
    theirs.update(fake, real=False)
    theirs.update(real, real=True)
    mean, spread = (float(value) for value in theirs.compute())
    assert kid_subsets(fake, real, space, subsets=1, size=300).value == pytest.approx(mean, abs=1e-12, rel=1e-9)
    assert kid(fake, real, space, kernel=CUBIC).value == pytest.approx(mean, abs=1e-12, rel=1e-9)
    assert polynomial_mmd(space(fake), space(real)) == pytest.approx(mean, abs=1e-12, rel=1e-9)
    assert spread == kid_subsets(fake, real, space, subsets=1, size=300).protocol["std"] == 0.0
    assert mean > 1e-6


def test_kernel_distance_over_subsets_has_the_same_mean_and_spread(images, space):
    fake, real = images
    theirs = KernelInceptionDistance(feature=Extractor(), normalize=True, subsets=300, subset_size=50)
    theirs.set_dtype(torch.float64)
    theirs.update(fake, real=False)
    theirs.update(real, real=True)
    mean, spread = (float(value) for value in theirs.compute())
    ours = kid_subsets(fake, real, space, subsets=300, size=50)
    # Both draw 300 subsets of the same samples, each in its own way.
    assert abs(ours.value - mean) < 4 * spread * (2 / 300) ** 0.5
    assert ours.protocol["std"] == pytest.approx(spread, rel=4 / 300**0.5)


class Computed(nn.Module):
    """An extractor for features that are computed already."""

    num_features = 2048

    def forward(self, x):
        return x


@pytest.mark.slow
def test_distances_of_wide_features_agree():
    generator = torch.Generator().manual_seed(0)
    fake, real = (torch.randn(10_000, 2048, generator=generator).clamp_min(0) * scale for scale in (1.05, 1.0))

    def theirs(metric):
        for x, flag in ((fake, False), (real, True)):
            for part in x.split(1024):
                metric.update(part, real=flag)
        answer = metric.compute()
        return float(answer[0] if isinstance(answer, tuple) else answer)

    pairs = [
        (
            lambda: theirs(FrechetInceptionDistance(feature=Computed(), normalize=True)),
            lambda: frechet(moments(fake), moments(real)),
        ),
        (
            lambda: theirs(KernelInceptionDistance(feature=Computed(), normalize=True, subsets=20)),
            lambda: kid_subsets(fake, real, subsets=20).value,
        ),
    ]
    (theirs_fd, ours_fd), (theirs_kid, ours_kid) = pairs
    assert ours_fd() == pytest.approx(theirs_fd(), rel=1e-5)
    assert ours_kid() == pytest.approx(theirs_kid(), rel=0.1)  # each draws its own subsets
