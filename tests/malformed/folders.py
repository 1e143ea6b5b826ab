"""Folders of pictures of which one is none, bombs and loops; pipes and devices in place of files."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["pictures", "special"]


def _png(width: int, height: int, data: bytes | None = None, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(bytes((3 * width + 1) * height) if data is None else data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def pictures(rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n(executed) (w) file closefile\nshowpage\n"
    good = [_png(32, 32, rng.bytes(97 * 32)) for _ in range(12)]
    good = [_png(32, 32, b"".join(b"\0" + rng.bytes(96) for _ in range(32))) for _ in good]
    odd = {
        "cut.png": good[0][:200],
        "bomb.png": _png(2**31 - 1, 2**31 - 1, b""),
        "large.png": _png(60_000, 60_000, b""),
        "none.png": _png(0, 0, b""),
        "few.png": _png(32, 32, b"\0"),
        "eps.png": eps,
        "eps.eps": eps,
        "eps.jpg": eps,
        "empty.png": b"",
        "text.jpg": b"no picture",
        "cut.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1" + bytes(9) + b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03",
        "x.gif": b"GIF89a" + b"\xff" * 40,
        "x.tiff": b"II*\0" + struct.pack("<I", 8) + b"\xff\xff" * 30,
        "x.webp": b"RIFF\xff\xff\xff\xffWEBPVP8L" + b"\xff" * 40,
        "x.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, -(2**30), 1, 24, 0, 0, 0, 0, 0, 0),
        "x.ppm": b"P6 99999999 99999999 255\n",
        "x.qoi": b"qoif" + struct.pack(">IIBB", 2**31, 2**31, 4, 0),
        "x.pcx": b"\x0a\5\1\x08" + b"\xff" * 124,
        "x.sgi": b"\x01\xda\1\1\0\3" + b"\xff" * 506,
        "x.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff" * 60,
        "deep.png": _png(32, 32, None, 16),
        "x.avif": b"\0\0\0\x1cftypavif" + b"\xff" * 60,
        "\x1b[31m[bold].png": good[0][:90],
    }

    def one(name: str, content: bytes) -> Any:
        def make(home: Path) -> Path:
            (home / "p").mkdir()
            for k, picture in enumerate(good):
                (home / "p" / f"{k}.png").write_bytes(picture)
            (home / "p" / name).write_bytes(content)
            return home / "p"

        return make

    def loop(home: Path) -> Path:
        made = one("last.png", good[0])(home)
        (made / "again").symlink_to(made)
        (made / "gone").symlink_to(home / "nothing.png")
        (made / "self.png").symlink_to(made / "self.png")
        return made

    def pipe(home: Path) -> Path:
        made = one("last.png", good[0])(home)
        os.mkfifo(made / "pipe.png")
        (made / "zero.png").symlink_to("/dev/zero")
        return made

    yield from (("pictures", one(name, content)) for name, content in odd.items())
    yield from (("pictures", make) for make in (loop, pipe, lambda home: home))


def special() -> Iterator[tuple[str, Any]]:
    def pipe(name: str) -> Any:
        def make(home: Path) -> Path:
            os.mkfifo(home / name)
            return home / name

        return make

    def link(name: str, to: str) -> Any:
        def make(home: Path) -> Path:
            (home / name).symlink_to(to)
            return home / name

        return make

    endings = ("x.csv", "x.npy", "x.npz", "x.parquet", "x.h5ad", "x-idx3-ubyte")
    yield from (("special", pipe(name)) for name in endings)
    yield from (("special", link(name, "/dev/zero")) for name in endings)
    yield from (
        ("special", link(name, to))
        for name, to in (("x.csv", "x.csv"), ("x.npy", "nothing"), ("x.csv", "/proc/self/mem"))
    )
