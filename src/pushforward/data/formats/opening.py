"""The one place that looks at the ending of a file of data: PATH[:key] -> `Contents`.

| ending | reader | key |
|---|---|---|
| .npy | `arrays.single` | |
| .npz | `arrays.archive` | name of an array |
| .csv .tsv .txt, also .gz .bz2 .xz .zst | `delimited.read` | columns, a,b,c |
| .parquet .pq | `parquet.read` | columns, a,b,c |
| .h5ad | `cells.read` | layer, embedding or raw |
| ubyte .idx, also .gz | `idx.read` | |
| a folder | `pictures.read` | |

A reader's own library (pyarrow, h5py, PIL) is loaded when a file needs it.
"""

from __future__ import annotations

from pathlib import Path

from pushforward import files
from pushforward.data.blocks.packed import ending
from pushforward.data.blocks.scratch import Room, held
from pushforward.data.formats import arrays, cells, delimited, idx, parquet
from pushforward.data.formats.contents import Contents
from pushforward.data.raw import brief
from pushforward.errors import DataError, UsageError

__all__ = ["FILES", "PARQUET", "READABLE", "columns", "divided", "exists", "opened"]

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
FILES = (".npz", ".npy", ".h5ad", *TEXT, *PARQUET)  # endings that no folder has
READABLE = "a folder of images, .npz, .npy, .csv, .tsv, .txt (also .gz), .parquet, .h5ad or IDX (ubyte)"


def divided(spec: str) -> tuple[Path, str | None]:
    """Divide PATH[:key] at its last colon, unless the whole is a path that exists or the head is a drive letter.

    Raises:
        UsageError: If nothing is given before or after the colon.
    """
    head, colon, tail = spec.rpartition(":")
    if not colon or exists(spec) or (len(head) == 1 and head.isalpha()):
        return Path(spec).expanduser(), None
    if not head or not tail:
        raise UsageError(f"{spec!r}: give PATH:key, with a path before and a name after the colon")
    return Path(head).expanduser(), tail


def exists(path: str) -> bool:
    """Whether there is such a file or folder; no text, however odd, is an error."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def opened(
    path: Path,
    key: str | None = None,
    *,
    mapped: bool = False,
    verbatim: bool = False,
    room: Room = held,
    expected: tuple[str, ...] = (),
) -> Contents:
    """What a file or a folder of pictures holds.

    Args:
        path: The file or folder, which exists.
        key: What to choose in it.
        mapped: Leave large .npy files where they are and map them; rows come into memory where they are used.
        verbatim: Keep a text table also as it was written, to write it back; its first line then holds names.
        room: Where rows are put: in memory, or on the disk where they do not fit; see `blocks.scratch`.
        expected: Names of the columns that are looked for, as those of a run; a first line of text that has all of them
            is one of names, though they are numbers.

    Raises:
        DataError: If it is a pipe or a device, cannot be read, the ending is not known, the key chooses nothing, or it
            is damaged.
        UsageError: If what reads the file is not installed.
    """
    try:
        return _read(path, key, mapped, verbatim, room, expected)
    except OSError as error:
        if files.is_full(error):  # of the disk that rows are put on
            raise
        raise DataError(f"{path}: cannot be read ({brief(error)}): check its permissions and the disk") from error


def columns(path: Path, *, every: bool = False, expected: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of a table's columns, without reading its rows; empty where there are none, or it cannot be read.

    Args:
        path: The file.
        every: Also those that are taken by their names alone: an index, and row numbers.
        expected: Names that are looked for, as in `opened`.
    """
    suffix = _ending(path)
    if suffix not in (*TEXT, *PARQUET) or not path.is_file():
        return ()
    try:
        if suffix in TEXT:
            return delimited.names(path, every=every, expected=expected)
        return parquet.names(path, every=every)
    except OSError:  # whoever reads the file says so
        return ()


def _read(path: Path, key: str | None, mapped: bool, verbatim: bool, room: Room, expected: tuple[str, ...]) -> Contents:
    suffix = _ending(path)
    if path.exists() and not path.is_dir() and not path.is_file():
        raise DataError(f"{path}: a pipe or a device, which may never end: write what it gives to a file first")
    if path.is_dir():
        if suffix in FILES:
            raise DataError(f"{path}: this is a folder, not a {suffix} file: check the path")
        from pushforward.data.formats import pictures

        return pictures.read(_whole(path, key))
    if suffix == ".npy":
        return arrays.single(_whole(path, key), on_disk=mapped, room=room)
    if suffix == ".npz":
        return arrays.archive(path, key, room)
    if suffix in TEXT:
        return delimited.read(path, key, verbatim=verbatim, room=room, expected=expected)
    if suffix in PARQUET:
        return parquet.read(path, key, room)
    if suffix == ".h5ad":
        return cells.read(path, key, room)
    if idx.is_idx(path):
        return idx.read(_whole(path, key), room)
    raise DataError(f"{path}: {_unknown(path)}")


def _ending(path: Path) -> str:
    """The ending that says what a file holds: that of the text in a packed one."""
    inner = ending(path)
    return inner if inner in TEXT else path.suffix.lower()


def _whole(path: Path, key: str | None) -> Path:
    if key is not None:
        raise DataError(f"{path}: there is nothing to choose by {key!r} here: leave out ':{key}'")
    return path


def _unknown(path: Path) -> str:
    from pushforward.data.formats.pictures import SUFFIXES

    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return "one image is not a data set: give the folder that holds the images"
    ending = f"files ending in {suffix!r}" if suffix else "files without an ending"
    return f"{ending} are not known: give {READABLE}"
