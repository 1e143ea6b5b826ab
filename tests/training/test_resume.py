"""A run that is cut off and continued ends where the uninterrupted one does, bit for bit, and nothing corrupt loads."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli
from pushforward.errors import DataError, TrainingError
from pushforward.training import checkpoint

SIZE = ["--limit", "300", "--batch", "32", "--width", "16"]
ARGUMENTS = ["--data", "toy:moons", *SIZE, "--steps", "400", "--save-every", "25"]
RECIPES = ["toy_vgrow", "toy_particles", "toy_gan"]


def start(recipe: str, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "pushforward.cli", "train", recipe, *ARGUMENTS, "--run", str(folder), *more]
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"}
    )


def finish(process: subprocess.Popen[bytes], code: int = 0) -> str:
    _, errors = process.communicate(timeout=600)
    assert process.returncode == code, errors.decode()
    return errors.decode()


def final(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    saved = checkpoint.load(folder / "checkpoints" / "last")
    return saved.weights, saved.run


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def wait_for(process: subprocess.Popen[bytes], folder: Path, step: int) -> None:
    """Until the run has written a line of its log at or beyond a step, or has ended."""
    log = folder / "log.jsonl"
    while process.poll() is None:
        lines = log.read_text().splitlines() if log.exists() else []
        steps = [json.loads(line)["step"] for line in lines if line.endswith("}")]
        if steps and steps[-1] >= step:
            return
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_killed_at_random_moments_and_resumed_ends_bit_for_bit_the_same(tmp_path, recipe):
    finish(start(recipe, tmp_path / "whole"))
    whole, _ = final(tmp_path / "whole")
    draw, kills = random.Random(7), 0
    for k in range(10 if recipe == "toy_vgrow" else 3):
        folder = tmp_path / f"cut{k}"
        process = start(recipe, folder)
        wait_for(process, folder, draw.randrange(0, 390))
        time.sleep(draw.random() * 0.05)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        finish(start(recipe, folder, "--resume"))
        mine, run = final(folder)
        assert run["step"] == 400
        assert equal(mine, whole), f"cut {k}"
        steps = [
            json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines() if "seconds" in line
        ]
        assert steps == sorted(set(steps))
    assert kills >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_exits_and_the_run_can_be_continued(tmp_path, number, code):
    folder = tmp_path / "run"
    process = start("toy_vgrow", folder, "--steps", "100000")
    wait_for(process, folder, 30)
    process.send_signal(number)
    assert "resume" in finish(process, code)
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert final(folder)[1]["step"] == run["step"] > 0


def test_a_run_whose_checkpoint_is_gone_is_refused_and_its_log_stays(tmp_path, capsys):
    folder, small = tmp_path / "run", ["--steps", "2", "--particles", "40", "--batch", "40", "--width", "8"]
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(200, 2)))
    words = ["train", "toy_particles", "--data", str(tmp_path / "x.npy"), *small, "--warmup", "1", "--run", str(folder)]
    with pytest.raises(SystemExit, match="0"):
        cli.main(words)
    log = (folder / "log.jsonl").read_text()
    (folder / "checkpoints" / "last" / "weights.safetensors").unlink()
    with pytest.raises(SystemExit, match="3"):
        cli.main([*words, "--resume"])
    assert "gone, while" in capsys.readouterr().err
    assert (folder / "log.jsonl").read_text() == log

    described = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(described | {"arguments": [1]}))
    with pytest.raises(SystemExit, match="3"):
        cli.main([*words, "--resume"])
    assert "arguments is [1]" in capsys.readouterr().err


def some(seed: int) -> dict[str, torch.Tensor]:
    return {"a": torch.randn(40, generator=torch.Generator().manual_seed(seed)), "b": torch.arange(seed + 3)}


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    checkpoint.save(tmp_path / "last", some(1), {"k": [1, {"x": torch.ones(2)}]}, {"step": 3})
    checkpoint.save(tmp_path / "last", some(2), {"k": 2}, {"step": 4})
    saved = checkpoint.load(tmp_path / "last")
    assert equal(saved.weights, some(2))
    assert (saved.resume, saved.run) == ({"k": 2}, {"step": 4})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last"]


@pytest.mark.parametrize("name", ["weights.safetensors", "resume.pt"])
def test_no_flipped_byte_and_no_truncation_ever_loads(tmp_path, name):
    folder = tmp_path / "last"
    checkpoint.save(folder, some(1), {"k": torch.arange(9)}, {"step": 3, "recipe": "x"})
    path, draw = folder / name, random.Random(0)
    whole = path.read_bytes()
    for _ in range(60):
        broken = bytearray(whole)
        broken[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(broken))
        with pytest.raises(DataError, match=name):
            checkpoint.load(folder)
    for length in (0, 1, 7, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=name):
            checkpoint.load(folder)
    path.write_bytes(whole)
    assert equal(checkpoint.load(folder).weights, some(1))


def test_files_of_two_checkpoints_do_not_mix(tmp_path):
    checkpoint.save(tmp_path / "last", some(1), {"k": 1}, {"step": 1})
    checkpoint.save(tmp_path / "best", some(1), {"k": 2}, {"step": 1})
    (tmp_path / "last" / "resume.pt").write_bytes((tmp_path / "best" / "resume.pt").read_bytes())
    with pytest.raises(DataError, match="partner"):
        checkpoint.load(tmp_path / "last")


def test_a_pickle_in_place_of_the_state_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    checkpoint.save(tmp_path / "last", some(1), {"k": 1}, {"step": 1})
    torch.save({"k": Trap()}, tmp_path / "last" / "resume.pt")
    with pytest.raises(DataError):
        checkpoint.load(tmp_path / "last")
    with pytest.raises(DataError):
        checkpoint._load_resume(tmp_path / "last" / "resume.pt", _sha(tmp_path / "last" / "resume.pt"))
    assert not (tmp_path / "sprung").exists()


def _sha(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("cut", ["before the first rename", "between the renames", "before the clean-up"])
def test_a_crash_in_the_middle_of_a_replacement_leaves_a_whole_checkpoint(tmp_path, cut):
    folder, fresh, old = tmp_path / "last", tmp_path / ".last.new", tmp_path / ".last.old"
    checkpoint.save(fresh, some(2), {"k": 2}, {"step": 2})
    checkpoint.save(folder, some(1), {"k": 1}, {"step": 1})
    checkpoint.save(fresh, some(2), {"k": 2}, {"step": 2})  # the save above cleared it
    if cut != "before the first rename":
        folder.rename(old)
    if cut == "before the clean-up":
        fresh.rename(folder)
    checkpoint.repair(folder)
    step = checkpoint.load(folder).run["step"]
    assert step == (1 if cut == "before the first rename" else 2)
    checkpoint.save(folder, some(3), {"k": 3}, {"step": 3})
    assert checkpoint.load(folder).run["step"] == 3


def test_who_loads_beside_a_trainer_renames_nothing(tmp_path):
    folder, fresh = tmp_path / "last", tmp_path / ".last.new"
    checkpoint.save(fresh, some(2), {"k": 2}, {"step": 2})
    checkpoint.save(tmp_path / ".last.old", some(1), {"k": 1}, {"step": 1})
    before = sorted(tmp_path.rglob("*"))
    assert checkpoint.load(folder).run["step"] == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    folder, read = tmp_path / "last", checkpoint._load_resume
    checkpoint.save(folder, some(1), {"k": 1}, {"step": 1})

    def late(path, digest):
        monkeypatch.setattr(checkpoint, "_load_resume", read)
        checkpoint.save(folder, some(2), {"k": 2}, {"step": 2})
        return read(path, digest)

    monkeypatch.setattr(checkpoint, "_load_resume", late)
    assert checkpoint.load(folder).run["step"] == 2


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    checkpoint.save(tmp_path / "last", some(1), {"k": 1}, {"step": 1})
    with pytest.raises(TrainingError, match="tensor a is not finite"):
        checkpoint.save(tmp_path / "last", {"a": torch.tensor([1.0, float("nan")])}, {"k": 2}, {"step": 2})
    assert checkpoint.load(tmp_path / "last").run["step"] == 1
