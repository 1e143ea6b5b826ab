"""Text files that a program packed: .gz, .bz2, .xz and, where pyarrow is installed, .zst."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

from pushforward.data.blocks.limits import VARIABLE
from pushforward.errors import DataError, needs
from pushforward.plain.sizes import size

__all__ = ["ending", "is_packed", "unpacked"]


def _zst(path: Path) -> IO[bytes]:
    with needs("pyarrow", f"{path}: reading .zst"):
        import pyarrow
    return cast("IO[bytes]", pyarrow.input_stream(str(path), compression="zstd"))


OPEN: Mapping[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zst}


def is_packed(path: Path) -> bool:
    """Whether a file is packed, by its last ending."""
    return path.suffix.lower() in OPEN


def ending(path: Path) -> str:
    """The last ending of a file in small letters, before that of a packer: .csv of x.csv.gz."""
    return (Path(path.stem) if is_packed(path) else path).suffix.lower()


def unpacked(path: Path, most: int, *, cut: bool = False) -> bytes:
    """What a packed file holds.

    Args:
        path: The file.
        most: Bytes that are read at most: a small file may hold any number of them.
        cut: Stop there, in place of an error.

    Raises:
        DataError: If it is damaged, or holds more.
    """
    parts, left = list[bytes](), most + 1
    try:
        with OPEN[path.suffix.lower()](path) as file:
            while left > 0 and (part := file.read(min(left, 1 << 22))):
                parts.append(part)
                left -= len(part)
    except (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        if isinstance(error, PermissionError):
            raise
        said = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: the packed file is damaged or truncated ({said}): pack it again") from error
    if left <= 0 and not cut:
        raise DataError(
            f"{path}: holds more than {size(most)}, as much as is unpacked into memory: unpack it first, or "
            f"raise {VARIABLE}"
        )
    return b"".join(parts)[:most]
