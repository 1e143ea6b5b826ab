"""Files that are well formed as far as they go, and say what cannot be, or what nobody should follow."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.malformed.damaged import whole
from tests.malformed.folders import pictures, special

__all__ = ["crafted"]

ESCAPE = "\x1b[31m\x1b]0;title\x07\x9b2J"
NAMES = (
    f"u{ESCAPE}",
    "[bold red]v[/]",
    "<script>alert(1)</script>",
    "$x^$",
    "\u202egnp",
    "a\rb",
    "[/nothing]",
    "\\frac{",
)


def crafted(folder: Path, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Write all of them, each into a folder of its own; their kinds and paths."""
    rng = np.random.default_rng(seed)
    good = whole(rng)
    files = [*_arrays(), *_archives(), *_texts(), *_idx(), *_parquet(), *_cells(good)]
    for i, (kind, name, content) in enumerate(files):
        path = folder / f"{i:03}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yield kind, path
    for i, (kind, make) in enumerate([*pictures(rng), *special()]):
        home = folder / f"{len(files) + i:03}"
        home.mkdir(parents=True)
        yield kind, make(home)


def _npy(header: str, data: bytes = bytes(480), version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<I", len(text)) + text + data


def _form(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def _arrays() -> Iterator[tuple[str, str, bytes]]:
    shapes = (
        "(4611686018427387904,)",
        "(9223372036854775807, 2)",
        "(-1, 2)",
        "(2, -3)",
        "(0, 3)",
        "(60, 0)",
        "(1,)*40",
        "(60.0, 1)",
        "('a',)",
        "()",
        "(True, 60)",
        "(18446744073709551616,)",
        "((60,), 1)",
        "[60, 1]",
        "(1,1,1,1,1)",
        "(4294967296, 4294967296, 4294967296)",
    )
    kinds = (
        "'|O'",
        "'<c16'",
        "'<U15'",
        "'|S8'",
        "'<M8[s]'",
        "[('a', '<f8')]",
        "'|V8'",
        "'<f2'",
        "'>f8'",
        "'<f16'",
        "'nothing'",
        "'<U4000000000'",
        "3",
        "[('a', '<f8', (9999999, 9999999))]",
    )
    for shape in shapes:
        yield "array", "x.npy", _npy(_form(shape))
    for kind in kinds:
        yield "array", "x.npy", _npy(_form("(60,)" if kind != "'<f8'" else "(60, 1)", kind))
    for header in (
        "{}",
        "",
        "__import__('os').system('touch executed')",
        "(" * 3000,
        _form("(60,)", order="2"),
        "\0" * 40,
        "{'shape': (60,)}",
        _form("(60,)") + " " * 60000,
    ):
        yield "array", "x.npy", _npy(header)
    yield "array", "x.npy", _npy(_form("(60,)"), version=b"\7\7")
    yield "array", "x.npy", _npy(_form("(60,)"), version=b"\2\0")[:9]
    yield "array", "x.npy", _npy(_form("(12, 5)"), np.array([np.nan, np.inf, 1e308, -1e308, 5e-324] * 12).tobytes())
    yield "array", "x.npy", _npy(_form("(20, 3)"), np.full(60, 1.7e308).tobytes())


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _archives() -> Iterator[tuple[str, str, bytes]]:
    x, batch = np.random.default_rng(1).normal(size=(60, 3)), np.array(["a", "b"])[np.arange(60) % 2]
    ok = _npy(_form("(60,)"))
    bomb = _npy(_form("(100000000, 10)", "'|u1'"), bytes(1000))
    yield "archive", "x.npz", _zip()
    yield "archive", "x.npz", _zip(**{"x.npy": b""})
    yield "archive", "x.npz", _zip(**{"x.txt": b"text"})
    yield "archive", "x.npz", _zip(**{"x.npy": bomb, "batch.npy": ok})
    yield "archive", "x.npz", _zip(**{"x.npy": _npy(_form("(2000, 500)", "'|u1'"), bytes(1_000_000)), "y.npy": ok})
    yield "archive", "x.npz", _zip(**{"../../x.npy": ok, "/etc/x.npy": ok, "x\0y.npy": ok})
    yield "archive", "x.npz", _zip(**{f"{name}.npy": ok for name in NAMES})
    yield "archive", "x.npz", _saved(x=x, batch=np.array(NAMES)[np.arange(60) % len(NAMES)])
    yield "archive", "x.npz", _saved(x=x[:3], batch=batch)
    yield "archive", "x.npz", _saved(x=x, batch=np.arange(60).reshape(60, 1))
    yield "archive", "x.npz", _saved(x=x, batch=np.arange(60) % 2, batch_names=np.array(["a"]))
    yield "archive", "x.npz", _saved(x=x, batch=np.full(60, np.nan), y=np.arange(60.0))
    yield "archive", "x.npz", _saved(x=x.astype(complex), batch=batch)
    yield "archive", "x.npz", _saved(x=np.full((60, 3), np.inf), batch=batch)
    yield "archive", "x.npz", _saved(x_train=x, y_train=batch[:5], x_test=x[:, :2], batch=batch)
    yield "archive", "x.npz", _saved(x=x, batch=batch, x_names=np.array(NAMES))
    for parts in (
        {"indptr": np.r_[0, np.full(60, 2**40)]},
        {"indices": np.full(60, -1)},
        {"shape": np.array([60])},
        {"shape": np.array([2**62, 2**62])},
        {"shape": np.array([[60, 3]])},
        {"data": np.ones((60, 1))},
        {"indptr": np.arange(61.0)},
        {"shape": np.array([60.0, 3.0])},
        {"shape": np.array([60, 2**62])},
    ):
        sparse = {
            "data": np.ones(60),
            "indices": np.arange(60) % 3,
            "indptr": np.arange(61),
            "shape": np.array([60, 3]),
        }
        yield "archive", "x.npz", _saved(**(sparse | parts), batch=batch)
    encrypted = bytearray(_saved(x=x))
    for at in (6, encrypted.rindex(b"PK\1\2") + 8):
        encrypted[at] |= 1
    yield "archive", "x.npz", bytes(encrypted)
    method = bytearray(_saved(x=x))
    for at in (8, method.rindex(b"PK\1\2") + 10):
        method[at] = 99
    yield "archive", "x.npz", bytes(method)


def _texts() -> Iterator[tuple[str, str, bytes]]:
    rows = "".join(f"{k % 7}.5,{k},{'ab'[k % 2]}\n" for k in range(60))
    good = f"u,v,batch\n{rows}"
    named = "".join(f"{k % 7}.5,{k},{NAMES[k % len(NAMES)]!r}\n" for k in range(60)).replace("\\", "")
    for text in (
        good.replace("3.5", "3\0.5"),
        good.replace("3.5", '"3.5'),
        good + '"',
        good.replace("v", "v" * 200_000, 1),
        good.replace("0.5,0", "9" * 200_000 + ",0"),
        good.replace("3.5", "1e400"),
        good.replace("3.5", "nan"),
        good.replace("3.5", "0x1F"),
        good.replace("3.5", "１２"),
        good.replace("3.5", "1_000"),
        "u,v,batch\n",
        "\n\n\n",
        "\ufeff",
        ",,,\n,,,\n",
        "u,u,batch\n" + rows,
        ",".join(NAMES[:2]) + ",batch\n" + rows,
        "u,v,batch\n" + named,
        good.replace("\n", "\r"),
        good.replace("\n", "\r\n\r\n"),
        good + "1,2\n",
        good + "1,2,3,4,5\n",
        good.replace("u,v", "u;v"),
        "1\n" * 3,
        good.replace("a", "a" * 140_000),
        '"' + "x\n" * 5000,
        "u,v,batch\n" + "1,2,a\n" * 60,
        good.replace("3.5", "-" * 50),
        "1" + ",1" * 20_000 + "\n" + "2" + ",1" * 20_000,
        "u,v,batch\n" + "9" * 5000 + ",1,a\n" + rows,
    ):
        yield "text", "x.csv", text.encode("utf-8", "surrogatepass")
    for encoding in ("latin-1", "utf-16", "utf-32", "cp037"):
        yield "text", "x.csv", good.replace("u", "ü").encode(encoding)
    yield "text", "x.csv", b"u,v,batch\n" + rows.encode().replace(b"a", b"\xff\xfe")
    yield "text", "x.tsv", good.encode()
    yield "text", "x.txt", b"\x1f\x8b" + zlib.compress(good.encode())
    yield "text", "x\x1b[31m[red].csv", good.replace("3.5", "no").encode()


def _idx() -> Iterator[tuple[str, str, bytes]]:
    for kind, *lengths in (
        (8, 0, 8, 8),
        (8, 2**32 - 1, 2**32 - 1, 2**32 - 1),
        (14, 2**31, 8, 8),
        (8, 20, 0, 0),
        (13, 60, 3),
        (14, 5, 1),
    ):
        yield (
            "idx",
            "x-idx3-ubyte",
            struct.pack(f">BBBB{len(lengths)}I", 0, 0, kind, len(lengths), *lengths) + bytes(480),
        )
    yield "idx", "x-idx3-ubyte", struct.pack(">BBBB", 0, 0, 8, 0) + bytes(10)
    yield "idx", "x-idx3-ubyte", struct.pack(">BBBB", 0, 0, 7, 255) + bytes(9)
    yield "idx", "x-idx3-ubyte.gz", b"\x1f\x8b\x08" + bytes(40)


def _parquet() -> Iterator[tuple[str, str, bytes]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return
    n, rng = 60, np.random.default_rng(2)
    x, batch = pa.array(rng.normal(size=n)), pa.array(["a", "b"] * 30)
    columns: list[Any] = [
        pa.array([[1.0, 2.0]] * n),
        pa.array([{"a": 1, "b": "x"}] * n),
        pa.array([None] * n),
        pa.array([None, 1.0] * 30),
        pa.array([b"\xff\xfe"] * n),
        pa.array([1] * n, pa.duration("s")),
        pa.array([1] * n, pa.timestamp("ns", "UTC")),
        pa.array([1] * n, pa.time64("ns")),
        pa.array([2**62] * n, pa.date64()),
        pa.array(["u", NAMES[0]] * 30).dictionary_encode(),
        pa.array([1, 2] * 30).dictionary_encode(),
        pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int64())),
        pa.array([np.float16(1)] * n),
        pa.array([2**64 - 1] * n, pa.uint64()),
        pa.array([12345] * n).cast(pa.decimal128(38, 3)),
        pa.array([True, None] * 30),
        pa.array([1, None] * 30),
        pa.array(["9" * 20_000] * n),
        pa.array([2**63 - 1] * n, pa.timestamp("us")),
        pa.array([float("nan")] * n),
        pa.array([b"12345678"] * n, pa.binary(8)),
    ]
    for k, column in enumerate(columns):
        buffer = io.BytesIO()
        pq.write_table(pa.table({"u": x, NAMES[k % len(NAMES)]: column, "batch": batch}), buffer)
        yield "parquet", "x.parquet", buffer.getvalue()
    for table in (
        pa.table({}),
        pa.table({"u": x[:0], "batch": batch[:0]}),
        pa.Table.from_arrays([x, x, batch], ["u", "u", "batch"]),
    ):
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        yield "parquet", "x.parquet", buffer.getvalue()
    buffer = io.BytesIO()
    pq.write_table(pa.table({"u": x, "v": x, "batch": batch}), buffer)
    good = buffer.getvalue()
    for length in (0, 1, 2**31 - 1, 2**32 - 1, len(good)):
        yield "parquet", "x.parquet", good[:-8] + struct.pack("<I", length) + b"PAR1"
    foot = len(good) - 8 - struct.unpack("<I", good[-8:-4])[0]
    for at in range(foot, len(good) - 8, 23):  # a varint that runs on: counts, sizes and offsets of all kinds
        yield "parquet", "x.parquet", good[:at] + b"\xff\xff\xff\xff\x7f" + good[at + 5 :]


def _cells(good: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    if "x.h5ad" not in good:
        return
    import h5py

    def put(where: str, value: Any) -> Any:
        def change(file: Any) -> None:
            if where in file:
                del file[where]
            if value is not None:
                file[where] = value

        return change

    def marked(where: str, name: str, value: Any) -> Any:
        return lambda file: file[where].attrs.__setitem__(name, value)

    def claim(where: str, shape: tuple[int, ...], dtype: Any) -> Any:
        def change(file: Any) -> None:
            del file[where]
            file.create_dataset(where, shape, dtype, chunks=tuple(min(64, n) for n in shape))

        return change

    changes = [
        put("X/indices", np.full(60, 10**6)),
        put("X/indices", np.full(60, -1)),
        put("X/indptr", np.r_[0, np.full(60, 2**60)]),
        put("X/indptr", np.zeros(61, int)),
        put("X/indptr", np.arange(61.0)),
        put("X/data", np.array([b"x"] * 60)),
        put("X/data", None),
        put("X/indices", None),
        put("X", None),
        put("X", 3.0),
        put("X", np.ones((60, 3, 2))),
        put("X", np.full((60, 3), np.nan)),
        put("var", None),
        put("var/_index", None),
        put("var/_index", np.arange(3)),
        put("var/_index", np.array([b"\xff", b"b", b"b"])),
        put("obs", 3),
        put("obs/batch", np.arange(60)),
        put("raw/X", np.ones((60, 3))),
        put("X/indptr", h5py.SoftLink("/X/indptr")),
        put("X", h5py.SoftLink("/")),
        put("layers/y", h5py.ExternalLink("/dev/zero", "/x")),
        put("loop", h5py.SoftLink("/loop")),
        marked("X", "shape", (2**62, 2**62)),
        marked("X", "shape", (-1, 3)),
        marked("X", "shape", "wide"),
        marked("X", "shape", (60,)),
        marked("X", "shape", (60, 2**40)),
        marked("X", "encoding-type", 3),
        marked("X", "encoding-type", "nothing"),
        marked("X", "encoding-type", "csc_matrix"),
        marked("var", "_index", "elsewhere"),
        marked("var", "_index", 5),
        marked("var", "_index", "../X"),
        claim("X/data", (2**40,), float),
        claim("X/indices", (2**50,), np.int32),
        claim("X/indptr", (2**40,), np.int64),
        claim("var/_index", (2**40,), h5py.string_dtype()),
    ]
    for change in changes:
        buffer = io.BytesIO(good["x.h5ad"])
        with h5py.File(buffer, "r+") as file:
            change(file)
        yield "cells", "x.h5ad", buffer.getvalue()
