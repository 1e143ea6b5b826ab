"""Which columns of a table are merged: numbers that were measured, not names of rows, ages or codes in numbers.

.. code-block:: text

    --columns A B     these and no others
    --exclude A B     not these
    without           numbers written with fractions; whole numbers only where more columns hold such, and never those
                      that name rows, or are called as ages and the like are
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pushforward.data.blocks.lines import padded
from pushforward.data.columns.keys import LEAST, identifies
from pushforward.data.columns.missing import AMONG
from pushforward.data.columns.text import quantity
from pushforward.data.formats.contents import Table
from pushforward.data.formats.table import is_row_number
from pushforward.errors import DataError, UsageError, meant
from pushforward.plain.kinds import is_number
from pushforward.plain.lists import listed

__all__ = ["Chosen", "chosen", "picked"]

WHOLE = re.compile(r"[+-]?\d+")
ROWS = re.compile(
    r"(.*[ _.-])?(id|ids|idx|index|key|uid|uuid|guid|patient|subject|participant|donor|sample|specimen|barcode|cell|"
    r"accession|mrn|case)([ _.-]?(id|no|nr|num|number|code|name|index))?",
    re.IGNORECASE,
)
"""What columns are called that name rows, or whom they are of."""
AGES = re.compile(
    r"(.*[ _.-])?(age|years?|months?|days?|dates?|sex|gender|stage|grade|status|visit|n[ _.-]counts?|n[ _.-]genes)"
    r"([ _.-].*)?",
    re.IGNORECASE,
)
"""What columns of whole numbers are called that say something of a row and were not measured with the others."""
FEW = 2  # columns that may still name rows where others, as alike, do not


@dataclass(frozen=True)
class Chosen:
    """The columns that move, and why others do not.

    Attributes:
        names: Columns that move, in the order of the file.
        x: Their numbers, (n, d).
        left: Columns that were asked to stay.
        identifiers: Columns of whole numbers that name rows.
        whole: Other columns of whole numbers that stay, such as ages.
    """

    names: list[str]
    x: NDArray[np.float64]
    left: list[str]
    identifiers: list[str]
    whole: list[str]

    def notes(self) -> list[str]:
        """What was decided, in words."""
        words = {
            "whole numbers that name rows, which stay (--columns would move them)": self.identifiers,
            "whole numbers that look like ages or codes, which stay (--columns would move them)": self.whole,
        }
        return [f"{what}: {', '.join(names)}" for what, names in words.items() if names]


def picked(names: Sequence[str], asked: Sequence[str], option: str, path: Path) -> list[str]:
    """Columns that an option names, in the order of the file; commas may divide them.

    Raises:
        DataError: If there is no such column.
    """
    split = [name.strip() for word in asked for name in ([word] if word in names else word.split(","))]
    if unknown := [name for name in split if name not in names]:
        raise DataError(
            f"{path}: {option} {unknown[0]}: no such column: {meant(unknown[0], names)}there are {listed(names)}"
        )
    return [name for name in names if name in split]


def chosen(table: Table, apart: Sequence[str], columns: Sequence[str], exclude: Sequence[str]) -> Chosen:
    """The columns of numbers of a text table that move.

    Args:
        table: The table.
        apart: Columns of batches and labels.
        columns: Columns that move, and no others; all that look measured if empty.
        exclude: Columns that stay.

    Raises:
        UsageError: If a column is asked to move and to stay.
        DataError: If there is no such column, none is left, one may be numbers or names, or a cell that would move is
            missing or no number; column, line and remedy are named.
    """
    only, left = picked(table.names, columns, "--columns", table.path), picked(table.names, exclude, "--exclude",
                                                                               table.path)  # fmt: skip
    if both := [name for name in only if name in (*left, *apart)]:
        why = "also named by --exclude" if both[0] in left else "it holds batches or labels"
        raise UsageError(f"--columns {both[0]}: {why}: name it once")
    text = {name: cells for name, cells in zip(table.names, table.columns, strict=True) if isinstance(cells, list)}
    read = {name: cells for name, cells in text.items()
            if name and name not in (*apart, *left) and not is_row_number(name) and _of_numbers(cells)}  # fmt: skip
    _point(table, [name for name in (only or text) if name in text and name not in (*apart, *left, *read)])
    identifiers, whole = list[str](), list[str]()
    names = only
    if not only:
        identifiers = [name for name, cells in read.items() if _names_rows(name, cells)]
        names = [name for name in read if name not in identifiers]
        whole = _unmeasured(table, names, read)
        names = [name for name in names if name not in whole]
    if not names:
        held = [*identifiers, *whole]
        remedy = f": whole numbers stay unless --columns names them: {listed(held)}" if held else ""
        raise DataError(f"{table.path}: no column of numbers to move beside {listed([*apart, *left])}{remedy}")
    x = np.stack([_numbers(table, name) for name in names], 1)
    return Chosen(names, x, left, identifiers, whole)


def _of_numbers(cells: Sequence[str]) -> bool:
    """Whether half of the cells that are not missing, or more, are numbers, none of them with zeros before it."""
    values = [cell for cell in cells if cell.lower() not in AMONG]
    count = sum(map(is_number, values))
    return count > 0 and 2 * count >= len(values) and not padded(values)  # postal codes and the like are words


def _whole(cells: Sequence[str]) -> bool:
    """Whether all numbers among cells are written as whole ones."""
    return all(WHOLE.fullmatch(cell) for cell in cells if cell.lower() not in AMONG and is_number(cell))


def _names_rows(name: str, cells: Sequence[str]) -> bool:
    """Whether whole numbers name rows: they are called so, count or number the rows upwards, or have one beginning."""
    if not _whole(cells):
        return False
    numbers = [cell for cell in cells if is_number(cell) and cell.lower() not in AMONG]
    values = np.array(numbers, np.float64)
    if ROWS.fullmatch(name) or identifies(name, values):
        return True
    if len(values) < LEAST:
        return False
    return bool((np.diff(values) > 0).all()) or (_alike(numbers) and len({cell[:2] for cell in numbers}) == 1)


def _alike(numbers: Sequence[str]) -> bool:
    """Whether numbers all differ and have equally many digits."""
    return len(set(numbers)) == len(numbers) and len({len(cell) for cell in numbers}) == 1


def _unmeasured(table: Table, names: Sequence[str], read: dict[str, list[str]]) -> list[str]:
    """Columns of whole numbers that were not measured as the others were.

    Raises:
        DataError: If one or two of many that were may as well name rows.
    """
    whole = [name for name in names if _whole(read[name])]
    aside = [name for name in whole if AGES.fullmatch(name)]
    rest = [name for name in whole if name not in aside]
    if len(rest) <= len(names) - len(whole):
        return whole
    doubtful = [name for name in rest if len(read[name]) >= LEAST and _alike(read[name])]
    if 0 < len(doubtful) <= FEW and len(doubtful) < len(rest):
        name = doubtful[0]
        raise DataError(
            f"{table.path}: column {name!r} holds whole numbers of equally many digits, no two alike, such as "
            f"{read[name][0]}: do they name rows? leave them, --exclude {name}, or name all that move, --columns"
        )
    return aside


def _point(table: Table, still: Sequence[str]) -> None:
    """Refuse numbers with separators, which would stay unseen where others move."""
    for name in still:
        cells = list(map(str, table.columns[table.at[name]]))
        found = quantity(cells, table.mark)
        if found is not None and found.how and found.kind in ("number", "whole"):
            raise DataError(
                f"{table.path}: column {name!r} holds numbers with separators, {cells[0]!r}: write decimals with a "
                f"point and nothing between thousands, or leave the column, --exclude {name}"
            )


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    """A column as finite numbers, (n,).

    Raises:
        DataError: If a cell is missing or no finite number.
    """
    cells = list(map(str, table.columns[table.at[name]]))
    words = {cell for cell in set(cells) if not is_number(cell) or not np.isfinite(float(cell))}
    if not words:
        return np.array(cells, np.float64)
    bad = [row for row, cell in enumerate(cells) if cell in words]
    cell = cells[bad[0]]
    what = ("is empty" if not cell else f"is {cell!r}, a missing value") if cell.lower() in AMONG else (
        f"is {cell!r}, not a number")  # fmt: skip
    more = f" ({len(bad)} of {len(cells)} cells are like it)" if len(bad) > 1 else ""
    raise DataError(
        f"{table.path}: {table.unit} {table.lines[bad[0]]}, column {name!r} {what}{more}: fill it, drop the row, or "
        f"leave the column as it is, --exclude {name}"
    )
