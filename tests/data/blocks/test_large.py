"""Laws of data that do not fit into memory: the same rows, split, classes, unit and digest as in memory."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data.batches import Batches
from pushforward.data.blocks import arranged, moments, scratch
from pushforward.data.blocks.limits import VARIABLE
from pushforward.data.compare.pairs import read_pair
from pushforward.data.source import load, read_array
from pushforward.errors import DataError

RNG = np.random.default_rng(0)
N = 3000
POINTS = RNG.standard_normal((N, 3)) * (1, 10, 100) + (0, 1e6, -3)
KINDS = np.arange(N) % 4
LEVELS = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
WORDS = np.array(["ash", "birch", "cedar", "date"])[KINDS]


def idx(x: np.ndarray) -> bytes:
    return bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape) + x.tobytes()


def npy(path: Path) -> dict:
    np.save(path / "x.npy", POINTS)
    return {"spec": path / "x.npy"}


def npy_float32(path: Path) -> dict:
    np.save(path / "x.npy", POINTS.astype(np.float32))
    return {"spec": path / "x.npy"}


def npy_whole(path: Path) -> dict:
    np.save(path / "x.npy", RNG.integers(-5, 90, (N, 3)).astype(np.int16))
    return {"spec": path / "x.npy"}


def npy_big_endian(path: Path) -> dict:
    np.save(path / "x.npy", POINTS.astype(">f4"))
    return {"spec": path / "x.npy"}


def npy_by_columns(path: Path) -> dict:
    np.save(path / "x.npy", np.asfortranarray(POINTS))
    return {"spec": path / "x.npy"}


def npy_one_column(path: Path) -> dict:
    np.save(path / "x.npy", POINTS[:, 1])
    return {"spec": path / "x.npy"}


def npz(path: Path) -> dict:
    np.savez(path / "x.npz", x_train=POINTS, y_train=KINDS, x_test=POINTS[:50] + 1, y_test=KINDS[:50])
    return {"spec": f"{path / 'x.npz'}:x_train"}


def npz_compressed(path: Path) -> dict:
    np.savez_compressed(path / "x.npz", x=POINTS.astype(np.float32), y=WORDS)
    return {"spec": f"{path / 'x.npz'}:x"}


def csv(path: Path) -> dict:
    np.savetxt(path / "x.csv", POINTS, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    return {"spec": path / "x.csv"}


def csv_with_words(path: Path) -> dict:
    rows = (f'{a:.17g},"{w}",{b:.17g},{c:.17g}' for (a, b, c), w in zip(POINTS, WORDS, strict=True))
    (path / "x.csv").write_text("a,kind,b,c\n" + "\n\n".join(rows) + "\n")
    return {"spec": path / "x.csv", "labels": "kind"}


def csv_with_whole_labels(path: Path) -> dict:
    np.savetxt(
        path / "x.csv", np.column_stack([POINTS, KINDS]), delimiter=";", header="a;b;c;k", comments="", fmt="%.9g"
    )
    return {"spec": f"{path / 'x.csv'}:c,a", "labels": "k"}


def csv_without_names(path: Path) -> dict:
    np.savetxt(path / "x.csv", POINTS, delimiter="\t", fmt="%.17g")
    return {"spec": path / "x.csv"}


def parquet(path: Path) -> dict:
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table(dict(zip("abc", POINTS.T, strict=True)) | {"k": WORDS, "n": KINDS, "t": KINDS > 1})
    files.write_table(table, path / "x.parquet", row_group_size=700)
    return {"spec": f"{path / 'x.parquet'}:b,n,t,a", "labels": "k"}


def _cells(path: Path, x) -> dict:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "x.h5ad", "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = f"{x.format}_matrix", x.shape
        group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        names = np.array([f"G{j}" for j in range(x.shape[1])], dtype=object)
        var.create_dataset("_index", data=names, dtype=h5py.string_dtype())
    return {"spec": path / "x.h5ad"}


def h5ad_by_rows(path: Path) -> dict:
    sparse = pytest.importorskip("scipy.sparse")
    return _cells(path, sparse.csr_matrix(np.random.default_rng(1).poisson(0.3, (N, 20)).astype(np.float32)))


def h5ad_by_columns(path: Path) -> dict:
    sparse = pytest.importorskip("scipy.sparse")
    return _cells(path, sparse.csc_matrix(np.random.default_rng(1).poisson(0.3, (N, 20)).astype(np.float32)))


def images(path: Path) -> dict:
    np.savez(path / "x.npz", images=LEVELS, labels=np.arange(60) % 3)
    return {"spec": f"{path / 'x.npz'}:images"}


def images_of_fractions(path: Path) -> dict:
    np.save(path / "x.npy", (LEVELS / 255).astype(np.float32).repeat(2, 1).repeat(2, 2))
    return {"spec": path / "x.npy", "side": 8}


def images_channels_first(path: Path) -> dict:
    np.save(path / "x.npy", RNG.integers(0, 256, (60, 3, 14, 14), dtype=np.uint8))
    return {"spec": path / "x.npy"}


def mnist(path: Path) -> dict:
    (path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(LEVELS)))
    (path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx((np.arange(60) % 3).astype(np.uint8))))
    (path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(LEVELS[:20])))
    return {"spec": path / "train-images-idx3-ubyte.gz"}


def pictures(path: Path) -> dict:
    for i, x in enumerate(LEVELS):
        (path / "p" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(x).save(path / "p" / "ab"[i % 2] / f"{i:03d}.png")
    return {"spec": path / "p"}


def colours(path: Path) -> dict:
    (path / "p").mkdir()
    for i, x in enumerate(RNG.integers(0, 256, (30, 12, 9, 3), dtype=np.uint8)):
        Image.fromarray(x).save(path / "p" / f"{i:03d}.png")
    return {"spec": path / "p"}


FORMS = (
    npy, npy_float32, npy_whole, npy_big_endian, npy_by_columns, npy_one_column, npz, npz_compressed, csv,
    csv_with_words, csv_with_whole_labels, csv_without_names, parquet, h5ad_by_rows, h5ad_by_columns, images,
    images_of_fractions, images_channels_first, mnist, pictures, colours,
)  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Budgets, chunks and blocks so small that files of a few kilobytes take every way."""

    def set_small() -> None:
        monkeypatch.setenv(VARIABLE, "2K")
        monkeypatch.setattr(scratch, "BLOCK", 1 << 11)
        monkeypatch.setattr(arranged, "BLOCK", 1 << 11)
        monkeypatch.setattr(arranged, "CHUNKS", (1 << 11, 1 << 11))
        monkeypatch.setattr("pushforward.data.blocks.lines.CHUNK", 1 << 11)

    return set_small


def in_a_file(x: torch.Tensor) -> bool:
    """Whether the numbers of a tensor lie in the mapping of a file that has no name any more."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(end, 16) for end in line.split()[0].split("-"))
        if low <= x.data_ptr() < high:
            return "rw-s" in line and "(deleted)" in line
    return False


@pytest.mark.parametrize("limit", [None, 40])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_what_does_not_fit_is_what_it_would_be_in_memory(form, limit, tmp_path, small):
    options = form(tmp_path)
    spec = str(options.pop("spec"))
    whole = load(spec, seed=3, limit=limit, **options)
    small()
    large = load(spec, seed=3, limit=limit, **options)
    assert large.split == whole.split  # the digest is that of the same bytes
    assert large.columns == whole.columns
    assert large.kinds == whole.kinds
    assert large.classes == whole.classes
    assert large.event == whole.event
    for ours, theirs in ((large.train, whole.train), (large.test, whole.test)):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    for ours, theirs in ((large.train_labels, whole.train_labels), (large.test_labels, whole.test_labels)):
        assert (ours is None and theirs is None) or torch.equal(ours, theirs)
    np.testing.assert_allclose(large.decode(large.test[:5]), whole.decode(whole.test[:5]), rtol=1e-6, atol=1e-6)
    assert large.notes[: len(whole.notes)] == whole.notes
    if limit is None:
        assert "temporary file" in large.notes[-1]
        assert in_a_file(large.train)
        assert not in_a_file(whole.train)


def test_batches_of_mapped_rows_are_those_of_rows_in_memory(tmp_path, small):
    np.save(tmp_path / "x.npy", POINTS)
    whole = load(str(tmp_path / "x.npy"))
    small()
    large = load(str(tmp_path / "x.npy"))
    ours, theirs = Batches(large.train, 64, seed=1), Batches(whole.train, 64, seed=1)
    for _ in range(2 * N // 64):
        torch.testing.assert_close(next(ours), next(theirs), rtol=1e-6, atol=1e-6)


def test_moments_of_parts_are_those_of_the_whole_whatever_the_parts():
    x = POINTS + np.array([1e9, 0, 0])  # a mean that is large beside the spread
    whole = moments.moments([x])
    for cuts in ([1], [1, 2, 2999], list(range(0, N, 7)), [N]):
        parts = moments.moments(np.split(x, cuts))
        assert parts.n == N
        np.testing.assert_array_equal((parts.low, parts.high), (whole.low, whole.high))
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-14, atol=1e-13)
        np.testing.assert_allclose(parts.variance, x.var(0), rtol=1e-6)


def test_quartiles_of_a_sample_are_near_those_of_all_and_the_sample_is_told(tmp_path, small, monkeypatch):
    x = RNG.standard_t(1.5, (20_000, 2))
    np.save(tmp_path / "x.npy", x)
    spec = str(tmp_path / "x.npy")
    whole = load(spec, scaling="quartiles")
    small()
    exact = load(spec, scaling="quartiles")
    torch.testing.assert_close(exact.train, whole.train)
    monkeypatch.setattr(moments, "SAMPLE", 8 * 2 * 5000)
    some = load(spec, scaling="quartiles")
    assert any("quartiles are those of 5,000 of 18,000 rows" in note for note in some.notes)
    low, high = np.quantile(some.decode(some.train), (0.25, 0.75), axis=0)
    unit = 1.349 * np.abs(some.decode(torch.ones(1, 2)) - some.decode(torch.zeros(1, 2)))[0]
    np.testing.assert_allclose(unit, high - low, rtol=6 * 1.6 / 5000**0.5)  # six standard errors of the distance


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", ["npy", "npz", "csv", "parquet"])
def test_the_first_bad_cell_is_named_as_in_memory(form, value, tmp_path, small):
    x = POINTS.copy()
    x[1234, 1] = x[2000, 2] = value
    path = tmp_path / f"x.{form}"
    if form == "npy":
        np.save(path, x)
    elif form == "npz":
        np.savez(path, x=x)
    elif form == "csv":
        np.savetxt(path, x, delimiter=",", header="a,b,c", comments="")
    else:
        pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        files.write_table(pyarrow.table(dict(zip("abc", x.T, strict=True))), path)
    with pytest.raises(DataError) as whole:
        load(str(path))
    small()
    with pytest.raises(DataError) as large:
        load(str(path))
    assert str(large.value) == str(whole.value)


@pytest.mark.parametrize("cell", ["", "two", "1,5"])
def test_a_cell_that_is_no_number_is_named_as_in_memory(cell, tmp_path, small):
    path = tmp_path / "x.csv"
    lines = [f"{a};{b};{c}" for a, b, c in POINTS]
    lines[1500] = f"1;{cell};2"
    path.write_text("a;b;c\n" + "\n".join(lines))
    with pytest.raises(DataError) as whole:
        load(str(path))
    small()
    with pytest.raises(DataError) as large:
        load(str(path))
    assert str(large.value) == str(whole.value)


def test_a_null_turns_whole_numbers_of_a_long_parquet_file_into_missing_ones(tmp_path, small):
    pyarrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = pyarrow.array([*range(2500), None, *range(499)])
    files.write_table(pyarrow.table({"a": POINTS[:, 0], "b": column}), tmp_path / "x.parquet", row_group_size=400)
    small()
    with pytest.raises(DataError, match=r"row 2500, column 'b' is nan \(1 of"):
        load(str(tmp_path / "x.parquet"))


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, small, monkeypatch):
    np.save(tmp_path / "x.npy", POINTS)
    small()
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"temporary file of .* free: set TMPDIR to a folder with more room"):
        load(str(tmp_path / "x.npy"))
    assert not [path for path in scratch.folder().glob("pushforward-*") if path.stat().st_size]


def test_a_folder_of_temporary_files_that_cannot_be_written_is_told(tmp_path, small, monkeypatch):
    np.save(tmp_path / "x.npy", POINTS)
    small()
    monkeypatch.setattr(scratch, "folder", lambda: tmp_path)
    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", _denied)
    with pytest.raises(DataError, match=r"no temporary file in .* \(Permission denied\): set TMPDIR"):
        load(str(tmp_path / "x.npy"))


def _denied(**_):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_arrays_that_do_not_fit_are_those_that_they_would_be_in_memory(form, tmp_path, small):
    options = form(tmp_path)
    if options.get("labels") == "kind":  # a column of words is no number
        options["spec"] = f"{options['spec']}:a,b,c"
    spec, more = str(options["spec"]), {"side": options["side"]} if "side" in options else {}
    whole, kind = read_array(spec, **more)
    small()
    large, same = read_array(spec, **more)
    assert same == kind
    assert scratch.is_mapped(large)
    np.testing.assert_allclose(large, whole, rtol=1e-6, atol=1e-6)


SETS = (
    npy,
    npy_float32,
    npz_compressed,
    csv,
    csv_with_words,
    csv_without_names,
    parquet,
    h5ad_by_rows,
    h5ad_by_columns,
)


@pytest.mark.parametrize("form", SETS, ids=lambda form: form.__name__)
def test_sets_to_compare_that_do_not_fit_are_what_they_would_be_in_memory(form, tmp_path, small, monkeypatch):
    options = form(tmp_path)
    spec = f"{options['spec']}:c,a" if form is csv_with_words else str(options["spec"])
    whole = read_pair(spec, spec, rounded=False)
    monkeypatch.setattr("pushforward.data.compare.points.LARGE", 1 << 11)  # bytes from which arrays stay as they are
    small()
    large = read_pair(spec, spec, rounded=False)
    assert in_a_file(large.real) or form in (npy, npy_float32)
    torch.testing.assert_close(large.real.double(), whole.real.double(), rtol=1e-6, atol=1e-6)
    assert large.names == whole.names
    assert large.table == whole.table
    assert large.fields == whole.fields
