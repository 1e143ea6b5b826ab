"""What a merge does to values is said beside what halves of the target do; zeros, signs and steps are kept if asked."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse

from pushforward.cli import main
from pushforward.errors import UsageError
from pushforward.merging import How, merge, merge_arrays
from pushforward.merging.numbers.values import compared, counts, kept

anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")

QUICK = How(width=8, steps=5, updates=1, rate=1e-2, warmup=3)
N = 60
rng = np.random.default_rng(0)
COUNTS = rng.poisson(1.0, (N, 4)).astype(float)
COUNTS[1::2, 0] += 4


def cells(x):
    obs = pandas.DataFrame(
        {"batch": ["old", "new"] * (N // 2)}, index=pandas.Index([f"c{k}" for k in range(N)], dtype=object)
    )
    return anndata.AnnData(x, obs=obs)


def run(adata, **options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        merge(
            adata,
            "batch",
            target="old",
            **{"use_rep": "pca:3", "how": QUICK, "scores": False, "unmatched": "move"} | options,
        )
    return [str(one.message) for one in said]


@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_shares_are_those_that_are_counted_by_hand(form):
    target = np.array([[0.0, 1.0], [0.0, 2.0], [4.0, 3.0], [2.0, 1.5]])
    before, after = np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([[-1.0, 0.0], [5.0, 2.0]])
    found = compared(form(before), form(after), form(target))
    assert (found.before, found.after, found.target) == (0.5, 0.25, 0.25)
    assert (found.shares.below, found.shares.above, found.shares.negative) == (0.5, 0.25, 0.25)


@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_fresh_rows_of_the_targets_law_are_not_notable_and_shifted_ones_are(form):
    quiet, x = 0, np.empty(0)
    for seed in range(20):
        draw = np.random.default_rng(seed)
        x = np.maximum(draw.normal(size=(400, 6)), 0)
        quiet += compared(form(x[:200]), form(x[:200]), form(x[200:]), seed=seed).words() == ""
    assert quiet >= 18
    words = compared(form(x[:200]), form(x[:200] - 0.5 * (x[:200] > 0)), form(x[200:])).words()
    assert "negative where the target has none; keep (--keep) signs would hold them" in words


@pytest.mark.parametrize("form", [np.asarray, csr_matrix], ids=["dense", "sparse"])
def test_zeros_signs_and_levels_are_kept_each_by_itself(form):
    target = np.array([[0.0, 1.0, 0.5, 0.1], [5.0, 2.0, 1.5, 0.2], [10.0, 3.0, 1.0, 0.3], [0.0, 2.0, 0.5, 0.1]])
    target = np.tile(target, (4, 1))  # steps are of values that recur
    before = np.array([[0.0, 2.0, 1.0, 0.2], [5.0, 0.0, 1.0, 0.3]])
    after = np.array([[1.0, -2.0, 1.2, 0.24], [7.6, 0.0, 0.7, -0.26]])

    def keeping(*keep):
        found = kept(form(before), form(after) if form is np.asarray else _like(before, after), form(target), keep)
        return found.toarray() if issparse(found) else found

    zero = 1.0 if form is np.asarray else 0.0  # an entry that is not stored stays 0
    plain = after.copy()
    plain[0, 0] = zero
    np.testing.assert_array_equal(keeping(), plain)
    np.testing.assert_array_equal(keeping("zeros"), np.where((before == 0) & [True, False, False, False], 0, plain))
    signs = np.maximum(plain, [0, 1, 0.5, 0.1])
    if form is csr_matrix:
        signs[before == 0] = 0
    np.testing.assert_array_equal(keeping("signs"), signs)
    levels = [[0.0, -2.0, 1.0, 0.2], [10.0, 0.0, 0.5, -0.3]]
    np.testing.assert_allclose(keeping("levels"), levels)
    assert (after == [[1.0, -2.0, 1.2, 0.24], [7.6, 0.0, 0.7, -0.26]]).all()


def _like(pattern, x):
    """A sparse matrix with the values of x where the pattern stores some."""
    out = csr_matrix(pattern)
    out.data = x[pattern != 0]
    return out


def test_measurements_are_not_rounded_however_few_decimals_were_written():
    target = np.round(np.random.default_rng(0).normal(size=(200, 1)), 4)
    after = np.array([[0.123456789]])
    np.testing.assert_array_equal(kept(after, after, target, ("levels",)), after)


@pytest.mark.parametrize("sparse", [False, True])
def test_counts_are_warned_of_and_stay_counts_where_that_is_asked(sparse):
    x = csr_matrix(COUNTS) if sparse else COUNTS
    plain, asked = cells(x.copy()), cells(x.copy())
    assert any(words.startswith("values are whole numbers from 0, as raw counts") for words in run(plain))
    said = run(asked, keep=("zeros", "signs", "levels"))
    assert not any("raw counts" in words for words in said)
    np.testing.assert_array_equal(asked.obsm["X_gpa"], plain.obsm["X_gpa"])
    layer = asked.layers["gpa"].toarray() if sparse else asked.layers["gpa"]
    assert counts(layer)
    assert (layer[COUNTS == 0] == 0).all()
    assert (layer[::2] == COUNTS[::2]).all()
    assert (layer[1::2] != COUNTS[1::2]).any()
    found = asked.uns["gpa"]["values"]
    assert found["zeros_after"] == pytest.approx((layer[1::2] == 0).mean())
    assert found["negative"] == 0
    assert list(found["keep"]) == ["zeros", "signs", "levels"]


def test_shares_are_said_by_cells_and_by_arrays_of_values_alike():
    adata, x = cells(COUNTS.copy()), COUNTS.copy()
    said = run(adata, use_rep="X")
    batch = np.array(["old", "new"] * (N // 2))
    found = merge_arrays(x, batch, reference="old", how=QUICK, scores=False, unmatched="move", keep=())
    assert found.written is not None
    np.testing.assert_allclose(found.written, adata.layers["gpa"])
    assert found.values["zeros_after"] == adata.uns["gpa"]["values"]["zeros_after"] == 0
    words = next(words for words in said if words.startswith("values of moved rows"))
    assert words in found.warnings
    assert "keep (--keep) zeros" in words
    whole = merge_arrays(x, batch, reference="old", how=QUICK, scores=False, unmatched="move", keep=("levels",))
    assert whole.written is not None
    assert (whole.written == np.rint(whole.written)).all()
    np.testing.assert_array_equal(whole.x, found.x)
    assert merge_arrays(x, batch, reference="old", how=QUICK, scores=False).values == {}


def test_what_cannot_be_kept_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="keep 'zero': choose of zeros, signs, levels"):
        run(cells(COUNTS), keep=("zero",))


@pytest.mark.parametrize("ending", ["csv", "npz", "h5ad"])
def test_the_command_keeps_what_it_is_asked_to(ending, tmp_path, capsys):
    source, out = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    batch = np.array(["old", "new"] * (N // 2))
    if ending == "csv":
        rows = (",".join([*map(str, row), name]) for row, name in zip(COUNTS.astype(int).tolist(), batch))
        source.write_text("\n".join(["a,b,c,d,batch", *rows]))
    elif ending == "npz":
        np.savez(source, x=COUNTS, batch=batch)
    else:
        cells(COUNTS).write_h5ad(source)
    words = ["merge", source, "--batch", "batch", "--target", "old", "--use-rep", "X", "--steps", 3, "--out", out]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--keep", "zeros", "signs", "levels", "--json"])
    assert ended.value.code == 0
    record = json.loads(capsys.readouterr().out)
    assert record["values"]["keep"] == ["zeros", "signs", "levels"]
    assert record["values"]["zeros_after"] >= record["values"]["zeros_before"] > 0
    if ending == "csv":
        found = np.array([line.split(",")[:4] for line in out.read_text().splitlines()[1:]], float)
    else:
        found = np.load(out)["x"] if ending == "npz" else anndata.read_h5ad(out).layers["gpa"]
    assert counts(found)
    assert (found[COUNTS == 0] == 0).all()
