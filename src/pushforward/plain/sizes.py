"""Bytes in words, in units of 1024, as `PUSHFORWARD_MEMORY=2G` and `--memory 64MB` count them; how wide text is."""

from __future__ import annotations

__all__ = ["WIDE", "size"]

UNITS = ("kB", "MB", "GB", "TB")

WIDE = 190
"""How many characters wide tables are where no terminal says it, as in a file, a pipe, a text."""


def size(count: int) -> str:
    """A number of bytes: 3.2 GB; whole numbers as such, 256 MB."""
    power = min(len(UNITS), max(1, (int(count).bit_length() - 1) // 10))
    return f"{count / 1024**power:.1f}".removesuffix(".0") + f" {UNITS[power - 1]}"
