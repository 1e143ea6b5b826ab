"""What recipes share: seeded nets, optimisers, penalties by name, and the number that picks the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, Dataset, source
from pushforward.data.dataset import Kind
from pushforward.divergences import Divergence, dual, logistic
from pushforward.errors import UsageError
from pushforward.metrics.core.features import Features
from pushforward.metrics.core.neighbours import chamfer
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.quality.frechet import frechet, moments
from pushforward.metrics.quality.transport import directions, sliced_wasserstein
from pushforward.objectives.penalties import both
from pushforward.training.experiment import Experiment
from pushforward.training.learner import MakeOptimiser
from pushforward.types import Contrast, Method, Penalty, Randomness, Samples

__all__ = [
    "adam",
    "contrast_of",
    "experiment",
    "judge",
    "leaky",
    "load",
    "score_on",
    "shares",
    "spread",
    "zero_centred",
]


def adam(lr: float, betas: tuple[float, float] = (0.0, 0.99)) -> MakeOptimiser:
    """Fused Adam with the short memory that a moving opponent wants."""
    return partial(Adam, lr=lr, betas=betas, fused=True)


def leaky() -> nn.Module:
    """The activation of critics: a slope of 0.2 on the negative side."""
    return nn.LeakyReLU(0.2)


def zero_centred(weight: float) -> tuple[Penalty, ...]:
    """A zero-centred gradient penalty on data and samples, or nothing for weight 0."""
    return (partial(both, weight=weight),) if weight else ()


def contrast_of(name: str, divergence: Divergence) -> Contrast:
    """The critic's loss by name: "logistic", which gives way to a contrast of the divergence's own, or "dual"."""
    if name == "logistic":
        return divergence.contrast or logistic
    if name == "dual":
        return dual(divergence)
    raise UsageError(f"contrast {name!r}: use logistic or dual")


def score_on(data: Dataset, features: Features | None, seed: int, rows: int = 2000) -> Callable[[Tensor], float]:
    """A number for the best checkpoint, lower is better, that sees training data only.

    Fréchet distance in a feature space where there is one; else the Chamfer distance of points, sliced W2 of images.

    Args:
        data: The data set.
        features: A feature space, or None.
        seed: Seed of the rows and directions.
        rows: Training rows that samples are compared with.
    """
    generator = torch.Generator().manual_seed(seed)
    real = data.train[torch.randperm(len(data.train), generator=generator)[:rows]]
    if features is not None:
        target = moments(features(real))
        return lambda x: frechet(moments(features(x.cpu())), target)
    if data.kind == "points":
        return lambda x: chamfer(x, real)
    flat = real.flatten(1)
    along = directions(flat.shape[1], 64, seed)
    return lambda x: sliced_wasserstein(x.cpu().flatten(1), flat, along)[0]


def load(
    data: str,
    labels: str | None,
    conditional: bool,
    seed: int,
    *,
    kind: Kind | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    test_fraction: float | None = None,
    heavy: bool = False,
) -> Dataset:
    """Load data for a recipe, and check that they are of its kind and have labels where it needs them.

    Raises:
        DataError: If the data are unfit.
        UsageError: If they are of the other kind, or have no labels for a conditional model.
    """
    found = source.load(
        data, seed=seed, labels=labels, side=side, channels=channels, limit=limit, test_fraction=test_fraction,
        heavy=heavy,
    )  # fmt: skip
    if kind is not None and found.kind != kind:
        other = "vgrow_images or gan_images" if found.kind == "images" else "toy_vgrow, toy_gan or toy_particles"
        raise UsageError(f"--data {data}: holds {found.kind}, and this recipe takes {kind}; use {other}")
    if (conditional or labels) and found.train_labels is None:
        raise UsageError(f"--data {data}: no labels found; name them with --labels, or drop --conditional")
    return found


def judge(name: str, images: Dataset) -> Features | None:
    """The feature network that judges images: `digits8` for digits, None for the pixels themselves."""
    if name == "digits8" or (name == "auto" and images.name == "digits"):
        return digits8()
    return None


def experiment(
    method: Method,
    data: Dataset,
    *,
    batch: int,
    steps: int,
    seed: int,
    conditional: bool = False,
    features: Features | None = None,
    threads: int = 0,
) -> Experiment:
    """Join a method with the stream of its data and the number that picks its best checkpoint."""
    labels = data.train_labels if conditional else None
    batches = (
        Batches(data.train, batch, seed=seed)
        if labels is None
        else Batches(data.train, batch, seed=seed, labels=labels)
    )
    return Experiment(method, batches, data, steps, features, score_on(data, features, seed), conditional, threads)


def shares(labels: Tensor | None, n: int) -> Tensor:
    """Classes (n,), sorted, with the frequencies of those of the data, (m,), as far as n allows."""
    assert labels is not None
    return labels.sort().values[torch.arange(n) * len(labels) // n]


def spread(x: Samples, rng: Randomness, n: int, labels: Tensor | None = None, wanted: Tensor | None = None) -> Samples:
    """Points (n, *event) of the normal law with mean and covariance of images, put into [-1, 1].

    They lie where images do, so that nothing has to be carried out of the hundreds of pixels that are always black.

    Args:
        x: Images, (m, *event).
        rng: Where the points come from.
        n: Number of points.
        labels: Classes (m,) of the images, for a law of each class.
        wanted: Classes (n,) of the points, then.
    """
    weights = rng.normal(n, len(x)).to(x)
    ours = x.new_ones(n, len(x))
    if labels is not None and wanted is not None:
        ours = (wanted[:, None] == labels).to(x)
    flat, sizes = x.flatten(1), ours.sum(1, keepdim=True)
    weights = weights * ours / sizes.sqrt()
    points = weights @ flat + (1 - weights.sum(1, keepdim=True)) * (ours @ flat / sizes)
    return points.view(n, *x.shape[1:]).clamp(-1, 1)
