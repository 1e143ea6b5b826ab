"""What a run's method and data give for a graph: its nets as they sample, its unit, and the facts for its card."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from pushforward.data.dataset import Dataset
from pushforward.data.pixels import Pixels
from pushforward.densities.latents import Gaussian, Uniform, law_of
from pushforward.errors import DataError, UsageError
from pushforward.exporting.card import FORMAT, VERSION, Interface
from pushforward.exporting.graph import Columns, Graph, Levels
from pushforward.exporting.layers import plain
from pushforward.methods.sources import Box, Latent, OnePass
from pushforward.plain.kinds import rounds
from pushforward.plain.words import Words
from pushforward.training.experiment import Experiment
from pushforward.training.folder.places import without_places
from pushforward.training.state import members
from pushforward.types import Denoises, Described, HasParticles, Likely, able

__all__ = ["card_of", "graph_and_interface"]


def graph_and_interface(experiment: Experiment, recipe: str) -> tuple[Graph, Interface]:
    """The nets of a run as one module, and what goes in and comes out.

    Raises:
        UsageError: If its samples are no pass of nets, or its latents or its unit are of one's own: says what is
            possible instead.
    """
    method, data = experiment.method, experiment.data
    if not able(method, OnePass):
        raise UsageError(_why_not(experiment, recipe))
    found = method.one_pass()
    nets = [_settled(net) for net in found.nets]
    box = None if found.box is None else Box(float(found.box.low), float(found.box.high))
    graph = Graph(nets, _unit_of(data), box, experiment.conditional).eval().requires_grad_(False)
    classes = data.classes if experiment.conditional else None
    shares: tuple[int, ...] = ()
    if classes is not None and data.train_labels is not None:
        shares = tuple(torch.bincount(data.train_labels, minlength=len(classes)).tolist())
    names, kinds = (data.columns, data.kinds) if len(data.event) == 1 else ((), ())
    law = _law_of(found.latent, recipe)
    return graph, Interface(law, classes, shares, tuple(data.event), names, kinds, data.label)


def _why_not(experiment: Experiment, recipe: str) -> str:
    kind = type(experiment.method).__name__
    if able(experiment.method, HasParticles):
        return (
            f"{recipe}: its samples are particles, or new points carried along the fields of every step, and no pass "
            "of nets; draw as many as you need with pushforward sample, or learn a generator: latent_particles with "
            "--distil-steps 1500, toy_vgrow, vgrow_images"
        )
    if any(able(part, Denoises) for _, part in members(experiment.method)):
        return (
            f"{recipe}: its samples come down from noise in many calls of a net, and no one pass gives them; draw as "
            "many as you need with pushforward sample, or learn one call that does: bridge_toy, bridge_digits and "
            "bridge_images with --distil-steps 2000"
        )
    if able(experiment.method, Likely):
        return (
            f"{recipe}: its samples are drawn by a law, by code of its own that no fixed graph gives; draw as many as "
            "you need with pushforward sample, or learn a generator: toy_vgrow, or bridge_toy with --distil-steps 2000"
        )
    return (
        f"{recipe}: a {kind} draws its samples step by step, or by code of its own, and no fixed graph gives them; "
        "draw as many as you need with pushforward sample, or give the method one_pass() (docs/export.md)"
    )


def _settled(net: nn.Module) -> nn.Module:
    """A copy as it samples: in evaluation mode, with the weights that spectral norms and the like come to."""
    return plain(deepcopy(net).cpu().eval())


def _law_of(latent: Latent, recipe: str) -> Uniform | Gaussian:
    """The law as a card tells it; that it draws what the run draws is checked once it is written.

    Raises:
        UsageError: If the law is not told in the words of one that this package can draw from.
    """
    kind = type(latent).__name__
    if not able(latent, Described):
        raise UsageError(
            f"{recipe}: latents of a law of one's own, {kind}, have no words in a card; use normal, Uniform or "
            f"Gaussian, or give {kind} as_dict() with the words of one of them (docs/export.md)"
        )
    try:
        return law_of(Words.of(latent.as_dict(), f"{recipe}: {kind}.as_dict()", "see docs/export.md"))
    except DataError as error:
        raise UsageError(str(error)) from error


def _unit_of(data: Dataset) -> nn.Module:
    """The way back to data units as a module; its answers are held against `decode` once it is written."""
    unit = data.known_unit
    if isinstance(unit, Pixels):
        return Levels(unit.side, unit.inner, unit.channels)
    shift, scale = (torch.from_numpy(part.astype(np.float64)) for part in unit.columns(data.event))
    return Columns(shift, scale, data.kinds if len(data.event) == 1 else ())


def card_of(
    experiment: Experiment,
    run: dict[str, Any],
    interface: Interface,
    graph: Graph,
    *,
    metrics: dict[str, Any] | None,
    licence: str | None,
) -> dict[str, Any]:
    """Everything that a file says of the generator in it; without places of this machine.

    Args:
        experiment: The run, built again.
        run: Its description.
        interface: What goes in and comes out.
        graph: Its nets.
        metrics: Its metrics.json, if it was evaluated.
        licence: Licence of the data, in the user's words.
    """
    data, stored = experiment.data, dict(run.get("data") or {})
    card = {
        "format": FORMAT,
        "format_version": VERSION,
        "interface": {
            "latents": interface.law.as_dict(),
            "classes": None if interface.classes is None else list(interface.classes),
            "shares": list(interface.shares),
            "event": list(interface.event),
            "samples": _samples(graph.unit, interface),
        },
        "run": {
            "recipe": run.get("recipe"),
            "command": str(run.get("command", "")),
            "arguments": run.get("arguments", {}),
            "seed": run.get("seed"),
            "step": run.get("step"),
            "steps": run.get("steps"),
            "versions": dict(run.get("versions") or {}),
            "legs": run["legs"] if isinstance(run.get("legs"), list) else [],
        },
        "data": {
            "name": data.name,
            "kind": data.kind,
            "rows": {"learned_from": stored.get("n_train"), "held_out": stored.get("n_test")},
            "sha256": stored.get("sha256"),
            "columns": list(data.columns),
            "classes": None if data.classes is None else list(data.classes),
            "event": list(data.event),
            "licence": licence or "not given",
        },
        "parameters": sum(parameter.numel() for parameter in graph.parameters()),
    }
    card["metrics"] = _measured(metrics, run)
    own = {name: card["data"][name] for name in ("columns", "classes", "licence")}  # words of the data, and no paths
    card |= without_places({name: card[name] for name in ("run", "data")})
    card["data"] |= own
    return card


def _samples(unit: nn.Module, interface: Interface) -> dict[str, Any]:
    """What samples are: their type and unit, and, of a table, columns, what they hold and which are rounded."""
    if isinstance(unit, Levels):
        return {"type": "uint8", "unit": "levels from 0 to 255, rounded, channels last", "rounded": True}
    names = interface.columns or tuple(map(str, range(interface.event[0])))
    at = [name for name, kind in zip(names, interface.kinds) if rounds(kind)]
    said = {"type": "float64", "unit": "units of the data", "rounded": at or False}
    return said | {"columns": list(interface.columns), "kinds": list(interface.kinds), "label": interface.label}


def _measured(metrics: dict[str, Any] | None, run: dict[str, Any]) -> dict[str, Any] | str:
    """Values with floors out of metrics.json, or that there are none of this very checkpoint."""
    if metrics is None or not isinstance(metrics.get("metrics"), dict):
        return "not evaluated"
    if metrics.get("step") != run.get("step"):
        return f"not evaluated at step {run.get('step')}; metrics.json is of step {metrics.get('step')}"
    kept = ("value", "floor", "se", "p", "better", "n_fake", "n_real", "features")
    values = {
        str(name): {key: measure[key] for key in kept if key in measure}
        for name, measure in metrics["metrics"].items()
        if isinstance(measure, dict)
    }
    about = {key: metrics[key] for key in ("checkpoint", "step", "seed", "verdict") if key in metrics}
    return about | {"values": values}
