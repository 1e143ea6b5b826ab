"""Values of a stranger's JSON: numbers taken with care, and everything shown as escaped text."""

from __future__ import annotations

import html
import json
import re
from datetime import datetime
from typing import Any, TypeGuard

__all__ = [
    "DARK",
    "HUES",
    "LIGHT",
    "count",
    "digits",
    "duration",
    "is_number",
    "listed",
    "mapping",
    "number",
    "short",
    "text",
    "when",
]

LIGHT = ("#0f766e", "#c2510c", "#4257c4", "#a1307f", "#76780a", "#0b7fab", "#8a4b2a", "#5c6773", "#b3261e", "#6d3fb0",
         "#3f7d20", "#c08a00")  # fmt: skip
"""Colours of runs and classes on light pages and in pictures."""

DARK = ("#5cc8bb", "#f39a5b", "#94a5ff", "#ec86c8", "#c9cb5a", "#66c3ea", "#d6a07f", "#aab4be", "#ff8a7d", "#c3a2ff",
        "#97d977", "#ffd166")  # fmt: skip
"""The same on dark pages."""

HUES = len(LIGHT)  # classes r0, r1, ... of the style sheet, a colour each
LONGEST = 4000  # characters shown of one value
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # what turns or hides words


def mapping(value: object) -> dict[str, Any]:
    """An object of a JSON file; empty if it is something else."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """A list of a JSON file; empty if it is something else."""
    return value if isinstance(value, list) else []


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number, finite or not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(value: object) -> float | None:
    """A finite number, else None; beyond 1e300 nothing can be drawn."""
    try:
        known = float(value) if is_number(value) else None
    except OverflowError:
        return None
    return known if known is not None and abs(known) <= 1e300 else None


def digits(x: float, most: int = 4) -> str:
    """A finite number to a few significant digits, for people."""
    if x == 0 or 1e-4 <= abs(x) < 1000:
        shown = f"{x:.{most}g}"
    elif 1000 <= abs(x) < 1e7:
        shown = f"{x:,.0f}"
    else:
        mantissa, exponent = f"{x:.{most - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        shown = f"{mantissa}e{int(exponent)}"
    return shown.replace("-", "−")


def text(value: object) -> str:
    """Any value of a JSON file as escaped text."""
    if not isinstance(value, str):
        stored = json.dumps(value, ensure_ascii=False)
        value = {"null": "none", "true": "yes", "false": "no", "[]": "none", "{}": "none"}.get(stored, stored)
    shown = value if len(value) <= LONGEST else value[:LONGEST] + " …"
    return html.escape(STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), shown))


def short(value: object, most: int = 4) -> str:
    """A number to a few digits, or what it is instead, escaped."""
    if value is None:
        return "–"
    if is_number(value):
        finite = number(value)
        return "not finite" if finite is None else digits(finite, most)
    return text(value)


def count(value: object) -> str:
    """A whole number with separators, anything else as it was given, escaped."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else text(value)


def duration(value: object) -> str:
    """Seconds in words."""
    seconds = number(value)
    if seconds is None or seconds < 0:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def when(value: object) -> str:
    """A date and time in ISO format in words, anything else as it was given, escaped."""
    try:
        return f"{datetime.fromisoformat(str(value)):%d %B %Y, %H:%M}".lstrip("0")
    except ValueError:
        return text(value)
