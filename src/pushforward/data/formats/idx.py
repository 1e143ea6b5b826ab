"""IDX files, the format of MNIST: arrays of numbers, each with its labels in a file beside it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import BLOCK, Room, held, written
from pushforward.data.formats.contents import Contents
from pushforward.data.raw import brief
from pushforward.errors import DataError

__all__ = ["array", "is_idx", "read"]

DEFLATED = 1100  # times at most that gzip makes data smaller
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def is_idx(path: Path) -> bool:
    """Whether a file's name marks it as IDX, the format of MNIST: train-images-idx3-ubyte, with or without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("ubyte", ".idx", ".idx1", ".idx3", ".idx4"))


def read(path: Path, room: Room = held) -> Contents:
    """What an IDX file holds, with the labels and the test set that lie beside it under the customary names.

    Args:
        path: A file such as train-images-idx3-ubyte.gz. Its labels are looked for as train-labels-idx1-ubyte, its
            test set as t10k-images-idx3-ubyte, each with or without .gz.
        room: Where the arrays are put.

    Raises:
        DataError: If the file is damaged.
    """
    labels = _beside(path, {"images": "labels", "idx3": "idx1"})
    other = _beside(path, {"train": "t10k"})
    own = {} if labels is None else {labels.name: labels}

    def column(name: str) -> np.ndarray:
        if name not in own:
            raise DataError(
                f"labels {name!r}: no such file beside {path}: give PATH[:key] of an .npy, .npz or .csv file"
            )
        return array(own[name], room)

    return Contents(
        str(path),
        array(path, room),
        tuple(own),
        column,
        labels=None if labels is None else labels.name,
        test=None if other is None else partial(read, other, room),
        promised="images",
    )


def _beside(path: Path, words: dict[str, str]) -> Path | None:
    name = path.name.removesuffix(".gz")
    for old, new in words.items():
        name = name.replace(old, new)
    found: Sequence[Path] = [path.with_name(n) for n in (name, f"{name}.gz") if path.with_name(n).is_file()]
    return found[0] if found and found[0] != path and name != path.name.removesuffix(".gz") else None


def array(path: Path, room: Room = held) -> np.ndarray:
    """Read the array of an IDX file: two zero bytes, type, number of dimensions, big-endian lengths, numbers.

    Raises:
        DataError: If the header is not of that form, or fewer numbers follow than it declares.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES or not 1 <= head[3] <= 4:
                raise DataError(f"{path}: the first bytes {head.hex()} are no IDX header: download the file again")
            lengths = file.read(4 * head[3])
            if len(lengths) < 4 * head[3]:
                raise DataError(f"{path}: truncated within the header: download the file again")
            shape = struct.unpack(f">{head[3]}I", lengths)
            if 0 in shape:
                raise DataError(f"{path}: the header declares the shape {shape}, no numbers: download the file again")
            dtype = np.dtype(IDX_TYPES[head[2]])
            need = math.prod(shape) * dtype.itemsize
            most = path.stat().st_size * (DEFLATED if path.suffix.lower() == ".gz" else 1)
            if need > max(most, budget()):
                raise DataError(
                    f"{path}: the header declares the shape {shape}, {need / 2**30:.1f} GiB, more than is "
                    "there and than the memory allows: download the file again"
                )
            found = room(shape, dtype.newbyteorder("="), str(path))
            there = _fill(file, found, dtype) + len(file.read(1))  # up to the end, where gzip keeps its checksum
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged ({brief(error)}): download it again") from error
    if there > need:
        raise DataError(f"{path}: more than the {need} bytes that shape {shape} takes are there: download it again")
    if there < need:
        raise DataError(f"{path}: truncated, shape {shape} takes {need} bytes and {there} are there: download it again")
    return found


def _fill(file: gzip.GzipFile | BinaryIO, out: np.ndarray, dtype: np.dtype) -> int:
    """Read numbers of a type, a block at a time; how many bytes there were."""
    flat, filled, there = out.reshape(-1), 0, 0
    while filled < len(flat):
        data = file.read(min(BLOCK, dtype.itemsize * (len(flat) - filled)))
        there += len(data)
        part = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
        if not len(part):
            break
        flat[filled : filled + len(part)] = part
        filled += len(part)
        written(out)
    return there
