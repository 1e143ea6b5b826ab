"""Folders of pictures: what their headers say, and their pixels, decoded one file at a time."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pushforward.data.formats.contents import Contents, Pictures
from pushforward.data.pixels import CHANNELS, inner_side, model_side
from pushforward.data.raw import Raw, brief, budget, chosen, enough
from pushforward.errors import DataError, UsageError

__all__ = ["BROKEN", "SUFFIXES", "Header", "decoded", "header", "opened", "picture", "read"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MAX_PIXELS = 64_000_000  # of one picture; larger ones are refused by their header
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
QUARTERS = (5, 6, 7, 8)  # values of the orientation tag that exchange width and height


def read(path: Path) -> Contents:
    """The pictures below a folder, in the order of their names.

    If every picture lies in a subfolder and there are several, the first level of folders names the classes.

    Raises:
        DataError: If there are none.
    """
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and f.name[0] != "." and f.is_file())
    if not files:
        raise DataError(f"{path}: the folder holds no images: put {', '.join(s[1:] for s in SUFFIXES)} files into it")
    parts = [f.relative_to(path).parts for f in files]
    names = np.array([part[0] for part in parts])
    labelled = all(len(part) > 1 for part in parts) and len(set(names)) > 1
    return Contents(str(path), Pictures(path, tuple(files), names if labelled else None))


def decoded(
    pictures: Pictures, *, side: int | None = None, channels: int | None = None, limit: int | None = None, seed: int = 0
) -> Raw:
    """Pixels of the pictures of a folder, on one square.

    Each is turned as its EXIF tag says, cut to its central square and resized with antialiasing. Of animations the
    first frame is taken; transparent pixels turn black. The pictures are grey if all of them are, by content.

    Args:
        pictures: The files.
        side: Side in pixels, a power of two; chosen by the smallest picture when None.
        channels: 1, 3 or 4; grey or RGB by content when None.
        limit: Read at most so many, chosen by the seed.
        seed: Seed of that choice.

    Returns:
        Pixels (n, side, side, c) uint8 and the names of the classes, if any.

    Raises:
        DataError: If one of them is damaged or too large; its file is named.
        UsageError: If an option is out of range.
    """
    if channels is not None and channels not in CHANNELS:
        raise UsageError(f"channels {channels}: give 1 (grey), 3 (RGB) or 4 (RGBA)")
    path, labels = pictures.path, pictures.classes
    keep = chosen(len(pictures.files), limit, seed)
    files = [pictures.files[i] for i in keep]
    enough(len(files), str(path), what="image")
    shorts = [_short_side(f) for f in files]
    square = model_side(min(shorts), side, str(path))
    inner = inner_side(shorts[0], square) if min(shorts) == max(shorts) else square
    need = 8 * len(files) * (channels or 3) * square**2
    if need > budget():
        raise DataError(
            f"{path}: {len(files)} images of side {square} need {need / 2**30:.1f} GiB of memory, "
            f"{budget() / 2**30:.1f} GiB are allowed: give a smaller side or a limit"
        )
    x = np.stack([picture(f, inner, channels or 3) for f in files])
    if channels is None and all((image == image[..., :1]).all() for image in x):
        x = x[..., :1]
    return Raw(str(path), "images", x, labels=None if labels is None else labels[keep])


def opened(file: Path) -> Image.Image:
    """A picture of which only the header has been read.

    Raises:
        DataError: If the file is no picture, or one that is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file)
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


def _short_side(file: Path) -> int:
    with opened(file) as image:
        return min(image.size)


def picture(file: Path, side: int, channels: int) -> np.ndarray:
    """One picture as uint8 (side, side, channels): turned as its tag says, cut to its central square and resized.

    Raises:
        DataError: If the file is damaged or truncated.
    """
    try:
        with opened(file) as image:
            mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
            whole = _eight_bit(ImageOps.exif_transpose(image), mode, file)
    except BROKEN as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: the image is damaged or truncated ({brief(error)}): remove or replace it") from error
    fitted = ImageOps.fit(whole, (side, side), Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(side, side, channels)


def _eight_bit(image: Image.Image, mode: str, file: Path) -> Image.Image:
    if image.mode == "F":
        raise DataError(f"{file}: pixels with a fraction have no range: save the image with 8 bits a channel")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        wide = image.mode != "I" or levels.max() > 255  # 16 bits a pixel, which "I" may or may not hold
        image = Image.fromarray((levels >> 8 if wide else levels).clip(0, 255).astype(np.uint8))
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
        deep: Whether it has more than eight bits a channel.
    """

    size: tuple[int, int]
    form: str
    lossy: bool
    clear: bool
    deep: bool


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
        )


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
