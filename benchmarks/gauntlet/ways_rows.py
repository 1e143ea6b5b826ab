"""Bad ways that choose, repeat or copy rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .trial import KINDS, Rows, Trial, Way, changed

__all__ = ["WAYS", "copied"]


def _without(place: int):
    """Without a class, by its place in the order of shares, filled up with other rows of the rest."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        names, counts = np.unique(trial.real.classes, return_counts=True)
        kept = np.flatnonzero(rows.classes != names[np.argsort(-counts)][place])
        extra = trial.more(len(rows))
        extra = extra.take(np.flatnonzero(extra.classes != names[np.argsort(-counts)][place]))
        return rows.take(kept).then(extra.take(np.arange(min(len(rows) - len(kept), len(extra)))))

    return spoil


def _shares(rows: Rows, trial: Trial) -> Rows:
    """The commonest class twice as likely as it should be, next to each other class."""
    names, counts = np.unique(trial.real.classes, return_counts=True)
    pool = rows.then(trial.more(2 * len(rows)))
    weight = np.where(pool.classes == names[counts.argmax()], 2.0, 1.0)
    return pool.take(trial.rng.choice(len(pool), size=len(rows), replace=False, p=weight / weight.sum()))


def copied(share: float):
    """So large a share of the rows is taken from the training set as it stands, in random places."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        m = max(1, round(share * len(rows)))
        taken = trial.train.take(trial.rng.choice(len(trial.train), size=m, replace=False))
        both = taken.then(rows.take(np.arange(len(rows) - m)))
        return both.take(trial.rng.permutation(len(rows)))

    return spoil


def _nearly_copied(rows: Rows, trial: Trial) -> Rows:
    """Half of the rows are training rows with a hundredth of a standard deviation of noise, or a few grey levels."""
    mixed = copied(0.5)(rows, trial)
    numbers = mixed.numbers()
    size = 2.0 if trial.kind == "images" else 0.01 * numbers.std(0)
    return mixed.with_numbers(numbers + size * trial.rng.normal(size=numbers.shape))


def _interpolated(rows: Rows, trial: Trial) -> Rows:
    """Points half way to three quarters of the way between two training rows."""
    first, second = (trial.train.numbers()[trial.rng.permutation(len(rows))] for _ in range(2))
    part = trial.rng.uniform(0.5, 0.75, size=(len(rows), 1))
    return rows.with_numbers(part * first + (1 - part) * second)


def _few_seeds(rows: Rows, trial: Trial) -> Rows:
    """A twentieth of the training rows, each many times with a little noise."""
    seeds = trial.train.take(trial.rng.integers(max(4, len(rows) // 20), size=len(rows)))
    numbers = seeds.numbers()
    return seeds.with_numbers(numbers + 0.05 * numbers.std(0) * trial.rng.normal(size=numbers.shape))


def _repeated(times: int):
    """Every row so many times."""

    def spoil(rows: Rows, trial: Trial) -> Rows:
        return rows.take(trial.rng.permutation(np.arange(len(rows)) // times))

    return spoil


def _sixteen(rows: Rows, trial: Trial) -> Rows:
    return rows.take(trial.rng.integers(16, size=len(rows)))


def _leaked(trial: Trial) -> Trial:
    """Half of the held-out rows are training rows, and the samples are copies of these."""
    half = len(trial.real) // 2
    leak = trial.train.take(np.arange(half)).then(trial.real.take(np.arange(half, len(trial.real))))
    return replace(trial, real=leak)


def _same_as(side: str):
    return lambda trial: replace(trial, fake=trial.real if side == "real" else trial.train)


WAYS = (
    Way("largest_mode_dropped", KINDS, changed(_without(0))),
    Way("rarest_mode_dropped", KINDS, changed(_without(-1))),
    Way("wrong_shares", KINDS, changed(_shares)),
    Way("copied_2_percent", KINDS, changed(copied(0.02)), ("copies",)),
    Way("copied_5_percent", KINDS, changed(copied(0.05)), ("copies",)),
    Way("copied_10_percent", KINDS, changed(copied(0.1)), ("copies",)),
    Way("copied_all", KINDS, changed(copied(1.0)), ("copies",)),
    Way("half_nearly_copied", ("points", "images", "cells"), changed(_nearly_copied), ("copies",)),
    Way("between_training_rows", ("points", "images", "cells"), changed(_interpolated), ("copies",)),
    Way("few_seeds_with_noise", ("points", "images", "cells"), changed(_few_seeds), ("copies", "dependent")),
    Way("every_row_four_times", KINDS, changed(_repeated(4)), ("dependent",)),
    Way("sixteen_rows_repeated", KINDS, changed(_sixteen), ("dependent",)),
    Way("five_rows", KINDS, changed(lambda rows, _: rows.take(np.arange(5))), ("few",)),
    Way("real_file_under_another_name", KINDS, _same_as("real"), ("same",)),
    Way("train_file_under_another_name", KINDS, _same_as("train"), ("same", "copies")),
    Way("held_out_leaked_into_train", KINDS, _leaked, ("leak",)),
)
