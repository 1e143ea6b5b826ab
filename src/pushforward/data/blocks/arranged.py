"""Rows in model units, in an order of their own, on the disk: read once from the first to the last, written twice.

Rows in the order of a random permutation cannot be picked from a file one by one: every row would be a page. So each
block of the source is dealt out to chunks of the result, every chunk in memory once, where its rows find their places.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import BLOCK, mapped, pages, spans, written

__all__ = ["arranged"]

CHUNKS = (1 << 22, 1 << 26)  # bytes of a chunk, at least and at most; as many again while it is put in order
FLUSH = 1 << 26  # bytes that are written before the disk is waited for
PAGE = 1 << 14  # bytes of a row below which a page is read alone


def arranged(
    x: np.ndarray,
    order: np.ndarray,
    encode: Callable[[np.ndarray], Tensor],
    event: tuple[int, ...],
    place: str,
) -> Tensor:
    """Row i of the result is `encode` of row `order[i]`; it is mapped from a temporary file, see `scratch.mapped`.

    Args:
        x: Rows in data units, (n, ...), mapped or not.
        order: Row numbers, each at most once, (m,).
        encode: (k, ...) -> float32 (k, *event), row by row.
        event: Shape of a row in model units.
        place: The source, for messages.

    Returns:
        Model units, float32 (m, *event).

    Raises:
        DataError: If there is not enough room on the disk.
    """
    width = math.prod(event)
    out = mapped((len(order), width), np.dtype(np.float32), place)
    chunk = max(1, min(max(budget() // 16, CHUNKS[0]), CHUNKS[1]) // (4 * width))
    position = np.full(len(x), -1, np.int32 if len(x) < 2**31 else np.int64)
    position[order] = np.arange(len(order), dtype=position.dtype)
    ends = np.arange(0, len(order), chunk)  # where the next row of each chunk goes
    pending = 0
    for part in _parts(x, width):
        at = position[part]
        kept = np.flatnonzero(at >= 0)
        if not len(kept):
            continue
        rows = encode(x[part] if len(kept) == len(at) else x[part][kept]).reshape(len(kept), width).numpy()
        belongs = at[kept] // chunk
        for k in np.unique(belongs):
            mine = rows[belongs == k]
            out[ends[k] : ends[k] + len(mine)] = mine
            ends[k] += len(mine)
        pending += rows.nbytes
        if pending > FLUSH:
            written(out)
            pending = 0
    _put_in_order(out, order, chunk)
    _advise(out, 4 * width)
    return torch.from_numpy(out).view(len(order), *event)


def _parts(x: np.ndarray, width: int) -> list[slice]:
    """Spans whose rows are small also in model units."""
    step = max(1, BLOCK // (8 * max(width, math.prod(x.shape[1:]))))
    found = [slice(start, min(start + step, len(x))) for start in range(0, len(x), step)]
    return found or list(spans(x))


def _put_in_order(out: np.ndarray, order: np.ndarray, chunk: int) -> None:
    """Within each chunk: from the order of the source to the one asked for."""
    for start in range(0, len(order), chunk):
        mine = order[start : start + chunk]
        rank = np.empty(len(mine), np.int64)
        rank[np.argsort(mine, kind="stable")] = np.arange(len(mine))
        out[start : start + len(mine)] = out[start : start + len(mine)][rank]
        written(out)


def _advise(out: np.ndarray, row: int) -> None:
    """Tell the kernel that short rows are read here and there, so that it reads no neighbours along."""
    found = pages(out)
    if found is not None and row < PAGE and hasattr(mmap, "MADV_RANDOM"):
        found.madvise(mmap.MADV_RANDOM)
