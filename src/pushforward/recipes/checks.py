"""What options may be: types read off a recipe's signature, ranges by the option's name; checked before any work."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from pushforward.errors import UsageError

if TYPE_CHECKING:
    from pushforward.training.experiment import Experiment

__all__ = ["RANGES", "hints", "recipe", "within"]

RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10**9),
    "batch": (1, 10**6),
    "particles": (2, 10**7),
    "latent": (1, 10**5),
    "width": (1, 8192),
    "critic_width": (1, 8192),
    "codec_width": (1, 8192),
    "codec_rate": (1e-12, math.inf),
    "codec_steps": (1, 10**9),
    "codec_rows": (2, 10**9),
    "distil_steps": (0, 10**9),
    "dim": (1, 10**5),
    "noise": (0, math.inf),
    "depth": (0, 32),
    "rounds": (1, 1000),
    "pool": (1, 1000),
    "moves": (1, 1000),
    "fits": (1, 1000),
    "critic_steps": (1, 1000),
    "rate": (1e-12, math.inf),
    "critic_rate": (1e-12, math.inf),
    "step": (1e-12, math.inf),
    "step_end": (1e-12, 1),
    "warmup": (0, 10**6),
    "start": (-1e30, 1e30),
    "spread": (0, 1e30),
    "tracers": (0, 10**8),
    "record": (0, 10**9),
    "diagnose": (0, 10**9),
    "tol": (0, math.inf),
    "plateau": (0, math.inf),
    "horizon": (0, math.inf),
    "slope": (0, math.inf),
    "penalty": (0, math.inf),
    "penalty_end": (1e-12, math.inf),
    "cap": (1e-6, math.inf),
    "ema": (0, 1),
    "seed": (0, 2**63 - 1),
    "threads": (0, 4096),
    "minutes": (0, math.inf),
    "save_every": (0, 10**9),
    "sample_every": (0, 10**9),
}
"""Least and largest value of an option, both allowed."""


def recipe(function: Callable[..., Experiment]) -> Callable[..., Experiment]:
    """Make a function of keyword options a recipe: its arguments are checked before it runs.

    Raises:
        UsageError: If an argument is unknown, of another type than the signature says, or out of range.
    """

    @wraps(function)
    def checked(**arguments: Any) -> Experiment:
        known = hints(function)
        for name, value in arguments.items():
            if name not in known:
                raise UsageError(f"--{_flag(name)}: {function.__name__} has no such option")
            if not _is(value, known[name]):
                raise UsageError(f"--{_flag(name)} {value!r}: expected {_words(known[name])}")
            within(name, value)
        return function(**arguments)

    return checked


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Types of a recipe's options; the type of its answer would need torch."""
    found = get_type_hints(inspect.unwrap(function), localns={"Experiment": object})
    return {name: hint for name, hint in found.items() if name != "return"}


def within(name: str, value: Any) -> None:
    """Check an option against `RANGES`.

    Raises:
        UsageError: Naming the option, its value and its range.
    """
    if name not in RANGES or value is None:
        return
    low, high = RANGES[name]
    if not low <= value <= high:
        limit = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise UsageError(f"--{_flag(name)} {value}: give a number {limit}")


def _is(value: Any, hint: Any) -> bool:
    """Whether a value has a type that recipes use: bool, int, float, str, None, a Literal, or a union of these."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_args(hint):
        return any(_is(value, part) for part in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if hint is type(None) else isinstance(value, hint)


def _words(hint: Any) -> str:
    parts = [part for part in get_args(hint) if part is not type(None)]
    return " or ".join(str(part) if isinstance(part, str) else part.__name__ for part in parts) or hint.__name__


def _flag(name: str) -> str:
    return name.replace("_", "-")
