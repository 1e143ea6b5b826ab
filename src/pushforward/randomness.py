"""Seeded random numbers that do not depend on how many processes share the work."""

from typing import final

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Place

__all__ = ["Noise"]


@final
class Noise:
    """A generator on the CPU that draws for all ranks and returns the rows of its own.

    Every count is the number of rows on THIS rank. The joint draw has `world` times as many; rank r gets its rows r,
    r + world, ..., so the ranks' rows, interleaved, are exactly what one process would draw.

    Args:
        seed: Seed of the generator.
        rank: Number of this process, 0 <= rank < world.
        world: Number of processes.
        device: Where draws are delivered; the numbers themselves do not depend on it.
        dtype: Floating type of normal and uniform draws.

    Raises:
        UsageError: If the rank is out of range.
    """

    def __init__(
        self,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not 0 <= rank < world:
            raise UsageError(f"rank {rank} of {world}: it must lie in 0..world-1")
        self.seed, self.rank, self.world = seed, rank, world
        self.device, self.dtype = torch.device(device), dtype
        self.generator = torch.Generator().manual_seed(seed)

    def __repr__(self) -> str:
        """Seed, rank and device."""
        return f"Noise({self.seed}, rank={self.rank}, world={self.world}, device='{self.device}', dtype={self.dtype})"

    def place(self, placement: Place) -> None:
        """Become the source of one process among several, delivering to its device."""
        self.rank, self.world, self.device = placement.rank, placement.world, placement.device

    def normal(self, n: int, *event: int) -> Tensor:
        """Standard normal numbers, (n, *event)."""
        return self._own(torch.randn(n * self.world, *event, generator=self.generator, dtype=self.dtype))

    def uniform(self, n: int, *event: int) -> Tensor:
        """Uniform numbers in [0, 1), (n, *event)."""
        return self._own(torch.rand(n * self.world, *event, generator=self.generator, dtype=self.dtype))

    def integers(self, high: int, n: int) -> Tensor:
        """Whole numbers in 0..high-1, int64 (n,)."""
        return self._own(torch.randint(high, (n * self.world,), generator=self.generator))

    def permutations(self, rows: int, columns: int) -> Tensor:
        """An independent permutation of 0..rows-1 in each column, int64 (rows, columns); columns are shared out."""
        keys = torch.rand(columns * self.world, rows, generator=self.generator, dtype=torch.float64)
        return keys[self.rank :: self.world].argsort(dim=1).T.contiguous().to(self.device, non_blocking=True)

    def _own(self, joint: Tensor) -> Tensor:
        return joint[self.rank :: self.world].to(self.device, non_blocking=True)

    def state_dict(self) -> dict[str, Tensor]:
        """The generator's state, a ByteTensor; equal on all ranks that drew alike."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue at a stored state."""
        self.generator.set_state(state["generator"].cpu())
