"""NumPy files, read without pickle and only after their headers have been checked against the bytes that are there."""

import math
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy_format

from pushforward import files
from pushforward.data.blocks.limits import budget, peak
from pushforward.data.blocks.scratch import Room, held, written
from pushforward.data.formats.contents import Contents
from pushforward.data.raw import brief, numeric, refuse
from pushforward.errors import DataError, meant, of_memory

__all__ = ["LARGE", "archive", "everything", "is_plain", "mapped", "names", "npy", "npz", "pick", "sibling", "single"]

MAGIC = b"\x93NUMPY"
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)  # NotImplementedError is a RuntimeError
LARGE = 1 << 28  # bytes of float64 from which an array keeps its own type, and from which .npy files are mapped
MOST = 1 << 48  # numbers that an array may declare, whatever lies behind it; also of each of its lengths
BLOCK = 1 << 24  # bytes read at a time
FRESH = "save it again with numpy.save or numpy.savez"


def single(path: Path, *, on_disk: bool = False, room: Room = held) -> Contents:
    """What an .npy file holds; large points are left on the disk on request, see `mapped`; see `npy` for the room."""
    return Contents(str(path), mapped(path, room) if on_disk else npy(path, room))


def archive(path: Path, key: str | None, room: Room = held) -> Contents:
    """What an .npz file holds: one array, its labels and its test set by their conventional names.

    x_train brings y_train, x_test and y_test along, images brings labels. Numbers with a fraction are measurements to
    predict, not classes, and are not taken for labels.

    Args:
        path: The file.
        key: Name of the array; the only one apart from labels where it is left out.
        room: Where it is put.
    """
    key = pick(path) if key is None else key
    known = tuple(names(path))
    labels, own = _partner(key), sibling(key)
    return Contents(
        place=f"{path}:{key}",
        body=npz(path, key, room),
        known=known,
        column=partial(npz, path, room=room),
        labels=labels if labels in known and _stored(path, labels)[1].kind != "f" else None,
        test=partial(archive, path, own, room) if own in known else None,
    )


def npy(path: Path, room: Room = held) -> np.ndarray:
    """Read the array of an .npy file; what is more than fits into memory is mapped, where the room spills over.

    Raises:
        DataError: If the file is not an array of plain numbers or text, or is shorter than it declares.
    """
    with path.open("rb") as file:
        if room is not held:
            shape, fortran, dtype = _header(file, str(path))
            if dtype.kind in "biuf" and len(shape) and peak(shape, dtype) > budget():
                _complete(shape, dtype, path.stat().st_size - file.tell(), str(path))
                return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")
            file.seek(0)
        return _read(file, path.stat().st_size, str(path), room)


def mapped(path: Path, room: Room = held) -> np.ndarray:
    """The array of an .npy file; large points are mapped, so that rows come into memory only where they are used.

    The mapping is copy-on-write: the file never changes. That all numbers are finite is checked by reading the file
    once, in blocks. Small arrays and others than those of `is_plain` are read as by `npy`, which looks at no number.

    Raises:
        DataError: If the file is damaged or of no plain type, or a number of a mapped array is not finite.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, str(path))
        most = LARGE if room is held else min(LARGE, budget())
        if not is_plain(dtype, len(shape)) or 8 * math.prod(shape) <= most:
            return npy(path, room)
        _complete(shape, dtype, path.stat().st_size - file.tell(), str(path))
        start, done, bad, first = file.tell(), 0, 0, 0
        while len(block := np.fromfile(file, dtype, min(BLOCK // dtype.itemsize, math.prod(shape) - done))):
            wrong = ~np.isfinite(block)
            if wrong.any():
                first, bad = first if bad else done + int(wrong.argmax()), bad + int(wrong.sum())
            done += len(block)
    order = "F" if fortran else "C"
    x = np.memmap(path, dtype, "c", start, shape, order)
    if bad:
        refuse(x, tuple(int(i) for i in np.unravel_index(first, shape, order)), bad, str(path))
    return x


def is_plain(dtype: np.dtype, dimensions: int) -> bool:
    """Whether large arrays of a type are mapped and their numbers checked: points of native floating point."""
    return dimensions <= 2 and dtype.kind == "f" and dtype.isnative and dtype.itemsize <= 8


def names(path: Path) -> list[str]:
    """Names of the arrays in an .npz file, in its order.

    Raises:
        DataError: If the file is not an archive of arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.namelist() if member.endswith(".npy")]
    except (ValueError, *DAMAGE) as error:
        raise DataError(f"{path}: not a readable .npz archive ({brief(error)}): {FRESH}") from error
    if not members:
        raise DataError(f"{path}: the archive holds no arrays: {FRESH}")
    return [member.removesuffix(".npy") for member in members]


def npz(path: Path, key: str, room: Room = held) -> np.ndarray:
    """Read one array of an .npz file.

    Raises:
        DataError: If the key is missing, or the array is damaged or of no plain type.
    """
    if key not in (known := names(path)):
        hint = meant(key, known, lambda name: f"{path}:{name}")
        raise DataError(f"{path}: no array named {key!r}: {hint}the arrays are {', '.join(known)}")
    place = f"{path}:{key}"
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            with archive.open(info) as file:
                return _read(cast(BinaryIO, file), info.file_size, place, room)
    except DAMAGE as error:
        if of_memory(error) or files.is_full(error):  # no fault of the archive
            raise
        raise DataError(f"{place}: the archive is damaged ({brief(error)}): {FRESH}") from error


def everything(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by their names.

    Raises:
        DataError: If one of them is damaged or of no plain type, or they need more memory together than is allowed.
    """
    known = names(path)
    held = sum(math.prod(shape) * dtype.itemsize for shape, dtype in (_stored(path, name) for name in known))
    if held > budget():
        raise DataError(
            f"{path}: its {len(known)} arrays take {held / 2**30:.1f} GiB together, {budget() / 2**30:.1f} GiB are "
            "allowed: save fewer rows, or those arrays alone that are needed"
        )
    return {name: npz(path, name) for name in known}


def pick(path: Path) -> str:
    """The array of an .npz file that is meant when no key is given: the only one apart from conventional labels.

    Raises:
        DataError: If several arrays come into question; names and shapes are listed.
    """
    known = names(path)
    labels = {name for name in known if any(_partner(other) == name for other in known)}
    rest = [name for name in known if name not in labels]
    if len(rest) == 1:
        return rest[0]
    shapes = ", ".join(f"{name} {_shape(path, name)}" for name in known[:12])
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    raise DataError(f"{path}: {len(known)} arrays ({shapes}{more}): choose one, for example {path}:{rest[0]}")


def _partner(key: str) -> str | None:
    """The conventional name of the labels of an array: x_train -> y_train, images -> labels, data -> labels."""
    if key[:1] in ("x", "X") and (len(key) == 1 or not key[1].isalpha()):
        return "y" + key[1:]
    for word in ("images", "data"):
        if key == word or key.startswith(f"{word}_"):
            return "labels" + key.removeprefix(word)
    return None


def sibling(key: str) -> str | None:
    """The conventional name of the test set of an array to train on, and of its labels: x_train -> x_test."""
    return key.removesuffix("train") + "test" if key.endswith("train") else None


def _stored(path: Path, key: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of one array of an .npz file, from its header."""
    place = f"{path}:{key}"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            shape, _, dtype = _header(cast(BinaryIO, file), place)
        return shape, dtype
    except DAMAGE as error:
        raise DataError(f"{place}: the archive is damaged ({brief(error)}): {FRESH}") from error


def _shape(path: Path, key: str) -> str:
    try:
        return str(_stored(path, key)[0])
    except DataError:
        return "(unreadable)"


def _header(file: BinaryIO, place: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    start = file.read(8)
    if start[:6] != MAGIC:
        what = "a pickle, which may run code and is never loaded" if start[:1] == b"\x80" else "not a NumPy array"
        raise DataError(f"{place}: the contents are {what}: {FRESH}")
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    reader = readers.get((start[6], start[7])) if len(start) == 8 else None
    if reader is None:
        raise DataError(f"{place}: NumPy format version {tuple(start[6:])} is not supported: {FRESH}")
    try:
        shape, fortran, dtype = reader(file)
    except Exception as error:  # the parser of headers lets many kinds through, tokenize.TokenError among them
        raise DataError(f"{place}: the array's header is damaged ({brief(error)}): {FRESH}") from error
    if (
        any(type(length) is not int or not 0 <= length <= MOST for length in shape)
        or math.prod(shape) > MOST
        or not dtype.itemsize
    ):
        raise DataError(f"{place}: the header declares the shape {shape} of {dtype}: {FRESH}")
    return shape, fortran, dtype


def _read(file: BinaryIO, size: int, place: str, room: Room) -> np.ndarray:
    shape, fortran, dtype = _header(file, place)
    if dtype.kind != "U":
        numeric(dtype, place)
    need = _complete(shape, dtype, size - file.tell(), place)
    array = room(shape[::-1] if fortran else shape, dtype, place)
    if _fill(file, array) < need:
        raise DataError(f"{place}: truncated, the data end before the {need} bytes that are declared: {FRESH}")
    return array.T if fortran else array


def _complete(shape: tuple[int, ...], dtype: np.dtype, there: int, place: str) -> int:
    need = math.prod(shape) * dtype.itemsize
    if need > there:
        raise DataError(
            f"{place}: truncated, shape {shape} of {dtype} takes {need} bytes and only {there} are there: {FRESH}"
        )
    return need


def _fill(file: BinaryIO, array: np.ndarray) -> int:
    """Read the bytes of an array, in C order; how many there were."""
    view, filled = array.reshape(-1).view(np.uint8).data, 0
    while filled < len(view) and (part := file.read(min(BLOCK, len(view) - filled))):
        view[filled : filled + len(part)] = part
        filled += len(part)
        written(array)
    return filled
