"""Which files below a folder are pictures: links are followed once, and what is passed over is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pushforward.data.raw import brief
from pushforward.errors import DataError

__all__ = ["BESIDE", "FORMATS", "SUFFIXES", "beside", "found", "widened"]

BESIDE = "beside the folders"  # of a note on pictures for which the folders next to them are no classes

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM", "QOI", "SGI", "PCX")
"""What a picture may be: Pillow's formats of pixels, none of which starts a program of its own as EPS does."""

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif",
    ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".sgi", ".pcx",
)  # fmt: skip


def found(path: Path) -> tuple[list[Path], list[str]]:
    """The pictures below a folder, by their endings, in the order of their names, and notes.

    Hidden files and folders, whose names begin with a point, are passed over. Links to folders are followed; the
    pictures of a folder that can be reached twice, also by a link that leads back up, are taken once.

    Args:
        path: The folder.

    Raises:
        DataError: If a folder below cannot be read.
    """
    files, other, hidden, again = list[Path](), Counter[str](), list[str](), list[str]()
    folders, links, seen = [path], list[Path](), set[tuple[int, int]]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)  # links last: a folder counts where it is at home
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                again.append(str(folder.relative_to(path)))
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder}: the folder cannot be read ({brief(error)}): check its permissions") from error
        for entry in entries:
            at = folder / entry.name
            if entry.is_dir():
                if entry.name[0] == ".":
                    hidden.append(str(at.relative_to(path)))
                else:
                    (links if entry.is_symlink() else folders).append(at)
            elif entry.name[0] != ".":
                if at.suffix.lower() in SUFFIXES and entry.is_file():
                    files.append(at)
                else:
                    other[at.suffix.lower() or "no ending"] += 1
    notes = []
    if hidden:
        notes.append(f"hidden folders are left out: {', '.join(sorted(hidden))}")
    if again:
        notes.append(f"linked folders that were met before are left out: {', '.join(sorted(again))}")
    if other:
        kinds = ", ".join(f"{count} {ending}" for ending, count in other.most_common())
        notes.append(f"{other.total()} file{'s' * (other.total() > 1)} left out, not read as pictures: {kinds}")
    return sorted(files), notes


def widened(greys: int, n: int) -> list[str]:
    """What is made of so many greys among n pictures that become three channels, in words."""
    words = f"{greys:,} of {n:,} pictures are grey: repeated in three channels because others are in colour"
    return [words] if greys else []


def beside(path: Path, files: Sequence[Path]) -> list[str]:
    """A note on pictures next to folders, which would be classes without them.

    Args:
        path: The folder.
        files: The pictures below it.
    """
    parts = [file.relative_to(path).parts for file in files]
    loose = [part[0] for part in parts if len(part) == 1]
    if not loose or len({part[0] for part in parts if len(part) > 1}) < 2:
        return []
    if len(loose) == 1:
        return [f"1 picture {BESIDE} ({loose[0]}): folders are no classes; move it if they are"]
    return [f"{len(loose):,} pictures {BESIDE} (the first: {loose[0]}): folders are no classes; move them if they are"]
