"""No command writes over what it reads, among the files of a run, or in vain: all of them ask in one place, first."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from pushforward import cli, files
from pushforward.data import outputs
from pushforward.errors import UsageError

SMALL = ["train", "toy_particles", "--steps", "2", "--particles", "20", "--batch", "20", "--width", "8"]
WAYS = ("the name", "a relative name", "a detour", "a link", "a hard link", "a linked folder")
FEW = ["--batch", "b", "--target", "u", "--steps", "2"]


def call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), capsys.readouterr().err


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Data, a table with batches, and a run that learned from the data."""
    base, rng = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    np.savez(base / "data.npz", x=rng.normal(size=(80, 2)).astype(np.float32))
    np.savez(base / "points.npz", x=rng.normal(size=(9, 2)).astype(np.float32))
    (base / "in.csv").write_text("a,b\n" + "".join(f"{k / 7:.3f},{'uv'[k % 2]}\n" for k in range(40)))
    batch = np.array(["u", "v"])[np.arange(40) % 2]
    np.savez(base / "in.npz", x=rng.normal(size=(40, 2)), b=batch)
    cells(base / "in.h5ad", rng.normal(size=(40, 2)), batch)
    with pytest.raises(SystemExit) as stop:
        cli.main([*SMALL, "--data", str(base / "data.npz"), "--run", str(base / "run")])
    assert not stop.value.code
    return base


def cells(path: Path, x: np.ndarray, batch: np.ndarray) -> None:
    """An .h5ad file as anndata writes it, where h5py is installed."""
    try:
        import h5py
    except ImportError:
        return
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        file["X"] = x
        for group, names, columns in (("obs", range(len(x)), {"b": batch}), ("var", range(x.shape[1]), {})):
            frame = file.create_group(group)
            frame.attrs["encoding-type"], frame.attrs["encoding-version"] = "dataframe", "0.2.0"
            frame.attrs["_index"], frame.attrs["column-order"] = (
                "_index",
                np.array(list(columns), dtype=h5py.string_dtype()),
            )
            for name, column in ({"_index": [f"i{k}" for k in names]} | columns).items():
                stored = frame.create_dataset(
                    name, data=np.array(list(map(str, column)), object), dtype=h5py.string_dtype()
                )
                stored.attrs["encoding-type"], stored.attrs["encoding-version"] = "string-array", "0.2.0"


def named(path: Path, way: str, beside: Path, suffix: str = "") -> Path:
    other = beside / f"other{suffix or path.suffix}"
    if way == "a relative name":
        return Path(os.path.relpath(path))
    if way == "a detour":
        return Path(path.parent / "run" / ".." / "." / path.name)
    if way == "a link":
        other.symlink_to(path)
    elif way == "a hard link":
        other.hardlink_to(path)
    elif way == "a linked folder":
        (beside / "folder").symlink_to(path.parent)
        return beside / "folder" / path.name
    return path if way == "the name" else other


def contents(base: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("words", "option", "victim"),
    [
        (["merge", "in.csv", *FEW], "--out", "in.csv"),
        (["merge", "in.npz", *FEW], "--out", "in.npz"),
        (["merge", "in.npz:x", *FEW], "--out", "in.npz"),
        (["merge", "in.h5ad", *FEW], "--out", "in.h5ad"),
        (["transport", "run", "points.npz"], "--out", "points.npz"),
        (["transport", "run", "points.npz"], "--out", "data.npz"),
        (["sample", "run", "-n", "4"], "--out", "data.npz"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_no_output_replaces_what_the_command_reads(words, option, victim, way, home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(home)
    before = contents(home)
    code, err = call(capsys, *words, option, named(home / victim, way, tmp_path))
    assert (code, err.count("\n")) == (2, 1), err
    assert "name another file" in err
    assert contents(home) == before


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("way", ["a link", "a hard link"])
@pytest.mark.parametrize(
    ("words", "option", "victim"),
    [
        (["evaluate", "run"], "--page", "data.npz"),
        (["evaluate", "--fake", "points.npz", "--real", "data.npz"], "--page", "points.npz"),
        (["evaluate", "--fake", "points.npz", "--real", "data.npz"], "--page", "data.npz"),
        (["evaluate", "--fake", "points.npz", "--real", "points.npz", "--train", "data.npz"], "--page", "data.npz"),
        (["merge", "in.csv", *FEW, "--out", "o.csv"], "--page", "in.csv"),
        (["report", "run"], "--out", "data.npz"),
        (["report", "run", "run"], "--out", "run/run.json"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
def test_no_page_replaces_what_the_command_reads(words, option, victim, way, home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(home)
    before = contents(home)
    code, err = call(capsys, *words, option, named(home / victim, way, tmp_path, ".html"))
    assert (code, err.count("\n")) == (2, 1), err
    assert contents(home) == before


def test_a_page_asked_for_from_python_is_held_against_the_inputs_too(home, tmp_path):
    from pushforward import evaluate

    (tmp_path / "page.html").hardlink_to(home / "points.npz")
    with pytest.raises(UsageError, match="name another file"):
        evaluate(str(home / "points.npz"), str(home / "data.npz"), page=tmp_path / "page.html")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", ["run.json", "log.jsonl", "metrics.json", "report.html", "checkpoints", "samples"])
def test_what_a_run_writes_goes_through_no_link_that_somebody_planted(name, home, tmp_path, capsys):
    shutil.copytree(home / "run", tmp_path / "run")
    victim = (tmp_path / "run" / name).rename(tmp_path / f"victim{Path(name).suffix}")
    (tmp_path / "run" / name).symlink_to(victim)
    before = contents(tmp_path)
    code, err = call(capsys, *SMALL, "--data", home / "data.npz", "--run", tmp_path / "run", "--resume")
    assert (code, err.count("\n")) == (3, 1), err
    if name == "report.html":
        assert call(capsys, "report", tmp_path / "run")[0] == 3
    if name == "metrics.json":
        assert call(capsys, "evaluate", tmp_path / "run", "--metrics", "sliced_w2")[0] == 3
    assert contents(tmp_path) == before


def test_a_merge_that_cannot_be_written_leaves_neither_file_nor_page_nor_folders(home, tmp_path, capsys, monkeypatch):
    from pushforward.commands import merging

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "write", full)
    code, err = call(
        capsys,
        "merge",
        home / "in.csv",
        *FEW,
        "--out",
        tmp_path / "a" / "b" / "o.csv",
        "--page",
        tmp_path / "c" / "p.html",
    )
    assert code, err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["sample", "run", "-n", "4"], ["transport", "run", "points.npz"], ["merge", "in.npz", *FEW]],
    ids=lambda words: words[0],
)
def test_folders_made_for_a_file_that_was_not_written_are_taken_away(words, home, tmp_path, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(home)
    monkeypatch.setattr(files, "_sync", full)
    code, err = call(capsys, *words, "--out", tmp_path / "a" / "b" / "o.npz")
    assert (code, err.count("\n")) == (1, 1), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in this system's folders")
@pytest.mark.parametrize(
    "words",
    [["sample", "run", "-n", "4"], ["transport", "run", "points.npz"], ["merge", "in.npz", *FEW]],
    ids=lambda words: words[0],
)
def test_nobody_waits_for_a_pipe_to_write_to(words, home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(home)
    os.mkfifo(tmp_path / "o.npz")
    code, err = call(capsys, *words, "--out", tmp_path / "o.npz")
    assert (code, err.count("\n")) == (2, 1), err
    assert "a pipe or a device" in err


@pytest.mark.parametrize("out", ["file:///tmp/x.npz", "s3://bucket/x.npz"])
def test_an_address_is_no_name_of_a_file(out, home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    code, err = call(capsys, "sample", "run", "-n", "4", "--out", out)
    assert (code, err.count("\n")) == (2, 1), err
    assert "an address" in err
    assert not list(home.glob("*:"))


def test_a_table_is_written_with_the_mark_that_its_ending_means(home, tmp_path, capsys):
    code, err = call(capsys, "merge", home / "in.csv", *FEW, "--out", tmp_path / "o.tsv")
    assert code == 0, err
    first, *rows = (tmp_path / "o.tsv").read_text().splitlines()
    assert first.split("\t") == ["a", "b"]
    assert {line.count("\t") for line in rows} == {1}


@pytest.mark.parametrize(
    "words",
    [
        ["report", "run", "--out", "run/run.json"],
        ["report", "run", "--out", "run/checkpoints/page.html"],
        ["report", "run", "--out", "page.txt"],
        ["evaluate", "run", "--page", "run/report.html"],
        ["evaluate", "run", "--page", "page.png"],
        ["sample", "run", "--out", "run/samples/x.npz"],
        ["sample", "run", "--out", ""],
        ["transport", "run", "points.npz", "--out", "run/checkpoints/last/x.npz"],
        ["transport", "run", "points.npz", "--out", "x.txt"],
        ["transport", "run", "points.npz", "--out", "run/samples/x.csv"],
        ["merge", "in.csv", "--batch", "b", "--target", "u", "--out", "o.csv", "--page", "run/report.html"],
        ["demo", "covering", "--out", "picture.npz"],
    ],
    ids=lambda words: " ".join((words[0], *words[-2:])),
)
def test_the_files_of_a_run_and_endings_of_other_formats_are_refused_before_any_work(words, home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    before = contents(home)
    code, err = call(capsys, *words)
    assert (code, err.count("\n")) == (2, 1), err
    assert contents(home) == before


def test_a_run_takes_over_no_folder_that_is_none(tmp_path, capsys):
    kept = tmp_path / "mine" / "checkpoints" / "last" / "thesis.pt"
    kept.parent.mkdir(parents=True)
    kept.write_text("three years")
    code, err = call(capsys, *SMALL, "--run", tmp_path / "mine")
    assert (code, err.count("\n")) == (2, 1), err
    assert "no run.json" in err
    assert kept.read_text() == "three years"


def test_a_run_does_not_lie_in_its_data(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="lies in the data folder"):
        outputs.claim_run(tmp_path / "photos" / "runs" / "a", (str(tmp_path / "photos"),), resume=False)
    outputs.claim_run(tmp_path / "runs" / "a", (str(tmp_path / "photos"),), resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_temporary_name_never_leads_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / ".s.npz.new").symlink_to(victim)
    with files.whole_file(tmp_path / "s.npz") as first, files.whole_file(tmp_path / "s.npz") as second:
        assert first != second
        assert stat.S_ISREG(first.lstat().st_mode)
        first.write_text("a")
        second.write_text("b")
    assert victim.read_text() == "kept"
