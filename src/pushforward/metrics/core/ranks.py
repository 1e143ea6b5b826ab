"""Several processes measure together: shards are gathered, sums are merged, work is shared out.

Everything here is called by all ranks alike, after `torch.distributed.init_process_group`; without a process group
each function answers as one process would. Nothing travels but tensors and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol, Self, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor, distributed

from pushforward.metrics.core.features import Features
from pushforward.metrics.core.result import Measure

__all__ = ["Mergeable", "gather", "gather_measures", "gather_words", "merge", "place", "together"]


class Mergeable(Protocol):
    """Sums over samples, such as moments: `a + b` are the sums over both samples together."""

    def __add__(self, other: Self, /) -> Self:
        """The sums of both samples."""
        ...


S = TypeVar("S", bound=Mergeable)


def place() -> tuple[int, int]:
    """This process's rank, and how many there are; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gather(x: Tensor) -> Tensor:
    """All ranks' rows, one rank after the other; the ranks may hold different numbers of them, or none.

    Drop what a sampler padded before: a row that two ranks hold counts twice.

    Args:
        x: This rank's rows, (n_rank, *event), of one event shape and type.

    Returns:
        (n, *event) on the device of x.
    """
    rank, world = place()
    if world == 1:
        return x
    device = _device(x)
    count = torch.tensor([len(x)], device=device)
    counts = [torch.zeros_like(count) for _ in range(world)]
    distributed.all_gather(counts, count)
    sizes = [int(one) for one in counts]
    parts = [x.to(device) if k == rank else x.new_empty(size, *x.shape[1:]).to(device) for k, size in enumerate(sizes)]
    for k, part in enumerate(parts):
        if sizes[k]:
            parts[k] = part.contiguous()
            distributed.broadcast(parts[k], k)
    return torch.cat(parts).to(x.device)


def merge(sums: S, tensors: Callable[[S], Sequence[Tensor]], build: Callable[[Sequence[Tensor]], S]) -> S:
    """Every rank's sums added up in the order of the ranks, so that all end with the same bits.

    Args:
        sums: This rank's, for example `Moments` of its shard.
        tensors: Takes them apart into tensors, of equal shapes on all ranks.
        build: Puts them together again.

    Example:
        >>> import torch
        >>> from pushforward.metrics.quality.frechet import Moments, moments
        >>> own = moments(torch.eye(3))
        >>> parts = lambda m: (torch.tensor(m.n), m.mean, m.scatter)
        >>> merge(own, parts, lambda t: Moments(int(t[0]), t[1], t[2])).n
        3
    """
    _, world = place()
    if world == 1:
        return sums
    columns = [gather(part[None]) for part in tensors(sums)]
    total = build([column[0] for column in columns])
    for k in range(1, world):
        total = total + build([column[k] for column in columns])
    return total


def together(features: Features, x: Tensor, block: int = 1024) -> Tensor:
    """Features of x, (n, dim), by all ranks: each computes every `world`-th block of rows, and all get all.

    The blocks are those that one process computes, so the features are the same to the last bit.

    Args:
        features: The feature space.
        x: Samples, (n, *event), the same on all ranks.
        block: Rows computed at a time.
    """
    rank, world = place()
    if world == 1:
        return features(x, block)
    sizes = [len(part) for part in x.split(block)]
    own = x.split(block)[rank::world]
    values = features(torch.cat(own), block) if own else torch.empty(0, 0, dtype=torch.float64)
    width = int(gather(torch.tensor([values.shape[1]])).max())
    rows = gather(values if own else values.new_empty(0, width))
    parts = [
        iter(part.split(sizes[k::world]))
        for k, part in enumerate(rows.split([sum(sizes[k::world]) for k in range(world)]))
    ]
    return torch.cat([next(parts[k % world]) for k in range(len(sizes))])


def gather_measures(own: Mapping[str, Measure]) -> dict[str, Measure]:
    """Every rank's measures, in one dictionary on every rank."""
    _, world = place()
    if world == 1:
        return dict(own)
    words = {name: _without_detail(measure) for name, measure in own.items()}
    detail = {f"{k}/{key}": t.clone().contiguous() for k, m in enumerate(own.values()) for key, t in m.detail.items()}
    found: dict[str, Measure] = {}
    texts, tensors = _gather_bytes(json.dumps(words).encode()), _gather_bytes(save(detail))
    for text, content in zip(texts, tensors):
        pictures = load(content)
        for k, (name, record) in enumerate(json.loads(text).items()):
            mine = {key.split("/", 1)[1]: t for key, t in pictures.items() if key.startswith(f"{k}/")}
            found[name] = Measure(**record, detail=mine)
    return found


def gather_words(own: Mapping[str, str]) -> dict[str, str]:
    """Every rank's words by key, in one dictionary on every rank."""
    _, world = place()
    if world == 1:
        return dict(own)
    return {k: v for text in _gather_bytes(json.dumps(dict(own)).encode()) for k, v in json.loads(text).items()}


def _without_detail(measure: Measure) -> dict[str, Any]:
    record = asdict(replace(measure, detail={}))
    del record["detail"]
    return record


def _gather_bytes(content: bytes) -> list[bytes]:
    """Every rank's bytes, in the order of the ranks."""
    _, world = place()
    x = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
    sizes = gather(torch.tensor([len(x)])).tolist()
    return [bytes(part.numpy().tobytes()) for part in gather(x).split(sizes)] if world > 1 else [content]


def _device(x: Tensor) -> torch.device:
    """Where the process group wants its tensors."""
    return torch.device("cuda", torch.cuda.current_device()) if distributed.get_backend() == "nccl" else x.device
