"""Rows shared out to several processes: row k belongs to process k modulo their number."""

from __future__ import annotations

import torch
from torch import Tensor, distributed

__all__ = ["all_rows", "all_scores", "largest", "mean", "own_rows", "world"]


def world() -> int:
    """Number of processes that work together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def own_rows(x: Tensor) -> Tensor:
    """This process's share of joint rows, (n // world or one more, ...)."""
    return x if world() == 1 else x[distributed.get_rank() :: world()].clone()


def all_rows(x: Tensor) -> Tensor:
    """The joint rows, from each process's share: the inverse of `own_rows`; every process must call it."""
    if world() == 1:
        return x
    counts = [torch.zeros((), dtype=torch.int64, device=x.device) for _ in range(world())]
    distributed.all_gather(counts, torch.tensor(len(x), device=x.device))
    sizes = [int(count) for count in counts]
    padded = x.new_zeros(max(sizes), *x.shape[1:])
    padded[: len(x)] = x
    shares = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(shares, padded)
    joint = x.new_empty(sum(sizes), *x.shape[1:])
    for rank, (share, size) in enumerate(zip(shares, sizes, strict=True)):
        joint[rank :: len(sizes)] = share[:size]
    return joint


def all_scores(scores: Tensor) -> Tensor:
    """All processes' scores, end to end; only this process's carry a gradient.

    A loss that is no mean over samples, such as a log-sum-exp, has to see them all. Multiply it by `world()` before the
    backward pass: the processes' gradients are averaged, and each has only its share of the sum.
    """
    if world() == 1:
        return scores
    counts = [torch.zeros((), dtype=torch.int64, device=scores.device) for _ in range(world())]
    distributed.all_gather(counts, torch.tensor(len(scores), device=scores.device))
    sizes = [int(count) for count in counts]
    padded = scores.detach().new_zeros(max(sizes))
    padded[: len(scores)] = scores.detach()
    shares = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(shares, padded)
    parts = [share[:size] for share, size in zip(shares, sizes, strict=True)]
    parts[distributed.get_rank()] = scores
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
