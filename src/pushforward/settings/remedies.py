"""What helps when a number is not finite, in the options that a recipe has, the one that was turned up most first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushforward.settings.options import Option, flag

__all__ = ["STEEP", "remedy"]

STEEP = ("rate", "critic_rate", "codec_rate", "step", "slope", "penalty", "cap", "spread", "start")
"""Options that make numbers large where they are large."""
USUAL = ("rate", "critic_rate", "codec_rate", "step")  # of them those to lower where all are as they come


def remedy(options: Mapping[str, Option], arguments: Mapping[str, Any]) -> str:
    """What to lower, in words; empty where the recipe has no option that is known to help.

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


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _usual(default: Any) -> float:
    """A size to hold a value against; about 1 where the default is none or nothing."""
    return abs(float(default)) if _number(default) and default else 1.0
