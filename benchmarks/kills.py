"""`python -m benchmarks.kills`: runs are killed at random moments and their disks filled; each must go on bit for bit.

    30 kills (SIGKILL) over five recipes     three of four while it trains, some milliseconds after a step drawn evenly;
                                             else any moment from the start of the process to the end of its page
    two ranks of torchrun                    one rank killed, then both
    a full disk at ten moments               files that may not grow beyond a size; with --disk FOLDER a small disk that
                                             is filled

Each run that goes on is held against one that was never stopped: every tensor of its last checkpoint, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from pushforward.training import checkpoint

POINTS = ["--data", "toy:moons", "--limit", "300", "--batch", "40", "--width", "8", "--threads", "1"]
STEPS = 60  # of every run, those of a codec among them
OFTEN = ["--save-every", "3", "--sample-every", "7"]
RECIPES: dict[str, list[str]] = {
    "toy_vgrow": [*POINTS, *OFTEN, "--steps", str(STEPS)],
    "toy_gan": [*POINTS, *OFTEN, "--steps", str(STEPS)],
    "toy_particles": [*POINTS, *OFTEN, "--steps", str(STEPS), "--particles", "40", "--warmup", "2", "--fields", "16"],
    "flow_particles": ["--data", "toy:moons", "--limit", "300", "--batch", "40", "--threads", "1", *OFTEN, "--steps",
                       str(STEPS), "--particles", "40", "--record", "2", "--fields", "8"],
    "toy_latent": [*OFTEN, "--threads", "1", "--steps", str(STEPS // 2), "--codec-steps", str(STEPS // 2),
                   "--batch", "40", "--width", "8", "--codec-width", "8", "--particles", "40", "--warmup", "2"],
}  # fmt: skip
RANKS = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def begun(recipe: str, folder: Path, *words: str, front: list[str] | None = None, limit: int = 0) -> subprocess.Popen:
    """The command that trains a recipe in a folder, in a group of processes of its own."""

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*(front or [sys.executable, "-m"]), "pushforward.cli", "train", recipe, *words, "--run", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
                            start_new_session=True, preexec_fn=limited)  # fmt: skip


def ended(recipe: str, folder: Path, front: list[str] | None = None, words: list[str] | None = None) -> None:
    """Let a run end: go on with it, or start it again where nothing of it was kept.

    Raises:
        SystemExit: If it does not end with code 0.
    """
    there = (folder / "run.json").exists()
    process = begun(recipe, folder, *(["--resume"] if there else words or RECIPES[recipe]), front=front)
    _, errors = process.communicate(timeout=600)
    if process.returncode:
        sys.exit(f"{recipe} in {folder} did not go on:\n{errors}")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """What a run ended with."""
    return checkpoint.load(folder / "checkpoints" / "last").weights


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two runs ended with the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def kills(place: Path, count: int, draw: random.Random) -> dict[str, object]:
    """Kill runs of every recipe at random moments, each up to three times in a row."""
    same = killed = 0
    steps: list[int] = []
    for recipe, words in RECIPES.items():
        start = time.monotonic()
        ended(recipe, place / recipe)
        lasts, whole = time.monotonic() - start, tensors(place / recipe)
        for k in range(-(-count // len(RECIPES))):
            folder = place / f"{recipe}-{k}"
            for _ in range(1 + k % 3):
                there = (folder / "run.json").exists()
                process = begun(recipe, folder, *(["--resume"] if there else words))
                _await(process, folder, draw, lasts)
                with suppress(ProcessLookupError):  # it may have come to its end
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                killed += process.returncode == -signal.SIGKILL
            there = (folder / "run.json").exists()
            steps.append(json.loads((folder / "run.json").read_text())["step"] if there else 0)
            ended(recipe, folder)
            same += equal(tensors(folder), whole)
        print(f"{recipe}: {same} runs the same so far, {killed} kills", file=sys.stderr, flush=True)
    return {"runs": len(steps), "kills": killed, "bit for bit": same, "steps at the last kill": sorted(steps)}


def _await(process: subprocess.Popen, folder: Path, draw: random.Random, lasts: float) -> None:
    """Wait for a random moment of a run that takes so many seconds: most often within its training, which is short."""
    if draw.random() < 0.25:
        time.sleep(draw.uniform(0.3, 1.0) * lasts)
        return
    target = draw.uniform(_step(folder), STEPS)
    while process.poll() is None and _step(folder) < target:
        time.sleep(0.002)
    time.sleep(draw.uniform(0.0, 0.05))


def ranks(place: Path) -> dict[str, object]:
    """Kill one rank of two, whereupon torchrun ends the other, then torchrun with both; go on after each."""
    recipe, folder, killed = "toy_particles", place / "ranks", []
    words = [*RECIPES[recipe], "--steps", "300"]  # so many that a kill, which takes a moment, is long before the end
    ended(recipe, place / "ranks-whole", RANKS, words)
    for both in (False, True):
        there = (folder / "run.json").exists()
        process = begun(recipe, folder, *(["--resume"] if there else words), front=RANKS)
        before = _step(folder)
        while process.poll() is None and _step(folder) <= before:
            time.sleep(0.005)
        if both:
            os.killpg(process.pid, signal.SIGKILL)
        for pid in _children(process.pid)[1:] if not both else _children(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=120)
        killed.append(_step(folder))
    ended(recipe, folder, RANKS)
    return {"steps at the kills": killed, "bit for bit": equal(tensors(folder), tensors(place / "ranks-whole"))}


def _step(folder: Path) -> int:
    """Steps of the last checkpoint that run.json tells of."""
    path = folder / "run.json"
    return json.loads(path.read_text())["step"] if path.exists() else 0


def _children(pid: int) -> list[int]:
    """Processes that one started, by number."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return sorted(map(int, found.stdout.split()))


def full(place: Path, disk: Path | None) -> dict[str, object]:
    """Let there be no room at ten moments; the run says so in one line, and goes on bit for bit once there is some."""
    recipe, words = "toy_particles", [word if word != "16" else "0" for word in RECIPES["toy_particles"]]
    whole = place / "full-whole"
    process = begun(recipe, whole, *words)
    process.communicate(timeout=600)
    sizes = [int(2**10 * 1.45**k) for k in range(10)]
    good = told = 0
    for k, size in enumerate(sizes):
        folder = (disk or place) / f"full-{k}"
        taken = _filled(disk, size * 4) if disk else None
        process = begun(recipe, folder, *words, limit=0 if disk else size)
        _, errors = process.communicate(timeout=600)
        lines = [line for line in errors.splitlines() if line.startswith("error: ")]
        told += process.returncode == 1 and len(lines) == 1 and "make room" in errors and "Traceback" not in errors
        if taken is not None:
            taken.unlink()
        there = (folder / "run.json").exists()
        again = begun(recipe, folder, *(["--resume"] if there else words))
        again.communicate(timeout=600)
        good += again.returncode == 0 and equal(tensors(folder), tensors(whole))
        if disk:
            subprocess.run(["rm", "-rf", str(folder)], check=True)
    return {"moments": len(sizes), "one line and exit 1": told, "bit for bit afterwards": good}


def _filled(disk: Path, left: int) -> Path:
    """A file that leaves so many bytes of a disk."""
    path, state = disk / "filler", os.statvfs(disk)
    with path.open("wb") as file:
        file.write(b"\0" * max(0, state.f_bavail * state.f_frsize - left))
    return path


def main() -> None:
    """Parse the command line, run, print a line of JSON for each part as soon as it has ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="runs that are killed (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--disk", type=Path, help="a folder on a small disk that may be filled, 2 to 64 MB")
    parser.add_argument("--only", default="", help="kills, ranks or full")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        parts: dict[str, Callable[[], dict[str, object]]] = {
            "kills": lambda: kills(place, options.kills, random.Random(options.seed)),
            "ranks": lambda: ranks(place),
            "full": lambda: full(place, options.disk),
        }
        for part, run in parts.items():
            if options.only in ("", part):
                print(json.dumps({part: run()}), flush=True)


if __name__ == "__main__":
    main()
