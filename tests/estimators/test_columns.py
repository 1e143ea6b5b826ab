"""Data frames, sparse matrices and series at the door of the estimators: named, given back as they were, or refused."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pushforward import BridgeSampler, FlowGenerator, FlowVAE, LatentFlow, ParticleFlow
from pushforward.errors import DataError

pandas = pytest.importorskip("pandas")

N = 60


def generator():
    return FlowGenerator(steps=3, batch_size=16, width=8, depth=1, random_state=0)


def bridge():
    return BridgeSampler(steps=3, batch_size=16, width=8, depth=1, random_state=0)


def autoencoder():
    return FlowVAE(steps=3, batch_size=16, width=8, depth=1, prior="normal", random_state=0)


def particles():
    return ParticleFlow(steps=3, width=8, depth=1, critic_steps=1, warmup=1, random_state=0)


def latent():
    return LatentFlow("pca:2", steps=3, width=8, depth=1, critic_steps=1, warmup=1, random_state=0)


ALL = pytest.mark.parametrize(
    "make", [generator, bridge, autoencoder, particles, latent], ids=lambda make: make.__name__
)
MOVING = pytest.mark.parametrize("make", [particles, latent], ids=lambda make: make.__name__)


def frame(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return pandas.DataFrame(
        {
            "height": rng.normal(170, 10, n),
            "age": rng.integers(0, 90, n).astype("int32"),
            "member": rng.random(n) < 0.5,
            "weight": rng.normal(70, 5, n).astype("float32"),
            "visits": pandas.array(rng.integers(0, 9, n), dtype="Int64"),
        },
        index=[f"p{k}" for k in range(n)],
    )


@ALL
def test_samples_of_a_frame_have_its_columns_and_types(make):
    x = frame()
    got = make().fit(x).sample(7, random_state=0)
    assert list(got.columns) == list(x.columns)
    assert got.dtypes.to_dict() == x.dtypes.to_dict()
    assert got.shape == (7, 5)


@ALL
def test_a_frame_and_its_array_are_learned_alike_but_for_rounding(make):
    x = frame()
    one, two = (
        make().fit(x).sample(20, random_state=0),
        make().fit(x.astype(float).to_numpy()).sample(20, random_state=0),
    )
    assert isinstance(two, np.ndarray)
    np.testing.assert_allclose(one["height"].to_numpy(), two[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(one["age"].to_numpy(), np.rint(two[:, 1]))
    np.testing.assert_array_equal(one["member"].to_numpy(), two[:, 2] > 0.5)


@ALL
def test_notes_say_what_is_rounded_and_what_does_not_vary_and_a_file_keeps_them(make, tmp_path):
    x = frame().assign(unit=1.0)
    fitted = make().fit(x)
    said = fitted.notes_[:3] if make is autoencoder else fitted.notes_  # which also says its likelihood
    assert said == (
        "columns that do not vary come back as they are: 'unit'",
        "whole numbers, learned as numbers and rounded in samples: age, visits",
        "truth values, learned as numbers and rounded in samples: member",
    )
    fitted.save(tmp_path / "f.safetensors")
    again = type(fitted).load(tmp_path / "f.safetensors")
    assert again.notes_ == fitted.notes_
    pandas.testing.assert_frame_equal(again.sample(5, random_state=1), fitted.sample(5, random_state=1))


NAMES = {
    "numbers": pandas.RangeIndex(3),
    "years": pandas.Index([2019, 2020, 2021], name="year"),
    "levels": pandas.MultiIndex.from_tuples([("u", 1), ("u", 2), ("v", 1)], names=["gene", None]),
}


@ALL
@pytest.mark.parametrize("kind", NAMES)
def test_a_frame_whose_names_are_no_text_is_given_back_as_one(make, kind, tmp_path):
    names, rows = NAMES[kind], pandas.MultiIndex.from_product([range(6), list("abcdefghij")], names=["day", "well"])
    x = pandas.DataFrame(np.random.default_rng(0).normal(size=(N, 3)), columns=names, index=rows)
    fitted = make().fit(x)
    got = fitted.sample(5)
    assert isinstance(got, pandas.DataFrame)
    assert got.columns.equals(names)
    assert got.columns.names == names.names
    np.testing.assert_array_equal(got.to_numpy(), make().fit(x.to_numpy()).sample(5))
    fitted.save(tmp_path / "f.safetensors")
    pandas.testing.assert_frame_equal(type(fitted).load(tmp_path / "f.safetensors").sample(5), got)
    with pytest.raises(DataError, match="stands where the fit saw"):
        fitted.score(x.iloc[:, ::-1])
    if make in (particles, latent):
        moved = fitted.transport(x)
        assert moved.index.equals(rows)
        assert moved.columns.equals(names)


@ALL
def test_a_name_that_two_columns_have_is_refused(make):
    x = np.random.default_rng(0).normal(size=(N, 3))
    with pytest.raises(DataError, match="two columns are called 'a'"):
        make().fit(pandas.DataFrame(x, columns=list("aba")))


@ALL
def test_names_that_no_file_can_hold_are_refused_when_it_is_written(make, tmp_path):
    days = pandas.date_range("2020-01-01", periods=2)
    fitted = make().fit(pandas.DataFrame(np.random.default_rng(0).normal(size=(N, 2)), columns=days))
    assert fitted.sample(3).columns.equals(pandas.Index(list(days)))
    with pytest.raises(DataError, match="a name of type Timestamp cannot be written"):
        fitted.save(tmp_path / "new" / "f.safetensors")
    assert not list(tmp_path.iterdir())


@ALL
def test_frames_of_other_libraries_are_refused_by_column_too(make):
    arrow = pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="column 'town' holds words"):
        make().fit(arrow.table({"a": np.random.default_rng(0).normal(size=N), "town": ["Ulm"] * N}))


@pytest.mark.parametrize("kind", ["int64[pyarrow]", "bool[pyarrow]", "float[pyarrow]", "boolean", "Float32", "uint8"])
def test_types_of_arrays_beyond_numpy_come_back(kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    x = frame()[["height"]].assign(more=pandas.Series(np.arange(N) % 2, index=frame().index).astype(kind))
    assert generator().fit(x).sample(4).dtypes.to_dict() == x.dtypes.to_dict()


@MOVING
def test_carried_frames_keep_columns_and_index_and_transform_is_transport(make):
    x, new = frame(), frame(9, seed=1)
    flow = make().fit(x)
    moved = flow.transport(new)
    assert list(moved.columns) == list(x.columns)
    assert list(moved.index) == list(new.index)
    values = flow.transform(new)
    assert isinstance(values, np.ndarray)
    np.testing.assert_array_equal(values, moved.to_numpy())
    flow.set_output(transform="pandas")
    pandas.testing.assert_frame_equal(flow.transform(new), moved)
    assert list(flow.get_feature_names_out()) == list(x.columns)


@MOVING
def test_a_flow_ends_a_pipeline_that_gives_frames(make):
    x = frame().astype(float)
    pipe = make_pipeline(StandardScaler(), make()).set_output(transform="pandas")
    got = pipe.fit(x).transform(x)
    assert list(got.columns) == list(x.columns)
    assert list(got.index) == list(x.index)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_rows_are_learned_and_carried_as_the_dense_ones(form):
    rng = np.random.default_rng(0)
    x = rng.poisson(0.5, (N, 6)).astype(float)
    dense, thin = latent().fit(x), latent().fit(form(x))
    np.testing.assert_array_equal(thin.particles_, dense.particles_)
    np.testing.assert_array_equal(thin.transport(form(x[:9])), dense.transport(x[:9]))
    np.testing.assert_array_equal(latent().fit(form(x), form(x[:20])).particles_, latent().fit(x, x[:20]).particles_)
    assert thin.notes_[0] == f"sparse rows were made dense, {(N, 6)}"


def test_sparse_rows_that_would_not_fit_when_dense_are_refused_before_any_memory_is_taken(monkeypatch):
    from pushforward.estimators import learn

    monkeypatch.setattr(learn, "budget", lambda: 1000)
    with pytest.raises(DataError, match=r"sparse of shape \(60, 6\).*when dense.*TruncatedSVD"):
        latent().fit(sparse.csr_matrix(np.eye(60, 6)))


BAD = {
    "when": (pandas.date_range("2020-01-01", periods=N), "dates", "days since the first"),
    "kind": (pandas.Categorical(["a", "b"] * (N // 2)), "categories", "get_dummies"),
    "level": (pandas.Categorical([1, 2] * (N // 2)), "categories", "get_dummies"),
    "town": (["Ulm", "Rom"] * (N // 2), "words", "make numbers of them"),
    "born": ([datetime.date(2020, 1, 1), None] * (N // 2), "dates", "days since the first"),
    "bins": (pandas.cut(range(N), 4), "categories", "get_dummies"),
    "span": (pandas.to_timedelta(range(N), unit="D"), "dates", "days since the first"),
}


@ALL
@pytest.mark.parametrize("name", BAD)
def test_a_column_that_holds_no_numbers_is_refused_by_its_name_with_what_to_do(make, name):
    values, kind, remedy = BAD[name]
    with pytest.raises(DataError, match=f"column '{name}' holds {kind}.*{remedy}"):
        make().fit(frame().assign(**{name: values}))


@ALL
@pytest.mark.parametrize("shape", [(N, 24, 3), (N, 1, 5)])
def test_series_are_refused_with_the_reshape_that_is_meant(make, shape):
    x = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(ValueError, match=rf"X\.reshape\((len\(X\)|{N}), {shape[1] * shape[2]}\)"):
        make().fit(x)
    assert make().fit(x.reshape(N, -1)).sample(2, random_state=0).shape == (2, shape[1] * shape[2])
