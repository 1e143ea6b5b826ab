r"""The order of rows in an endless stream: a permutation an epoch, of many rows one that reads a disk in pieces.

Few rows, or long ones, are permuted freely. Of others, n of them, an epoch draws a rotation r, uniform on 0..n-1, cuts
the rows r, r + 1, ..., r - 1 (mod n) into blocks of `BLOCK` bytes, permutes the blocks, deals them to windows of
`WINDOW` bytes, and permutes the rows within each window.

Every epoch visits each row once, since each of these is a permutation. And each place in the stream holds every row
with the same probability, whatever the sizes: given the permutations, place t holds row :math:`\pi(t) + r \bmod n`,
which is uniform because r is, so that the mean of a batch has no bias. Nor does its variance grow much where the rows
are sorted. Of b rows from a window of M blocks, each of which holds equal rows at the worst, it is at most
:math:`1 + b/M` times that of b rows drawn one by one: the blocks of a window are drawn without replacement, so its mean
has a variance of at most :math:`\sigma^2/M`, and the rows add :math:`\sigma^2/b` at most. M is 2,700 at least, and
files are trained on in the order of their split, which is random, so that blocks hold unlike rows there.

The order depends on the seed, the number of rows and their bytes, not on where they lie: a run is the same on data in
memory as on the disk.

Where rows count differently, as `Shares`, an epoch's permutation is one of n places, and row i stands on
:math:`\lfloor c_i \rfloor` or :math:`\lceil c_i \rceil` of them, next to each other, with
:math:`c_i = n w_i / \sum_j w_j`. Which of the two is drawn for all rows at once: their fractions, laid end to end in
random order, are cut by a comb of unit spacing and uniform offset, so that the mean is c, and the sum n.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.randomness import generator

__all__ = ["BLOCK", "ROWS", "WINDOW", "Order", "Shares", "is_windowed", "soon"]

BLOCK = 1 << 14  # bytes that are read at a time: a disk and a page fault cost as much for less
WINDOW = 1 << 26  # bytes among which rows are drawn, twice of which are better in the system's cache
ROWS = 1 << 16  # rows that are permuted freely, however long they are
_ROUNDING = 1e-9  # below which a count is short of a whole number by the rounding of sums

Span = tuple[int, int]


def is_windowed(n: int, row: int) -> bool:
    """Whether n rows of so many bytes are permuted within windows."""
    return n > ROWS and n * row > 2 * WINDOW and 2 * row <= BLOCK


@final
class Order:
    """Row number t of the stream is a pure function of (seed, t).

    Args:
        n: Number of rows.
        row: Bytes of a row.
        seed: Seed of the order.

    Attributes:
        windows: Windows an epoch; one where all rows are permuted freely.
    """

    def __init__(self, n: int, row: int, seed: int) -> None:
        self.n, self.row, self.seed = n, row, seed
        self.block = BLOCK // row if is_windowed(n, row) else n
        self.blocks = -(-n // self.block)
        self.windows = -(-n * row // WINDOW) if self.blocks > 1 else 1
        self._type = np.dtype(np.int32 if n < 2**31 else np.int64)
        self._dealt: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}
        self._drawn: dict[Span, np.ndarray] = {}
        self._told: Span | None = None

    def rows(self, first: int, last: int) -> np.ndarray:
        """Row numbers at the places from `first` up to `last`, int64."""
        parts = []
        while first < last:
            epoch, window, start, stop = self._at(first)
            parts.append(self._window(epoch, window)[first - start : last - start])
            first = min(stop, last)
        return np.concatenate(parts).astype(np.int64)

    def ahead(self, first: int, last: int) -> list[Span]:
        """Rows (begin, end) to be read before those at these places and after: each once, as the places go on.

        A window is told when the one before it begins. Of rows that are permuted freely: all at once, or those at the
        places themselves where they are more than two windows hold.
        """
        if self.windows == 1:
            if self.n * self.row > 2 * WINDOW:
                return [(k, k + 1) for k in self.rows(first, last).tolist()]
            fresh, self._told = self._told is None, (0, 0)
            return [(0, self.n)] if fresh else []
        epoch, window, _, stop = self._at(last - 1)
        if (epoch, window) == self._told:
            return []
        fresh = self._told is None
        self._told = epoch, window
        after = self._at(stop)
        return [*(self._spans(epoch, window) if fresh else ()), *self._spans(after[0], after[1])]

    def _at(self, place: int) -> tuple[int, int, int, int]:
        """Epoch and window of a place, and the places from which up to which that window goes."""
        epoch, at = divmod(place, self.n)
        ends = np.array([self.n]) if self.windows == 1 else self._deal(epoch)[2]
        window = int(np.searchsorted(ends, at, "right"))
        start = int(ends[window - 1]) if window else 0
        return epoch, window, epoch * self.n + start, epoch * self.n + int(ends[window])

    def _deal(self, epoch: int) -> tuple[int, np.ndarray, np.ndarray]:
        """An epoch's rotation, its blocks in their order, and the places where its windows end."""
        if epoch not in self._dealt:
            _make_room(self._dealt)
            rng = generator(self.seed, "data", epoch, part="blocks")
            turn, order = int(rng.integers(self.n)), rng.permutation(self.blocks)
            ends = np.cumsum(np.minimum(self.block, self.n - self.block * order))
            self._dealt[epoch] = turn, order, ends[self._edges()[1:] - 1]
        return self._dealt[epoch]

    def _edges(self) -> np.ndarray:
        """Blocks before each window, and all of them: windows differ by one block at most."""
        return np.arange(self.windows + 1) * self.blocks // self.windows

    def _window(self, epoch: int, window: int) -> np.ndarray:
        """The rows of a window in their order."""
        if (epoch, window) not in self._drawn:
            _make_room(self._drawn)
            if self.windows == 1:
                numbers, part, count = np.arange(self.n, dtype=self._type), "order", epoch
            else:
                spans = self._spans(epoch, window)
                numbers = np.concatenate([np.arange(begin, end, dtype=self._type) for begin, end in spans])
                part, count = "window", epoch * self.windows + window
            generator(self.seed, "data", count, part=part).shuffle(numbers)  # as `permutation`, in half the memory
            self._drawn[epoch, window] = numbers
        return self._drawn[epoch, window]

    def _spans(self, epoch: int, window: int) -> list[Span]:
        """Rows (begin, end) of the blocks of a window; a block across the last row is two."""
        turn, order, _ = self._deal(epoch)
        edges, found = self._edges(), list[Span]()
        for k in order[edges[window] : edges[window + 1]].tolist():
            begin, end = k * self.block + turn, min((k + 1) * self.block, self.n) + turn
            if begin < self.n < end:
                found += [(begin, self.n), (0, end - self.n)]
            else:
                away = self.n if begin >= self.n else 0
                found.append((begin - away, end - away))
        return found


@final
class Shares:
    """The rows that stand on the places of an epoch, each as often as it counts; a pure function of (seed, epoch).

    Args:
        weights: What rows count, (n,), of any sum.
        n: Number of rows.
        seed: Seed of the draw.

    Raises:
        UsageError: If there is not one weight a row, one is negative or not finite, or all are 0.
    """

    def __init__(self, weights: NDArray[np.float64], n: int, seed: int) -> None:
        if weights.shape != (n,):
            raise UsageError(f"weights of shape {weights.shape} for {n} rows: give one weight a row")
        if bad := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0))).tolist():
            raise UsageError(f"weight {weights[bad[0]]} of row {bad[0]}, counted from 0: give 0 or a positive number")
        if not (most := weights.max()):
            raise UsageError(f"all {n} weights are 0: give at least one row a positive weight")
        self.counts, self.seed = n * (weights / most) / (weights / most).sum(), seed
        self._drawn: dict[int, np.ndarray] = {}

    def rows(self, places: NDArray[np.int64], first: int) -> NDArray[np.int64]:
        """The rows on places that an epoch's permutation says, in a stream whose place `first` is the first of them."""
        epochs, found = (first + np.arange(len(places))) // len(self.counts), np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            mine = epochs == epoch
            found[mine] = self._epoch(epoch)[places[mine]]
        return found

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        """The row on every place of an epoch, in ascending order."""
        if epoch not in self._drawn:
            _make_room(self._drawn)
            rng = generator(self.seed, "data", epoch, part="shares")
            times = np.floor(self.counts + _ROUNDING)
            left = np.maximum(self.counts - times, 0)
            more = len(self.counts) - int(times.sum())
            if more:
                order = rng.permutation(len(left))
                edges = left[order].cumsum()
                teeth = (np.arange(more) + rng.random()) * (edges[-1] / more)
                hit = np.searchsorted(edges, np.minimum(teeth, np.nextafter(edges[-1], 0)), "right")
                times += np.bincount(order[hit], minlength=len(times))
            self._drawn[epoch] = np.arange(len(times)).repeat(times.astype(np.int64))
        return self._drawn[epoch]


def _make_room(kept: dict[Any, Any]) -> None:
    """Two are enough for batches that cross an end."""
    while len(kept) > 1:
        kept.pop(next(iter(kept)))


def soon(x: Tensor, spans: list[Span]) -> None:
    """Let the system read these rows of a mapped file into its cache, without waiting; of others nothing happens.

    By address, since a tensor does not tell the mapping that it lies in.
    """
    if sys.platform != "linux" or x.device.type != "cpu" or not spans or not x.is_contiguous():
        return
    row, start, advise = x[:1].nbytes, x.data_ptr(), _madvise()
    for begin, end in spans:
        low = (start + begin * row) // mmap.PAGESIZE * mmap.PAGESIZE
        advise(low, start + end * row - low, mmap.MADV_WILLNEED)


@cache
def _madvise() -> Callable[[int, int, int], int]:
    found = ctypes.CDLL(None).madvise
    found.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    return found
