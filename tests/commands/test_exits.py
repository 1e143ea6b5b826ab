"""How commands end: a full disk, a terminal of few signs, a hang-up, a thread; one line each, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli, files
from pushforward.merging import files as written
from pushforward.parallel import threads
from pushforward.training import checkpoint

SMALL = ["--data", "toy:moons", "--limit", "120", "--particles", "40", "--batch", "40", "--width", "8", "--warmup", "1"]
SMALL += ["--save-every", "2", "--sample-every", "3", "--threads", "1"]


def main(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main([str(word) for word in words])
    return int(left.value.code or 0)


def begun(words: list[str], **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pushforward.cli", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


class Disk:
    """A disk that takes so many more writings, and none after them until there is room again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.asked = 10**9, 0
        sync = files._sync

        def taken(path):
            self.asked += 1
            if self.asked > self.left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

        def synced(path):
            if path.is_file():
                taken(path)
            sync(path)

        def opened(path, *mode, **options):
            taken(path)
            return open(path, *mode, **options)

        monkeypatch.setattr(files, "_sync", synced)
        monkeypatch.setattr(files, "open", opened, raising=False)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "checkpoints" / "last").weights


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_moment_is_one_line_and_the_run_goes_on_bit_for_bit(tmp_path, monkeypatch, capsys):
    disk, words = Disk(monkeypatch), ["train", "toy_particles", *SMALL, "--steps", "7", "--record", "2", "--run"]
    assert main(*words, tmp_path / "whole") == 0
    whole, writings = weights(tmp_path / "whole"), disk.asked
    assert writings > 20
    for k, moment in enumerate(np.linspace(1, writings - 1, 10).round().astype(int)):
        run = tmp_path / f"full{k}"
        disk.asked, disk.left = 0, int(moment)
        capsys.readouterr()
        assert main(*words, run) == 1, moment
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1
        begun = (run / "run.json").exists()
        remedy = "continue with --resume" if begun else "give the same command again"
        assert f"No space left on device; make room there and {remedy}" in said[0]
        assert str(run) in said[0]
        assert not [path for path in run.rglob("*") if path.name.endswith(".new")]
        disk.left = 10**9
        assert main(*(["train", "toy_particles", "--resume", "--run"] if begun else words), run) == 0, moment
        mine = weights(run)
        assert mine.keys() == whole.keys()
        assert all(torch.equal(mine[name], whole[name]) for name in whole), moment
        assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_where_nothing_was_begun_resume_says_so_and_begins_with_what_it_was_given(tmp_path, monkeypatch, capsys):
    disk, run = Disk(monkeypatch), tmp_path / "run"
    words = ["train", "toy_particles", *SMALL, "--steps", "3", "--run", run, "--resume", "--json"]
    disk.left = 1  # the card of the data, and not run.json
    run.mkdir()
    assert main(*words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("make room there and give the same command again; nothing was begun yet")
    assert [path.name.startswith("data-") for path in run.iterdir()] == [True]
    disk.left = 10**9
    assert main(*words) == 0
    shown = capsys.readouterr()
    note = f"{run}: there was nothing to continue; a new run begins there, with the options given"
    assert shown.err.count(note) == 1
    assert json.loads(shown.out)["run_notes"] == [note]
    assert json.loads((run / "run.json").read_text())["arguments"]["steps"] == 3
    assert main(*words) == 0  # and now there is something
    (note,) = json.loads(capsys.readouterr().out)["run_notes"]
    assert note.startswith("measured already")


def test_a_full_disk_makes_a_run_a_failed_one_where_that_can_still_be_written(tmp_path, monkeypatch):
    told, append = tmp_path / "run" / "run.json", files.append

    def full(path, line):
        if json.loads(line)["step"] == 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        append(path, line)

    monkeypatch.setattr(files, "append", full)
    assert main("train", "toy_particles", *SMALL, "--steps", "5", "--run", tmp_path / "run") == 1
    described = json.loads(told.read_text())
    assert described["status"] == "failed"
    assert "log.jsonl: No space left on device" in described["why"]


@pytest.mark.parametrize(
    "command", ["sample", "transport", "merge", "merge h5ad", "report", "evaluate", "page", "demo"]
)
def test_a_full_disk_is_exit_1_with_the_name_of_the_file_and_what_was_there_stays(
    command, tmp_path, monkeypatch, capsys
):
    rng = np.random.default_rng(0)
    run, points, out = tmp_path / "run", tmp_path / "points.npy", tmp_path / "out"
    np.save(points, rng.normal(size=(20, 2)))
    lines = [f"{a},{b},{'uv'[k % 2]}" for k, (a, b) in enumerate(rng.normal(size=(60, 2)))]
    (tmp_path / "cells.csv").write_text("\n".join(["a,b,batch", *lines]))
    if command in ("sample", "transport", "report", "evaluate"):
        assert main("train", "toy_particles", *SMALL, "--steps", "2", "--run", run) == 0
    names = {"sample": "s.csv", "transport": "t.npz", "merge": "m.csv", "merge h5ad": "m.h5ad", "report": "r.html",
             "page": "p.html", "demo": "d.png"}  # fmt: skip
    out = run / "metrics.json" if command == "evaluate" else tmp_path / names[command]
    if command == "merge h5ad":
        anndata = pytest.importorskip("anndata")
        batches = np.array(["u", "v"])[np.arange(60) % 2]
        cells = anndata.AnnData(rng.normal(size=(60, 3)), {"batch": batches})
        written.write(cells, tmp_path / "cells.h5ad")
    else:
        before = out.read_bytes() if out.exists() else b"before"
        out.write_bytes(before)
    merged = ["--batch", "batch", "--target", "u", "--steps", 2, "--out", out]
    words = {
        "sample": ["sample", run, "-n", 5, "--out", out],
        "transport": ["transport", run, points, "--out", out],
        "merge": ["merge", tmp_path / "cells.csv", *merged],
        "merge h5ad": ["merge", tmp_path / "cells.h5ad", *merged],
        "report": ["report", run, "--out", out],
        "evaluate": ["evaluate", run, "--metrics", "mmd"],
        "page": ["evaluate", "--fake", points, "--real", "toy:moons", "--metrics", "mmd", "--page", out],
        "demo": ["demo", "covering", "--out", out],
    }[command]
    disk = Disk(monkeypatch)
    disk.left = 0
    capsys.readouterr()
    assert main(*words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"error: {out}: No space left on device; make room there or name another place, and give the " \
        "command again"  # fmt: skip
    assert command == "merge h5ad" or out.read_bytes() == before
    assert not list(tmp_path.rglob("*.new"))


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [1, 2, 4, 8, 12, 16, 24, 32, 48, 64])
def test_files_that_may_not_grow_end_a_run_as_a_full_disk_does(tmp_path, kilobytes):
    run = tmp_path / "run"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kilobytes,) * 2)

    words = ["train", "toy_particles", *SMALL, "--steps", "40"]
    process = begun([*words, "--run", str(run)], preexec_fn=limited)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 1, errors
    assert len([line for line in errors.splitlines() if line.startswith("error: ")]) == 1, errors
    assert "Traceback" not in errors
    assert "File too large; make room there" in errors
    again = begun(["train", "toy_particles", *([] if (run / "run.json").exists() else [*SMALL, "--steps", "40"]),
                   "--run", str(run), *(["--resume"] if (run / "run.json").exists() else [])])  # fmt: skip
    assert not again.communicate(timeout=200)[1].count("error")
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_an_answer_that_nobody_has_room_for_is_one_line():
    with open("/dev/full", "w") as full:
        process = subprocess.run([sys.executable, "-m", "pushforward.cli", "recipes"], stdout=full,
                                 stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    assert process.returncode == 1
    assert process.stderr.startswith("error: the output: No space left on device")
    assert process.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_no_verb_fails_over_the_signs_of_a_terminal(tmp_path, encoding):
    run, rng = tmp_path / "läuf 走", np.random.default_rng(0)
    names = tmp_path / "größe.csv"
    lines = [f"{a},{b},{'uv'[k % 2]}ü走" for k, (a, b) in enumerate(rng.normal(size=(60, 2)))]
    names.write_text("\n".join(["größe,走,batch", *lines]), encoding="utf-8")
    table = tmp_path / "nur größen.csv"
    table.write_text("\n".join(["größe,走", *(line[: line.rindex(",")] for line in lines)]), encoding="utf-8")
    asked = ["--batch", "batch", "--target", "uü走", "--steps", "2", "--out", str(tmp_path / "m走.csv")]
    verbs = [[verb, "--help"] for verb in cli.COMMANDS] + [
        ["--help"],
        ["train", "toy_particles", "--help"],
        ["recipes"],
        ["evaluate", "--metrics", "list"],
        ["doctor"],
        ["train", "toy_particles", *SMALL, "--steps", "3", "--data", str(table), "--run", str(run)],
        ["sample", str(run), "-n", "3", "--out", str(tmp_path / "走.csv")],
        ["evaluate", str(run), "--metrics", "mmd,energy"],
        ["transport", str(run), str(table), "--out", str(tmp_path / "t走.npz")],
        ["report", str(run)],
        ["merge", str(names), *asked],
        ["sample", str(run), "-n", "3", "--out", str(tmp_path / "走.xyz")],
    ]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1"}
    for words in verbs:
        process = subprocess.run([sys.executable, "-m", "pushforward.cli", *words], capture_output=True, check=False,
                                 env=environment)  # fmt: skip
        assert process.returncode == (2 if words[-1].endswith(".xyz") else 0), (words, process.stderr)
        assert b"Traceback" not in process.stderr
        (process.stdout + process.stderr).decode(encoding)


def test_signs_that_an_encoding_lacks_are_printed_by_plain_ones():
    said = "Fréchet ‖v‖² → 5 ± ½, ∇ψ 走 \udcff"
    assert said.encode("ascii", "plainly") == b"Frechet ||v||2 -> 5 +- 12, \\u2207\\u03c8 \\u8d70 \\udcff"
    assert said.encode("utf-8", "plainly") == said[:-1].encode() + b"\\udcff"
    assert "Fréchet ² ±".encode("cp1252", "plainly") == "Fréchet ² ±".encode("cp1252")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no hang-up in this system")
@pytest.mark.parametrize(
    "how", ["signal", *(pytest.param(how, marks=pytest.mark.slow) for how in ("nohup", "terminal"))]
)
def test_a_hang_up_saves_as_other_signals_do(tmp_path, how):
    run = tmp_path / "run"
    words = ["train", "toy_particles", *SMALL, "--steps", "100000" if how != "nohup" else "60", "--run", str(run)]
    command = [sys.executable, "-m", "pushforward.cli", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if how == "terminal":  # its other end goes away
        child, master = pty.fork()
        if not child:
            os.execvpe(command[0], command, environment)
    else:
        ignored = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if how == "nohup" else None
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=ignored)
        child = process.pid
    log, late = run / "log.jsonl", time.monotonic() + 100
    while not (log.exists() and log.read_text().count("\n") > 3) and time.monotonic() < late:
        if how == "terminal":
            os.read(master, 10_000)
        time.sleep(0.01)
    if how == "terminal":
        os.close(master)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
    else:
        os.kill(child, signal.SIGHUP)
        _, errors = process.communicate(timeout=100)
        code = process.returncode
        assert ("saved. Continue with" in errors) == (how == "signal"), errors
    assert code == (0 if how == "nohup" else 128 + signal.SIGHUP)
    described = json.loads((run / "run.json").read_text())
    assert described["status"] == ("finished" if how == "nohup" else "interrupted")
    assert checkpoint.load(run / "checkpoints" / "last").run["step"] == described["step"] > 0


def test_the_command_line_works_in_a_thread_of_a_program(tmp_path):
    codes = list[object]()

    def called() -> None:
        try:
            cli.main(["train", "toy_particles", *SMALL, "--steps", "3", "--run", str(tmp_path / "run")])
        except SystemExit as left:
            codes.append(left.code)

    thread = threading.Thread(target=called)
    thread.start()
    thread.join()
    assert codes == [0]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"


def test_a_run_keeps_its_number_of_threads_and_says_where_it_cannot(tmp_path, monkeypatch, capsys):
    run, words = tmp_path / "run", SMALL[:-2]
    try:
        monkeypatch.setattr(threads, "cores", lambda: 2)
        late = ["--minutes", "0.0001"]
        assert main("train", "toy_particles", *words, "--threads", 2, "--steps", 9, "--run", run, *late) == 0
        described = json.loads((run / "run.json").read_text())
        assert described["threads"] == torch.get_num_threads() == 2
        torch.set_num_threads(1)
        monkeypatch.setattr(threads, "cores", lambda: 1)
        assert main("train", "toy_particles", "--run", run, "--resume", *late) == 0
        assert torch.get_num_threads() == 2
        assert "note: 2 threads on 1 core, as the run had them" in capsys.readouterr().err
        assert main("train", "toy_particles", "--run", run, "--resume", "--threads", 1, *late) == 0
        assert torch.get_num_threads() == 1
        assert "note: --threads 1: the run had 2" in capsys.readouterr().err
        assert json.loads((run / "run.json").read_text())["threads"] == 1
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("verb", ["train", "sample", "evaluate", "merge", "demo"])
def test_more_threads_than_cores_are_refused_before_any_work(verb, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    words = {
        "train": ["train", "toy_particles", *SMALL[:-2], "--run", tmp_path / "run"],
        "sample": ["sample", tmp_path, "--out", tmp_path / "x.npz"],
        "evaluate": ["evaluate", tmp_path],
        "merge": ["merge", tmp_path / "a.csv", "--batch", "b", "--target", "t", "--out", tmp_path / "x.csv"],
        "demo": ["demo", "covering", "--out", tmp_path / "x.png"],
    }[verb]
    assert main(*words, "--threads", 999) == 2
    assert capsys.readouterr().err == "error: --threads 999: 2 cores here; give 1 to 2, or 0 for what suits\n"
    assert not list(tmp_path.iterdir())


def test_cores_are_those_of_the_process_as_far_as_its_control_groups_give_them(tmp_path):
    listed = tmp_path / "listed"
    for lines, name, content, share in (
        ("0::/a/b\n", "a/cpu.max", "150000 100000\n", [2]),
        ("0::/a/b\n", "cpu.max", "100000 100000\n", [1]),
        ("0::/a/b\n", "a/cpu.max", "max 100000\n", []),
        ("3:cpu,cpuacct:/a\n", "cpu/a/cpu.cfs_quota_us", "400000\n", [4]),
        ("3:cpu,cpuacct:/a\n", "cpu/a/cpu.cfs_quota_us", "-1\n", []),
        ("3:memory:/a\n", "cpu/a/cpu.cfs_quota_us", "400000\n", []),
        ("nonsense", "cpu.max", "1 0\n", []),
    ):
        root = tmp_path / "root"
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(content)
        (root / name).with_name("cpu.cfs_period_us").write_text("100000\n")
        listed.write_text(lines)
        assert threads._shares(listed, root) == share, (lines, content)
        shutil.rmtree(root)
    assert 1 <= threads.cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("verb", ["sample", "transport", "evaluate", "merge", "demo"])
def test_threads_are_set_before_a_command_does_anything(verb, monkeypatch, tmp_path, capsys):
    seen = list[int]()
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "use", lambda count: seen.append(count) or (_ for _ in ()).throw(KeyboardInterrupt))
    words = {
        "sample": ["sample", tmp_path, "--out", tmp_path / "x.npz"],
        "transport": ["transport", tmp_path, tmp_path / "y.npy", "--out", tmp_path / "x.npz"],
        "evaluate": ["evaluate", tmp_path],
        "merge": ["merge", tmp_path / "a.csv", "--batch", "b", "--target", "t", "--out", tmp_path / "x.csv"],
        "demo": ["demo", "covering", "--out", tmp_path / "x.png"],
    }[verb]
    assert main(*words, "--threads", 3) == 130
    assert seen == [3]
