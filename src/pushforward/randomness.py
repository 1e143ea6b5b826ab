r"""Named random streams: every purpose draws numbers of its own, and no number is drawn twice.

A stream is named by a seed, a purpose, a part of it and a counter, and starts at

.. math::
    \operatorname{SHA256}(\text{"pushforward"}, \text{seed}, \text{name}, \text{part}, \text{counter}),

so that two purposes that are given the same seed share nothing. Nothing in a name depends on how many processes share
the work. What data *are* (the points of a toy, the split of a file) takes the seed as it is, and nothing else does: the
rows that a run has seen stay those that it has seen, whatever becomes of the streams.

A generator of torch on a CPU keeps 32 bits of its seed: two of its streams are one with probability :math:`2^{-32}`.

Rows that somebody asks for are drawn and computed in `blocks` whose sizes depend on where they lie and on nothing else,
so that few rows are the first of many to the last bit: neither a draw of normal numbers nor a product of matrices gives
a row the same bits in a batch of 20 as in one of 40.

What is asked of a row, as a likelihood that takes noise, draws from no stream: its numbers are a function of the row
itself, so that the answer depends neither on the rows beside it nor on how often it is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Literal, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Place

__all__ = [
    "Noise",
    "Purpose",
    "blocks",
    "derive",
    "even",
    "filled",
    "generator",
    "mixed",
    "seeded",
    "stream",
    "turned",
    "word",
]

Purpose: TypeAlias = Literal["init", "data", "train", "sample", "judge", "evaluate", "transport", "show"]
"""What numbers are for: first weights and particles; the choice and the order of rows; learning; samples that somebody
asked for; looks at a run that is under way; metrics and their samples; distances of carried points; pictures."""


def derive(seed: int, name: Purpose, counter: int = 0, *, part: str = "") -> int:
    """The seed of a named stream, 0 <= seed < 2^63.

    Args:
        seed: The user's seed, any whole number.
        name: What the numbers are for.
        counter: Number of the epoch, the refit, the repeat; the same on all ranks.
        part: What they are for within that purpose, as the metric or the net.
    """
    said = "\0".join(("pushforward", str(int(seed)), name, part, str(int(counter))))
    return int.from_bytes(sha256(said.encode()).digest()[:8], "big") >> 1


def word(seed: int, name: Purpose, counter: int = 0, *, part: str = "") -> int:
    """`derive`, below 2^32, which is what scikit-learn takes for a `random_state`."""
    return derive(seed, name, counter, part=part) % 2**32


def generator(seed: int, name: Purpose, counter: int = 0, *, part: str = "") -> np.random.Generator:
    """A named stream as a generator of numpy; arguments as of `derive`."""
    return np.random.default_rng(derive(seed, name, counter, part=part))


def stream(
    seed: int, name: Purpose, counter: int = 0, *, part: str = "", device: torch.device | str = "cpu"
) -> "Noise":
    """A named stream as `Noise`; arguments as of `derive`, and the device where draws are delivered."""
    return Noise(derive(seed, name, counter, part=part), device=device)


def blocks(n: int, numbers: int | None = None) -> Iterator[tuple[int, int]]:
    """The blocks (first row, size) that reach n rows: 64, 64, 128, 256, 512, then 1024 rows each, whatever n is.

    They hold less than twice the rows that are wanted from 65 on, and at most 1023 more from 1024 on.

    Args:
        n: Rows wanted.
        numbers: Of a row, for rows that are carried along many fields: a pass then costs more than its rows, and there
            are fewer, from 256 to 1024 rows in the first and up to 16 times as many.
    """
    least = 64 if numbers is None else 1 << min(max(2**14 // max(numbers, 1), 256), 1024).bit_length() - 1
    start = 0
    while start < n:
        size = min(max(start, least), 16 * least)
        yield start, size
        start += size


def filled(x: Tensor, start: int, size: int) -> Tensor:
    """A block of rows, (size, ...); its last row stands for those that are not there."""
    rows = x[start : start + size]
    return rows if len(rows) == size else torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])


def even(points: int, size: int) -> Tensor:
    """Points of [0, 1)^size that fill it evenly, float64 (points, size), the same at every call: scrambled Sobol."""
    return torch.quasirandom.SobolEngine(size, scramble=True, seed=derive(0, "evaluate", part="even")).draw(
        points, dtype=torch.float64
    )


def turned(points: Tensor, x: Tensor) -> Tensor:
    """Points (k, size) of the cube, each moved by a vector of every row's own and taken modulo 1: (k, n, size).

    The vectors are spread as if uniform and independent, and are functions of the rows as float32: a mean over the
    points of a row is then that of independent draws in expectation, with their even spread, and rows err apart.

    Args:
        points: As of `even`.
        x: Rows (n, *event), finite.

    References:
        Randomization of number theoretic methods for multiple integration (Cranley and Patterson, 1976),
        doi:10.1137/0713071.
    """
    bits = (x.detach().flatten(1).cpu().float().numpy().astype(np.float64) + 0.0).view(np.uint64)  # of two zeros one
    step = np.uint64(0x9E3779B97F4A7C15)
    columns, numbers = (np.arange(1, n + 1, dtype=np.uint64) for n in (bits.shape[1], points.shape[1]))
    with np.errstate(over="ignore"):
        keys = mixed(bits ^ (step * columns)).sum(1, keepdims=True, dtype=np.uint64)
        own = mixed(keys + step * numbers)
    moved = torch.from_numpy((own >> np.uint64(11)).astype(np.float64) * 2.0**-53)
    return (points[:, None] + moved) % 1


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The last step of splitmix64, which maps whole numbers of 64 bits to these one to one and leaves no pattern.

    References:
        Fast splittable pseudorandom number generators (Steele, Lea & Flood, 2014), doi:10.1145/2714064.2660195.
    """
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@contextmanager
def seeded(seed: int, part: str = "", name: Purpose = "init", counter: int = 0) -> Iterator[None]:
    """Within: what takes its numbers from torch's own generators, as first weights and dropout do, is a named stream.

    The processor's generator is as before afterwards.

    Args:
        seed: The user's seed.
        part: Which nets; two that are built apart must not begin with the same weights.
        name: What the numbers are for.
        counter: Number of the step.
    """
    with torch.random.fork_rng(devices=[]):
        begin = derive(seed, name, counter, part=part)
        torch.default_generator.manual_seed(begin)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed(begin)
        yield


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
        """Continue at a stored state.

        Raises:
            ValueError: If it is none of a generator's.
        """
        own, stored = self.generator.get_state(), state.get("generator")
        if not isinstance(stored, Tensor) or stored.dtype != own.dtype or stored.shape != own.shape:
            raise ValueError(f"the state of a random stream is {stored!r:.40}")
        try:
            self.generator.set_state(stored.cpu())
        except RuntimeError as error:
            raise ValueError(f"the state of a random stream is damaged ({error!s:.80})") from error
