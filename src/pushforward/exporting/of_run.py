"""What a run's method and data give for a graph: its nets as they sample, its unit, and the facts for its card."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from pushforward.data.dataset import Dataset
from pushforward.errors import UsageError
from pushforward.exporting.card import FORMAT, VERSION, Interface, Law
from pushforward.exporting.graph import Columns, Graph, Levels
from pushforward.methods.particles.driver import Gaussian
from pushforward.methods.sources import Latent, Normal, OnePass, Uniform
from pushforward.training.experiment import Experiment
from pushforward.training.folder.places import without_places
from pushforward.types import HasParticles, able

__all__ = ["card_of", "graph_and_interface"]

FAR = 2.0**20  # model units at which an affine unit is looked up, so that a large mean costs its slope no digits


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
    box = None if found.box is None else (float(found.box.low), float(found.box.high))
    graph = Graph(nets, _unit_of(data, recipe), box, experiment.conditional).eval().requires_grad_(False)
    classes = data.classes if experiment.conditional else None
    shares: tuple[int, ...] = ()
    if classes is not None and data.train_labels is not None:
        shares = tuple(torch.bincount(data.train_labels, minlength=len(classes)).tolist())
    return graph, Interface(_law_of(found.latent, recipe), classes, shares, tuple(data.event))


def _why_not(experiment: Experiment, recipe: str) -> str:
    kind = type(experiment.method).__name__
    if able(experiment.method, HasParticles):
        return (
            f"{recipe}: its samples are particles, or new points carried along the fields of every step, and no pass "
            "of nets; draw as many as you need with pushforward sample, or learn a generator: latent_particles with "
            "--distil-steps 1500, toy_vgrow, vgrow_images"
        )
    return (
        f"{recipe}: a {kind} draws its samples step by step, or by code of its own, and no fixed graph gives them; "
        "draw as many as you need with pushforward sample, or give the method one_pass() (docs/export.md)"
    )


def _settled(net: nn.Module) -> nn.Module:
    """A copy as it samples: in evaluation mode, with the weights that spectral norms and the like come to."""
    return _plain(deepcopy(net).cpu().eval())


def _plain(module: nn.Module) -> nn.Module:
    """A module and all in it without parametrizations.

    Torch's own removal takes a weight's name from a class that a copy shares with the net that is copied, which would
    be left without; so such a module becomes one of the class before.
    """
    if parametrize.is_parametrized(module):
        lists = module.get_submodule("parametrizations").named_children()
        told = {name: weight().detach().clone() for name, weight in lists}
        fresh = object.__new__(type(module).__mro__[1])
        fresh.__dict__ = vars(module) | {"_parameters": dict(module._parameters), "_modules": dict(module._modules)}
        del fresh._modules["parametrizations"]
        for name, value in told.items():
            fresh.register_parameter(name, nn.Parameter(value, requires_grad=False))
        module = fresh
    for name, child in list(module.named_children()):
        setattr(module, name, _plain(child))
    return module


def _law_of(latent: Latent, recipe: str) -> Law:
    match latent:
        case Normal():
            return Law("normal", (latent.dim,))
        case Uniform():
            return Law("uniform", (latent.dim,))
        case Gaussian():
            return Law("normal", tuple(latent.event), float(latent.mean), float(latent.deviation))
        case _:
            raise UsageError(
                f"{recipe}: latents of a law of one's own, {type(latent).__name__}, have no words in a card; use "
                "Normal, Uniform or Gaussian"
            )


def _unit_of(data: Dataset, recipe: str) -> nn.Module:
    """The way back to data units as a module, found by asking `decode`; its answers are checked once it is written."""
    if data.kind == "images":
        shown = np.asarray(data.decode(torch.zeros(1, *data.event)))
        if shown.dtype != np.uint8 or shown.ndim not in (3, 4):
            raise UsageError(f"{recipe}: decodes images to {shown.dtype} of shape {shown.shape[1:]}, not to levels")
        return Levels(data.event[1], shown.shape[1], data.event[0])
    ends = np.asarray(data.decode(torch.stack([torch.full(data.event, sign * FAR) for sign in (-1, 0, 1)])), np.float64)
    shift = np.asarray(data.decode(torch.zeros(1, *data.event)), np.float64)[0]
    return Columns(torch.from_numpy(shift), torch.from_numpy((ends[2] - ends[0]) / (2 * FAR)))


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
    data, levels = experiment.data, isinstance(graph.unit, Levels)
    stored, versions = (dict(run.get(name) or {}) for name in ("data", "versions"))
    unit = "levels from 0 to 255, rounded, channels last" if levels else "units of the data"
    card = {
        "format": FORMAT,
        "format_version": VERSION,
        "interface": {
            "latents": interface.law.as_dict(),
            "classes": None if interface.classes is None else list(interface.classes),
            "shares": list(interface.shares),
            "event": list(interface.event),
            "samples": {"type": "uint8" if levels else "float64", "unit": unit, "rounded": levels},
        },
        "run": {
            "recipe": run.get("recipe"),
            "command": str(run.get("command", "")),
            "arguments": run.get("arguments", {}),
            "seed": run.get("seed"),
            "step": run.get("step"),
            "steps": run.get("steps"),
            "versions": versions,
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
        "metrics": _measured(metrics),
        "parameters": sum(parameter.numel() for parameter in graph.parameters()),
    }
    own = {name: card["data"][name] for name in ("columns", "classes", "licence")}  # words of the data, and no paths
    card |= without_places({name: card[name] for name in ("run", "data")})
    card["data"] |= own
    return card


def _measured(metrics: dict[str, Any] | None) -> dict[str, Any] | str:
    """Values with floors out of metrics.json, or that there are none."""
    if metrics is None or not isinstance(metrics.get("metrics"), dict):
        return "not evaluated"
    kept = ("value", "floor", "se", "p", "better", "n_fake", "n_real", "features")
    values = {
        str(name): {key: measure[key] for key in kept if key in measure}
        for name, measure in metrics["metrics"].items()
        if isinstance(measure, dict)
    }
    about = {key: metrics[key] for key in ("checkpoint", "step", "seed", "verdict") if key in metrics}
    return about | {"values": values}
