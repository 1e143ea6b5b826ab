"""Digests of the parts of what was read, and what they tell of a change: which rows, columns, labels or files.

Rows are hashed in blocks, and blocks in pairs, so that two sets of different lengths can be held against each other:

    rows 0..255   256..511   512..767  ...      a digest each
       \\            /           \\    /
        0..511                 512..1023       the digest of both, until no more than 128 are left
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pushforward.data.raw import Raw
from pushforward.plain.lists import listed
from pushforward.plain.words import Words

__all__ = ["Parts", "exchanged", "told", "told_of_files"]

LEAF, MOST = 256, 128  # rows of the smallest block, blocks that are kept
COLUMNS = 512  # columns that are hashed one by one at the most
MOST_ROWS = 2**48
LARGEST = 2**28  # bytes; of more, the rows are only counted
SHOWN = 3  # names that are written out


@dataclass(frozen=True)
class Parts:
    """What is known of the parts of a data set, in data units and in the order of the source.

    Attributes:
        n: Rows, without those of a test set of the source's own.
        block: Rows of a block; 0 where none were hashed.
        blocks: Their digests.
        columns: Digest of each column by name; empty where there are none, or too many.
        labels: Digest of the labels; empty without.
        test: Digest of the test set of the source's own, with its labels; empty without.
    """

    n: int
    block: int = 0
    blocks: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    test: str = ""

    @classmethod
    def of(cls, raw: Raw) -> Parts:
        """The parts of what a reader found; of much data only how many rows there are."""
        x = raw.x
        if x.nbytes > LARGEST:
            return cls(len(x))
        x = np.asarray(x, np.float64) if raw.kind == "points" else x
        block, blocks = _tree([_digest(x[k : k + LEAF]) for k in range(0, len(x), LEAF)], LEAF)
        names = raw.columns or (tuple(map(str, range(x.shape[1]))) if raw.kind == "points" else ())
        columns = {name: _digest(x[:, k]) for k, name in enumerate(names)} if len(names) <= COLUMNS else {}
        return cls(
            len(x), block, tuple(blocks), columns,
            labels="" if raw.labels is None else _digest(np.asarray(raw.labels).astype(str)),
            test="" if raw.x_test is None else _digest(
                raw.x_test, *([] if raw.labels_test is None else [np.asarray(raw.labels_test).astype(str)])
            ),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "columns": dict(self.columns)}

    @classmethod
    def of_dict(cls, found: Mapping[str, Any], place: str) -> Parts:
        """The inverse of `as_dict`, of what may come from anybody.

        Raises:
            DataError: If these are no digests.
        """
        said = Words.of(dict(found), f"{place}: holds no digests of data", "restore it").exactly(
            *vars(cls(0)), among=True
        )
        n, block = (said.whole(name, low=0, high=MOST_ROWS) for name in ("n", "block"))
        blocks, columns = said.names("blocks"), said.inside("columns", said.place)
        if len(blocks) > MOST:
            raise said.unlike("blocks", f"a list of at most {MOST} digests")
        if len(blocks) != (-(-n // block) if block else 0) or not _is_size(block):
            raise said.unlike("blocks", f"the digests of {n} rows in blocks of {block}")
        by_name = {name: columns.word(name) for name in columns.values}
        return cls(n, block, blocks, by_name, said.word("labels"), said.word("test"))


def told(before: Parts, now: Parts) -> list[str]:
    """What changed from one to the other, in words; empty where nothing is seen to have changed."""
    said = _of_columns(before.columns, now.columns, before.n == now.n)
    rows = _of_rows(before, now)
    if rows and not (said and before.n == now.n):
        said.append(rows)
    if before.labels != now.labels and before.n == now.n:
        what = "were altered" if before.labels and now.labels else "are gone" if before.labels else "were added"
        said.append(f"the labels {what}")
    if before.test != now.test:
        what = "was altered" if before.test and now.test else "is gone" if before.test else "was added"
        said.append(f"the test set of its own {what}")
    return said


def told_of_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The same of files with one picture each, digests by name."""
    gone, new = [name for name in before if name not in now], [name for name in now if name not in before]
    homes = {before[name]: name for name in gone}
    moved = [name for name in new if now[name] in homes]
    left = {homes[now[name]] for name in moved}
    altered = [name for name in before if name in now and before[name] != now[name]]
    groups = {
        "added": [name for name in new if name not in moved],
        "gone": [name for name in gone if name not in left],
        "altered": altered,
        "renamed": moved,
    }
    return [
        f"{len(names)} file{'s' * (len(names) > 1)} {what} ({listed(names, SHOWN)})"
        for what, names in groups.items()
        if names
    ]


def exchanged(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Columns that hold what another one of the same names held before: name -> that other.

    Args:
        before: Digests of columns by name.
        now: The same of as many rows now.
    """
    held: dict[str, list[str]] = {}
    for name, digest in before.items():
        if name in now:
            held.setdefault(digest, []).append(name)
    moved = {name: held[digest] for name, digest in now.items() if name in before and digest in held}
    return {name: names[0] for name, names in moved.items() if name not in names}


def _of_columns(before: Mapping[str, str], now: Mapping[str, str], alike: bool) -> list[str]:
    """Columns that came, went, changed their names or places, or, of as many rows, their contents."""
    if not before or not now or (list(before) == list(now) and not alike):
        return []
    old, new = list(before), list(now)
    gone, more = [name for name in old if name not in new], [name for name in new if name not in old]
    said = []
    for name in list(gone):
        same = [other for other in more if alike and now[other] == before[name]]
        if same:
            said.append(f"column {name} is called {same[0]}")
            gone.remove(name)
            more.remove(same[0])
    said += [f"column{'s' * (len(gone) > 1)} {listed(gone, SHOWN)} gone"] if gone else []
    said += [f"column{'s' * (len(more) > 1)} {listed(more, SHOWN)} added"] if more else []
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        said.append(f"the columns stand in another order ({listed(new, SHOWN)})")
    other = exchanged(before, now) if alike else {}
    said += [f"column {name} holds what column {was} held" for name, was in other.items()]
    altered = [name for name in kept if alike and before[name] != now[name] and name not in other]
    if altered and altered != kept:  # of all columns, rows tell more
        said.append(f"column{'s' * (len(altered) > 1)} {listed(altered, SHOWN)} altered")
    return said


def _of_rows(before: Parts, now: Parts) -> str:
    """Rows that came, went or changed."""
    more = now.n - before.n
    size = max(before.block, now.block)
    if not before.block or not now.block:
        return "" if not more else f"{abs(more)} row{'s' * (abs(more) > 1)} {'added' if more > 0 else 'gone'}"
    (_, old), (_, new) = (_tree(list(part.blocks), part.block, size) for part in (before, now))
    full = min(before.n, now.n) // size
    kept = slice(None) if not more else slice(full)
    pairs = list(zip(old[kept], new[kept], strict=True))
    other = [k for k, (a, b) in enumerate(pairs) if a != b]
    if not more:
        last = min((other[-1] + 1) * size, now.n) - 1 if other else 0
        return f"rows among {other[0] * size} to {last} altered" if other else ""
    what = f"{abs(more)} row{'s' * (abs(more) > 1)} {'added' if more > 0 else 'gone'}"
    if not full:
        return what
    where = "at the end" if not other else f"from about row {other[0] * size} on" if other[-1] == full - 1 else ""
    return f"{what} {where}" if where else f"{what}, and others altered"


def _is_size(block: int) -> bool:
    """Whether a block may have so many rows: those of a leaf, doubled any number of times; or none."""
    leaves, rest = divmod(block, LEAF)
    return not rest and not leaves & (leaves - 1)


def _tree(digests: list[str], size: int, least: int = 0) -> tuple[int, list[str]]:
    """Digests of blocks of twice as many rows, and so on, until there are few enough and each has `least` rows."""
    while len(digests) > MOST or size < least:
        pairs = [digests[k : k + 2] for k in range(0, len(digests), 2)]
        digests, size = [hashlib.sha256("".join(pair).encode()).hexdigest()[:16] for pair in pairs], 2 * size
    return size, digests


def _digest(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]
