"""Codes of cells by a run: genes are matched by name, batches by theirs, and what does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward import cli
from pushforward.commands.coding import codes_of_run
from pushforward.data.toys import counts
from pushforward.errors import DataError, UsageError

anndata = pytest.importorskip("anndata")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Cells whose X is logged and whose counts are a layer, and a run on these that is told batches."""
    import pandas

    place, found = tmp_path_factory.mktemp("cells"), counts.draw(120, np.random.default_rng(0))
    obs = pandas.DataFrame({"batch": np.array(["one", "two"])[found.batch]}, index=[f"c{k}" for k in range(120)])
    obs["batch"] = obs["batch"].astype("category")
    obs["batch"] = obs["batch"].cat.rename_categories(obs["batch"].cat.categories.astype(object))
    var = pandas.DataFrame(index=np.array([f"g{k}" for k in range(40)], object))
    obs.index = obs.index.astype(object)
    cells = anndata.AnnData(np.log1p(found.x), obs=obs, var=var)
    cells.layers["counts"] = found.x
    cells.write_h5ad(place / "c.h5ad")
    words = ["--data", f"{place / 'c.h5ad'}:counts", "--labels", "batch", "--conditional", "--steps", "3"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "vae_counts", *words, "--width", "8", "--code", "3", "--run", str(place / "run")])
    assert not stop.value.code
    return place, cells


def test_codes_are_those_of_the_genes_by_name_and_of_each_cell_s_own_batch(folder):
    place, cells = folder
    batch, spec = np.asarray(cells.obs["batch"].astype(str)), f"vae:{place / 'run'}:counts"
    code = codes_of_run(cells, batch, spec)
    assert code.z.shape == (120, 3)
    assert code.axes is None
    order = np.random.default_rng(1).permutation(40)
    assert np.allclose(codes_of_run(cells[:, order].copy(), batch, spec).z, code.z)
    shuffled = cells.copy()
    shuffled.layers["counts"] = cells.layers["counts"][:, order]
    assert not np.allclose(codes_of_run(shuffled, batch, spec).z, code.z, atol=1e-3)
    other = np.where(batch == "one", "two", "one")
    assert not np.allclose(codes_of_run(cells, other, spec).z, code.z, atol=1e-4)


def test_what_does_not_fit_a_run_is_named(folder):
    place, cells = folder
    batch, run = np.asarray(cells.obs["batch"].astype(str)), f"vae:{place / 'run'}"
    with pytest.raises(DataError, match=r"X, for which .*:LAYER may stand: row 0, column 'g0'.*give raw counts"):
        codes_of_run(cells, batch, run)
    with pytest.raises(DataError, match="the layers are counts"):
        codes_of_run(cells, batch, f"{run}:spliced")
    with pytest.raises(DataError, match="genes of the run are missing: g0"):
        codes_of_run(cells[:, 1:].copy(), batch, f"{run}:counts")
    with pytest.raises(UsageError, match="batch 'three' is none of the run's, one, two"):
        codes_of_run(cells, np.where(batch == "one", "three", batch), f"{run}:counts")


def test_cells_merge_by_their_codes_and_no_layer_is_promised(folder, capsys):
    place, _ = folder
    words = ["--batch", "batch", "--target", "one", "--use-rep", f"vae:{place / 'run'}:counts", "--steps", "3"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["merge", str(place / "c.h5ad"), *words, "--out", str(place / "m.h5ad")])
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    assert "no affine way back" in said.err
    merged = anndata.read_h5ad(place / "m.h5ad")
    assert merged.obsm["X_gpa"].shape == (120, 3)
    assert "gpa" not in merged.layers
