"""Lists in messages: the first of many, and how many more there are, so that nothing is left out unsaid."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed"]


def listed(names: Sequence[object], most: int = 6) -> str:
    """Names behind each other, the first of many: "a, b and 3 more".

    Args:
        names: What is listed.
        most: How many are written out.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
