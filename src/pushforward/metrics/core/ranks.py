"""Several processes measure together: blocks of features are shared out, and what each measured is told to all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from pushforward.metrics.core.features import Features
from pushforward.metrics.core.result import Measure
from pushforward.parallel import sharing

__all__ = ["gather_measures", "together"]


def together(features: Features, x: Tensor, block: int = 1024) -> Tensor:
    """Features of x, (n, dim), by all ranks: each computes every `world`-th block of rows, and all get all.

    The blocks are those that one process computes, so the features are the same to the last bit.

    Args:
        features: The feature space.
        x: Samples, (n, *event), the same on all ranks.
        block: Rows computed at a time.
    """
    rank, world = sharing.place()
    if world == 1:
        return features(x, block)
    sizes = [len(part) for part in x.split(block)]
    own = x.split(block)[rank::world]
    values = features(torch.cat(own), block) if own else torch.empty(0, 0, dtype=torch.float64)
    width = int(sharing.gather(torch.tensor([values.shape[1]])).max())
    rows = sharing.gather(values if own else values.new_empty(0, width))
    parts = [
        iter(part.split(sizes[k::world]))
        for k, part in enumerate(rows.split([sum(sizes[k::world]) for k in range(world)]))
    ]
    return torch.cat([next(parts[k % world]) for k in range(len(sizes))])


def gather_measures(own: Mapping[str, Measure]) -> dict[str, Measure]:
    """Every rank's measures, in one dictionary on every rank."""
    if sharing.world() == 1:
        return dict(own)
    words = {name: _without_detail(measure) for name, measure in own.items()}
    detail = {f"{k}/{key}": t.clone().contiguous() for k, m in enumerate(own.values()) for key, t in m.detail.items()}
    found: dict[str, Measure] = {}
    texts, tensors = sharing.gather_bytes(json.dumps(words).encode()), sharing.gather_bytes(save(detail))
    for text, content in zip(texts, tensors):
        pictures = load(content)
        for k, (name, record) in enumerate(json.loads(text).items()):
            mine = {key.split("/", 1)[1]: t for key, t in pictures.items() if key.startswith(f"{k}/")}
            found[name] = Measure(**record | {"rows": tuple(record["rows"])}, detail=mine)
    return found


def _without_detail(measure: Measure) -> dict[str, Any]:
    record = asdict(replace(measure, detail={}))
    del record["detail"]
    return record
