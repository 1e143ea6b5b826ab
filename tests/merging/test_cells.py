"""Merging AnnData objects: what is read, what is written where, and that nothing else changes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse

from pushforward.errors import DataError, UsageError
from pushforward.merging import How, merge
from pushforward.merging.files import write

anndata = pytest.importorskip("anndata")

QUICK = How(width=16, steps=15, updates=2, rate=1e-2, warmup=15)


def cells(sparse=True, n=40, genes=30):
    rng = np.random.default_rng(0)
    batch = np.repeat(["old", "new"], n)[rng.permutation(2 * n)]
    x = rng.poisson(1.0, size=(2 * n, genes)).astype(np.float32)
    x[batch == "new", :5] += 4.0
    obs = {"batch": batch, "type": np.where(np.arange(2 * n) % 2, "t", "m")}
    found = anndata.AnnData(csr_matrix(x) if sparse else x, obs={name: list(values) for name, values in obs.items()})
    found.obsm["X_pca"] = (x - x.mean(0))[:, :6].astype(np.float32)
    return found


def run(adata, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plain = {} if "label_key" in options else {"unmatched": "move"}
        return merge(adata, "batch", target="old", **{"how": QUICK, "scores": False} | plain | options)


@pytest.mark.parametrize("sparse", [True, False])
def test_the_merge_is_written_and_the_target_and_the_counts_keep_every_bit(sparse):
    adata = cells(sparse)
    before = adata.copy()
    assert run(adata, use_rep="pca:5") is None
    old = (adata.obs["batch"] == "old").to_numpy()
    assert (adata.X != before.X).sum() == 0
    layer = adata.layers["gpa"]
    assert issparse(layer) == sparse
    assert (layer[old] != before.X[old]).sum() == 0
    assert layer.dtype == before.X.dtype
    moved = adata.obsm["X_gpa"][~old] - _codes(before)[~old]
    assert np.abs(moved).max() > 0.5
    assert adata.obsm["X_gpa"][old].tobytes() == _codes(before)[old].tobytes()
    assert set(adata.obs) == {"batch", "type", "gpa_path_length", "gpa_matched", "gpa_held"}


def test_cells_that_take_no_part_keep_their_values_where_they_have_no_code():
    adata = cells(sparse=False)
    other = np.flatnonzero(adata.obs["batch"] == "new")[:10]
    adata.obs["batch"] = ["third" if k in other else name for k, name in enumerate(adata.obs["batch"])]
    adata.obsm["X_pca"][other] = np.nan
    adata.varm["PCs"] = np.eye(adata.X.shape[1])[:, :6]
    run(adata, source="new")
    np.testing.assert_array_equal(adata.layers["gpa"][other], adata.X[other])


def test_axes_that_do_not_belong_to_the_values_give_no_layer_and_a_warning():
    adata = cells(sparse=False)
    adata.varm["PCs"] = np.eye(adata.X.shape[1])[:, :6]
    other = adata.copy()
    other.X = 2 * other.X
    with pytest.warns(UserWarning, match="X was scaled"):
        merge(other, "batch", target="old", how=QUICK, scores=False)
    assert "gpa" not in other.layers
    run(adata)
    assert "gpa" in adata.layers


def _codes(adata):
    from pushforward.merging.codes import principal_axes

    return principal_axes(adata.X, 5).encode(adata.X)


def test_the_layer_is_the_cell_plus_its_displacement_in_genes_and_zeros_stay_zeros():
    dense, sparse = cells(False), cells(True)
    for adata in (dense, sparse):
        run(adata, use_rep="pca:5")
    from pushforward.merging.codes import principal_axes

    axes = principal_axes(dense.X, 5)
    wanted, also = (dense.X + (each.obsm["X_gpa"] - axes.encode(dense.X)) @ axes.axes.T for each in (dense, sparse))
    np.testing.assert_allclose(dense.layers["gpa"], wanted, atol=1e-4)
    stored = np.asarray(sparse.X.toarray() != 0)
    layer = sparse.layers["gpa"].toarray()
    assert (layer[~stored] == 0).all()
    np.testing.assert_allclose(layer[stored], also[stored], atol=1e-4)


def test_the_record_survives_a_file(tmp_path):
    adata = cells()
    run(adata, use_rep="pca:5", label_key="type", scores=True, n_boot=2)
    write(adata, tmp_path / "merged.h5ad")
    again = anndata.read_h5ad(tmp_path / "merged.h5ad")
    record = again.uns["gpa"]
    assert record["mode"] == "per_class"
    assert list(record["clouds"]["label"]) == ["m", "t"]
    assert record["w2_reconstruction"] > 0
    assert len(record["curves"]["0"]["kinetic"]) == record["clouds"]["moves"][0]
    assert set(record["scores"]) == {"before", "after", "floor"}
    assert again.obsm["X_gpa_sd"].shape == (80, 5)


def test_an_embedding_or_an_encoder_serves_and_without_a_way_back_no_layer_is_written():
    adata = cells()
    copy = run(adata, copy=True)
    assert copy.obsm["X_gpa"].dtype == np.float32
    assert "gpa" not in copy.layers
    assert "X_gpa" not in adata.obsm
    run(adata, use_rep=lambda block: np.asarray(block)[:, :4] * 2.0)
    assert adata.obsm["X_gpa"].shape == (80, 4)


def test_loadings_beside_an_embedding_are_its_way_back():
    adata = cells(False)
    adata.varm["PCs"] = np.eye(30)[:, :6]
    run(adata)
    shift = adata.obsm["X_gpa"] - adata.obsm["X_pca"]
    np.testing.assert_allclose(adata.layers["gpa"][:, :6], adata.X[:, :6] + shift, atol=1e-4)
    assert (adata.layers["gpa"][:, 6:] == adata.X[:, 6:]).all()


def test_warnings_are_raised_where_the_caller_is():
    with pytest.warns(UserWarning, match="proportions"):
        merge(cells(), "batch", target="old", unmatched="move", how=How(width=8, steps=1, warmup=1), scores=False)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_key": "donor"}, DataError, "donor"),
        ({"label_key": "cell"}, DataError, "label_key 'cell'"),
        ({"target": "young"}, UsageError, "target 'young'.*new, old"),
        ({"target": None}, UsageError, "name the batch that stays"),
        ({"use_rep": "X_umap"}, DataError, "X_umap.*X_pca"),
        ({"use_rep": "X"}, UsageError, "sparse"),
        ({"use_rep": "pca:0"}, UsageError, "at least 1"),
        ({"fit_on": "batch"}, UsageError, "pooled or target"),
    ],
)
def test_unknown_names_are_refused_with_the_choices(options, error, words):
    given = {"batch_key": "batch", "target": "old"} | options
    with pytest.raises(error, match=words):
        merge(cells(), given.pop("batch_key"), **given)


def test_missing_values_are_refused():
    adata = cells(False)
    adata.X[3, 2] = np.nan
    with pytest.raises(DataError, match="column 2"):
        run(adata, use_rep="pca:5")
