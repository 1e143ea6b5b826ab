"""Folders of pictures: what their headers say, and their pixels, decoded one file at a time."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pushforward.data.blocks.limits import budget
from pushforward.data.blocks.scratch import Room, held, written
from pushforward.data.dataset import MIN_ROWS
from pushforward.data.formats.contents import Contents, Pictures
from pushforward.data.formats.folders import FORMATS, SUFFIXES, beside, found, widened
from pushforward.data.pixels import CHANNELS, SIDES, inner_side, model_side
from pushforward.data.raw import Raw, brief, chosen, enough
from pushforward.errors import DataError, UsageError
from pushforward.plain.sizes import size

__all__ = ["BROKEN", "SUFFIXES", "Header", "decoded", "depth", "header", "opened", "picture", "read", "remarks"]

TOGETHER = 500  # pictures after which those on the disk are written back
MAX_PIXELS = 64_000_000  # of one picture; larger ones are refused by their header
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
QUARTERS = (5, 6, 7, 8)  # values of the orientation tag that exchange width and height


def read(path: Path) -> Contents:
    """The pictures below a folder, in the order of their names.

    If every picture lies in a subfolder and there are several, the first level of folders names the classes.

    Raises:
        DataError: If there are none.
    """
    files, notes = found(path)
    if not files:
        passed = f" ({'; '.join(notes)})" if notes else ""
        usual = ", ".join(s[1:] for s in SUFFIXES)
        raise DataError(f"{path}: the folder holds no images{passed}: put {usual} files into it")
    parts = [f.relative_to(path).parts for f in files]
    names = np.array([part[0] for part in parts])
    labelled = all(len(part) > 1 for part in parts) and len(set(names)) > 1
    return Contents(str(path), Pictures(path, tuple(files), names if labelled else None), notes=tuple(notes))


def decoded(
    pictures: Pictures,
    *,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    least: int = MIN_ROWS,
    room: Room = held,
) -> Raw:
    """Pixels of the pictures of a folder, on one square.

    Each is turned as its EXIF tag says, cut to its central square and resized with antialiasing. Of animations the
    first frame is taken; transparent pixels turn black. The pictures are grey if all of them are, by content.

    Args:
        pictures: The files.
        side: Side in pixels, a power of two; the one that most pictures would have for themselves when None.
        channels: 1, 3 or 4; grey or RGB by content when None.
        limit: Read at most so many, chosen by the seed.
        seed: Seed of that choice.
        least: Pictures that are needed.
        room: Where their pixels are put.

    Returns:
        Pixels (n, side, side, c) uint8, the names of the classes, if any, and notes of what was cut and resized.

    Raises:
        DataError: If one of them is damaged or too large; its file is named.
        UsageError: If an option is out of range.
    """
    if channels is not None and channels not in CHANNELS:
        raise UsageError(f"channels {channels}: give 1 (grey), 3 (RGB) or 4 (RGBA)")
    path, labels = pictures.path, pictures.classes
    keep = chosen(len(pictures.files), limit, seed)
    files = [pictures.files[i] for i in keep]
    enough(len(files), str(path), least, what="image")
    heads = [header(f) for f in files]
    square, inner, notes = _fitted(files, heads, side, str(path))
    need = 8 * len(files) * (channels or 3) * square**2
    if room is held and need > budget():
        raise DataError(
            f"{path}: {len(files)} images of side {square} need {size(need)} of memory, {size(budget())} are allowed: "
            "give a smaller side or a limit"
        )
    deep = [f for f, head in zip(files, heads, strict=True) if head.deep]
    bits, more = depth(deep)
    x = room((len(files), inner, inner, channels or 3), np.dtype(np.uint8), str(path))
    grey = channels is None
    for i, file in enumerate(files):
        x[i] = picture(file, inner, channels or 3, bits)
        grey = grey and bool((x[i] == x[i, ..., :1]).all())
        if i % TOGETHER == 0:
            written(x)
    if grey:
        x = x[..., :1]
    more += remarks(files, heads, clear=channels != 4, widen=channels is None and not grey)
    more += beside(path, pictures.files) if labels is None else []
    return Raw(str(path), "images", x, labels=None if labels is None else labels[keep], notes=(*notes, *more))


def remarks(files: Sequence[Path], heads: Sequence[Header], *, clear: bool = True, widen: bool = False) -> list[str]:
    """What is made of alpha channels and animations, in words, and of greys.

    Args:
        files: The pictures.
        heads: What their headers say.
        clear: Whether alpha channels are not kept.
        widen: Whether greys become three channels, as others are in colour.
    """
    n, said = len(files), list[str]()
    if clear and (many := sum(head.clear for head in heads)):
        said.append(f"{many:,} of {n:,} pictures have an alpha channel: laid on black")
    if many := sum(head.cut for head in heads):
        said.append(f"{many:,} of {n:,} pictures have 16 bits a channel: the upper eight are kept")
    if moving := [k for k, head in enumerate(heads) if head.frames > 1]:
        first = f"{files[moving[0]].name}, {heads[moving[0]].frames:,} frames"
        said.append(f"{len(moving):,} of {n:,} pictures have several frames: one is taken, the first (of {first})")
    return said + (widened(sum(head.grey for head in heads), n) if widen else [])


def _fitted(files: list[Path], heads: list[Header], side: int | None, place: str) -> tuple[int, int, list[str]]:
    """Side of the square, side of the picture within it, and what happens to the pictures, in words."""
    shorts = [min(head.size) for head in heads]
    votes = Counter(model_side(max(short, SIDES[0]), side, place) for short in shorts)
    square = max(votes, key=lambda one: (votes[one], -one))
    usual, times = Counter(
        short for short in shorts if model_side(max(short, SIDES[0]), side, place) == square
    ).most_common(1)[0]
    model_side(usual, side, place)  # refuses what is too small
    inner = inner_side(usual, square) if 2 * times > len(shorts) else square
    notes, n = [], len(files)
    small = [k for k, short in enumerate(shorts) if short < inner]
    large = sum(short > inner for short in shorts)
    if small:
        first = small[0]
        which = f"{files[first].name}, {heads[first].size[0]} x {heads[first].size[1]}"
        notes.append(f"{len(small)} of {n} pictures are enlarged to the side {inner} (the first: {which})")
    if large:
        notes.append(f"{large} of {n} pictures are scaled down to the side {inner}, from up to {max(shorts)}")
    oblong = [max(head.size) for head in heads if head.size[0] != head.size[1]]
    if oblong:
        lost = max(1 - min(head.size) / max(head.size) for head in heads)
        notes.append(
            f"{len(oblong)} of {n} pictures are not square: the square in their middle is kept, up to {lost:.0%} of a "
            "picture is cut off"
        )
    return square, inner, notes


def depth(files: list[Path]) -> tuple[int, list[str]]:
    """Bits that grey levels of more than eight bits fill, and what is made of them, in words.

    Cameras and microscopes store 10, 12 or 14 bits in 16: the least of these that holds the largest level counts.

    Args:
        files: Pictures of more than eight bits a channel; there may be none.

    Raises:
        DataError: If one of them is damaged or truncated.
    """
    top = 0
    for file in files:
        try:
            with opened(file) as image:
                x = np.asarray(image)
                low, high, top = int(x.min()), int(x.max()), max(top, int(x.max()))
                if low < 0 or high >= 1 << 16:
                    raise DataError(f"{file}: levels from {low:,} to {high:,} are none of 16 bits: save those as PNG")
        except BROKEN as error:
            if isinstance(error, DataError):
                raise
            raise DataError(_damaged(file, error)) from error
    bits = next((bits for bits in (8, 10, 12, 14) if top < 1 << bits), 16)
    if not files:
        return bits, []
    many = f"{len(files):,} picture{'s' * (len(files) > 1)} of 16 bits"
    return bits, [f"{many}: levels up to {top:,} are read as {bits} bits, of which the upper eight are kept"]


def opened(file: Path) -> Image.Image:
    """A picture of which only the header has been read.

    Raises:
        DataError: If the file is no picture, or one that is too large.
    """
    Image.init()
    known = [form for form in FORMATS if form in Image.OPEN]  # an older Pillow has fewer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=known)
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(file)) from error
    except BROKEN as error:
        what = "empty" if file.stat().st_size == 0 else "not a readable image"
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({brief(error)})"
        raise DataError(f"{file}: the file is {what}{why}: remove or replace it") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_too_large(file, f"{image.width} x {image.height} "))
    return image


def _too_large(file: Path, size: str = "") -> str:
    return f"{file}: the image declares {size}pixels, more than {MAX_PIXELS} are not read: scale it down or remove it"


def _damaged(file: Path, error: BaseException) -> str:
    return f"{file}: the image is damaged or truncated ({brief(error)}): remove or replace it"


def picture(file: Path, side: int, channels: int, bits: int = 16) -> np.ndarray:
    """One picture as uint8 (side, side, channels): turned as its tag says, cut to its central square and resized.

    Args:
        file: The picture.
        side: Side of the square, in pixels.
        channels: 1, 3 or 4.
        bits: What grey levels of more than eight bits fill, see `depth`.

    Raises:
        DataError: If the file is damaged or truncated.
    """
    try:
        with opened(file) as image:
            mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
            whole = _eight_bit(ImageOps.exif_transpose(image), mode, bits, file)
    except BROKEN as error:
        if isinstance(error, DataError):
            raise
        raise DataError(_damaged(file, error)) from error
    fitted = ImageOps.fit(whole, (side, side), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(side, side, channels)


def _eight_bit(image: Image.Image, mode: str, bits: int, file: Path) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"{file}: pixels with a fraction have no range: save the image with 8 bits a channel")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64) >> (bits - 8)
        image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA" and mode != "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode not in ("1", "L", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert(mode)


@dataclass(frozen=True)
class Header:
    """What a picture's header says.

    Attributes:
        size: Width and height in pixels, as displayed.
        form: The format, "PNG", "JPEG", "WEBP", ...
        lossy: Whether it was compressed with losses.
        clear: Whether it has an alpha channel or a transparent colour.
        deep: Whether it has more than eight bits a channel, and one channel.
        cut: Whether it has more in several channels, of which the decoder keeps the upper eight.
        grey: Whether it has no colours, by its mode.
        frames: Pictures in it: of an animation, or pages.
    """

    size: tuple[int, int]
    form: str
    lossy: bool
    clear: bool
    deep: bool
    cut: bool
    grey: bool
    frames: int


def header(file: Path) -> Header:
    """What the header of a picture says.

    Raises:
        DataError: If the file is no picture, or one that is too large.
    """
    with opened(file) as image:
        width, height = image.size
        return Header(
            size=(height, width) if _turned(image) else (width, height),
            form="JPEG" if image.format in ("JPEG", "MPO") else str(image.format),
            lossy=image.format in ("JPEG", "MPO") or (image.format == "WEBP" and _lossy_webp(file)),
            clear=image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info,
            deep=image.mode[0] == "I",
            cut=image.mode[0] != "I" and ";16" in str(getattr(image, "tile", "")),  # of those formats that have tiles
            grey=image.mode in ("1", "L", "LA", "La") or image.mode[0] == "I",
            frames=_frames(image),  # last, as it moves on in the file
        )


def _frames(image: Image.Image) -> int:
    """How many pictures a file holds; what a camera puts beside a JPEG, its preview, is none."""
    try:
        return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # of those formats that may have several
    except BROKEN:
        return 1


def _turned(image: Image.Image) -> bool:
    """Whether the EXIF tag turns a picture by a quarter."""
    if image.format == "PNG" and "exif" not in image.info:
        return False  # the tag may come after the pixels, and looking for it would decode them
    try:
        return image.getexif().get(0x0112, 1) in QUARTERS
    except BROKEN:
        return False


def _lossy_webp(file: Path) -> bool:
    """Whether a WebP file holds a lossy frame: its chunk is called 'VP8 ', a lossless one 'VP8L'."""
    with file.open("rb") as stream:
        start = stream.read(1 << 16)
    return start[12:16] != b"VP8L" and b"VP8 " in start
