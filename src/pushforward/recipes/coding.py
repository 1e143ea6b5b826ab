"""What the latent recipes share: a codec by name, and particles under a critic of bounded slope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from torch import Tensor, nn

from pushforward.codecs import PCA, Autoencoder, Codec, parse
from pushforward.data import Batches, Dataset
from pushforward.divergences import locate
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import Latent
from pushforward.nets import autoencoder
from pushforward.nets.blocks import seeded
from pushforward.recipes.wiring import adam
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Flow, Labels, Randomness, Samples

__all__ = ["Net", "codec_of", "first", "flow_of", "of_class", "parse", "particles_of"]

Net = Literal["dense", "convolutional"]


def codec_of(
    spec: str, data: Dataset, x: Samples, *, net: Net, width: int, rate: float, steps: int, seed: int
) -> tuple[Codec, int, Batches[Tensor] | None]:
    """A codec, the steps in which it learns, and what it learns from.

    Args:
        spec: pca:K or autoencoder:K.
        data: What it is for: images end in a tanh.
        x: Samples that it may see, (n, *event).
        net: Layers of an autoencoder.
        width: Units of its hidden layers; an eighth of them are the channels of a convolutional one's largest map.
        rate: Its learning rate at the start; it falls to zero along a cosine.
        steps: Steps in which it learns, with 128 samples each.
        seed: Seed of its weights and batches.
    """
    kind, size = parse(spec)
    if kind == "pca":
        return PCA.fit(x, size, unit=True), 0, None
    if net == "convolutional" and data.kind != "images":
        raise UsageError(f"--net convolutional: {data.name} holds points; use dense")
    output = nn.Tanh if data.kind == "images" else nn.Identity
    with seeded(seed):
        if net == "dense":
            built = autoencoder.perceptron(data.event, size, width=width, output=output)
        else:
            built = autoencoder.convolutional(data.event, size, width=max(1, width // 8), dense=width, output=output)
    learner = Learner(built, adam(rate, (0.9, 0.999)), schedule=cosine(steps))
    return Autoencoder(learner, len(x)), steps, Batches(x, min(128, len(x)), seed=seed)


def flow_of(net: nn.Module, divergence: str, *, calls: int, updates: int, rate: float) -> CriticFlow:
    """The flow of a critic whose net bounds its slope; its learning rate falls to a tenth over so many calls."""
    learner = Learner(net, adam(rate, (0.5, 0.9)), schedule=cosine(calls * updates, last=0.1))
    return CriticFlow(learner, locate(divergence), steps=updates)


def particles_of(
    flow: Flow,
    start: Samples,
    rng: Randomness,
    *,
    step: float,
    steps: int,
    warmup: int,
    project: Callable[[Samples], Samples] | None = None,
    source: Latent | None = None,
    labels: Labels | None = None,
) -> Particles:
    """Particles whose fields are recorded and whose step falls to a tenth along a cosine."""
    return Particles(
        flow,
        start,
        step,
        rng,
        project=project,
        source=source,
        record=True,
        warmup=warmup,
        schedule=cosine(steps, last=0.1),
        labels=labels,
        diagnose=20,
    )


def first(data: Dataset, rows: int | None) -> Dataset:
    """A data set of which only the first rows are there to learn from; all if None."""
    if rows is None:
        return data
    labels = None if data.train_labels is None else data.train_labels[:rows]
    return replace(data, train=data.train[:rows], train_labels=labels)


def of_class(data: Dataset, name: str) -> Dataset:
    """The rows of one class, without labels.

    Raises:
        UsageError: If there is no such class, or it has fewer than two rows to learn from.
    """
    classes = data.classes or ()
    if name not in classes or data.train_labels is None or data.test_labels is None:
        raise UsageError(f"class {name!r}: {data.name} has the classes {', '.join(classes) or 'none'}")
    k = classes.index(name)
    train, test = data.train[data.train_labels == k], data.test[data.test_labels == k]
    if len(train) < 2:
        raise UsageError(f"class {name!r}: {data.name} has {len(train)} images of it to learn from; raise --limit")
    return replace(data, train=train, test=test, train_labels=None, test_labels=None, classes=None)
