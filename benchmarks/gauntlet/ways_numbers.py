"""Bad ways that spoil numbers: columns of points, tables and cells, and where they make sense pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .trial import KINDS, Array, Kind, Rows, Trial, Way, changed

__all__ = ["WAYS"]

COLUMNS: tuple[Kind, ...] = ("points", "table", "cells")
PLAIN: tuple[Kind, ...] = ("points", "images", "cells")


def _all(function: Callable[[Array, np.random.Generator], Array]) -> Callable[[Rows, Trial], Rows]:
    """Spoil the whole matrix (n, d)."""
    return lambda rows, trial: rows.with_numbers(_kept_whole(rows, function(rows.numbers(), trial.rng)))


def _one(function: Callable[[Array, np.random.Generator], Array]) -> Callable[[Rows, Trial], Rows]:
    """Spoil the first column (n,)."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        numbers = rows.numbers()
        numbers[:, 0] = function(numbers[:, 0], trial.rng)
        return rows.with_numbers(_kept_whole(rows, numbers))

    return spoil


def _kept_whole(rows: Rows, numbers: Array) -> Array:
    """Columns that held two decimals or whole numbers hold as many after: a model's author would round them."""
    before = rows.numbers()
    digits = [next((k for k in (0, 2) if np.allclose(c, c.round(k), atol=1e-9, equal_nan=True)), 15) for c in before.T]
    return np.column_stack([c.round(k) if k < 15 else c for c, k in zip(numbers.T, digits)])


def _mean(x: Array) -> Array:
    return np.nanmean(x, 0)


def _reversed_ranks(x: Array, rng: np.random.Generator) -> Array:
    """The same values, the largest where the smallest was: right margin, wrong sign of every association."""
    order, answer = np.argsort(x), np.empty_like(x)
    answer[order] = x[order[::-1]]
    return answer


def _independent(x: Array, rng: np.random.Generator) -> Array:
    return np.column_stack([rng.permutation(column) for column in x.T])


def _outliers(x: Array, rng: np.random.Generator) -> Array:
    """Three rows in a hundred ten standard deviations away, every column by itself."""
    wild = rng.random(len(x)) < 0.03
    wild[rng.integers(len(x))] = True
    signs = rng.choice([-10.0, 10.0], size=x.shape)
    return np.where(wild[:, None], x + signs * np.nanstd(x, 0), x)


def _hidden_shift(x: Array, rng: np.random.Generator) -> Array:
    """A shift of half a standard deviation, and one value of a thousand millions that blows up the scale."""
    moved = x + 0.5 * x.std()
    moved[rng.integers(len(x))] = 1e9
    return moved


def _gaussian(x: Array, rng: np.random.Generator) -> Array:
    """A normal law with the right mean and covariance."""
    root = np.linalg.svd(x - _mean(x), full_matrices=False)
    noise = rng.normal(size=(len(x), len(root.S)))
    return _mean(x) + noise * root.S / len(x) ** 0.5 @ root.Vh


def _tail_cut(x: Array, rng: np.random.Generator) -> Array:
    """Nothing beyond the central ninety per cent of each column."""
    return np.clip(x, np.nanquantile(x, 0.05, axis=0), np.nanquantile(x, 0.95, axis=0))


def _tail_added(x: Array, rng: np.random.Generator) -> Array:
    """One row in twenty four times as far from the middle."""
    far = rng.random((len(x), 1)) < 0.05
    return np.where(far, _mean(x) + 4 * (x - _mean(x)), x)


def _noisy(x: Array, rng: np.random.Generator) -> Array:
    """Three tenths of a standard deviation of noise on everything that varies."""
    return x + 0.3 * np.nanstd(x, 0) * rng.normal(size=x.shape)


def _coarse(x: Array, rng: np.random.Generator) -> Array:
    """Rounded to steps of about a fifth of a standard deviation."""
    step = 10.0 ** np.floor(np.log10(0.4 * x.std()))
    return np.rint(x / step) * step


WAYS = (
    Way("one_column_shuffled", COLUMNS, changed(_one(lambda x, rng: rng.permutation(x)))),
    Way("columns_independent", KINDS, changed(_all(_independent))),
    Way("association_of_wrong_sign", COLUMNS, changed(_one(_reversed_ranks))),
    Way("shrunk_by_a_fifth", KINDS, changed(_all(lambda x, _: _mean(x) + 0.8 * (x - _mean(x))))),
    Way("inflated_by_a_quarter", KINDS, changed(_all(lambda x, _: _mean(x) + 1.25 * (x - _mean(x))))),
    Way("one_column_shifted", COLUMNS, changed(_one(lambda x, _: x + 0.3 * x.std()))),
    Way("one_column_scaled", COLUMNS, changed(_one(lambda x, _: 1.15 * x))),
    Way("outliers_beside_the_bulk", COLUMNS, changed(_all(_outliers))),
    Way("shift_hidden_by_an_outlier", COLUMNS, changed(_one(_hidden_shift))),
    Way("normal_fit", PLAIN, changed(_all(_gaussian))),
    Way("tails_cut", COLUMNS, changed(_all(_tail_cut))),
    Way("tails_added", COLUMNS, changed(_all(_tail_added))),
    Way("noise_on_everything", KINDS, changed(_all(_noisy))),
    Way("one_column_rounded", ("points", "cells"), changed(_one(_coarse)), ("support", "form")),
    Way("one_column_constant", COLUMNS, changed(_one(lambda x, _: np.full_like(x, np.median(x))))),
)
