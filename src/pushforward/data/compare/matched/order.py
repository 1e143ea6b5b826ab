"""Which column of a set is which of another: by name where both have names, by position where one has none."""

from __future__ import annotations

from pathlib import Path

from pushforward.data.compare.points import Points
from pushforward.errors import DataError, nearest
from pushforward.plain.lists import counted, listed

__all__ = ["order"]

SHOWN = 6  # names written out in an error


def order(points: Points, real: Points, role: str, kept: list[int], notes: list[str]) -> list[int]:
    """Where the compared columns of real stand in a set; what was done goes to the notes."""
    if points is real:
        return kept
    wanted = [real.labels[j] for j in kept]
    known = {name: j for j, name in enumerate(points.labels)}
    numbered = [_numbered(points), _numbered(real)]
    if all(numbered) or (any(numbered) and not set(wanted) <= set(known)):
        own = [j for j, label in enumerate(points.labels) if label not in points.keys]
        if points.width not in (real.width, len(kept)):
            if len(own) == len(kept):
                notes.append(f"{role}: {_left_out(points)}")
                return own
            raise DataError(
                f"{points.place} holds {points.shape} and {real.place} {real.shape}; "
                "only like can be compared with like: give both the same columns"
            )
        if not all(numbered):
            bare, named = (role, "real") if numbered[0] else ("real", role)
            notes.append(f"{bare}: no names of {real.what}s, matched with those of {named} by position")
        return kept if points.width == real.width else list(range(len(kept)))
    if missing := [name for name in wanted if name not in known]:
        _refuse_missing(points, real, missing)
    places = [known[name] for name in wanted]
    left = set(real.labels)
    if extra := [name for name in points.labels if name not in left]:
        notes.append(f"{role}: {counted(len(extra), points.what)} that real has not, left out: {', '.join(extra)}")
    if places != sorted(places):
        notes.append(f"{role}: {points.what}s brought into the order of real by their names")
    return places


def _left_out(points: Points) -> str:
    """That columns which number or name rows were left out, of a set that is matched by position."""
    left = ", ".join(f"column {name} is left out, as {why}" for name, why in points.keys.items())
    return f"{left}; the others are matched with those of real by position"


def _numbered(points: Points) -> bool:
    """Whether columns have no names, or only those that a frame gives unasked, which count them."""
    return points.labels == tuple(map(str, range(points.width)))


def _refuse_missing(points: Points, real: Points, missing: list[str]) -> None:
    spare = [name for name in points.names if name not in set(real.names)] if len(real.names) < 500 else []
    near = nearest(missing[0], spare)
    hint = f" (is {near[0]!r} meant by {missing[0]!r}?)" if near else ""
    there = f"{len(real.names) - len(missing):,} of the {len(real.names):,} {real.what}s of {real.place} are there"
    remedy = "use one kind of identifiers and keep all genes" if real.what == "gene" else "add them"
    raise DataError(
        f"{points.place}: {counted(len(missing), real.what)} missing, {listed(missing, SHOWN)}{hint}; {there}: "
        f"{remedy}, or choose {real.what}s that both have{_ready(points, real, missing)}"
    )


def _ready(points: Points, real: Points, missing: list[str]) -> str:
    """What names the columns of real that another set has too, where they can be named."""
    both = [name for name in real.names if name not in set(missing)]
    if real.what == "gene" or not both or any("," in name for name in both) or not Path(real.place).suffix:
        return ""
    return f": {real.place}:{','.join(both)}"
