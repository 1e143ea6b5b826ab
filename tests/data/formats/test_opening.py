"""Laws of opening files: the same contents from every ending, to whoever asks, and no library that was not needed."""

import csv
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward.data.compare import inputs
from pushforward.data.compare.points import Points
from pushforward.data.formats.contents import Cells, Contents, Pictures, Table
from pushforward.data.formats.opening import divided, opened
from pushforward.data.formats.table import chosen, points
from pushforward.data.source import load, read_array
from pushforward.errors import DataError, UsageError
from pushforward.merging import files

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).round(6)
KINDS = np.array(["u", "v"])[np.arange(24) % 2]


def text(path: Path, mark: str) -> Path:
    np.savetxt(path, X, delimiter=mark, header=mark.join("abc"), comments="", fmt="%.17g")
    return path


def parquet(path: Path) -> Path:
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    writer.write_table(pyarrow.table(dict(zip("abc", X.T, strict=True))), path)
    return path


def h5ad(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["X"] = X
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        var.create_dataset("_index", data=np.array(list("abc"), dtype=object), dtype=h5py.string_dtype())
    return path


def npy(path: Path) -> Path:
    np.save(path, X)
    return path


def npz(path: Path) -> Path:
    np.savez(path, x=X)
    return path


def idx(path: Path) -> Path:
    path.write_bytes(bytes([0, 0, 14, 2]) + struct.pack(">2I", *X.shape) + X.astype(">f8").tobytes())
    return path


MAKERS = {
    "x.npy": npy,
    "x.npz": npz,
    "x.csv": lambda path: text(path, ","),
    "x.tsv": lambda path: text(path, "\t"),
    "x.txt": lambda path: text(path, ";"),
    "x.parquet": parquet,
    "x.pq": parquet,
    "x.h5ad": h5ad,
    "x.idx": idx,
}


def numbers(contents: Contents) -> np.ndarray:
    body = contents.body
    if isinstance(body, Table):
        return points(body).x
    if isinstance(body, Cells):
        return body.take(None)
    assert isinstance(body, np.ndarray)
    return body


@pytest.mark.parametrize("name", MAKERS)
def test_every_ending_holds_the_same_numbers_and_names(name, tmp_path):
    contents = opened(MAKERS[name](tmp_path / name))
    np.testing.assert_array_equal(numbers(contents), X)
    assert contents.place.startswith(str(tmp_path / name))
    if isinstance(contents.body, Table | Cells):
        assert contents.body.names == ("a", "b", "c")


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "x.idx"])
def test_whoever_learns_and_whoever_compares_sees_the_same_numbers(name, tmp_path):
    spec = str(MAKERS[name](tmp_path / name))
    compared = inputs.opened(spec, "real", 0)
    assert isinstance(compared, Points)
    np.testing.assert_array_equal(compared.take(None), read_array(spec)[0])


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_whoever_merges_sees_the_numbers_that_are_learned_from(ending, tmp_path):
    path = tmp_path / f"x.{ending}"
    if ending == "npz":
        np.savez(path, x=X, batch=KINDS)
        learned = read_array(f"{path}:x")[0]
    else:
        path.write_text("a,b,c,batch\n" + "".join(f"{','.join(map(repr, r))},{k}\n" for r, k in zip(X.tolist(), KINDS)))
        learned = read_array(f"{path}:a,b,c")[0]
    cells = files.read(str(path), "batch")
    np.testing.assert_array_equal(cells.X, learned)
    np.testing.assert_array_equal(cells.obs["batch"], KINDS)


def test_kinds_of_columns_are_those_declared_or_those_that_the_cells_show(tmp_path):
    (tmp_path / "t.csv").write_text(
        "n,w,t,s\n" + "".join(f"{i}.5,{i},{'true' if i % 2 else 'False'},k{i}\n" for i in range(9))
    )
    body = opened(tmp_path / "t.csv").body
    assert isinstance(body, Table)
    assert points(chosen(body, "n,w,t")).kinds == ("number", "whole", "truth")
    with pytest.raises(DataError, match="column 's' holds text"):
        points(body)
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "n": pyarrow.array([0.5, None]),
        "w": pyarrow.array([1, None]),
        "t": pyarrow.array([True, False]),
        "s": pyarrow.array(["x", "y"]),
        "c": pyarrow.array(["x", "y"]).dictionary_encode(),
        "d": pyarrow.array([1, 2], pyarrow.date32()),
    }
    writer.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    body = opened(tmp_path / "t.parquet").body
    assert isinstance(body, Table)
    assert list(body.declared.values()) == ["number", "whole", "truth", "word", "category", "day"]


def test_a_text_table_can_be_written_back_to_the_last_byte(tmp_path):
    content = ' a ;201;"x;y";\n1.50; 2;q ;+\n-0; 1e3;"r;s";\n'
    (tmp_path / "t.csv").write_text(content)
    body = opened(tmp_path / "t.csv", verbatim=True).body
    assert isinstance(body, Table)
    kept = body.verbatim
    assert kept is not None
    lines = io.StringIO(newline="")
    csv.writer(lines, delimiter=kept.mark, lineterminator="\n").writerows(
        [kept.names, *zip(*kept.columns, strict=True)]
    )
    assert lines.getvalue() == content
    assert body.names == ("a", "201", "x;y", "")  # a number is a name here
    assert body.columns[0] == ["1.50", "-0"]


def test_what_was_left_out_is_noted(tmp_path):
    (tmp_path / "t.csv").write_text(",u\n" + "".join(f"{i},{i % 5}\n" for i in range(20)))
    contents = opened(tmp_path / "t.csv")
    assert contents.known == ("u",)
    assert any("no name" in note for note in contents.notes)
    assert opened(npy(tmp_path / "x.npy")).notes == ()


def test_an_archive_brings_labels_and_a_test_set_along_and_reads_them_when_asked(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=X, y_train=KINDS, x_test=X[:5], y_test=np.arange(5) / 2)
    contents = opened(tmp_path / "x.npz", "x_train")
    assert contents.known == ("x_train", "y_train", "x_test", "y_test")
    assert contents.labels == "y_train"
    assert contents.column("y_train").tolist() == KINDS.tolist()
    assert contents.test is not None
    held = contents.test()
    np.testing.assert_array_equal(numbers(held), X[:5])
    assert held.labels is None  # numbers with a fraction are no classes
    np.savez(tmp_path / "z.npz", x_train=X, x_test=np.array([{}], dtype=object))
    np.testing.assert_array_equal(numbers(opened(tmp_path / "z.npz", "x_train")), X)  # the damage is not looked at
    with pytest.raises(DataError, match="Python objects"):
        load(f"{tmp_path / 'z.npz'}:x_train")


def test_an_idx_file_knows_the_files_that_belong_to_it(tmp_path):
    def save(name: str, x: np.ndarray) -> None:
        head = bytes([0, 0, 8, x.ndim]) + struct.pack(f">{x.ndim}I", *x.shape)
        (tmp_path / name).write_bytes(head + x.astype(np.uint8).tobytes())

    levels = RNG.integers(0, 256, (20, 4, 4))
    save("train-images-idx3-ubyte", levels)
    save("train-labels-idx1-ubyte", np.arange(20) % 3)
    save("t10k-images-idx3-ubyte", levels[:6])
    save("t10k-labels-idx1-ubyte", np.arange(5) % 3)
    contents = opened(tmp_path / "train-images-idx3-ubyte")
    assert contents.labels == "train-labels-idx1-ubyte"
    assert contents.column(contents.labels).tolist() == (np.arange(20) % 3).tolist()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte: 5 labels for 6 rows: give one label a row"):
        load(str(tmp_path / "train-images-idx3-ubyte"))


def test_pictures_are_listed_and_not_opened(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / kind / "x.png")
        (tmp_path / kind / "y.png").write_text("no picture")
    body = opened(tmp_path).body
    assert isinstance(body, Pictures)
    assert [file.name for file in body.files] == ["x.png", "y.png"] * 2
    assert body.classes is not None
    assert body.classes.tolist() == ["a", "a", "b", "b"]


def test_a_spec_is_divided_at_its_last_colon_unless_that_belongs_to_the_path(tmp_path):
    assert divided("a.csv:u,v") == (Path("a.csv"), "u,v")
    assert divided("c:a.csv") == (Path("c:a.csv"), None)
    (tmp_path / "a:b.npy").touch()
    assert divided(str(tmp_path / "a:b.npy")) == (tmp_path / "a:b.npy", None)
    with pytest.raises(UsageError, match="name after the colon"):
        divided("a.npz:")


def test_no_library_is_loaded_for_a_file_that_does_not_need_it(tmp_path):
    npy(tmp_path / "x.npy")
    text(tmp_path / "x.csv", ",")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pushforward.data.formats.opening import opened\n"
        f"opened(Path({str(tmp_path / 'x.npy')!r})), opened(Path({str(tmp_path / 'x.csv')!r}))\n"
        "print(sorted({'pandas', 'pyarrow', 'h5py', 'anndata', 'PIL'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_column_that_nobody_asked_for_is_not_worth_a_note(tmp_path):
    (tmp_path / "t.csv").write_text(",u,v\n" + "".join(f"{i},{i % 5},1\n" for i in range(20)))
    assert opened(tmp_path / "t.csv", "u").notes == ()
