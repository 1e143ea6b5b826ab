"""A run is one run's: folders are made by one process alone, and one at a time trains what is in them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pushforward import cli
from pushforward.errors import UsageError
from pushforward.files import layout
from pushforward.training.folder import lock

SMALL = ["--steps", "3", "--data", "toy:moons", "--limit", "300", "--batch", "16", "--width", "8"]


def begin(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "pushforward.cli", "train", "toy_vgrow", *words]
    source = str(Path(cli.__file__).parents[1])
    environment = os.environ | {"NO_COLOR": "1", "PYTHONPATH": source}
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder, env=environment)


def left(folder: Path, **changed: object) -> Path:
    """A lock as this process would write it, with something changed."""
    folder.mkdir(exist_ok=True)
    with lock.held(folder):
        said = json.loads((folder / layout.LOCK).read_text())
    (folder / layout.LOCK).write_text(json.dumps(said | changed))
    return folder


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_second_holder_is_refused_with_a_line_that_names_the_first(tmp_path):
    with lock.held(tmp_path):
        with (
            pytest.raises(UsageError, match=rf"trained by process {os.getpid()} on .* since ") as stop,
            lock.held(tmp_path),
        ):
            raise AssertionError
        assert "\n" not in str(stop.value)
        assert lock.holder(tmp_path) is not None
    assert lock.holder(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_dead_process_is_taken_over_and_told(tmp_path):
    number = dead()
    folder = left(tmp_path / "run", process=number)
    assert lock.holder(folder) is None
    with lock.held(folder) as before:
        assert before is not None
        assert before.process == number
        mine = lock.holder(folder)
        assert mine is not None
        assert mine.process == os.getpid()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the start of a process is read from /proc")
def test_a_number_that_is_another_process_by_now_holds_nothing(tmp_path):
    folder = left(tmp_path / "run", process=os.getppid(), born="another boot 1")
    lock.refuse(folder)
    with lock.held(folder) as before:
        assert before is not None


def test_of_another_machine_nobody_can_tell_and_the_line_says_what_to_remove(tmp_path):
    folder = left(tmp_path / "run", host=f"not-{platform.node()}")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"not-.*remove .*run\.lock"), lock.held(folder):
            raise AssertionError
    with pytest.raises(UsageError, match=r"remove .*run\.lock"):
        lock.refuse(folder)
    (folder / layout.LOCK).unlink()
    with lock.held(folder):
        pass


@pytest.mark.parametrize("said", [b"", b"{", b"[1]", b"\xff\xfe", b'{"process": "x"}', b"[" * 60_000])
def test_a_lock_that_says_nothing_holds_nothing(tmp_path, said):
    (tmp_path / layout.LOCK).write_bytes(said)
    assert lock.holder(tmp_path) is None
    with lock.held(tmp_path) as before:
        assert before is None


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_lock_never_leads_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("kept")
    (tmp_path / layout.LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(OSError), lock.held(tmp_path):  # noqa: PT011
        raise AssertionError
    assert (tmp_path / "victim").read_text() == "kept"


def test_what_a_run_killed_before_its_first_word_left_is_taken_over(tmp_path, capsys):
    folder = left(tmp_path / "run", process=dead())
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "toy_vgrow", *SMALL, "--run", str(folder)])
    assert not stop.value.code
    assert "which is gone" in capsys.readouterr().err
    assert not (folder / layout.LOCK).exists()


def test_a_refused_command_leaves_no_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    for words in (["--data", "."], ["--data", "gone.npy"], ["--run", "a/b", "--data", "gone.npy"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(["train", "vgrow_images", *words])
        assert stop.value.code in (2, 3), capsys.readouterr().err
        assert not list(Path().iterdir())


@pytest.mark.slow
def test_three_at_one_moment_get_three_folders_and_all_finish(tmp_path):
    processes = [begin(tmp_path, *SMALL) for _ in range(3)]
    errors = [process.communicate(timeout=240)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["toy_vgrow", "toy_vgrow-2", "toy_vgrow-3"]
    for folder in (tmp_path / "runs").iterdir():
        assert json.loads((folder / "run.json").read_text())["status"] == "finished"
        lines = [line for line in (folder / "log.jsonl").read_text().splitlines() if "seconds" in line]
        assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("again", [(), ("--resume",)], ids=["begun twice", "resumed twice"])
def test_of_two_with_one_folder_one_is_refused_and_the_other_unharmed(tmp_path, again):
    folder, words = tmp_path / "run", ["--steps", "400", *SMALL[2:]]
    if again:
        first = begin(tmp_path, *words, "--run", str(folder), "--minutes", "0")
        assert first.wait(timeout=240) == 0
    processes = [begin(tmp_path, *words, "--run", str(folder), *again) for _ in range(2)]
    errors = [process.communicate(timeout=240)[1].decode() for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2], errors
    refused = next(e for p, e in zip(processes, errors, strict=True) if p.returncode)
    assert "is being trained by process" in refused or "already holds a run" in refused
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines() if "seconds" in line]
    assert steps == sorted(set(steps))
    assert json.loads((folder / "run.json").read_text())["step"] == 400
