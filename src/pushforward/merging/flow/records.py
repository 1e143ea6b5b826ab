"""How clouds went, in numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.merging.flow.cloud import Way
from pushforward.merging.plan import Leg
from pushforward.plain.lists import listed

__all__ = ["curves", "recorded", "travelling"]

FULL = 0.5  # kinetic energy of cells at full speed, in L²


def recorded(leg: Leg, way: Way) -> dict[str, Any]:
    """How a cloud went, in numbers and words."""
    return {
        "batch": leg.batch,
        "label": leg.label,
        "cells": len(leg.rows),
        "onto": len(leg.onto),
        "moves": len(way.kinetic),
        "divergence_first": way.divergence[0],
        "divergence_last": way.divergence[-1],
        "kinetic_first": way.kinetic[0],
        "kinetic_last": way.kinetic[-1],
        "slope": way.certificate,
        "slope_certified": way.certified,
        "held_first": way.held[0] if way.held else float("nan"),
        "held_last": way.held[-1] if way.held else float("nan"),
        "held_error": way.held_error[-1] if way.held else float("nan"),
        "settled": way.why,
        "travelling": not way.ended and way.kinetic[-1] > FULL / 2,
    }


def curves(way: Way) -> dict[str, list[float]]:
    """Divergence, kinetic energy in L², gap on held-out cells and its standard error, before each move."""
    return {"divergence": way.divergence, "kinetic": way.kinetic, "held": way.held, "held_error": way.held_error}


def travelling(legs: Sequence[Mapping[str, Any]], steps: int) -> list[str]:
    """That clouds used up their moves, and still moved with more than half of the kinetic energy of full speed."""
    fast = [leg for leg in legs if leg["travelling"]]
    if not fast:
        return []
    names = [f"{leg['label']} of {leg['batch']}" if leg["label"] else leg["batch"] for leg in fast]
    most = max(leg["kinetic_last"] for leg in fast)
    words = f"cells of {listed(names, 12)} were still travelling: kinetic energy {most:.2g} L², at most {FULL:g} L²"
    return [f"{words}: allow more moves, How(steps={2 * steps}), --steps {2 * steps}"]
