"""A whole graph in words and tensors, and back: what a safetensors file holds of a generator.

    {"layers": [...], "embedding": 0, "box": [-1, 1] or null, "unit": {"kind": "columns"} or {"kind": "levels", ...}}

Tensors are those of the graph built from these words: `nets.0.body.K.*`, `nets.0.embed.weight`, `unit.*`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pushforward.errors import DataError, UsageError
from pushforward.exporting.card import Interface
from pushforward.exporting.graph import Columns, Graph, Levels
from pushforward.exporting.layers import answered, built, described, number, whole
from pushforward.nets.blocks import GeneratorNet

__all__ = ["graph_of", "in_words"]


def in_words(graph: Graph) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The words and the tensors of a graph whose first net is a `GeneratorNet` where there are classes.

    Raises:
        UsageError: If a layer or the unit has no words.
    """
    first, *others = graph.nets
    embed: nn.Embedding | None = None
    if graph.conditional:
        if not isinstance(first, GeneratorNet) or first.embed is None:
            raise UsageError(
                f"--format safetensors: how a {type(first).__name__} takes classes has no words in a card; use "
                "--format onnx or torchscript"
            )
        embed, first = first.embed, first.body
    pairs = [pair for net in (first, *others) for pair in described(net)]
    tensors = {
        f"nets.0.body.{k}.{name}": tensor
        for k, (_, layer) in enumerate(pairs)
        for name, tensor in layer.state_dict().items()
    }
    if embed is not None:
        tensors["nets.0.embed.weight"] = embed.weight.detach()
    tensors |= {f"unit.{name}": tensor for name, tensor in graph.unit.state_dict().items()}
    words: dict[str, Any] = {
        "layers": [layer for layer, _ in pairs],
        "embedding": 0 if embed is None else embed.embedding_dim,
        "box": None if graph.box is None else list(graph.box),
        "unit": _unit_words(graph.unit),
    }
    return words, {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _unit_words(unit: nn.Module) -> dict[str, Any]:
    if isinstance(unit, Levels):
        return {"kind": "levels", "side": unit.side, "inner": unit.inner, "channels": unit.channels}
    return {"kind": "columns"}


def graph_of(words: object, interface: Interface, place: str) -> Graph:
    """A graph without memory for its tensors, out of the words of a card.

    Raises:
        DataError: If they are not words of this module, or their parts do not fit onto each other.
    """
    if not isinstance(words, dict) or words.keys() != {"layers", "embedding", "box", "unit"}:
        raise DataError(f"{place}: architecture is {words!r:.80}, not layers, embedding, box and unit")
    layers, classes = words["layers"], len(interface.classes or ())
    if not isinstance(layers, list) or not 1 <= len(layers) <= 1000:
        raise DataError(f"{place}: layers is {layers!r:.60}, not a list of 1 to 1000 layers")
    embedding = whole(words, "embedding", place, low=min(classes, 1), high=4096 if classes else 0)
    if len(interface.law.shape) != 1:
        raise DataError(f"{place}: latents of shape {interface.law.shape}, and these nets take rows of numbers")
    latent = interface.law.shape[0]
    with torch.device("meta"):
        body = built(layers, place)
        net = GeneratorNet(body, latent, classes, embedding).eval()
        event = answered(body, torch.zeros(2, latent + embedding), place)
        unit = _unit(words["unit"], event, place)
    if event != interface.event:
        raise DataError(f"{place}: its layers answer with {event}, and its samples are {interface.event}")
    return Graph((net,), unit, _box(words["box"], place), bool(classes))


def _unit(words: object, event: tuple[int, ...], place: str) -> nn.Module:
    if words == {"kind": "columns"}:
        empty = torch.zeros(event, dtype=torch.float64)
        return Columns(empty, empty.clone())
    if (
        not isinstance(words, dict)
        or words.keys() != {"kind", "side", "inner", "channels"}
        or words["kind"] != "levels"
    ):
        raise DataError(f"{place}: the unit is {words!r:.80}, not columns or levels of images")
    channels, side = whole(words, "channels", place, high=4), whole(words, "side", place)
    if event != (channels, side, side):
        raise DataError(f"{place}: its layers answer with {event}, not with images of {(channels, side, side)}")
    return Levels(side, whole(words, "inner", place, high=side), channels)


def _box(words: object, place: str) -> tuple[float, float] | None:
    if words is None:
        return None
    if not isinstance(words, list) or len(words) != 2:
        raise DataError(f"{place}: box is {words!r:.60}, not two numbers or null")
    low, high = (number(end, f"{place}, box") for end in words)
    return low, high
