"""Whole files of every kind, cut, flipped and stuffed.

| kind | what is done to a whole file |
|---|---|
| cut | it ends early, down to nothing |
| flipped | single bits are turned |
| stuffed | a stretch is replaced by zeros, by 0xff or by random bytes |
| doubled | a stretch stands twice |
| renamed | the file has the ending of another format |

The files that it begins with: .npy, .npz (also compressed, and with the parts of a sparse matrix), .csv, IDX, and .h5ad
and .parquet where their libraries are installed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["KINDS", "changed", "malformed", "whole"]

KINDS = ("cut", "flipped", "stuffed", "doubled", "renamed")


def whole(rng: np.random.Generator) -> dict[str, bytes]:
    """Whole files by their names."""
    x, batch = rng.normal(size=(60, 3)), np.array(["a", "b"])[np.arange(60) % 2]
    rows = "\n".join(f"{a:.3f},{b:.3f},{c:.3f},{d}" for (a, b, c), d in zip(x, batch, strict=True))
    images = rng.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    found = {
        "x.npy": _saved(np.save, x),
        "x.npz": _saved(np.savez, x=x, batch=batch),
        "z.npz": _saved(np.savez_compressed, x=x, batch=batch),
        "s.npz": _saved(np.savez, data=np.ones(60), indices=np.arange(60) % 3, indptr=np.arange(61),
                        shape=np.array([60, 3]), batch=batch),
        "x.csv": f"u,v,w,batch\n{rows}\n".encode(),
        "x-idx3-ubyte": struct.pack(">BBBB3I", 0, 0, 8, 3, *images.shape) + images.tobytes(),
    }  # fmt: skip
    try:
        import pyarrow
        import pyarrow.parquet

        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"u": x[:, 0], "v": x[:, 1], "batch": batch.tolist()}), buffer)
        found["x.parquet"] = buffer.getvalue()
    except ImportError:
        pass
    try:
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", (60, 3)
            group["data"], group["indices"], group["indptr"] = np.ones(60), np.arange(60) % 3, np.arange(61)
            var = file.create_group("var")
            var.attrs["_index"] = "_index"
            var.create_dataset("_index", data=np.array(["u", "v", "w"], object), dtype=h5py.string_dtype())
        found["x.h5ad"] = buffer.getvalue()
    except ImportError:
        pass
    return found


def _saved(save, *given, **arrays) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *given, **arrays)
    return buffer.getvalue()


def malformed(folder: Path, count: int = 500, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Write so many malformed files, each into a folder of its own; their kinds and paths."""
    rng = np.random.default_rng(seed)
    files = whole(rng)
    names = sorted(files)
    for i in range(count):
        kind, name = KINDS[i % len(KINDS)], names[i // len(KINDS) % len(names)]
        others = [other for other in names if Path(other).suffix != Path(name).suffix]
        called = others[int(rng.integers(len(others)))] if kind == "renamed" else name
        path = folder / f"{i:03}" / called
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed(kind, files[name], rng))
        yield kind, path


def changed(kind: str, content: bytes, rng: np.random.Generator) -> bytes:
    """Content with something done to it, as `KINDS` tells."""
    start = int(rng.integers(len(content))) if rng.random() < 0.5 else int(rng.integers(min(200, len(content))))
    stop = min(len(content), start + int(rng.integers(1, 64)))
    if kind == "cut":
        return content[:start]
    if kind == "flipped":
        out = bytearray(content)
        for at in rng.integers(len(out), size=int(rng.integers(1, 9))):
            out[at] ^= 1 << int(rng.integers(8))
        return bytes(out)
    if kind == "stuffed":
        fill = (bytes(stop - start), b"\xff" * (stop - start), rng.bytes(stop - start))[int(rng.integers(3))]
        return content[:start] + fill + content[stop:]
    return content[:stop] + content[start:] if kind == "doubled" else content
