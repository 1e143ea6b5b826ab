"""What helps when a number is not finite or modes were lost, in the options that a recipe has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pushforward.settings.options import Option, flag

__all__ = ["STEEP", "remedy", "steadier"]

STEEP = ("rate", "critic_rate", "codec_rate", "step", "slope", "penalty", "cap", "spread", "start")
"""Options that make numbers large where they are large."""
USUAL = ("rate", "critic_rate", "codec_rate", "step")  # of them those to lower where all are as they come


def remedy(options: Mapping[str, Option], arguments: Mapping[str, Any]) -> str:
    """What to lower, the option that was turned up most first; empty where the recipe has none that is known to help.

    Args:
        options: The recipe's.
        arguments: What they were.
    """
    known = {name: arguments[name] for name in STEEP if name in options and _number(arguments.get(name))}
    raised = {name: abs(value) / _usual(options[name].default) for name, value in known.items()}
    name = max(raised, key=lambda name: raised[name], default=None)
    if name is not None and raised[name] > 1:
        default = options[name].default
        times = f", {raised[name]:.3g} times its default {default:g}" if _number(default) and default else ""
        return f"lower {flag(name)}, which is {known[name]:g}{times}"
    least = [f"{flag(name)} (now {known[name]:g})" for name in USUAL if name in known]
    return f"lower {' or '.join(least)}" if least else ""


def steadier(options: Mapping[str, Option], arguments: Mapping[str, Any]) -> dict[str, str]:
    """What helps a run that lost modes, froze or ended worse than its best, in words, by these names.

    Args:
        options: The recipe's.
        arguments: What they were.
    """
    known = {name: arguments[name] for name in options if _number(arguments.get(name))}
    moves, pace = known.get("moves", 1) > 1, [name for name in ("radius", "step") if 0 < known.get(name, 0) < math.inf]
    shorter = f"lower {flag(pace[0])} (now {known[pace[0]]:g})" if pace else ""
    if "radius" in options and "radius" not in known:  # then it suits the moves, and holds what a step says
        shorter = "give a --radius, for shorter moves,"
    less = [f"{shorter} or give --moves 1"] if moves and shorter else []
    more = [f"raise {flag('penalty')} (now {known['penalty']:g})"] if "penalty" in known else []
    rates = [f"lower {flag('rate')} (now {known['rate']:g})"] if "rate" in known else []
    law = [] if arguments.get("divergence") != "JS" else ["--divergence LOGD or KL, whose weight does not vanish"]
    held = [f"raise {flag('rate_end')} (now {known['rate_end']:g})"] if "rate_end" in known else []
    ways = {"lost": less or more or rates, "frozen": law or held or more, "worse": less or rates}
    return {name: f"train with other options: {', or '.join(words)}" for name, words in ways.items() if words}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _usual(default: Any) -> float:
    """A size to hold a value against; about 1 where the default is none or nothing."""
    return abs(float(default)) if _number(default) and default else 1.0
