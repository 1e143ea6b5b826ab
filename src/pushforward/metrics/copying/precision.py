"""Sets that were not stored alike, brought to the digits that both have: single precision, or so many decimals.

A row that went through float32, or through a table with six decimals, is another row to the bit. Rounding is a function
of the value, so rows that are equal stay so, and only what it makes equal of unlike rows is to be watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AS_IT_IS", "Precision", "agreed", "flat_rows"]

Array = NDArray[np.float64]

SINGLE, AS_IT_IS = 10, 11
"""Forms of a column beside a number of decimals, 0 to 9; a smaller one is coarser."""

_LOOKED = 64  # rows by which the form of a column is guessed, before all are asked
_ROUNDED = 0.5  # distinct values of these: with fewer, few decimals are levels and no rounding
_COARSER = 2  # decimals, or 7 binary digits: about a hundred times


@dataclass(frozen=True)
class Precision:
    """The digits by which rows are compared.

    Attributes:
        forms: Of each column, (d,).
    """

    forms: NDArray[np.int8]

    @property
    def exact(self) -> bool:
        """Whether all numbers are compared as they are."""
        return bool((self.forms == AS_IT_IS).all())

    def of(self, x: Array, columns: NDArray[np.int64] | None = None, *, coarser: bool = False) -> Array:
        """Numbers in the form of their columns.

        Args:
            x: (n, d), or (n, len(columns)).
            columns: Which columns x holds; all where None.
            coarser: Keep about a hundredth of the values only.
        """
        forms = self.forms if columns is None else self.forms[columns]
        if (forms == AS_IT_IS).all():
            return x
        out = x.copy()
        for form in np.unique(forms[forms < AS_IT_IS]).tolist():
            out[:, forms == form] = _rounded(out[:, forms == form], form, coarser)
        return out


def flat_rows(x: Tensor, rows: NDArray[np.int64] | slice, columns: NDArray[np.int64] | None = None) -> Array:
    """Some rows and columns of a set as float64, which holds every float32 to the bit."""
    some = x[rows] if isinstance(rows, slice) else x[torch.from_numpy(rows).to(x.device)]
    flat = some.detach().flatten(1)
    flat = flat if columns is None else flat[:, torch.from_numpy(columns).to(x.device)]
    return flat.to("cpu", torch.float64).numpy()


def agreed(sets: Sequence[Tensor], *, decimals: bool = True, budget: int = 2**26) -> Precision:
    """The digits that all of some sets have: of a column that was rounded in one set and not in another, the former's.

    Args:
        sets: Rows, (n, *event) each.
        decimals: Whether rounded decimals count, beside single precision.
        budget: Bytes that temporaries of one block may take.
    """
    width = sets[0][0].numel()
    forms = np.full(width, AS_IT_IS, np.int8)
    if len(sets) < 2 or all(x.dtype == torch.float32 for x in sets):
        return Precision(forms)
    guesses = np.stack([_guessed(flat_rows(x, _spread(len(x))), decimals) for x in sets])
    unlike = np.flatnonzero((guesses != guesses[0]).any(0))
    coarsest = guesses.min(0)
    for form in np.unique(coarsest[unlike]).tolist():
        columns = unlike[coarsest[unlike] == form]
        # Some set has all its numbers in that form; one that has so by the rows looked at only is no such set.
        held = np.zeros(len(columns), bool)
        for x, guess in zip(sets, guesses, strict=True):
            mine = np.flatnonzero(guess[columns] == form)
            if len(mine):
                held[mine] |= _keeps(x, columns[mine], form, budget)
        forms[columns[held]] = form
    return Precision(forms)


def _spread(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, _LOOKED)).astype(np.int64))


def _guessed(x: Array, decimals: bool) -> NDArray[np.int8]:
    """The coarsest form that some rows are in, by column."""
    forms = np.full(x.shape[1], AS_IT_IS, np.int8)
    forms[(_rounded(x, SINGLE) == x).all(0) & (x != np.rint(x)).any(0)] = SINGLE
    large = (_rounded(x, SINGLE) == x).all(0) & (np.abs(x) > 2**24).any(0)
    forms[large] = SINGLE
    if decimals:
        ordered = np.sort(x, 0)
        many = 1 + (ordered[1:] != ordered[:-1]).sum(0) > _ROUNDED * len(x)
        for digits in range(9, -1, -1):
            forms[many & (_rounded(x, digits) == x).all(0)] = digits
    return forms


def _keeps(x: Tensor, columns: NDArray[np.int64], form: int, budget: int) -> NDArray[np.bool_]:
    """Whether all numbers of some columns are in a form."""
    step, kept = max(1, budget // (32 * len(columns))), np.ones(len(columns), bool)
    for start in range(0, len(x), step):
        block = flat_rows(x, slice(start, start + step), columns)
        kept &= (_rounded(block, form) == block).all(0)
    return kept


def _rounded(x: Array, form: int, coarser: bool = False) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        if form < SINGLE:
            return np.round(x, form - _COARSER * coarser)
        small = x.astype(np.float32)
        if coarser:
            small = (small.view(np.uint32) & np.uint32(0xFFFFFF80)).view(np.float32)
        return small.astype(np.float64)
