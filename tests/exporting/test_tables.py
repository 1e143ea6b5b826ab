"""A generator of a table gives the table: whole numbers, truth values, names of columns and of classes, as `sample`."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from exporting.test_export import call, exported, guest
from pyarrow import parquet
from torch import nn

from pushforward import cli
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.exporting import writing
from pushforward.exporting.card import Interface
from pushforward.exporting.graph import Columns
from pushforward.exporting.loading import Generator, load_generator
from pushforward.plain.kinds import ColumnKind, columns, grid, rounded

FORMATS = ["m.safetensors", "m.pt", pytest.param("m.onnx", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on a table of numbers, whole numbers and truth values, with classes that are called by numbers."""
    home, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    rows = {"height": rng.normal(3, 2, 150), "count": rng.integers(-9, 9, 150), "flag": np.arange(150) % 2 == 0}
    parquet.write_table(pyarrow.table(rows | {"kind": np.array([3, 5, 7] * 50)}), home / "mixed.parquet")
    words = ["train", "toy_vgrow", "--data", home / "mixed.parquet", "--labels", "kind", "--conditional"]
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in [*words, "--steps", 3, "--width", 8, "--run", home / "run"]])
    assert not ended.value.code
    return home / "run"


@pytest.mark.parametrize("name", FORMATS)
def test_a_generator_of_a_table_gives_what_sample_writes(run, tmp_path, capsys, name):
    code, _, err = call(capsys, "export", run, "--out", tmp_path / name)
    assert (code, err) == (0, "")
    found = load_generator(tmp_path / name, trust=True)
    assert found.columns == ("height", "count", "flag")
    for out in ("x.csv", "x.npz"):
        assert call(capsys, "sample", run, "-n", 90, "--seed", 4, "--out", tmp_path / out)[0] == 0
    own = np.load(tmp_path / "x.npz")
    x = found(90, seed=4).numpy()
    np.testing.assert_allclose(x, own["x"], rtol=0, atol=1e-4)
    assert np.array_equal(x[:, 1], np.rint(x[:, 1]))
    assert set(x[:, 2]) <= {0, 1}
    with (tmp_path / "x.csv").open() as file:
        header, *rows = csv.reader(file)
    table = found.table(90, seed=4)
    assert [*table] == header == ["height", "count", "flag", "kind"]
    assert {name: column.dtype.kind for name, column in table.items()} == dict(zip(header, "fibi", strict=True))
    for column, cells in zip(header, zip(*rows, strict=True), strict=True):
        if column == "height":
            np.testing.assert_allclose(table[column], [float(cell) for cell in cells], atol=1e-4)
        else:
            assert [str(value) for value in table[column].tolist()] == list(cells)
    samples = found.card["interface"]["samples"]
    assert samples["rounded"] == ["count", "flag"]
    (page,) = tmp_path.glob("*.md")
    assert "| rounded | count (to whole numbers), flag (to 0 or 1) |" in page.read_text()
    assert 'samples = generator(64, seed=0, labels=["3"])  # float64, (64, 3)\n' in page.read_text()


def test_samples_of_a_run_say_once_what_was_rounded_whatever_the_ending(run, tmp_path, capsys):
    for name in ("x.npz", "x.csv"):
        code, said, _ = call(capsys, "sample", run, "-n", 5, "--out", tmp_path / name, "--json")
        assert code == 0
        assert json.loads(said)["notes"] == [
            "rounded, as the data hold whole numbers or truth values there: count, flag"
        ]


def test_frames_of_a_data_frame_library_take_the_table(run, tmp_path, capsys):
    pandas = pytest.importorskip("pandas")
    assert call(capsys, "export", run, "--out", tmp_path / "m.safetensors")[0] == 0
    frame = pandas.DataFrame(load_generator(tmp_path / "m.safetensors").table(20, labels=[3, 7]))
    assert list(frame.columns) == ["height", "count", "flag", "kind"]
    assert frame["kind"].tolist() == [3, 7] * 10
    assert frame["flag"].dtype == bool


@pytest.mark.parametrize(
    "wanted", [5, "5", [5], ["5"], (5,), np.int64(5), np.array([5]), torch.tensor(5), [np.int32(5)]]
)
def test_a_class_is_wanted_by_its_name_as_text_or_as_the_number_that_it_is(run, tmp_path, capsys, wanted):
    assert call(capsys, "export", run, "--out", tmp_path / "m.safetensors")[0] == 0
    found = load_generator(tmp_path / "m.safetensors")
    assert found.classes(4, labels=wanted).tolist() == [1, 1, 1, 1]  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(UsageError, match=r"labels 0: this generator has the classes 3, 5, 7$"):
        found(4, labels=0)  # no place, as the names are numbers


def named(*classes: str) -> Generator:
    """A generator that knows classes, of which nothing else is asked."""
    from pushforward.densities.latents import Gaussian

    law = Interface(Gaussian((2,)), classes, (1,) * len(classes), (2,))
    return Generator({}, law, lambda z, labels: (z, z))


@pytest.mark.parametrize(
    ("classes", "wanted", "place"),
    [(("a", "b"), 1, 1), (("a", "b"), [1, "a"], 1), (("0", "1"), 0, 0), (("1", "0"), 0, 1), (("a", "1"), 1, 1)],
)
def test_a_number_is_a_place_where_no_name_is_one(classes, wanted, place):
    found = named(*classes).classes(1, labels=wanted)
    assert found is not None
    assert found.tolist() == [place]


@pytest.mark.parametrize(
    ("classes", "wanted", "said"),
    [
        (("a", "b"), 2, "2 classes, 0 to 1 by place"),
        (("a", "b"), -1, "0 to 1 by place"),
        (("1.0", "2.0"), 1, r"labels 1: this generator has the classes 1\.0, 2\.0"),
        (("a", "3"), 1, "a name or a place, as some classes are called by numbers; give a name of a, 3"),
        (("a", "b"), 1.0, r"labels 1\.0: this generator has the classes a, b"),
        (("a", "b"), [None], "labels None"),
        (("a", "b"), [], "labels: none is named; this generator has the classes a, b"),
    ],
)
def test_a_class_that_cannot_be_told_is_refused_plainly(classes, wanted, said):
    with pytest.raises(UsageError, match=said):
        named(*classes)(2, labels=wanted)


def test_kinds_round_as_they_say():
    x = np.array([[0.5, 0.5, 0.5], [1.5, 0.51, -1.25], [-1.6, -3.0, 0.0], [1e300, np.nextafter(0.5, 0), 7.0]])
    kinds: tuple[ColumnKind, ...] = ("whole", "truth", "number")
    found = columns(x, ("a", "a_class", "b"), kinds, "a", np.array(["u"] * 4))
    assert found["a"].tolist() == [0, 2, -2, 2**62]
    assert found["a_class"].tolist() == [False, True, False, False]
    assert found["b"].tolist() == x[:, 2].tolist()
    assert [*found] == ["a", "a_class", "b", "a_class_class"]  # none is overwritten
    once = rounded(torch.from_numpy(x), grid(kinds))
    assert torch.equal(rounded(once, grid(kinds)), once)  # a projection


def test_dates_are_days_rounded_to_their_resolution():
    days, kinds = np.array([[19783.5204, 19783.5204, 19783.6, -1e9]]), ("second", "minute", "day", "day")
    found = columns(days, ("s", "m", "d", "far"), kinds, None, None)
    assert [str(column[0]) for column in found.values()] == [
        "2024-03-01T12:29:23", "2024-03-01T12:29", "2024-03-02", "0001-01-01"
    ]  # fmt: skip
    net = Columns(torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64), kinds)
    once = net(torch.from_numpy(days))
    assert torch.equal(net(once), once)
    assert (once[0, :3] - torch.from_numpy(days)[0, :3]).abs().lt(torch.tensor([1 / 86400, 1 / 1440, 1]) / 2).all()


def test_a_unit_of_rounded_columns_that_is_not_affine_is_still_found_out():
    experiment = guest(nn.Linear(2, 2))
    inside = experiment.data
    changed = {"decode": lambda x: inside.decode(x) + 2, "kinds": ("whole", "number"), "columns": ("a", "b")}
    experiment.data = type(inside)(**{**vars(inside), **changed})
    with pytest.raises(TrainingError, match="no affine one; nothing was written"):
        exported(experiment, "safetensors")


@pytest.mark.parametrize("kind", ["safetensors", "torchscript"])
def test_a_law_of_ones_own_goes_where_it_is_told_in_words_and_only_if_they_are_true(kind):
    net = nn.Linear(2, 2)
    experiment = guest(net)

    class Wide:
        """A stranger's law: normal, three times as wide."""

        told = 3.0

        def __call__(self, rng, n):
            return 3.0 * rng.normal(n, 2)

        def as_dict(self):
            return {"law": "normal", "shape": [2], "deviation": self.told}

    law = Wide()

    class Method:
        def learn(self, batches, start=0):
            yield {}

        def sample(self, n, rng=None, labels=None):
            return net(law(rng, n)).detach()

        def one_pass(self):
            from pushforward.methods.sources import Pass

            return Pass(law, (net,))

    experiment.method = Method()
    done = exported(experiment, kind)
    assert done.difference <= writing.TOLERANCE
    assert done.card["interface"]["latents"] == {"law": "normal", "shape": [2], "mean": 0.0, "deviation": 3.0}
    law.told = 2.0
    with pytest.raises(TrainingError, match="differ from the run's own"):
        exported(experiment, kind)
    law.told = "wide"
    with pytest.raises(UsageError, match=r"Wide\.as_dict\(\): deviation is 'wide'"):
        exported(experiment, kind)
    law = lambda rng, n: rng.uniform(n, 2) ** 2  # noqa: E731
    with pytest.raises(UsageError, match=r"a law of one's own, function.* give function as_dict\(\)"):
        exported(experiment, kind)


def test_a_card_whose_columns_are_not_those_of_its_samples_is_refused(run, tmp_path, capsys):
    from exporting.test_crafted import parts, read, signed

    assert call(capsys, "export", run, "--out", tmp_path / "m.safetensors")[0] == 0
    card, tensors = parts((tmp_path / "m.safetensors").read_bytes())
    assert read(signed(card, tensors)) == ""
    samples, unit = card["interface"]["samples"], card["architecture"]["unit"]
    for changed, name, value in (
        (samples, "columns", ["a"]), (samples, "columns", ["a", "a", "b"]), (samples, "kinds", ["whole"]),
        (samples, "kinds", ["whole", "truth", "odd"]), (samples, "label", 3), (unit, "holds", ["whole"]),
        (unit, "holds", ["number"] * 3),
    ):  # fmt: skip
        before = changed[name]
        changed[name] = value
        assert name in read(signed(card, tensors))
        changed[name] = before
    with pytest.raises(DataError):
        load_generator(tmp_path / "none")
