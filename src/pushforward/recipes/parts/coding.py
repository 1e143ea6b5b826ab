"""What the latent recipes share: a codec by name, and particles under a critic of bounded slope."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from pushforward.codecs import PCA, Autoencoder, Codec, parse
from pushforward.data import Batches, Dataset
from pushforward.data.blocks.limits import budget
from pushforward.divergences import locate
from pushforward.errors import UsageError
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import Latent
from pushforward.nets import autoencoder
from pushforward.nets.lipschitz import LipschitzNet
from pushforward.randomness import derive, seeded
from pushforward.recipes.parts.wiring import adam, falling
from pushforward.settings.groups import CodeDrive, Coding, Critic
from pushforward.training.learner import Learner
from pushforward.training.schedule import cosine
from pushforward.types import Flow, Labels, Randomness, Samples

__all__ = ["codec_of", "critic_of", "first", "flow_of", "of_class", "parse", "particles_of"]


def codec_of(spec: Coding, data: Dataset, x: Samples, *, seed: int) -> tuple[Codec, int, Batches[Tensor] | None]:
    """A codec, the steps in which it learns, and what it learns from, 128 samples at a time.

    Args:
        spec: What it is; an eighth of its width are the channels of a convolutional one's largest map.
        data: What it is for: images end in a tanh.
        x: Samples that it may see, (n, *event).
        seed: Seed of its weights and batches.
    """
    kind, size = parse(spec.codec)
    if kind == "pca" and data.hollow:  # a checkpoint has what is in it
        return replace(PCA.hollow(math.prod(data.event), size, len(x)), event=data.event), 0, None
    if kind == "pca":
        return PCA.fit(x, size, unit=True), 0, None
    if spec.net == "convolutional" and data.kind != "images":
        raise UsageError(f"--net convolutional: {data.name} holds points; use dense")
    output, width = nn.Tanh if data.kind == "images" else nn.Identity, spec.codec_width
    with seeded(seed, "codec"):
        if spec.net == "dense":
            built = autoencoder.perceptron(data.event, size, width=width, output=output)
        else:
            built = autoencoder.convolutional(data.event, size, width=max(1, width // 8), dense=width, output=output)
    learner = Learner(built, adam(spec.codec_rate, (0.9, 0.999)), schedule=cosine(spec.codec_steps))
    lessons = Batches(x, min(128, len(x)), seed=derive(seed, "data", part="lessons"))
    return Autoencoder(learner, len(x)), spec.codec_steps, lessons


def critic_of(size: int, critic: Critic, *, classes: int = 0) -> LipschitzNet:
    """A critic of bounded slope on rows of so many numbers."""
    return bounded_critic(size, critic.slope, critic.width, critic.depth, classes=classes)


def flow_of(net: nn.Module, drive: CodeDrive) -> CriticFlow:
    """The flow of a critic whose net bounds its slope; its learning rate falls to a tenth over all calls."""
    critic = drive.critic
    learner = Learner(net, adam(critic.rate, (0.5, 0.9)), schedule=falling(critic, drive.loop, drive.pace))
    return bounded_flow(learner, locate(critic.divergence), slope=critic.slope, steps=critic.critic_steps)


def particles_of(
    flow: Flow,
    start: Samples,
    rng: Randomness,
    drive: CodeDrive,
    *,
    project: Callable[[Samples], Samples] | None = None,
    source: Latent | None = None,
    labels: Labels | None = None,
) -> Particles:
    """Particles whose fields are recorded and whose step falls along a cosine over all steps."""
    return Particles(
        flow,
        start,
        drive.pace.step,
        rng,
        project=project,
        source=source,
        record=True,
        fields=drive.fields,
        warmup=drive.pace.warmup,
        schedule=cosine(drive.loop.steps, last=drive.pace.step_end),
        labels=labels,
        steps=drive.loop.steps,
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
        UsageError: If there is no such class, or it has fewer than two rows to learn from, or more than fit.
    """
    classes = data.classes or ()
    if name not in classes or data.train_labels is None or data.test_labels is None:
        raise UsageError(f"class {name!r}: {data.name} has the classes {', '.join(classes) or 'none'}")
    k = classes.index(name)
    need = 8 * data.train[0].numel() * int((data.train_labels == k).sum())
    if need > budget():
        raise UsageError(f"class {name!r}: its rows need {need / 2**30:.1f} GiB of memory twice over; give a --limit")
    train, test = data.train[data.train_labels == k], data.test[data.test_labels == k]
    if len(train) < 2:
        raise UsageError(f"class {name!r}: {data.name} has {len(train)} images of it to learn from; raise --limit")
    return replace(data, train=train, test=test, train_labels=None, test_labels=None, classes=None)
