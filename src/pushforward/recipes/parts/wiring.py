"""What recipes share: seeded nets, optimisers, penalties by name, and the number that picks the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data import Batches, Dataset, source
from pushforward.data.dataset import Kind
from pushforward.data.formats.folders import BESIDE
from pushforward.data.units import Scaling
from pushforward.divergences import Divergence, dual, locate, logistic
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.metrics.core.features import Features
from pushforward.metrics.core.neighbours import chamfer
from pushforward.metrics.known.seen import Seen, of_classifier, of_labels, of_mixture
from pushforward.metrics.networks.digits8 import digits8
from pushforward.metrics.quality.frechet import frechet, moments
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.objectives.penalties import both
from pushforward.randomness import derive, generator
from pushforward.settings.groups import Classes, Critic, Examples, Images, LogRatio, Loop, Pace, Rows
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner, MakeOptimiser
from pushforward.training.schedule import constant, cosine
from pushforward.types import Contrast, Method, Penalty, Randomness, Samples, Schedule

__all__ = [
    "adam",
    "contrast_of",
    "counted",
    "experiment",
    "falling",
    "judge",
    "leaky",
    "load",
    "load_images",
    "log_ratio",
    "modes_of",
    "of_images",
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


def falling(critic: Critic, loop: Loop, pace: Pace, calls: int | None = 1) -> Schedule:
    """The rate of a critic that drives particles: down to a tenth along a cosine, over warmup and all steps' calls."""
    return cosine((pace.warmup + loop.steps * (calls or 1)) * critic.critic_steps, last=0.1)


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


def log_ratio(learner: Learner, critic: LogRatio, *, every: int, fading: Schedule = constant) -> CriticFlow:
    """The flow of a critic that learns log p/q under a zero-centred penalty.

    Args:
        learner: The critic.
        critic: What its ascent lowers, its loss and its penalty.
        every: Updates from one look at the penalty to the next.
        fading: Updates done -> factor on the penalty.
    """
    psi = locate(critic.divergence)
    return CriticFlow(
        learner, psi, contrast_of(critic.contrast, psi), zero_centred(critic.penalty),
        penalty_schedule=fading, every=every, cap=critic.cap,
    )  # fmt: skip


def score_on(
    data: Dataset, features: Features | None, seed: int, rows: int = 2000, part: str = "rows"
) -> Callable[[Tensor], float]:
    """A number for the best checkpoint, lower is better, that sees training data only.

    Fréchet distance in a feature space where there is one; else the Chamfer distance of points, sliced W2 of images.

    Args:
        data: The data set.
        features: A feature space, or None.
        seed: Seed of the rows and directions.
        rows: Training rows that samples are compared with.
        part: Of the stream that chooses them.
    """
    chosen = np.arange(len(data.train), dtype=np.int32)  # of many rows, half the memory of `permutation`
    generator(seed, "judge", part=part).shuffle(chosen)
    real = data.train[torch.from_numpy(chosen[:rows].astype(np.int64))]
    if features is not None:
        target = moments(features(real))
        return lambda x: frechet(moments(features(x.cpu())), target)
    if data.kind == "points":
        return lambda x: chamfer(x, real)
    flat = real.flatten(1)
    along = directions(flat.shape[1], 64, derive(seed, "judge", part="directions"))
    return lambda x: sliced_wasserstein(x.cpu().flatten(1), flat, along)[0]


def modes_of(data: Dataset, features: Features | None, seed: int, rows: int = 2000) -> Seen | None:
    """What counts the modes that are known of data: of their mixture, or classes; None where there are no two.

    Args:
        data: The data set.
        features: A feature space; if it classifies, the classes are those that it sees.
        seed: Seed of the rows.
        rows: Training rows that give samples their class, where no network does.
    """
    if data.mixture is not None and len(data.mixture.means) > 1:
        return of_mixture(data.mixture, data.decode, data.train)
    if data.train_labels is None or data.n_classes < 2:
        return None
    if features is not None and features.classify is not None:
        return of_classifier(features.classify, data.train)
    chosen = np.arange(len(data.train), dtype=np.int32)
    generator(seed, "judge", part="modes").shuffle(chosen)
    known, others = (torch.from_numpy(part.astype(np.int64)) for part in (chosen[:rows], chosen[rows : 2 * rows]))
    others = others if len(others) >= rows // 2 else known
    return of_labels(data.train[known], data.train_labels[known], data.n_classes, data.train[others])


def load(
    rows: Rows,
    classes: Classes = Classes(),
    seed: int = 0,
    *,
    kind: Kind | None = None,
    images: Images = Images(),
    scaling: Scaling = "deviation",
) -> Dataset:
    """Load data for a recipe, and check that they are of its kind and have labels where it needs them.

    Raises:
        DataError: If the data are unfit.
        UsageError: If they are of the other kind, or have no labels for a conditional model.
    """
    found = source.load(
        rows.data, seed=seed, labels=classes.labels, side=images.side, channels=images.channels, limit=rows.limit,
        test_fraction=rows.test_fraction, scaling=scaling,
    )  # fmt: skip
    if kind is not None and found.kind != kind:
        other = (
            "vgrow_images, gan_images or latent_particles"
            if found.kind == "images"
            else "toy_vgrow, toy_gan or toy_particles"
        )
        raise UsageError(f"--data {rows.data}: holds {found.kind}, and this recipe takes {kind}; use {other}")
    if (classes.conditional or classes.labels) and found.train_labels is None:
        raise UsageError(f"--data {rows.data}: no labels found{_unlabelled(found)}, or drop --conditional")
    return found


def _unlabelled(data: Dataset) -> str:
    """Why data have no labels, where that is known, and what gives them some."""
    beside = [note for note in data.notes if BESIDE in note]
    if beside:
        return f": {beside[0]}"
    if data.origin is not None and data.origin.files:
        return "; put the pictures of each class into a folder of its own"
    return "; name them with --labels"


def load_images(examples: Examples, seed: int) -> Dataset:
    """Images for a recipe that takes no points; see `load`."""
    return load(examples.rows, examples.classes, seed, kind="images", images=examples.images)


def counted(data: Dataset, classes: Classes) -> int:
    """Number of classes that nets are told; 0 where there is one law for all."""
    return data.n_classes if classes.conditional else 0


def judge(name: str, images: Dataset) -> Features | None:
    """The feature network that judges images: by default the one that was made for them; None for pixels themselves."""
    if name == "digits8" or (name == "auto" and images.network == "digits8"):
        return digits8()
    return None


def experiment(
    method: Method,
    data: Dataset,
    loop: Loop,
    *,
    conditional: bool = False,
    features: Features | None = None,
    threads: int = 0,
) -> Experiment:
    """Join a method with the stream of its data and the number that picks its best checkpoint."""
    labels, seed = data.train_labels if conditional else None, loop.seed
    batches = (
        Batches(data.train, loop.batch, seed=seed)
        if labels is None
        else Batches(data.train, loop.batch, seed=seed, labels=labels)
    )
    score, modes = (None, None) if data.hollow else (score_on(data, features, seed), modes_of(data, features, seed))
    return Experiment(method, batches, data, loop.steps, features, score, conditional, threads, modes, seed)


def of_images(method: Method, data: Dataset, loop: Loop, examples: Examples, threads: int = 0) -> Experiment:
    """An experiment on images that `load_images` read, judged by the network that suits them."""
    seen, conditional = judge(examples.images.features, data), examples.classes.conditional
    return experiment(method, data, loop, conditional=conditional, features=seen, threads=threads)


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
