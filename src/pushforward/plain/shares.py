"""Shares in words, the same wherever one is said."""

from __future__ import annotations

import math

__all__ = ["percent"]


def percent(share: float) -> str:
    """A share in per cent with two digits, never 0 for a share above 0 and never 100 for one below 1."""
    if share <= 0 or share >= 1:
        return f"{100 * share:.0f} %"
    digits = max(0, 1 - math.floor(math.log10(100 * min(share, 1 - share))))
    return f"{100 * share:.{digits}f} %"
