"""No command writes over what it reads, among the files of a run, or in vain: all of them ask in one place, first."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from pushforward import cli, files
from pushforward.data import outputs
from pushforward.errors import UsageError

SMALL = ["train", "toy_particles", "--steps", "2", "--particles", "20", "--batch", "20", "--width", "8"]
WAYS = ("the name", "a relative name", "a link", "a hard link", "a linked folder")


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
    with pytest.raises(SystemExit) as stop:
        cli.main([*SMALL, "--data", str(base / "data.npz"), "--run", str(base / "run")])
    assert not stop.value.code
    return base


def named(path: Path, way: str, beside: Path) -> Path:
    other = beside / f"other{path.suffix}"
    if way == "a relative name":
        return Path(os.path.relpath(path))
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
        (["merge", "in.csv", "--batch", "b", "--target", "u", "--steps", "2"], "--out", "in.csv"),
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
        ["transport", "run", "points.npz", "--out", "x.csv"],
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
