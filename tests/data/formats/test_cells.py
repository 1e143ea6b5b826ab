"""Laws of gene expression: cells are matched gene by gene, however they were stored."""

from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from scipy import sparse

from pushforward.data import as_pair, load, read_pair
from pushforward.data.compare.columns import units
from pushforward.data.formats import cells as formats_cells
from pushforward.data.formats.cells import of_matrix, read, whole
from pushforward.data.formats.contents import Cells
from pushforward.errors import DataError, UsageError, needs

h5py = pytest.importorskip("h5py")

RNG = np.random.default_rng(0)
GENES = [f"G{j}" for j in range(30)]
COUNTS = RNG.poisson(np.linspace(0.05, 20, 30), (80, 30)).astype(np.float32)
EMBEDDING = RNG.normal(size=(80, 5))


def write(path: Path, x, genes=GENES, **layers) -> str:
    """Write a file as anndata lays it out; its name."""
    with h5py.File(path, "w") as file:
        _matrix(file, "X", x)
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        var.create_dataset("_index", data=np.array(genes, dtype=object), dtype=h5py.string_dtype())
        for name, layer in layers.items():
            _matrix(file, f"layers/{name}", layer)
        file["obsm/X_pca"] = EMBEDDING[: x.shape[0]]
    return str(path)


def _matrix(file, name: str, x) -> None:
    if not sparse.issparse(x):
        file[name] = x
        return
    group = file.create_group(name)
    group.attrs["encoding-type"], group.attrs["shape"] = f"{x.format}_matrix", x.shape
    group["data"], group["indices"], group["indptr"] = x.data, x.indices, x.indptr


FORMS = {"dense": np.asarray, "rows": sparse.csr_matrix, "columns": sparse.csc_matrix}


@pytest.mark.parametrize("fake", FORMS)
@pytest.mark.parametrize("real", FORMS)
def test_cells_are_the_same_from_every_storage_and_in_any_order_of_genes(fake, real, tmp_path, monkeypatch):
    monkeypatch.setattr(formats_cells, "BLOCK", 8 * 30 * 7)  # seven rows at a time
    order = RNG.permutation(30)
    q = write(tmp_path / "q.h5ad", FORMS[fake](COUNTS[:, order]), [GENES[j] for j in order])
    p = write(tmp_path / "p.h5ad", FORMS[real](COUNTS))
    pair = read_pair(q, p)
    assert pair.names == tuple(GENES)
    assert not pair.table
    np.testing.assert_array_equal(pair.real, COUNTS)
    assert torch.equal(pair.fake, pair.real)
    assert "fake: genes brought into the order of real by their names" in pair.notes


def test_extra_genes_are_left_out_and_missing_ones_refused(tmp_path):
    few = write(tmp_path / "few.h5ad", COUNTS[:, :25], GENES[:25])
    all_genes = write(tmp_path / "all.h5ad", sparse.csr_matrix(COUNTS))
    pair = read_pair(all_genes, few)
    assert torch.equal(pair.fake, pair.real)
    assert "fake: 5 genes that real has not, left out: G25, G26, G27, G28, G29" in pair.notes
    with pytest.raises(DataError, match=r"few\.h5ad: 5 genes missing, G25, .*25 of the 30 genes of .*all\.h5ad"):
        read_pair(few, all_genes)


def test_the_key_names_a_layer_or_an_embedding(tmp_path):
    name = write(tmp_path / "x.h5ad", COUNTS, log=sparse.csr_matrix(np.log1p(COUNTS)))
    np.testing.assert_allclose(read_pair(f"{name}:log", f"{name}:layers/log").real, np.log1p(COUNTS), rtol=1e-6)
    pair = read_pair(f"{name}:X_pca", f"{name}:obsm/X_pca")
    np.testing.assert_array_equal(pair.real, EMBEDDING)
    assert pair.names == ()
    with pytest.raises(DataError, match=r"no layer or embedding named 'lgo': did you mean .*:log\?.*X, log, X_pca"):
        read_pair(f"{name}:lgo", name)


def test_counts_against_logarithms_get_a_warning(tmp_path):
    name = write(tmp_path / "x.h5ad", COUNTS * 40, log=np.log1p(COUNTS * 40))
    (found,) = read_pair(f"{name}:log", name).findings
    assert "the same layer of both" in found.words
    assert units(COUNTS, COUNTS * 2) == []


def test_generated_counts_are_rounded_even_of_genes_that_nobody_expresses(tmp_path):
    silent = COUNTS.copy()
    silent[:, 3] = 0
    real = write(tmp_path / "real.h5ad", silent)
    pair = read_pair(write(tmp_path / "fake.h5ad", silent + 0.3), real)
    assert torch.equal(pair.fake, pair.real)
    logs = write(tmp_path / "log.h5ad", np.log1p(silent))
    other = read_pair(write(tmp_path / "log2.h5ad", np.log1p(silent) + 0.3), logs)
    assert other.fake[:, 3].min() > 0.29


def test_cells_meet_tables_by_name_and_arrays_by_position(tmp_path):
    name = write(tmp_path / "x.h5ad", COUNTS)
    np.savetxt(tmp_path / "x.csv", COUNTS[:, ::-1], delimiter=",", header=",".join(GENES[::-1]), comments="")
    assert torch.equal(read_pair(str(tmp_path / "x.csv"), name).fake, read_pair(name, name).real)
    np.save(tmp_path / "x.npy", COUNTS)
    assert torch.equal(read_pair(str(tmp_path / "x.npy"), name).fake, read_pair(name, name).real)


def test_an_object_is_known_by_what_it_has():
    cells = SimpleNamespace(X=sparse.csr_matrix(COUNTS), var_names=GENES, obs_names=range(80))
    pair = as_pair(cells, SimpleNamespace(X=COUNTS, var_names=GENES, obs_names=range(80)))
    assert pair.names == tuple(GENES)
    assert torch.equal(pair.fake, pair.real)
    assert torch.equal(as_pair(sparse.csc_matrix(COUNTS), COUNTS).fake, pair.fake)


def test_a_file_of_anndata_and_the_object_itself_are_read_alike(tmp_path):
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    var, obs = (
        pandas.DataFrame(index=pandas.Index(list(map(str, names)), dtype=object)) for names in (GENES, range(80))
    )
    cells = anndata.AnnData(sparse.csr_matrix(COUNTS), obs=obs, var=var, obsm={"X_pca": EMBEDDING})
    cells.raw = cells.copy()
    cells.write_h5ad(tmp_path / "x.h5ad")
    name = str(tmp_path / "x.h5ad")
    one, two = read_pair(name, f"{name}:raw"), as_pair(cells, anndata.read_h5ad(name, backed="r"))
    assert one.names == two.names == tuple(GENES)
    assert torch.equal(one.fake, two.fake)
    assert torch.equal(one.real, two.real)
    np.testing.assert_array_equal(one.real, COUNTS)


def test_names_may_be_stored_as_categories(tmp_path):
    name = write(tmp_path / "x.h5ad", COUNTS)
    with h5py.File(name, "a") as file:
        del file["var/_index"]
        group = file.create_group("var/_index")
        group["categories"], group["codes"] = np.array(GENES[::-1], dtype="S"), np.arange(30)[::-1]
    body = read(Path(name)).body
    assert isinstance(body, Cells)
    assert body.names == tuple(GENES)


def test_cells_can_be_learned_from(tmp_path):
    data = load(write(tmp_path / "x.h5ad", sparse.csr_matrix(COUNTS[:, 5:]), GENES[5:]))
    assert data.event == (25,)
    assert data.columns == tuple(GENES[5:])


def _nan(path: Path) -> str:
    x = COUNTS.copy()
    x[7, 3] = np.nan
    return write(path / "x.h5ad", sparse.csr_matrix(x))


def _twice(path: Path) -> str:
    return write(path / "x.h5ad", COUNTS, ["G0", *GENES[:-1]])


def _junk(path: Path) -> str:
    (path / "x.h5ad").write_bytes(b"these are words")
    return str(path / "x.h5ad")


def _no_x(path: Path) -> str:
    name = write(path / "x.h5ad", COUNTS, log=COUNTS)
    with h5py.File(name, "a") as file:
        del file["X"]
    return name


def _cut(path: Path) -> str:
    name = write(path / "x.h5ad", sparse.csr_matrix(COUNTS))
    with h5py.File(name, "a") as file:
        indices = file["X/indices"][:-50]
        del file["X/indices"]
        file["X/indices"] = indices
    return name


def _short(path: Path) -> str:
    return write(path / "x.h5ad", COUNTS, GENES[:-1])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (_nan, r"x\.h5ad: row 7, column 'G3' is nan: remove"),
        (_twice, r"x\.h5ad: two genes are named 'G0': call var_names_make_unique"),
        (_junk, r"x\.h5ad: not a readable \.h5ad file .*: write it again"),
        (_no_x, r"x\.h5ad: the file has no X: choose .*x\.h5ad:log"),
        (_cut, r"x\.h5ad: 2,197 indices for 2,247 values: save the matrix again"),
        (_short, r"x\.h5ad: 29 names for 30 genes"),
    ],
)
def test_bad_files_are_refused_in_one_line(build, words, tmp_path):
    name = build(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        read_pair(name, name)
    assert "\n" not in str(caught.value)


def test_what_would_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    name = write(tmp_path / "x.h5ad", sparse.csr_matrix(COUNTS))
    monkeypatch.setattr(formats_cells, "budget", lambda: 1000)
    body = formats_cells.read(Path(name)).body  # as those who need all in memory read it; sets to compare are mapped
    assert isinstance(body, Cells)
    with pytest.raises(DataError, match=r"80 cells of 30 genes need .*GiB when dense.*PATH:X_pca"):
        body.take(None)


def test_without_h5py_the_package_to_install_is_named(tmp_path):
    name = write(tmp_path / "x.h5ad", COUNTS)
    with mock.patch.dict("sys.modules", {"h5py": None}), pytest.raises(UsageError, match=r"pip install h5py"):
        read_pair(name, name)


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 7 GiB"), TypeError("a mistake of ours")], ids=repr)
def test_neither_a_full_memory_nor_a_mistake_of_ours_is_told_as_damage(error, tmp_path, monkeypatch):
    name = write(tmp_path / "x.h5ad", COUNTS)
    monkeypatch.setattr(formats_cells, "_dense", mock.Mock(side_effect=error))
    body = read(Path(name)).body
    full = isinstance(error, MemoryError)
    words = "the memory does not hold it .*7 GiB" if full else "a mistake"
    with pytest.raises(DataError if full else TypeError, match=words) as caught:
        body.take(None)
    assert "damaged" not in str(caught.value)


def test_a_package_that_is_there_and_broken_is_not_told_as_missing():
    with pytest.raises(UsageError, match=r"x needs h5py \(libhdf5.* -I h5py"), needs("h5py", "x"):
        raise ImportError("libhdf5.so.310: cannot open shared object file")
    with pytest.raises(RuntimeError, match="own"), needs("h5py", "x"):
        raise RuntimeError("its own")


MANY = 10**6

BROKEN = {
    "an index too large": (
        "indices",
        lambda a: np.where(np.arange(len(a)) == 7, 10**6, a),
        "indices hold 1000000",
    ),
    "a negative index": ("indices", lambda a: np.where(np.arange(len(a)) == 7, -5, a), "indices hold -5"),
    "indices with a fraction": ("indices", lambda a: a.astype(np.float32), "not a row of integers"),
    "fewer indices than values": ("indices", lambda a: a[:-3], "indices"),
    "starts that fall": ("indptr", lambda a: np.where(np.arange(len(a)) == 4, a[-1], a), "indptr falls"),
    "starts that end beyond the values": ("indptr", lambda a: np.r_[a[:-1], 2**40], "indptr leads from 0"),
    "starts that begin late": ("indptr", lambda a: np.r_[3, a[1:]], "indptr leads from 3"),
    "starts that come back to nothing": ("indptr", lambda a: np.r_[a[:-1], 0], "indptr leads from 0 to 0"),
    "too few starts": ("indptr", lambda a: a[:-1], "indptr has"),
}


def broken(part: str, change) -> sparse.csr_matrix:
    """A matrix of which one array is wrong; scipy looks at neither when it is put in afterwards."""
    matrix = sparse.csr_matrix(COUNTS)
    setattr(matrix, part, change(np.asarray(getattr(matrix, part), np.int64)))
    return matrix


@pytest.mark.parametrize("wrong", BROKEN)
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_cells_that_point_out_of_their_matrix_are_refused_before_anything_follows_them(wrong, form, tmp_path):
    part, change, words = BROKEN[wrong]
    path = Path(write(tmp_path / "q.h5ad", sparse.csr_matrix(COUNTS) if form == "csr" else sparse.csc_matrix(COUNTS)))
    with h5py.File(path, "a") as file:
        stored = change(file[f"X/{part}"][:].astype(np.int64))
        del file[f"X/{part}"]
        file[f"X/{part}"] = stored
    with pytest.raises(DataError, match=words):
        read(path).body.take(None)


@pytest.mark.parametrize("wrong", BROKEN)
def test_so_are_those_of_a_matrix_in_memory(wrong):
    part, change, words = BROKEN[wrong]
    with pytest.raises(DataError, match=words):
        of_matrix(broken(part, change), "cells")


@pytest.mark.parametrize("wrong", BROKEN)
@pytest.mark.parametrize("where", ["X", "layers/counts"])
def test_so_are_those_that_are_read_whole_to_be_merged(wrong, where, tmp_path):
    pytest.importorskip("anndata")
    part, change, _ = BROKEN[wrong]
    path = Path(write(tmp_path / "q.h5ad", sparse.csr_matrix(COUNTS), counts=sparse.csr_matrix(COUNTS)))
    with h5py.File(path, "a") as file:
        stored = change(file[f"{where}/{part}"][:].astype(np.int64))
        del file[f"{where}/{part}"]
        file[f"{where}/{part}"] = stored
    with pytest.raises(DataError, match=r"q\.h5ad"):
        whole(path)


def test_names_that_claim_more_than_the_genes_are_refused_before_they_are_read(tmp_path):
    path = Path(write(tmp_path / "q.h5ad", COUNTS))
    with h5py.File(path, "a") as file:
        del file["var/_index"]
        file["var"].create_dataset("_index", shape=(2**40,), dtype=h5py.string_dtype(), chunks=(1024,))
    with pytest.raises(DataError, match="names of shape"):
        read(path)


def test_categories_that_no_cell_has_any_more_are_no_damage(tmp_path):
    path, kinds = Path(write(tmp_path / "q.h5ad", COUNTS[:20])), [f"kind{k}" for k in range(42)]
    codes = RNG.integers(0, 42, 20)
    with h5py.File(path, "a") as file:
        for name, codes_of in (("obs/kind", codes), ("var/_index", RNG.permutation(42)[:30])):
            file.pop(name, None)
            group = file.create_group(name)
            group.create_dataset("categories", data=np.array(kinds, dtype=object), dtype=h5py.string_dtype())
            group["codes"] = codes_of
    found = read(path)
    assert found.column("kind").tolist() == [kinds[code] for code in codes]
    assert set(found.body.names) <= set(kinds)
    with h5py.File(path, "a") as file:
        del file["obs/kind/categories"]
        file.create_dataset("obs/kind/categories", shape=(2**40,), dtype=h5py.string_dtype(), chunks=(1024,))
    with pytest.raises(DataError, match=r"q\.h5ad:kind: names of shape .* categories at most"):
        read(path).column("kind")
