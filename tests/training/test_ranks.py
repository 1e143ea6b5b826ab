"""Several processes do what one does with the joint batch, and only the first writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import together

from pushforward.training import checkpoint

WORKER = Path(__file__).with_name("ranks_worker.py")
PARTICLES = Path(__file__).with_name("particles_worker.py")
BRIDGE = Path(__file__).with_name("bridge_worker.py")
STAGES = Path(__file__).with_name("stages_worker.py")
SLOW = "alpha", "classes", "mmd", "sinkhorn"


def run(out: Path, processes: int, *arguments: int | str, worker: Path = WORKER) -> dict[str, torch.Tensor]:
    together(worker, processes, out, *arguments)
    return torch.load(out, weights_only=True)


@pytest.mark.parametrize(
    ("pool", "moves", "classes"),
    [*(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 1, 0), (3, 2, 0))), (2, 2, 3)],
)
def test_two_ranks_equal_one_with_the_joint_batch(tmp_path, pool, moves, classes):
    one, two = (run(tmp_path / f"{n}.pt", n, pool, moves, classes) for n in (1, 2))
    assert one.keys() == two.keys()
    gap = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert gap < 1e-6
    assert any(float(value.abs().max()) > 0.1 for value in one.values())


def test_two_ranks_learn_the_bridge_of_one(tmp_path):
    one, two = (run(tmp_path / f"{n}.pt", n, worker=BRIDGE) for n in (1, 2))
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    assert any("ratio" in name for name in one)
    assert float(one["diffusion.denoise.net.net.last.weight"].abs().max()) > 0.01


@pytest.mark.parametrize(
    "case",
    ["critic", *(pytest.param(case, marks=pytest.mark.slow) for case in ("alpha", "classes", "mmd", "sinkhorn"))],
)
def test_two_ranks_share_the_particles_of_one(tmp_path, case):
    """Same particles, fields, accounts and logs, the same step to stop at, and a resumed run that is the same one."""
    one, two = (run(tmp_path / f"{n}.pt", n, case, worker=PARTICLES) for n in (1, 2))
    assert one.keys() == two.keys()
    # a contrast that no constant changes leaves the last bias to rounding, which Adam enlarges
    gaps = {name: float((one[name] - two[name]).abs().max()) for name in one if not name.endswith("head.bias")}
    assert max(gaps.values()) < 1e-9, gaps
    assert bool(two["resumed"])
    assert float(one["particles"].mean()) > 0.3  # they set off from 0 towards 2
    if case == "critic":
        assert 8 < int(two["least done"]) < 108


@pytest.mark.parametrize(
    ("case", "every"),
    [("growing", 4), *(pytest.param(case, 1, marks=pytest.mark.slow) for case in ("growing", "taught"))],
)
def test_two_ranks_grow_and_teach_as_one_and_resume_at_every_step(tmp_path, case, every):
    """The worker compares every resumed run with the whole one, bit for bit; in every stage, or at every step."""
    one, two = (run(tmp_path / f"{n}.pt", n, case, every, worker=STAGES) for n in (1, 2))
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-12


@pytest.mark.slow
def test_torchrun_runs_the_same_command_and_only_the_first_process_writes(tmp_path):
    words = (
        "train toy_vgrow --data toy:moons --limit 300 --steps 30 --batch 32 --width 16 --threads 1 --json --run".split()
    )
    # without the two dashes torchrun would take --run for an option of its own
    front = "-m torch.distributed.run --standalone --nproc-per-node=2 -m -- pushforward.cli".split()
    command = [sys.executable, *front, *words, str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)  # one object: the second process is silent
    assert summary["status"] == "finished"
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sorted(set(steps)) == list(range(1, 31))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["world"] == 2
    again = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert again.returncode != 0
    assert "--resume" in again.stderr


@pytest.mark.slow
def test_two_processes_stop_together_and_resume_together(tmp_path):
    run, environment = tmp_path / "run", os.environ | {"OMP_NUM_THREADS": "1"}
    front = "-m torch.distributed.run --standalone --nproc-per-node=2 -m -- pushforward.cli train toy_vgrow".split()
    new = "--data toy:moons --limit 300 --steps 100000 --batch 32 --width 16 --threads 1 --minutes 0.03 --run".split()
    steps = []
    for words in ([*new, str(run)], ["--run", str(run), "--resume"], ["--run", str(run), "--resume"]):
        command = [sys.executable, *front, *words, "--minutes", "0.03"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        described = json.loads((run / "run.json").read_text())
        assert described["status"] == "stopped"
        steps.append(described["step"])
    assert steps[0] < steps[1] < steps[2]


@pytest.mark.slow
def test_particles_under_torchrun_are_all_saved_and_resume_bit_for_bit(tmp_path):
    front = "-m torch.distributed.run --standalone --nproc-per-node=2 -m -- pushforward.cli train toy_particles".split()
    new = "--limit 300 --steps 20 --particles 200 --batch 100 --width 16 --threads 1 --run".split()
    whole, parts, late = tmp_path / "whole", tmp_path / "parts", ["--minutes", "0.0001"]
    for words in ([*new, str(whole)], [*new, str(parts), *late], ["--run", str(parts), "--resume"]):
        command, environment = [sys.executable, *front, *words], os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        if late[0] in words:
            described = json.loads((parts / "run.json").read_text())
            assert described["status"] == "stopped"
            assert described["step"] < 20
    straight, resumed = (checkpoint.load(run / "checkpoints" / "last").weights for run in (whole, parts))
    assert straight["particles"].shape == (200, 2)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    for run in (whole, parts):
        assert json.loads((run / "run.json").read_text())["status"] == "finished"
        assert json.loads((run / "metrics.json").read_text())
        assert (run / "report.html").exists()
