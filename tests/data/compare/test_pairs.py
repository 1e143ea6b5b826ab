"""Laws of pairs: two sets nobody prepared come to one form, large ones without being copied, bad ones in one line."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward
from pushforward import evaluate
from pushforward.data import as_pair, load, read_pair
from pushforward.data.compare import pairs, points
from pushforward.data.compare.pairs import mixed_pair
from pushforward.data.formats import arrays
from pushforward.errors import DataError, UsageError

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(40, 3))
MORE = RNG.normal(size=(50, 3))
LEVELS = RNG.integers(0, 256, (12, 8, 8), dtype=np.uint8)


def save(path: Path, x: np.ndarray) -> str:
    np.save(path, x)
    return str(path)


def test_two_arrays_of_points_are_compared_as_they_are(tmp_path):
    np.savez(tmp_path / "q.npz", x=POINTS.astype(np.float32), labels=np.arange(40))
    pair = read_pair(f"{tmp_path / 'q.npz'}:x", save(tmp_path / "p.npy", MORE), save(tmp_path / "t.npy", MORE + 1))
    assert pair.kind == "points"
    assert pair.fake.dtype == pair.real.dtype == torch.float64
    np.testing.assert_array_equal(pair.fake, POINTS.astype(np.float32))
    np.testing.assert_array_equal(pair.real, MORE)
    assert pair.train is not None
    np.testing.assert_array_equal(pair.train, MORE + 1)
    assert (pair.names, pair.table, pair.notes, pair.mixture, pair.fields) == ((), False, (), None, ())


@pytest.mark.parametrize("x", [np.arange(9.0), np.arange(9.0)[:, None], np.arange(9.0)[:, None].astype(">f4")])
def test_one_dimension_is_one_column_whatever_the_byte_order(x, tmp_path):
    pair = read_pair(save(tmp_path / "q.npy", x), save(tmp_path / "p.npy", x))
    np.testing.assert_array_equal(pair.fake, np.arange(9.0)[:, None])


def test_a_toy_is_compared_with_fresh_points_of_its_own_and_brings_its_density():
    pair = read_pair("toy:ring8", "toy:ring8", "toy:ring8")
    data = load("toy:ring8")
    assert pair.mixture is data.mixture
    np.testing.assert_array_equal(pair.real, data.decode(data.test))
    assert pair.train is not None
    rows = torch.cat([pair.fake, pair.real, pair.train])
    assert len(rows.unique(dim=0)) == len(rows)
    assert torch.equal(pair.fake, read_pair("toy:ring8", "toy:moons").fake)
    assert not torch.equal(pair.fake, read_pair("toy:ring8", "toy:ring8", seed=5).fake)
    assert read_pair("toy:moons", "toy:moons").mixture is None


def test_a_file_that_is_named_twice_is_a_finding_and_said_once(tmp_path):
    name, other = save(tmp_path / "x.npy", POINTS), save(tmp_path / "y.npy", POINTS[::-1] + 1)
    pair = read_pair(name, name)
    assert [(one.name, one.against) for one in pair.findings] == [("same", False)]
    assert not any("same file" in note for note in pair.notes)
    assert next((one.name, one.against) for one in read_pair(name, other, name).findings) == ("copies", True)
    assert next(one.name for one in read_pair(other, name, name).findings) == "leak"
    for sets, found in (((name, name), "same"), ((name, other, name), "copies"), ((other, name, name), "leak")):
        report = pushforward.evaluate(*sets, metrics=["energy"])
        assert [one.name for one in report.findings].count(found) == 1
        assert sum("same file" in words for words in report.warnings) == 0  # the number of rows says more


def test_columns_of_very_unequal_width_get_a_warning(tmp_path):
    pair = as_pair(POINTS * (1, 1, 5000), POINTS * (1, 1, 5000))
    (found,) = pair.findings
    assert (found.name, found.against) == ("form", False)
    assert found.words.startswith("the columns have standard deviations from")
    assert as_pair(POINTS * (1, 1, 9), POINTS).notes == ()


def test_whole_numbers_are_rounded_and_train_decides_with_real_what_is_whole():
    whole = np.rint(POINTS * 5)
    pair = as_pair(whole + 0.3, whole)
    assert torch.equal(pair.fake, pair.real)
    assert len(pair.notes) == 3
    untouched = as_pair(whole + 0.3, whole, whole + 0.1)
    np.testing.assert_array_equal(untouched.fake, whole + 0.3)


@pytest.mark.parametrize("kind", ["array", "list", "tensor and array", "frame"])
def test_objects_in_memory_and_files_give_the_same_pair(kind, tmp_path):
    expected = read_pair(save(tmp_path / "q.npy", POINTS), save(tmp_path / "p.npy", MORE))
    if kind == "frame":
        pandas = pytest.importorskip("pandas")
        pair = as_pair(pandas.DataFrame(POINTS), pandas.DataFrame(MORE))
    else:
        forms = {"array": (POINTS, MORE), "list": (POINTS.tolist(), MORE.tolist())}
        pair = as_pair(*forms.get(kind, (torch.from_numpy(POINTS), MORE)))
    assert torch.equal(pair.fake, expected.fake)
    assert torch.equal(pair.real, expected.real)


def test_tensors_with_a_fraction_pass_unchanged_and_whole_ones_become_float64():
    q, p = torch.randn(20, 3), torch.randn(30, 3, dtype=torch.float64)
    pair = as_pair(q, p, q)
    assert pair.fake is q
    assert pair.real is p
    assert pair.train is q
    counts = torch.arange(12)
    assert torch.equal(as_pair(counts, counts).fake, counts.double()[:, None])
    sequences = torch.randn(5, 4, 3)
    assert as_pair(sequences, sequences).fake is sequences


def test_tensors_off_the_grid_of_real_are_told_and_rounded_on_request():
    p = torch.arange(60.0)[:, None]
    pair = as_pair(p + 0.25, p)
    assert torch.equal(pair.fake, p + 0.25)
    (found,) = pair.findings
    assert "real holds only whole numbers" in found.words
    assert "rounded=True" in found.words
    assert torch.equal(as_pair(p + 0.25, p, rounded=True).fake, p.double())


def test_read_only_and_reversed_arrays_are_taken_without_a_warning(recwarn):
    x = POINTS.copy()
    x.flags.writeable = False
    as_pair(x, MORE[::-1, ::-1])
    assert not recwarn.list


def test_large_files_are_mapped_and_hold_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGE", 100)
    for order in ("C", "F"):
        x = np.asarray(POINTS, np.float32, order=order)
        np.save(tmp_path / "x.npy", x)
        seen = arrays.mapped(tmp_path / "x.npy")
        assert isinstance(seen, np.memmap)
        np.testing.assert_array_equal(seen, x)
        x[7, 2] = x[8, 0] = np.nan
        np.save(tmp_path / "x.npy", x)
        first = r"\(7, 2\)" if order == "C" else r"\(8, 0\)"
        with pytest.raises(DataError, match=rf"x\.npy: index {first} is nan \(2 of 120 values"):
            arrays.mapped(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated"):
        arrays.mapped(tmp_path / "x.npy")


@pytest.mark.slow
def test_a_mapped_file_is_neither_copied_nor_changed(tmp_path, monkeypatch):
    for module in (arrays, pairs, points):
        monkeypatch.setattr(module, "LARGE", module.LARGE // 3)
    names = [str(tmp_path / "q.npy"), str(tmp_path / "p.npy")]
    for name in names:  # an eighth of a gigabyte each, mostly holes
        x = np.lib.format.open_memmap(name, "w+", np.float32, (30_000, 1000))
        for start in range(0, 30_000, 300):
            x[start : start + 3] = RNG.normal(size=(3, 1000))
        del x
    tracemalloc.start()
    pair = read_pair(*names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pair.fake.dtype == torch.float32
    assert pair.fake.shape == (30_000, 1000)
    assert peak < 200e6  # two copies would take 240, or 480 in float64
    pair.fake[0] = 50
    assert np.load(names[0], mmap_mode="r")[0].max() < 50


def test_a_mapped_file_is_not_rounded_and_the_notes_say_so(tmp_path, monkeypatch):
    for module in (arrays, pairs, points):
        monkeypatch.setattr(module, "LARGE", 100)
    whole = np.arange(60, dtype=np.float32).reshape(30, 2)
    pair = read_pair(save(tmp_path / "q.npy", whole + 0.25), save(tmp_path / "p.npy", whole))
    np.testing.assert_array_equal(pair.fake, whole + 0.25)
    assert any("real holds only" in note for note in pair.notes)
    assert "fake: mapped from its file and too large to be rounded here: save it rounded" in pair.notes


def pictures(path: Path, n: int = 3) -> str:
    path.mkdir()
    for i in range(n):
        Image.fromarray(LEVELS[i]).save(path / f"{i}.png")
    return str(path)


def text(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


ROWS = "".join(f"{i},{i * i % 7},{'uv'[i % 2]}\n" for i in range(12))
TABLE = "a,b,kind\n" + ROWS

# What is compared with what, the exit code, and what must be said: file, place, remedy.
BAD: dict[str, tuple[Callable[[Path], tuple[str, str]], int, tuple[str, ...]]] = {
    "another number of columns": (
        lambda t: (save(t / "q.npy", POINTS), save(t / "p.npy", POINTS[:, :2])),
        3,
        (r"q\.npy holds points of shape \(3,\) and .*p\.npy points of shape \(2,\)", "only like", "same columns"),
    ),
    "points and images": (
        lambda t: (save(t / "q.npy", POINTS), pictures(t / "p")),
        3,
        (r"q\.npy holds points of shape \(3,\) and .*p images of 8 x 8", "only like", "reshape"),
    ),
    "one row": (lambda t: (save(t / "q.npy", POINTS[:1]), save(t / "p.npy", MORE)), 3, (r"q\.npy: 1 row, at least 2",)),
    "one image": (lambda t: (pictures(t / "q", 1), pictures(t / "p")), 3, ("q: 1 image, at least 2",)),
    "one line": (
        lambda t: (text(t / "q.csv", "a,b\n1,2\n"), save(t / "p.npy", MORE)),
        3,
        (r"q\.csv: 1 row, at least 2", "add rows"),
    ),
    "no row": (lambda t: (save(t / "q.npy", POINTS[:0]), save(t / "p.npy", MORE)), 3, ("holds no numbers", "add rows")),
    "infinite": (
        lambda t: (save(t / "q.npy", np.where(POINTS[5, 1] == POINTS, np.inf, POINTS)), save(t / "p.npy", MORE)),
        3,
        (r"q\.npy: index \(5, 1\) is inf", "remove these rows"),
    ),
    "complex": (lambda t: (save(t / "q.npy", POINTS * 1j), save(t / "p.npy", MORE)), 3, (r"q\.npy", "complex numbers")),
    "words in an array": (lambda t: (save(t / "q.npy", np.array(["a", "b"])), save(t / "p.npy", MORE)), 3, ("text",)),
    "empty file": (lambda t: (text(t / "q.csv", ""), save(t / "p.npy", MORE)), 3, (r"q\.csv: the file is empty",)),
    "absent file": (lambda t: (str(t / "q.npy"), save(t / "p.npy", MORE)), 3, (r"q\.npy: no such file",)),
    "unknown ending": (lambda t: (text(t / "q.doc", "x"), save(t / "p.npy", MORE)), 3, ("'.doc'", r"\.h5ad")),
    "key of an npy file": (
        lambda t: (save(t / "q.npy", POINTS) + ":a", save(t / "p.npy", MORE)),
        3,
        ("nothing to choose", "leave out ':a'"),
    ),
    "key of a folder": (lambda t: (pictures(t / "q") + ":a", pictures(t / "p")), 3, ("nothing to choose",)),
    "folder named like a file": (
        lambda t: (pictures(t / "q.npy"), save(t / "p.npy", MORE)),
        3,
        (r"q\.npy: this is a folder",),
    ),
    "single picture": (lambda t: (pictures(t / "q") + "/0.png", pictures(t / "p")), 3, ("one image", "folder")),
    "empty folder": (lambda t: ((t / "q").mkdir() or str(t / "q"), pictures(t / "p")), 3, ("holds no images",)),
    "unknown toy": (lambda t: ("toy:rnig8", "toy:ring8"), 2, ("did you mean toy:ring8",)),
    "nothing": (lambda t: ("", "toy:ring8"), 2, ("no data given",)),
    "missing column": (
        lambda t: (text(t / "q.csv", "A,kind\n1,u\n2,v\n"), text(t / "p.csv", TABLE)),
        3,
        (r"q\.csv: 2 columns missing, a, b \(is 'A' meant by 'a'\?\)", r"1 of the 3 columns of .*p\.csv", "add them"),
    ),
    "words where real has numbers": (
        lambda t: (text(t / "q.csv", "a,b,kind\nx,1,u\ny,2,v\n"), text(t / "p.csv", TABLE)),
        3,
        (r"q\.csv: column 'a' holds words such as 'x'", r"that of .*p\.csv numbers", "same way"),
    ),
    "numbers where real has words": (
        lambda t: (text(t / "q.csv", "a,b,kind\n1,1,0\n2,2,1\n"), text(t / "p.csv", TABLE)),
        3,
        (r"p\.csv: column 'kind' holds words such as 'u'", r"that of .*q\.csv numbers"),
    ),
    "words against an array": (
        lambda t: (save(t / "q.npy", POINTS), text(t / "p.csv", TABLE)),
        3,
        (r"q\.npy has no names of columns", "column 'kind'", "tables with names"),
    ),
    "words without a name": (
        lambda t: (text(t / "q.csv", ROWS), text(t / "p.csv", TABLE)),
        3,
        (r"q\.csv: column 2 holds text and has no name", "first line"),
    ),
    "absent column": (
        lambda t: (text(t / "q.csv", TABLE) + ":a,bb", text(t / "p.csv", TABLE)),
        3,
        (r"q\.csv: no column named 'bb': did you mean 'b'",),
    ),
    "tiny images": (
        lambda t: (save(t / "q.npy", LEVELS[:, :2, :2]), save(t / "p.npy", LEVELS)),
        3,
        (r"q\.npy: images with a side of 2 pixels", "at least 4"),
    ),
    "unlike shapes": (
        lambda t: (save(t / "q.npy", LEVELS.reshape(12, 4, 16)), save(t / "p.npy", LEVELS)),
        3,
        (r"q\.npy holds images of 16 x 4", r"p\.npy of 8 x 8", "crop or pad"),
    ),
    "no place for channels": (
        lambda t: (save(t / "q.npy", LEVELS.reshape(12, 2, 8, 4)[..., :2]), save(t / "p.npy", LEVELS)),
        3,
        ("does not tell where the channels are",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line_that_names_file_place_and_remedy(name, tmp_path):
    build, code, fragments = BAD[name]
    with pytest.raises((DataError, UsageError)) as caught:
        read_pair(*build(tmp_path))
    message = str(caught.value)
    assert caught.value.exit_code == code, message
    assert "\n" not in message
    for fragment in fragments:
        assert re.search(fragment, message), (fragment, message)


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (object(), UsageError, "object of type object"),
        ("x.npy", UsageError, "read_pair"),
        ([[1.0], [2.0, 3.0]], DataError, "unequal length"),
        (np.array([{}, 1], object), DataError, "Python objects"),
        (np.ma.masked_array([1.0, 2.0], [0, 1]), DataError, "masked array"),
        (np.zeros((2, 2, 2, 2, 2)), DataError, "5 dimensions"),
        (torch.tensor(3.0), DataError, "holds no samples"),
        (torch.zeros(0, 3), DataError, "holds no samples"),
        (torch.zeros(1, 3), DataError, "1 sample, at least 2"),
        (torch.tensor([1j, 2]), DataError, "complex"),
        (torch.eye(3).to_sparse(), DataError, "to_dense"),
        (torch.tensor([[1.0, 2, 3], [4, float("inf"), 6]]), DataError, "row 1 holds NaN or infinity"),
        (torch.zeros(4, 2), DataError, r"\(2,\) and real of shape \(3,\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_objects_are_refused_in_one_line(x, error, words):
    other = torch.zeros(4, 3) if isinstance(x, torch.Tensor) else POINTS
    with pytest.raises(error, match=words) as caught:
        as_pair(x, other)
    assert "\n" not in str(caught.value)


def test_a_side_is_refused_for_points_and_tensors():
    with pytest.raises(UsageError, match=r"side 8.*points"):
        as_pair(POINTS, POINTS, side=8)
    with pytest.raises(UsageError, match=r"side 8.*tensors"):
        as_pair(torch.zeros(4, 3), torch.zeros(4, 3), side=8)


def test_too_many_images_for_the_memory_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    from pushforward.data.compare import album

    monkeypatch.setattr(album, "budget", lambda: 100)
    with pytest.raises(DataError, match=r"6 images of side 8 need .*smaller side"):
        read_pair(pictures(tmp_path / "q"), pictures(tmp_path / "p"))


def test_a_constant_column_has_no_scale_that_the_others_could_be_unlike():
    rng = np.random.default_rng(0)
    x, y = (np.column_stack([rng.normal(size=(100, 2)), np.full(100, 0.1)]) for _ in range(2))
    assert not as_pair(x, y).findings
    (found,) = as_pair(x * [1, 1000, 1], y * [1, 1000, 1]).findings
    assert "standard deviations" in found.words


def test_an_array_beside_a_table_is_taken_by_position_and_that_is_said(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(MORE, columns=["a", "b", "c"])
    frame.to_csv(tmp_path / "p.csv", index=False)
    expected = as_pair(pandas.DataFrame(POINTS, columns=["a", "b", "c"]), frame)
    for fake in (POINTS, torch.from_numpy(POINTS), POINTS.tolist()):
        pair = mixed_pair(fake, tmp_path / "p.csv", MORE)
        assert torch.equal(pair.fake, expected.fake)
        assert torch.equal(pair.real, expected.real)
        assert pair.names == ("a", "b", "c")
        assert "fake: no names of columns, matched with those of real by position" in pair.notes
    back = mixed_pair(str(tmp_path / "p.csv"), POINTS)
    assert torch.equal(back.real, expected.fake)
    assert back.names == ()


def test_row_numbers_of_a_table_do_not_shift_an_array(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(MORE, columns=["a", "b", "c"])
    frame.insert(0, "id", range(1, len(MORE) + 1))
    frame.to_csv(tmp_path / "p.csv", index=False)
    for pair in (mixed_pair(POINTS, tmp_path / "p.csv"), mixed_pair(tmp_path / "p.csv", POINTS)):
        assert pair.fake.shape[1] == 3
        (said,) = [note for note in pair.notes if "column id is left out" in note]
        whose = "; the others are matched with those of real by position"
        assert said.endswith(whose) == said.startswith("fake: ")
        assert torch.equal(torch.cat([pair.fake, pair.real]).sort(0).values, torch.from_numpy(
            np.sort(np.concatenate([POINTS, MORE]), 0)))  # fmt: skip


def test_images_in_memory_are_compared_with_those_of_a_folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    (tmp_path / "p").mkdir()
    for k, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "p" / f"{k}.png")
    expected = as_pair(pixels[::-1].copy(), pixels)
    tensor = torch.from_numpy(pixels[::-1].copy()).permute(0, 3, 1, 2)
    for fake in (pixels[::-1].copy(), tensor, tensor.float() / 127.5 - 1):
        pair = mixed_pair(fake, tmp_path / "p")
        torch.testing.assert_close(pair.fake, expected.fake, atol=1e-6, rtol=0)
        assert torch.equal(pair.real, expected.real)


def test_a_toy_beside_an_array_brings_its_density():
    pair = mixed_pair(np.random.default_rng(0).normal(size=(50, 2)), "toy:ring8")
    assert pair.mixture is not None


def test_mixtures_without_a_meaning_are_refused_with_the_remedy(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(MORE[:, :2], columns=["a", "b"]).assign(kind=["u", "v"] * (len(MORE) // 2))
    frame.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"fake has no names.*'kind'.*p\.csv:a,b$"):
        mixed_pair(POINTS, tmp_path / "p.csv")
    assert mixed_pair(POINTS[:, :2], f"{tmp_path / 'p.csv'}:a,b").fake.shape[1] == 2
    with pytest.raises(DataError, match="give both the same columns"):
        mixed_pair(POINTS[:, :1], tmp_path / "p.csv")
    with pytest.raises(DataError, match="only like can be compared with like"):
        mixed_pair(np.zeros((4, 8, 8)), tmp_path / "p.csv")
    with pytest.raises(UsageError, match="object of type object"):
        mixed_pair(object(), tmp_path / "p.csv")


@pytest.mark.parametrize("form", ["array", "tensor", "npy", "npz", "mixed", "bare csv", "one column"])
def test_empty_cells_of_arrays_are_those_of_a_frame(form, tmp_path):
    pandas = pytest.importorskip("pandas")
    q, p = (np.where(np.random.default_rng(k).random(x.shape) < 0.1, np.nan, x) for k, x in enumerate((POINTS, MORE)))
    q, p = (np.c_[x[:, :2], kept[:, 2:]] for x, kept in ((q, POINTS), (p, MORE)))
    if form == "one column":
        q, p = q[:, 0], p[:, 0]
    expected = as_pair(pandas.DataFrame(q), pandas.DataFrame(p))
    if form == "npz":
        files = [tmp_path / "q.npz", tmp_path / "p.npz"]
        for file, x in zip(files, (q, p), strict=True):
            np.savez(file, x=x)
        pair = read_pair(*map(str, files))
    elif form == "npy":
        pair = read_pair(save(tmp_path / "q.npy", q), save(tmp_path / "p.npy", p))
    elif form == "mixed":
        pair = mixed_pair(q, save(tmp_path / "p.npy", p))
    elif form == "bare csv":
        for name, x in (("q", q), ("p", p)):
            pandas.DataFrame(x).to_csv(tmp_path / f"{name}.csv", index=False, header=False)
        pair = read_pair(str(tmp_path / "q.csv"), str(tmp_path / "p.csv"))
    else:
        pair = as_pair(*((torch.from_numpy(x) for x in (q, p)) if form == "tensor" else (q, p)))
    assert torch.equal(pair.fake, expected.fake)
    assert torch.equal(pair.real, expected.real)
    assert [(one.name, one.places, one.missing) for one in pair.fields] == [
        (one.name, one.places, one.missing) for one in expected.fields
    ]
    said = [note for note in pair.notes if "cells are empty, filled with the median and marked" in note]
    assert said == [note for note in expected.notes if "cells are empty, filled with the median and marked" in note]
    assert len(said) == (1 if form == "one column" else 2)


def test_a_missing_pattern_of_arrays_is_told(tmp_path):
    rng = np.random.default_rng(0)
    q, p = rng.normal(size=(2, 200, 3))
    q[:60, 1] = np.nan
    report = evaluate(q, p, metrics="columns", permutations=199)
    row = next(row for row in report.as_dict()["metrics"]["columns"]["rows"] if row["column"] == "1")
    assert row["missing_fake"] == pytest.approx(0.3)
    assert row["missing_real"] == 0
    assert "differ" in report.verdict
    assert any(finding.name == "support" for finding in report.findings)


def test_infinite_numbers_and_images_with_holes_stay_refused():
    holes, images = POINTS.copy(), np.random.default_rng(0).random((4, 8, 8))
    holes[1, 1], holes[5, 0], images[0, 0, 0] = np.nan, np.inf, np.nan
    grey = images[:, None]
    for x, other, words in (
        (holes, POINTS, r"index \(5, 0\) is inf"),
        (torch.from_numpy(holes), torch.from_numpy(POINTS), r"index \(5, 0\) is inf"),
        (images, images, r"index \(0, 0, 0\) is nan"),
        (torch.from_numpy(grey), torch.from_numpy(grey), "row 0 holds NaN or infinity"),
    ):
        with pytest.raises(DataError, match=words):
            as_pair(x, other)
