"""An endless, seeded stream of batches that knows its position."""

from collections.abc import Iterator
from typing import Generic, Self, TypeVar, cast, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.blocks.order import Order, Shares, soon
from pushforward.errors import UsageError
from pushforward.types import Place

__all__ = ["Batches"]

Batch = TypeVar("Batch", Tensor, tuple[Tensor, Tensor])


@final
class Batches(Generic[Batch], Iterator[Batch]):
    r"""Batch k is a pure function of (seed, k): rows [k size, (k + 1) size) of the epochs' permutations in a row.

    Epoch e is permuted by generators seeded from (seed, e), so every epoch visits each row once, a batch may cross
    from one epoch into the next, and `size` may exceed the number of rows; `blocks.order` says how rows of more than
    128 MB are permuted. Rank r of `world` processes takes the rows r, r + world, ... of the joint batch.

    With weights w every epoch visits row i, of n, as often as :math:`n w_i / \sum_j w_j` says, rounded up or down so
    that the mean over epochs is just that; equal weights change nothing. So data are shown in the shares that a part of
    a cloud asks for, as `pushforward.metrics.integration.support` finds them.

    Args:
        x: Rows, (n, *event).
        size: Rows of a joint batch, a multiple of `world`.
        seed: Seed of the order, not negative.
        labels: One label a row, (n,); batches are then pairs (x, labels).
        rank: Number of this process, 0 <= rank < world.
        world: Number of processes.
        position: Number of the batch that comes next.
        weights: What each row counts, (n,), not negative, of any sum; None where all count the same.

    Raises:
        UsageError: If the sizes, the seed, the rank or the weights are out of range.
    """

    @overload
    def __init__(
        self: "Batches[Tensor]",
        x: Tensor,
        size: int,
        *,
        seed: int = 0,
        labels: None = None,
        rank: int = 0,
        world: int = 1,
        position: int = 0,
        weights: NDArray[np.floating] | Tensor | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: "Batches[tuple[Tensor, Tensor]]",
        x: Tensor,
        size: int,
        *,
        seed: int = 0,
        labels: Tensor,
        rank: int = 0,
        world: int = 1,
        position: int = 0,
        weights: NDArray[np.floating] | Tensor | None = None,
    ) -> None: ...

    def __init__(
        self,
        x: Tensor,
        size: int,
        *,
        seed: int = 0,
        labels: Tensor | None = None,
        rank: int = 0,
        world: int = 1,
        position: int = 0,
        weights: NDArray[np.floating] | Tensor | None = None,
    ) -> None:
        if not 0 <= rank < world:
            raise UsageError(f"rank {rank} of {world}: it must lie in 0..world-1")
        if size < 1 or size % world:
            raise UsageError(f"batch size {size}: give a positive multiple of the number of processes, {world}")
        if len(x) < 1 or seed < 0 or position < 0:
            raise UsageError(f"{len(x)} rows, seed {seed}, position {position}: need a row and no negative number")
        if labels is not None and len(labels) != len(x):
            raise UsageError(f"{len(labels)} labels for {len(x)} rows: give one label a row")
        self.x, self.labels, self.device = x, labels, x.device
        self.size, self.seed, self.rank, self.world, self.position = size, seed, rank, world, position
        self._order = Order(len(x), x[:1].nbytes, seed)
        self._shares = None if weights is None else Shares(np.asarray(weights, np.float64), len(x), seed)

    def __repr__(self) -> str:
        """Sizes, seed, rank and position."""
        return (
            f"Batches({tuple(self.x.shape)}, size={self.size}, seed={self.seed}, rank={self.rank}, "
            f"world={self.world}, position={self.position})"
        )

    def __iter__(self) -> Self:
        """The stream itself."""
        return self

    def __next__(self) -> Batch:
        """The next batch, (size / world, *event), or the pair of it and its labels."""
        rows = torch.from_numpy(self.rows(self.position)[self.rank :: self.world]).to(self.x.device)
        self.position += 1
        if self._shares is None:
            soon(self.x, self._order.ahead(self.position * self.size, (self.position + 1) * self.size))
        x = self.x.index_select(0, rows).to(self.device)
        return cast(Batch, x if self.labels is None else (x, self.labels.index_select(0, rows).to(self.device)))

    def rows(self, k: int) -> np.ndarray:
        """Row numbers of joint batch k, int64 (size,)."""
        first, last = k * self.size, (k + 1) * self.size
        rows = self._order.rows(first, last)
        return rows if self._shares is None else self._shares.rows(rows, first)

    def to(self, device: torch.device | str) -> Self:
        """Give batches on a device; returns the stream itself.

        Rows and labels are kept there, so that batches are gathered there, unless they take more than half of what is
        free on a graphics card: then they stay where they are, and every batch is sent.
        """
        self.device = torch.device(device)
        fits = self.device.type != "cuda" or 2 * self.x.nbytes < torch.cuda.mem_get_info(self.device)[0]
        if fits or self.x.device == self.device:
            self.x = self.x.to(device)
            self.labels = None if self.labels is None else self.labels.to(device)
        return self

    def place(self, placement: Place) -> None:
        """Become the stream of one process among several, with the rows on its device.

        Raises:
            UsageError: If the joint batch cannot be shared out evenly.
        """
        if self.size % placement.world:
            raise UsageError(f"batch size {self.size}: not a multiple of the {placement.world} processes")
        self.rank, self.world = placement.rank, placement.world
        self.to(placement.device)

    def state_dict(self) -> dict[str, int]:
        """The position; the rest is given by the arguments."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at a stored position.

        Raises:
            ValueError: If it is none.
        """
        found = state.get("position")
        if type(found) is not int or found < 0:
            raise ValueError(f"the position of a stream is {found!r:.40}")
        self.position = found
