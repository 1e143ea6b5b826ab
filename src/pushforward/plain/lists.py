"""Lists in messages, the first of many with how many more there are; and numbers of things, one or several."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "listed"]


def counted(count: int, what: str, verb: str = "") -> str:
    """So many of a kind, in the number that they are of: "1 gene", "2,000 genes"; "1 gene holds", "2 genes hold".

    Args:
        count: How many.
        what: One of them.
        verb: What several do, if anything.
    """
    one = count == 1
    return f"{count:,} {what}{'' if one else 's'}" + (f" {verb}{'s' if one else ''}" if verb else "")


def listed(names: Sequence[object], most: int = 6) -> str:
    """Names behind each other, the first of many: "a, b and 3 more".

    Args:
        names: What is listed.
        most: How many are written out.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
