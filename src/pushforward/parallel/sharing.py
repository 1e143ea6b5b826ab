"""Work shared out to several processes: rows are dealt and gathered, sums merged, words exchanged.

Everything here is called by all processes alike; without a process group each function answers as one process would.
Nothing travels but tensors and JSON. Joint rows are dealt out, row k to process k modulo their number (`own_rows`,
`all_rows`); shards that came about otherwise are put end to end (`gather`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor, distributed

__all__ = [
    "Mergeable",
    "all_rows",
    "all_scores",
    "gather",
    "gather_bytes",
    "gather_words",
    "largest",
    "leave",
    "mean",
    "merge",
    "own_rows",
    "place",
    "wait",
    "world",
]


class Mergeable(Protocol):
    """Sums over samples, such as moments: `a + b` are the sums over both samples together."""

    def __add__(self, other: Self, /) -> Self:
        """The sums of both samples."""
        ...


S = TypeVar("S", bound=Mergeable)


def place() -> tuple[int, int]:
    """This process's rank, and how many work together; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def world() -> int:
    """Number of processes that work together."""
    return place()[1]


def own_rows(x: Tensor) -> Tensor:
    """This process's share of joint rows, (n // world or one more, ...)."""
    rank, processes = place()
    return x if processes == 1 else x[rank::processes].clone()


def all_rows(x: Tensor) -> Tensor:
    """The joint rows, from each process's share: the inverse of `own_rows`; every process must call it."""
    if world() == 1:
        return x
    shares = _shares(x)
    joint = x.new_empty(sum(map(len, shares)), *x.shape[1:])
    for rank, share in enumerate(shares):
        joint[rank :: len(shares)] = share
    return joint


def gather(x: Tensor) -> Tensor:
    """All processes' rows, one process after the other; they may hold different numbers of them, or none.

    Drop what a sampler padded before: a row that two processes hold counts twice.

    Args:
        x: This process's rows, (n_rank, *event), of one event shape and type.

    Returns:
        (n, *event) on the device of x.
    """
    return x if world() == 1 else torch.cat(_shares(x))


def all_scores(scores: Tensor) -> Tensor:
    """All processes' scores, end to end; only this process's carry a gradient.

    A loss that is no mean over samples, such as a log-sum-exp, has to see them all. Multiply it by `world()` before the
    backward pass: the processes' gradients are averaged, and each has only its share of the sum.
    """
    rank, processes = place()
    if processes == 1:
        return scores
    parts = _shares(scores.detach())
    parts[rank] = scores
    return torch.cat(parts)


def mean(x: Tensor, rows: int) -> Tensor:
    """The mean over all processes' rows, from the mean x (k,) over each process's own; the same on all of them."""
    if world() == 1:
        return x
    total = torch.cat([x.double(), x.new_ones(1, dtype=torch.float64)]) * rows
    distributed.all_reduce(total)
    return (total[:-1] / total[-1]).to(x.dtype)


def largest(x: Tensor) -> Tensor:
    """The largest of the processes' values, element by element."""
    if world() == 1:
        return x
    most = x.clone()
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    return most


def merge(sums: S, tensors: Callable[[S], Sequence[Tensor]], build: Callable[[Sequence[Tensor]], S]) -> S:
    """Every process's sums added up in the order of the ranks, so that all end with the same bits.

    Args:
        sums: This process's, for example the `Moments` of its shard.
        tensors: Takes them apart into tensors, of equal shapes on all processes.
        build: Puts them together again.

    Example:
        >>> import torch
        >>> from pushforward.metrics.quality.frechet import Moments, moments
        >>> own = moments(torch.eye(3))
        >>> parts = lambda m: (torch.tensor(m.n), m.mean, m.scatter)
        >>> merge(own, parts, lambda t: Moments(int(t[0]), t[1], t[2])).n
        3
    """
    if world() == 1:
        return sums
    columns = [gather(part[None]) for part in tensors(sums)]
    total = build([column[0] for column in columns])
    for k in range(1, world()):
        total = total + build([column[k] for column in columns])
    return total


def gather_words(own: Mapping[str, str]) -> dict[str, str]:
    """Every process's words by key, in one dictionary on every process."""
    if world() == 1:
        return dict(own)
    return {k: v for text in gather_bytes(json.dumps(dict(own)).encode()) for k, v in json.loads(text).items()}


def gather_bytes(content: bytes) -> list[bytes]:
    """Every process's bytes, in the order of the ranks."""
    if world() == 1:
        return [content]
    x = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
    return [share.numpy().tobytes() for share in _shares(x)]


def wait() -> None:
    """Until all processes have come this far."""
    if world() > 1:
        distributed.barrier()


def leave() -> None:
    """End the work together, once all processes have come this far; nothing is shared afterwards."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def _shares(x: Tensor) -> list[Tensor]:
    """Every process's rows, in the order of the ranks, on the device of x."""
    nccl = distributed.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if nccl else x.device  # where the group wants tensors
    counts = [torch.zeros((), dtype=torch.int64, device=device) for _ in range(world())]
    distributed.all_gather(counts, torch.tensor(len(x), device=device))
    sizes = [int(count) for count in counts]
    padded = x.new_zeros(max(sizes), *x.shape[1:], device=device)
    padded[: len(x)] = x
    shares = [torch.empty_like(padded) for _ in sizes]
    if padded.numel():
        distributed.all_gather(shares, padded)
    return [share[:size].to(x.device) for share, size in zip(shares, sizes, strict=True)]
