"""Rows that occur more than once: in one set, or in two that should have none in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["keys", "one_of_each"]

Keys = NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_FIRST = 128  # columns read first of long rows


def keys(sets: Sequence[Tensor], *, budget: int = 2**26) -> list[Keys]:
    """A number for each row of some sets, the same for equal rows, and for two others once in 2^64 pairs.

    Values are taken as float32, so that a set is known again that was stored with fewer digits. Of long rows some
    columns are read first, and the others only of those rows that have these in common with another.

    Args:
        sets: Rows, (n, *event) each.
        budget: Bytes that temporaries of one block may take.

    Returns:
        (n,) of each set.
    """
    width = sets[0][0].numel()
    if width <= 2 * _FIRST:
        return [_keys(x, None, None, budget) for x in sets]
    columns = torch.linspace(0, width - 1, _FIRST).long()
    found = [_keys(x, None, columns, budget) for x in sets]
    values, counts = np.unique(np.concatenate(found), return_counts=True)
    several = values[counts > 1]
    for x, first in zip(sets, found, strict=True):
        rows = np.flatnonzero(np.isin(first, several))
        if len(rows):
            first[rows] = _keys(x, rows, None, budget)
    return found


def _keys(x: Tensor, rows: NDArray[np.int64] | None, columns: Tensor | None, budget: int) -> Keys:
    """Keys by some columns of some rows, or by all."""
    width = x[0].numel() if columns is None else len(columns)
    weights = np.random.default_rng(0).integers(0, 2**63, width, np.uint64) * np.uint64(2) + np.uint64(1)
    n = len(x) if rows is None else len(rows)
    found = np.empty(n, np.uint64)
    step = max(1, budget // (32 * max(1, width)))
    for start in range(0, n, step):
        some = x[start : start + step] if rows is None else x[torch.from_numpy(rows[start : start + step]).to(x.device)]
        flat = some.detach().flatten(1)
        part = (flat if columns is None else flat[:, columns.to(x.device)]).to("cpu", torch.float32) + 0.0  # -0 is 0
        bits = part.contiguous().numpy().view(np.uint32).astype(np.uint64)
        bits = (bits + np.uint64(1)) * _ODD
        bits ^= bits >> _SHIFT
        sums = (bits * weights).sum(1, dtype=np.uint64)
        sums = (sums ^ (sums >> _SHIFT)) * _ODD
        found[start : start + step] = sums ^ (sums >> _SHIFT)
    return found


def one_of_each(rows: Keys, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Of all rows that are equal one, drawn at random; (n,)."""
    order = rng.permutation(len(rows))
    _, first = np.unique(rows[order], return_index=True)
    chosen = np.zeros(len(rows), bool)
    chosen[order[first]] = True
    return chosen
