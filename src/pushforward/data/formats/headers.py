"""What the header of a picture says about how it was made; the pixels are not decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pushforward.data.formats.images import BROKEN, opened

__all__ = ["Header", "header"]

QUARTERS = (5, 6, 7, 8)  # values of the orientation tag that exchange width and height


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
