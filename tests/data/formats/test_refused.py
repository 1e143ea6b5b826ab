"""What a file claims is held against what is there and what fits, and wide tables are read as fast as long ones."""

from __future__ import annotations

import errno
import struct
import time

import numpy as np
import pytest

from pushforward.data.blocks.limits import VARIABLE
from pushforward.data.blocks.scratch import held
from pushforward.data.formats import arrays, delimited, parquet
from pushforward.data.formats.contents import Cells, Table
from pushforward.data.formats.opening import opened
from pushforward.data.source import load
from pushforward.errors import DataError, UsageError
from pushforward.merging import files


def test_a_line_of_names_longer_than_64_kb_is_read_whole(tmp_path):
    path = tmp_path / "wide.csv"
    names = [f"column{k}" for k in range(20_000)]
    path.write_text(",".join(names) + "\n" + "".join(",".join(["1.5", *["2"] * 19_999]) + "\n" for _ in range(3)))
    table, _ = delimited.table(path)
    assert table.names == tuple(names)
    assert [len(column) for column in table.columns] == [3] * 20_000


def test_columns_are_found_in_a_time_that_grows_with_their_number_not_with_its_square(tmp_path):
    path = tmp_path / "wide.csv"
    rows = np.random.default_rng(0).normal(size=(12, 25_000)).round(2)
    path.write_text("\n".join([",".join(f"c{k}" for k in range(25_000)), *(",".join(map(str, row)) for row in rows)]))
    began = time.process_time()
    load(str(path))
    assert time.process_time() - began < 20  # the square takes minutes


@pytest.mark.parametrize("shape", ["(True, 60)", "(4611686018427387904,)", "(60.0, 1)", "(-1, 2)"])
def test_a_length_that_is_none_is_refused(shape, tmp_path):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(480))
    with pytest.raises(DataError, match=r"x\.npy: the (array's )?header"):
        arrays.npy(path)


def test_arrays_that_fit_alone_and_not_together_are_refused_where_all_are_read(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((60, 10)), y=np.zeros((60, 10)), batch=np.array(["a", "b"] * 30))
    monkeypatch.setattr(arrays, "budget", lambda: 8_000)
    assert arrays.npz(path, "x").shape == (60, 10)
    with pytest.raises(DataError, match=r"its 3 arrays take .* together"):
        files.read(str(path), "batch")


def test_a_sparse_shape_that_no_memory_holds_is_refused(tmp_path):
    path, batch = tmp_path / "x.npz", np.array(["a", "b"] * 30)
    np.savez(
        path,
        data=np.ones(60),
        indices=np.arange(60) % 3,
        indptr=np.arange(61),
        shape=np.array([60, 2**62]),
        batch=batch,
    )
    with pytest.raises(DataError, match="more than the memory holds"):
        files.read(str(path), "batch")


def test_a_date_that_python_does_not_know_is_said(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"u": [1.5] * 20, "when": pa.array([2**63 - 1] * 20, pa.timestamp("us"))}), path)
    with pytest.raises(DataError, match=r"x\.parquet"):
        load(str(path))


@pytest.fixture
def stored(tmp_path):
    """A table of Parquet, an archive and cells, by their endings."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    x = np.random.default_rng(0).normal(size=(4000, 3))
    parquet.write_table(arrow.table(dict(zip(("a", "b", "c"), x.T, strict=True))), tmp_path / "x.parquet")
    np.savez(tmp_path / "x.npz", x=x)
    with pytest.importorskip("h5py").File(tmp_path / "x.h5ad", "w") as file:
        file["X"] = x
        file.create_group("var")["_index"] = [b"a", b"b", b"c"]
    return {name: tmp_path / f"x.{name}" for name in ("parquet", "npz", "h5ad")}


def read(path, room=held):
    """Everything that a file holds, out of it."""
    body = opened(path, room=room).body
    return body.take(None) if isinstance(body, Cells) else [*body.columns] if isinstance(body, Table) else body


@pytest.mark.parametrize("ending", ["parquet", "npz", "h5ad"])
def test_a_budget_that_is_none_is_no_damage_of_the_file(ending, stored, monkeypatch):
    monkeypatch.setenv(VARIABLE, "abc")
    with pytest.raises(UsageError, match=f"{VARIABLE}=abc"):
        read(stored[ending])


@pytest.mark.parametrize("ending", ["parquet", "npz", "h5ad"])
def test_a_full_disk_or_memory_is_no_damage_of_the_file(ending, stored, monkeypatch):
    def full(shape, dtype, place):
        raise OSError(errno.ENOSPC, "no room", place)

    monkeypatch.setenv(VARIABLE, "50K")
    monkeypatch.setattr(parquet, "mapped", full)
    with pytest.raises(OSError, match="no room"):
        read(stored[ending], full)


def test_a_full_memory_of_parquet_is_told_as_one(stored, monkeypatch):
    arrow = pytest.importorskip("pyarrow")

    def none(*_):
        raise arrow.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(parquet, "_column", none)
    with pytest.raises(MemoryError):
        opened(stored["parquet"])


def test_spaces_in_a_key_change_nothing_about_what_a_table_needs(stored, monkeypatch):
    monkeypatch.setenv(VARIABLE, "50K")
    for key in ("a,b", "a, b", " b ,a "):
        with pytest.raises(DataError, match="the table needs"):
            opened(stored["parquet"], key)
