"""What tells fake from real: seed -> a classifier, to be fitted on some rows and judged on others by `c2st`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.metrics.two_sample.perceptron import outputs, weights
from pushforward.randomness import stream, word

__all__ = ["Classifier", "boosting", "forest", "logistic", "nearest", "network"]

Array = NDArray[np.float64]


class Classifier(Protocol):
    """What scikit-learn calls a classifier, of two classes: 1 for fake, 0 for real."""

    def fit(self, x: Array, y: Array, /) -> object:
        """Learn from standardised rows (n, d) and their classes (n,)."""
        ...

    def predict_proba(self, x: Array, /) -> Array:
        """Probabilities (n, 2) of real and of fake."""
        ...


def logistic(seed: int) -> Classifier:
    """Logistic regression: sees a shift of the mean, and nothing else; cheapest, and strongest where that is all."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(random_state=word(seed, "evaluate", part="logistic"))


def nearest(seed: int) -> Classifier:
    """Vote of as many nearest neighbours as the root of the number of rows: local differences in low dimension."""
    return _Nearest()


def network(seed: int) -> Classifier:
    """A small neural network: smooth differences of any kind."""
    return _Network(seed)


def boosting(seed: int) -> Classifier:
    """Gradient-boosted trees: differences along few coordinates, outliers, values on a grid."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=word(seed, "evaluate", part="boosting"))


def forest(seed: int) -> Classifier:
    """A few trees with cuts drawn at random: cheap, and sees modes, holes and noise where few columns make them."""
    return _Forest(word(seed, "evaluate", part="forest"))


@dataclass
class _Nearest:
    """scikit-learn's neighbours, their number chosen by the number of rows; odd, so that no vote ties."""

    votes: Classifier | None = None

    def fit(self, x: Array, y: Array) -> _Nearest:
        from sklearn.neighbors import KNeighborsClassifier

        self.votes = KNeighborsClassifier(min(len(x), int(len(x) ** 0.5) | 1)).fit(x, y)
        return self

    def predict_proba(self, x: Array) -> Array:
        assert self.votes is not None
        return self.votes.predict_proba(x)


@dataclass
class _Forest:
    """scikit-learn's extremely randomised trees; leaves of ten rows or more make votes that hold on other rows."""

    seed: int
    trees: int = 15
    leaf: int = 10
    columns: int = 32
    votes: Classifier | None = None

    def fit(self, x: Array, y: Array) -> _Forest:
        from sklearn.ensemble import ExtraTreesClassifier

        some = min(x.shape[1], self.columns)
        trees = ExtraTreesClassifier(self.trees, min_samples_leaf=self.leaf, max_features=some, random_state=self.seed)
        self.votes = trees.fit(x, y)
        return self

    def predict_proba(self, x: Array) -> Array:
        assert self.votes is not None
        return self.votes.predict_proba(x)


@dataclass
class _Network:
    """Two hidden layers, Adam with decay on batches of all rows or 1,024."""

    seed: int
    width: int = 32
    steps: int = 200
    rate: float = 5e-3
    decay: float = 1e-2
    batch: int = 1024
    layers: list[Tensor] = field(default_factory=list[Tensor])

    def fit(self, x: Array, y: Array) -> _Network:
        rows, classes = torch.from_numpy(x).float(), torch.from_numpy(y).float()
        rng = stream(self.seed, "evaluate", part="network").generator
        self.layers = weights((rows.shape[1], self.width, self.width, 1), rng)
        optimiser = torch.optim.AdamW(self.layers, self.rate, weight_decay=self.decay)
        for _ in range(self.steps):
            some = slice(None) if len(rows) <= self.batch else torch.randint(len(rows), (self.batch,), generator=rng)
            optimiser.zero_grad()
            logits = outputs(rows[some], self.layers)[:, 0]
            torch.nn.functional.binary_cross_entropy_with_logits(logits, classes[some]).backward()
            optimiser.step()
        return self

    def predict_proba(self, x: Array) -> Array:
        with torch.no_grad():
            fake = outputs(torch.from_numpy(x).float(), self.layers)[:, 0].double().sigmoid().numpy()
        return np.stack([1 - fake, fake], 1)
