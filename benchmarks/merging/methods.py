"""The methods of the contest: a case and a seed -> all its cells, merged."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import TypeAlias

import numpy as np

from benchmarks.merging.cases import Array, Case, Rows
from pushforward.merging import How, merge_arrays
from pushforward.merging.plan import Mode

__all__ = ["LABELLED", "METHODS", "Fit", "Method", "applied"]

Fit: TypeAlias = Callable[[Case, int], Array]


@dataclass(frozen=True)
class Method:
    """A method.

    Attributes:
        name: What it is called.
        fit: What merges a case.
        moves_target: Whether the target moves as well. Such a method is given every cell, those that are withheld from
            the others among them, as it has no map for new ones: in its favour.
        needs: The package that it is of, which need not be there.
        distances: Whether distances before and after compare.
        labels: Whether it sees the types.
        first: What does the same in a moment, where `fit` takes long: it brings in what is imported when needed.
    """

    name: str
    fit: Fit
    moves_target: bool = False
    needs: str = ""
    distances: bool = True
    labels: bool = False
    first: Fit | None = None

    def lacks(self) -> str | None:
        """Why it cannot run here, or None."""
        try:
            if self.needs:
                import_module(self.needs)
        except Exception as error:  # a broken package is as good as none
            return f"{type(error).__name__}: {error}"
        return None

    def versions(self) -> dict[str, str]:
        """The version of the package that it is of."""
        return {self.needs: version(self.needs)} if self.needs else {}


def applied(method: Method, case: Case, withheld: Rows, seed: int) -> Array:
    """All cells after a method, (n, ...). One that leaves the target alone never sees the cells that are withheld."""
    if method.moves_target:
        return method.fit(case, seed)
    out = np.array(case.x, np.float64)
    out[~withheld] = method.fit(case.part(~withheld), seed)
    return out


def none(case: Case, seed: int) -> Array:
    """Nothing is done."""
    return case.x


def ours(case: Case, seed: int, how: How | None = None) -> Array:
    """`merge_arrays` without labels, as it comes."""
    return merge_arrays(case.x, case.batch, reference=case.reference, how=how, scores=False, seed=seed).x


def briefly(case: Case, seed: int) -> Array:
    """The same in one move."""
    return ours(case, seed, How(warmup=1, steps=1))


def balanced(case: Case, seed: int) -> Array:
    """`merge_arrays` without labels where every cell moves, also those without a counterpart in the target."""
    found = merge_arrays(case.x, case.batch, reference=case.reference, unmatched="move", scores=False, seed=seed)
    return found.x


def within(mode: Mode) -> Fit:
    """`merge_arrays` with labels; classes that are too small follow their neighbours."""

    def fit(case: Case, seed: int) -> Array:
        return merge_arrays(
            case.x, case.batch, reference=case.reference, labels=case.labels, mode=mode, scarce="carry",
            scores=False, seed=seed,
        ).x  # fmt: skip

    return fit


def matched(case: Case, seed: int) -> Array:
    """Mean and standard deviation of each class and column matched to the target's."""
    out = case.x.copy()
    for name in np.unique(case.batch[~case.staying]):
        for label in np.unique(case.labels):
            mine = (case.batch == name) & (case.labels == label)
            theirs = case.staying & (case.labels == label)
            if min(mine.sum(), theirs.sum()) > 1:
                a, b = case.x[mine], case.x[theirs]
                out[mine] = (a - a.mean(0)) / np.maximum(a.std(0), 1e-12) * b.std(0) + b.mean(0)
    return out


def combat(case: Case, seed: int) -> Array:
    """Location and scale of each batch and column, shrunk towards their mean over columns (parametric ComBat).

    References:
        Adjusting batch effects in microarray expression data using empirical Bayes methods (Johnson et al., 2007).
    """
    names = np.unique(case.batch)
    mean = case.x.mean(0)
    spread = np.sqrt(
        sum(((case.x[case.batch == b] - case.x[case.batch == b].mean(0)) ** 2).sum(0) for b in names) / len(case.x)
    )
    z, out = (case.x - mean) / spread, np.empty_like(case.x)
    for name in names:
        mine = case.batch == name
        part, n = z[mine], int(mine.sum())
        gamma, delta = part.mean(0), part.var(0, ddof=1)
        centre, width = gamma.mean(), gamma.var(ddof=1)
        shape = (2 * delta.var(ddof=1) + delta.mean() ** 2) / delta.var(ddof=1)
        rate = (delta.mean() * delta.var(ddof=1) + delta.mean() ** 3) / delta.var(ddof=1)
        g, d = gamma, delta
        for _ in range(100):
            g = (n * width * gamma + d * centre) / (n * width + d)
            d = (rate + 0.5 * ((part - g) ** 2).sum(0)) / (n / 2 + shape - 1)
        out[mine] = (part - g) / np.sqrt(d)
    return out * spread + mean


def harmony(case: Case, seed: int) -> Array:
    """Harmony with its defaults."""
    import harmonypy  # pyright: ignore[reportMissingImports]
    import pandas

    made = harmonypy.run_harmony(
        case.x, pandas.DataFrame({"batch": case.batch}), ["batch"], random_state=seed, verbose=False
    )
    z = np.asarray(made.Z_corr)
    return z if len(z) == len(case.x) else z.T


def scanorama(case: Case, seed: int) -> Array:
    """Scanorama with its defaults, in as many dimensions as the representation has; rows come out in other units."""
    import scanorama  # pyright: ignore[reportMissingImports]

    names = [f"{k:04}" for k in range(case.x.shape[1])]
    parts = [np.flatnonzero(case.batch == name) for name in np.unique(case.batch)]
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of every pair of batches
        made, _ = scanorama.integrate(
            [case.x[rows] for rows in parts], [names] * len(parts), dimred=len(names), verbose=0, seed=seed
        )
    out = np.empty((len(case.x), made[0].shape[1]))
    for rows, z in zip(parts, made, strict=True):
        out[rows] = z
    return out


METHODS = (
    Method("none", none),
    Method("ours", ours, first=briefly),
    Method("ours, move", balanced, first=briefly),
    Method("Harmony", harmony, moves_target=True, needs="harmonypy"),
    Method("ComBat", combat, moves_target=True),
    Method("Scanorama", scanorama, moves_target=True, needs="scanorama", distances=False),
)
"""Those that see no labels."""

LABELLED = (
    *(method for method in METHODS if method.distances),
    Method("location-scale per class", matched, labels=True),
    Method("ours, per class", within("per_class"), labels=True, first=briefly),
    Method("ours, conditional", within("conditional"), labels=True, first=briefly),
)
"""Those beside which methods that see labels are shown, and these."""
