r"""Counts of three kinds of rows in two batches, whose law is known: negative binomial numbers of known rates.

.. math:: \mu_j = l\,\frac{e^{a_{kj} + b_j [\text{second}]}}{\sum_i e^{a_{ki} + b_i [\text{second}]}},
    \qquad x_j \sim \mathrm{NB}(\mu_j, r = 5),

with sizes l of a log-normal law about 400. A batch multiplies the rates of each column by numbers of its own, the same
for all kinds.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.dataset import Dataset, Split, fingerprint
from pushforward.data.units import Unit
from pushforward.errors import UsageError

__all__ = ["INVERSE", "NAME", "ROWS", "Counted", "draw", "is_named", "load", "shares"]

NAME = "counts"
ROWS = 4_400
KINDS, COLUMNS = 3, 40
LAW = 40  # seed of the shares
SIZE, SPREAD, INVERSE = 400.0, 0.4, 5.0


@dataclass(frozen=True, eq=False)
class Counted:
    """Rows of counts, and what is behind them.

    Attributes:
        x: Counts, (n, 40).
        batch: 0 or 1, (n,).
        kind: 0, 1 or 2, (n,).
        rates: Means, (n, 40).
    """

    x: NDArray[np.float64]
    batch: NDArray[np.int64]
    kind: NDArray[np.int64]
    rates: NDArray[np.float64]


def shares(kind: NDArray[np.int64], batch: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of the columns, (n, 40), of rows of kinds and batches, (n,): the same whatever is drawn."""
    law = np.random.default_rng(LAW)
    profiles, factors = law.normal(0, 1, (KINDS, COLUMNS)), law.normal(0, 0.7, COLUMNS)
    weights = np.exp(profiles[kind] + factors * batch[:, None])
    return weights / weights.sum(1, keepdims=True)


def draw(n: int, rng: np.random.Generator) -> Counted:
    """n rows."""
    batch, kind = rng.integers(2, size=n), rng.integers(KINDS, size=n)
    rates = SIZE * np.exp(SPREAD * rng.standard_normal((n, 1))) * shares(kind, batch)
    x = rng.poisson(rates * rng.gamma(INVERSE, 1 / INVERSE, rates.shape)).astype(np.float64)
    return Counted(x, batch, kind, rates)


def is_named(spec: str) -> bool:
    """Whether a spec names this toy."""
    return spec.lower() == f"toy:{NAME}"


def load(*, seed: int = 0, n_train: int = ROWS - ROWS // 11, n_test: int = ROWS // 11) -> Dataset:
    """The toy as a data set of counts as they are, whose labels are the batches.

    Args:
        seed: Seed of the draw.
        n_train: Rows to train on.
        n_test: Rows to test on.

    Raises:
        UsageError: If a number is out of range.
    """
    if n_train < 2 or n_test < 1 or seed < 0:
        raise UsageError(f"toy:{NAME} with {n_train} training and {n_test} test rows, seed {seed}: numbers too small")
    found, unit = draw(n_train + n_test, np.random.default_rng(seed)), Unit(np.zeros(()), np.ones(()))
    labels = torch.from_numpy(found.batch)
    return Dataset(
        name=f"toy:{NAME}",
        kind="points",
        train=unit.encode(found.x[:n_train]),
        test=unit.encode(found.x[n_train:]),
        train_labels=labels[:n_train],
        test_labels=labels[n_train:],
        decode=unit.decode,
        encode=unit.encode,
        mixture=None,
        split=Split(seed, n_test / (n_train + n_test), n_train, n_test, fingerprint(found.x)),
        classes=("first", "second"),
        one_unit=True,
        unit=unit,
    )
