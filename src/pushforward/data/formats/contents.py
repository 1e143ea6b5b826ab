"""What a file holds, whatever its ending: one form for every reader, before anybody decides what to make of it.

.. code-block:: text

    file --formats--> Contents --rows--> Dataset        to learn from
                               --compare--> Points, Album  to compare
                               --merging--> Matrix         to merge and to write back

A reader says whether a file is whole and what stands in it; whoever has a purpose says what is fit for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from pushforward.errors import DataError
from pushforward.plain.kinds import ColumnKind

__all__ = ["Body", "Cells", "Column", "Contents", "Declared", "Pictures", "Table", "Verbatim"]

Column = list[str] | np.ndarray
"""Cells of a column: text as it was read, or numbers; dates as days since 1970-01-01."""

Declared = ColumnKind | Literal["word", "category", "duration", "time of day", "list or object"]
"""What a file says that a column holds."""


@dataclass(frozen=True, eq=False)
class Verbatim:
    """A text table as it was written, to be written back.

    Attributes:
        mark: What stands between two cells.
        names: The first line.
        columns: Cells of every column as they stand, also of a first column without a name.
    """

    mark: str
    names: tuple[str, ...]
    columns: tuple[list[str], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns as they were stored.

    Attributes:
        path: The file.
        names: Names of the columns; their numbers from '0' where the file has no header.
        columns: One sequence a column: text from CSV, arrays from Parquet; mapped ones of a file that is too large.
        lines: Where each row is, for messages: line numbers from 1 for CSV, row numbers from 0 for Parquet.
        unit: What `lines` counts, 'line' or 'row'.
        chosen: Names asked for, in their order, or None for all.
        declared: Kinds of columns of which the file itself says so.
        verbatim: The table as it was written, where that was asked for.
        mark: What stands between two cells of a text table.
        aside: Columns that are there for who names them, and otherwise left out, as an index is.
        bare: Whether the file names no column, so that `names` count them.
    """

    path: Path
    names: tuple[str, ...]
    columns: Sequence[Column]
    lines: Sequence[int]
    unit: str
    chosen: tuple[str, ...] | None = None
    declared: Mapping[str, Declared] = field(default_factory=dict)
    verbatim: Verbatim | None = None
    mark: str = ""
    aside: frozenset[str] = frozenset()
    bare: bool = False

    @cached_property
    def at(self) -> dict[str, int]:
        """Where each column stands, by its name."""
        return {name: k for k, name in enumerate(self.names)}


@dataclass(frozen=True, eq=False)
class Cells:
    """A matrix that is read a part at a time, dense or sparse, in a file or in memory.

    Attributes:
        shape: Rows and columns.
        names: Names of the columns, or empty.
        take: Columns by their positions, in the order given, or all where None is given -> finite numbers (n, k).
    """

    shape: tuple[int, int]
    names: tuple[str, ...]
    take: Callable[[Sequence[int] | None], np.ndarray]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Files of pictures below a folder, not yet opened.

    Attributes:
        path: The folder.
        files: The files, in the order of their names.
        classes: The class of each file, (n,) text, where every file lies in one of several subfolders; else None.
    """

    path: Path
    files: tuple[Path, ...]
    classes: np.ndarray | None


Body = np.ndarray | Table | Cells | Pictures


def _absent(name: str) -> NoReturn:
    raise DataError(f"labels {name!r}: no such file: give PATH[:key] of an .npy, .npz or .csv file")


@dataclass(frozen=True, eq=False)
class Contents:
    """What a file holds.

    Attributes:
        place: The file, and what was chosen in it, for messages.
        body: What was chosen: an array (n, ...), a table, cells by genes, or pictures.
        known: Names of the arrays or columns of the same file, or of files that belong to it.
        column: One of these by its name, such as labels, (n, ...); a DataError names the alternatives.
        labels: Which of them holds the classes of the rows, by convention; None where none does.
        test: The source's own test set where it brings one, read when it is asked for.
        promised: What the ending says that an array must be: "images" of IDX.
        notes: What was left out or taken for granted in reading, in plain words.
    """

    place: str
    body: Body
    known: tuple[str, ...] = ()
    column: Callable[[str], np.ndarray] = _absent
    labels: str | None = None
    test: Callable[[], Contents] | None = None
    promised: Literal["images"] | None = None
    notes: tuple[str, ...] = ()
