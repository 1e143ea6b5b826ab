"""Pictures of what a number can and cannot see; each returns the numbers it shows."""

from pushforward.demos.collapse import collapse
from pushforward.demos.consistency import consistency
from pushforward.demos.covering import covering
from pushforward.demos.paradox import paradox

__all__ = ["collapse", "consistency", "covering", "paradox"]
