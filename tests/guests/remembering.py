"""A guest that learns nothing: the exact denoiser of its training images, what a score model would remember."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from pushforward.data import Batches, load
from pushforward.dynamics.bridges import MixtureFollmer
from pushforward.dynamics.sde.levels import ancestral, pairs_of, power
from pushforward.randomness import Noise, stream
from pushforward.training.experiment import Experiment
from pushforward.types import Batch, Denoiser, Labels, Logs, Randomness, Samples


@dataclass
class Remembering:
    """The denoiser of the points of a data set, all as likely.

    Attributes:
        points: The data, (n, *event).
        codes: Their classes, (n,), or None.
        rng: Noise of samples.
    """

    points: Samples
    codes: Labels | None
    rng: Noise

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Nothing to learn."""
        for _ in batches:
            yield {"points": torch.tensor(float(len(self.points)))}

    def denoiser(self, labels: Labels | None = None) -> Denoiser:
        """That of all points; or of those of a class, for each row its own."""
        if labels is None or self.codes is None:
            return _of(self.points)
        each = {int(code): _of(self.points[self.codes == code]) for code in labels.unique()}

        def denoised(y: Samples, s: float | torch.Tensor) -> Samples:
            out = torch.empty_like(y)
            for code, one in each.items():
                out[labels == code] = one(y[labels == code], s)
            return out

        return denoised

    def levels(self, steps: int) -> Sequence[float]:
        """From far beyond the data to far below their distances."""
        return power(steps, 80.0, 0.002)

    @property
    def mean(self) -> torch.Tensor:
        """Of the points."""
        return self.points.mean(0)

    @property
    def spread(self) -> float:
        """Of the points about it."""
        return float((self.points - self.mean).square().mean().sqrt())

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """Down the levels from noise."""
        rng, free = rng or self.rng, self.denoiser(labels)
        levels = self.levels(18)
        x = levels[0] * rng.normal(n, *self.points.shape[1:])
        for s, u in pairs_of(levels):
            x = ancestral(x, free(x, s), s, u, rng.normal(*x.shape))
        return x


@dataclass
class Showing:
    """The data in turn; no denoiser.

    Attributes:
        points: The data, (n, *event).
    """

    points: Samples

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Nothing to learn."""
        for _ in batches:
            yield {"points": torch.tensor(float(len(self.points)))}

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """The first ones."""
        return self.points.repeat(n // len(self.points) + 1, *[1] * (self.points.dim() - 1))[:n]


def _of(points: Samples) -> Denoiser:
    return MixtureFollmer.of_points(points, tau=1e4, sigma=1.0).denoised


def experiment(
    *, data: str = "digits", labels: str | None = None, conditional: bool = False, seed: int = 0
) -> Experiment:
    """What is remembered of images. Expect the training images themselves.

    Args:
        data: digits, toy:NAME or PATH[:key].
        labels: Name of an array or column of classes.
        conditional: Whether classes are known.
        seed: Seed of everything.
    """
    found = load(data, seed=seed, labels=labels)
    method = Remembering(found.train, found.train_labels if conditional else None, stream(seed, "train"))
    batches = Batches(found.train, 8, seed=seed)
    return Experiment(method, batches, found, 1, conditional=conditional, threads=1)


def showing(*, data: str = "digits") -> Experiment:
    """What has no denoiser.

    Args:
        data: digits, toy:NAME or PATH[:key].
    """
    found = load(data)
    return Experiment(Showing(found.train), Batches(found.train, 8), found, 1, threads=1)
