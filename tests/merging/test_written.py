"""Merged cells go into a file and come back: the object itself by anndata, whatever its columns are, and the pins."""

from __future__ import annotations

import re
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from pushforward.merging import How, merge

anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")

QUICK = How(width=16, steps=4, updates=1, rate=1e-2, warmup=4)
N = 40
PINS = Path(__file__).parents[2] / "constraints.txt"


def objects(values):
    """An index of objects, which every anndata can write, beside every pandas."""
    return pandas.Index(values, dtype=object)


COLUMNS = {
    "text": lambda names: list(names),
    "categories": lambda names: pandas.Categorical(names, categories=objects(sorted(set(names)))),
    "whole numbers": lambda names: [sorted(set(names)).index(name) for name in names],
    "numbers": lambda names: [0.5 + sorted(set(names)).index(name) for name in names],
    "truth": lambda names: [name == max(names) for name in names],
    "missing": lambda names: pandas.Categorical(
        [None if k % 20 == 7 else name for k, name in enumerate(names)], categories=objects(sorted(set(names)))
    ),
}


def cells(batch, kind):
    rng = np.random.default_rng(0)
    names, types = ["a", "b"] * N, ["m", "m", "t", "t"] * (N // 2)
    obs = pandas.DataFrame({"batch": COLUMNS[batch](names), "type": COLUMNS[kind](types)})
    obs.index = objects([f"cell{k}" for k in range(2 * N)])
    x = rng.normal(size=(2 * N, 4)).astype(np.float32) + 2.0 * (np.arange(2 * N) % 2)[:, None]
    var = pandas.DataFrame(index=objects([f"gene{k}" for k in range(4)]))
    return anndata.AnnData(x.astype(np.float32), obs=obs, var=var)


def merged(found, **options):
    target = next(str(name) for name in found.obs["batch"] if name == name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        merge(found, "batch", target=target, use_rep="X", how=QUICK, least=2, **options)
    return found


@pytest.mark.parametrize("kind", COLUMNS)
def test_what_anndata_could_write_before_a_merge_it_writes_after_and_reads_back(kind, tmp_path):
    found = cells(kind, kind)
    try:
        found.copy().write_h5ad(tmp_path / "before.h5ad")
    except Exception as error:  # text of pandas 3 beside an anndata that was not made for it
        pytest.skip(f"this anndata writes no such cells: {error!r:.80}")
    if kind == "missing":  # who took part must be said, and a class that is not known is no class to move within
        merged(found, source="b", scores=False)
    else:
        merged(found, label_key="type", scores=kind == "categories")
    found.write_h5ad(tmp_path / "after.h5ad")
    again = anndata.read_h5ad(tmp_path / "after.h5ad")
    np.testing.assert_array_equal(again.obsm["X_gpa"], found.obsm["X_gpa"])
    np.testing.assert_array_equal(again.layers["gpa"], found.layers["gpa"])
    for name in found.obs:
        before, after = found.obs[name].astype(object), again.obs[name].astype(object)
        assert [a if a == a else None for a in after] == [b if b == b else None for b in before]
    assert again.uns["gpa"]["parameters"]["batch_key"] == "batch"


def test_labels_that_only_the_target_has_are_written_too(tmp_path):
    found = cells("categories", "categories")
    found.obs["type"] = found.obs["type"].where(found.obs["batch"] == "a")
    merged(found, label_key="type", mode="unconditional")
    assert "gpa_label" in found.obs
    found.write_h5ad(tmp_path / "after.h5ad")
    again = anndata.read_h5ad(tmp_path / "after.h5ad")
    assert list(map(str, again.obs["gpa_label"])) == list(map(str, found.obs["gpa_label"]))


def pins():
    lines = (line.partition("==") for line in PINS.read_text().splitlines() if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in lines}


def test_every_pinned_version_is_one_that_the_others_ask_for():
    requirements = pytest.importorskip("packaging.requirements")
    pinned, looked = pins(), 0
    for name, version in pinned.items():
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.version.partition("+")[0] != version:
            continue
        looked += 1
        for line in found.requires or ():
            wanted = requirements.Requirement(line)
            other = re.sub(r"[-_.]+", "-", wanted.name).lower()
            if other in pinned and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
                assert wanted.specifier.contains(pinned[other], prereleases=True), f"{name} {version} asks for {line}"
    assert looked > 20


def test_pandas_is_pinned_to_one_that_the_pinned_anndata_can_write():
    found = pins()
    anndata_at, pandas_at = (tuple(map(int, found[name].split(".")[:2])) for name in ("anndata", "pandas"))
    assert anndata_at >= (0, 13) or pandas_at < (3, 0)


def test_scanpy_goes_on_from_a_file_with_a_merge(tmp_path):
    sc = pytest.importorskip("scanpy")
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.poisson(2.0, (300, 60)).astype(np.float32))
    adata.obs["batch"] = np.repeat(["new", "old"], 150)
    adata.X[:150, :20] += 3
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merge(adata, "batch", target="old", how=How(steps=5), scores=False)
    adata.write_h5ad(tmp_path / "merged.h5ad")
    back = sc.read_h5ad(tmp_path / "merged.h5ad")
    np.testing.assert_array_equal(back.obsm["X_gpa"], adata.obsm["X_gpa"])
    np.testing.assert_array_equal(back.obs["gpa_matched"], adata.obs["gpa_matched"])
    assert back.uns["gpa"]["parameters"]["reference"] == "old"
    sc.pp.neighbors(back, use_rep="X_gpa")
    sc.tl.rank_genes_groups(back, "batch", layer="gpa")
    assert back.obsp["connectivities"].shape == (300, 300)
    back.write_h5ad(tmp_path / "again.h5ad")
