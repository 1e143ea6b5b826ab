"""A file that is replaced is the old one or the new one, whoever dies in between."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pushforward import files
from pushforward.errors import DataError
from pushforward.files import processes

KILLED = """
import os, signal
from pathlib import Path
from pushforward import files

real = os.{call}
def die(*arguments, **options):
    if {first}:
        real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
os.{call} = die
files.write({path!r}, b"new" * 100_000)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("call", "first", "whole"),
    [("fsync", False, b"old"), ("replace", False, b"old"), ("replace", True, b"new" * 100_000)],
)
def test_a_kill_leaves_the_old_file_or_the_new_one_whole(tmp_path, call, first, whole):
    path = tmp_path / "run.json"
    files.write(path, b"old")
    died = subprocess.run([sys.executable, "-c", KILLED.format(call=call, first=first, path=str(path))], check=False)
    assert died.returncode == -signal.SIGKILL
    assert path.read_bytes() == whole
    files.write(path, "after")
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert path.read_text() == "after"


def test_the_content_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    done: list[str] = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), rename(*names))[1])
    files.write(tmp_path / "a", b"x")
    assert done[:2] == ["sync", "rename"]


def test_what_fails_leaves_nothing_behind_and_names_the_path_that_was_asked_for(tmp_path):
    path = tmp_path / "a.json"
    files.write(path, "old")
    with pytest.raises(ZeroDivisionError), files.whole_file(path) as fresh:
        _half(fresh)
    with pytest.raises(FileNotFoundError) as missing:
        files.write(tmp_path / "no" / "b.json", "x")
    with pytest.raises(NotADirectoryError) as inside:
        files.write(path / "b.json", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as folder:
        files.write(tmp_path / "folder", "x")
    named = [missing.value.filename, inside.value.filename, folder.value.filename]
    assert named == [str(tmp_path / "no" / "b.json"), str(path / "b.json"), str(tmp_path / "folder")]
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "folder"]


def _half(path: Path) -> None:
    path.write_bytes(b"half")
    raise ZeroDivisionError


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as full:
        files.write("/dev/full", "x")
    assert full.value.filename == "/dev/full"


def test_a_place_that_cannot_be_written_is_one_line_on_the_command_line(tmp_path, capsys):
    from pushforward.cli import main

    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "picture.png"
    with pytest.raises(SystemExit) as ended:
        main(["demo", "likelihood", "--out", str(out)])
    said = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert len([line for line in said if line.startswith("error")]) == 1
    assert "name a place that can be" in said[-1]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_those_of_open_and_of_the_file_that_was_there(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "a"
    plain.write_text("")
    files.write(path, "x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o640)
    files.write(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    target, link = tmp_path / "store" / "a", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    files.write(link, "x")
    assert link.is_symlink()
    assert target.read_text() == "x"
    files.write(os.devnull, "x")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(tmp_path):
    folder = tmp_path / "last"
    with files.whole_folder(folder) as fresh:
        files.write_synced(fresh / "a", b"1")
    with pytest.raises(ZeroDivisionError), files.whole_folder(folder) as fresh:
        _half(fresh / "a")
    assert (folder / "a").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def _cut(folder):
    """A replacement of what holds 1 by what holds 2 that was killed between the two renamings."""
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for place, content in ((old, b"1"), (fresh, b"2")):
        place.mkdir(parents=True)
        (place / "a").write_bytes(content)


def test_at_every_instant_after_a_kill_between_the_renamings_something_whole_is_there(tmp_path):
    folder = tmp_path / "last"
    _cut(folder)
    with files.whole_folder(folder) as fresh:
        assert (folder / "a").read_bytes() == b"2"
        files.write_synced(fresh / "a", b"3")
    assert (folder / "a").read_bytes() == b"3"
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def test_who_reads_a_folder_that_was_cut_finds_it_and_renames_nothing(tmp_path):
    folder = tmp_path / "last"
    assert files.present(folder) == folder
    _cut(folder)
    before = sorted(tmp_path.rglob("*"))
    assert (files.present(folder) / "a").read_bytes() == b"2"
    assert sorted(tmp_path.rglob("*")) == before
    shutil.rmtree(tmp_path / ".last.new")
    assert (files.present(folder) / "a").read_bytes() == b"1"
    files.complete(folder)
    assert files.present(folder) == folder


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff{}", b"[" * 100_000, b'"text"'])
def test_a_file_that_is_no_object_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"run\.json: not a description \(") as refused:
        files.read_object(path, "description")
    assert "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError):
        files.read_object(tmp_path / "none.json")


def test_what_a_dead_writer_left_is_removed_also_where_its_number_is_anothers_by_now(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here, parent = files._mark(os.getpid()), files._mark(os.getppid())
    left = {
        f"{process.pid}-{'0' * 8}": False,
        f"{os.getppid()}-{'0' * 8}": False,
        f"{os.getpid()}-{'0' * 8}": False,
        f"{os.getppid()}-{parent}": True,
        f"{os.getpid()}-{here}": True,
        f"{os.getppid()}-{files.UNKNOWN}": True,
        f"{process.pid}-{files.UNKNOWN}": False,
    }
    for name in left:
        (tmp_path / f".x.{files.HOST}-{name}-{'1' * 16}.new").touch()
    files.write(tmp_path / "x", "content")
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"x", *(f".x.{files.HOST}-{name}-{'1' * 16}.new" for name, stays in left.items() if stays)}


def test_a_process_is_known_by_its_number_and_when_it_began():
    assert processes.alive(os.getpid())
    assert not processes.gone(os.getpid(), processes.born(os.getpid()))
    assert not processes.gone(os.getpid(), "")
    assert processes.gone(os.getpid(), "another boot 1")
    assert processes.gone(-1, "")
    assert processes.gone(10**30, "")
