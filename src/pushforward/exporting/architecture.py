"""A whole graph in words and tensors, and back: what a safetensors file holds of a generator.

    {"layers": [...], "embedding": 0, "box": [-1, 1] or null, "unit": {"kind": "levels", ...}}
    "unit": {"kind": "columns"}, or {"kind": "columns", "holds": ["number", "whole", "truth"]} where some are rounded

Tensors are those of the graph built from these words: `nets.0.body.K.*`, `nets.0.embed.weight`, `unit.*`.
"""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, nn

from pushforward.errors import DataError, UsageError
from pushforward.exporting.card import Interface
from pushforward.exporting.graph import Columns, Graph, Levels
from pushforward.exporting.layers import answered, built, described
from pushforward.nets.blocks import Box, GeneratorNet
from pushforward.plain.kinds import ColumnKind
from pushforward.plain.words import Words

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
        "box": None if graph.box is None else [graph.box.low, graph.box.high],
        "unit": _unit_words(graph.unit),
    }
    return words, {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _unit_words(unit: nn.Module) -> dict[str, Any]:
    if isinstance(unit, Levels):
        return {"kind": "levels", "side": unit.side, "inner": unit.inner, "channels": unit.channels}
    kinds = unit.kinds if isinstance(unit, Columns) else ()
    return {"kind": "columns"} | ({"holds": list(kinds)} if kinds else {})


def graph_of(said: Words, interface: Interface) -> Graph:
    """A graph without memory for its tensors, out of the words of a card.

    Raises:
        DataError: If they are not words of this module, or their parts do not fit onto each other.
    """
    said.exactly("layers", "embedding", "box", "unit")
    place, classes = said.place, len(interface.classes or ())
    layers = said.values["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= 1000:
        raise said.unlike("layers", "a list of 1 to 1000 layers")
    embedding = said.whole("embedding", low=min(classes, 1), high=4096 if classes else 0)
    if len(interface.shape) != 1:
        raise DataError(f"{place}: latents of shape {interface.shape}, and these nets take rows of numbers")
    latent = interface.shape[0]
    with torch.device("meta"):
        body = built(layers, place)
        net = GeneratorNet(body, latent, classes, embedding).eval()
        event = answered(body, torch.zeros(2, latent + embedding), place)
        unit = _unit(said.inside("unit"), event)
    if event != interface.event:
        raise DataError(f"{place}: its layers answer with {event}, and its samples are {interface.event}")
    box = Box(*said.numbers("box", 2)) if said.given("box") else None
    return Graph((net,), unit, box, bool(classes))


def _unit(said: Words, event: tuple[int, ...]) -> nn.Module:
    if said.one_of("kind", ("columns", "levels")) == "columns":
        held = said.given("holds")
        said.exactly("kind", *(("holds",) if held else ()))
        empty = torch.zeros(event, dtype=torch.float64)
        with torch.device("cpu"):  # what the columns hold is told by words and no tensors
            kinds = said.names("holds", event[0], among=get_args(ColumnKind)) if held and len(event) == 1 else ()
            made = Columns(empty, empty.clone(), kinds)
        if held and not made.kinds:
            raise said.unlike("holds", f"what columns of shape {event} hold")
        return made
    said.exactly("kind", "side", "inner", "channels")
    channels, side = said.whole("channels", high=4), said.whole("side")
    if event != (channels, side, side):
        raise DataError(f"{said.place}: its layers answer with {event}, not with images of {(channels, side, side)}")
    return Levels(side, said.whole("inner", high=side), channels)
