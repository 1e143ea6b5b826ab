"""Ten whole command lines and the numbers that they answer with, to hold one state of the code against another.

python -m benchmarks.jobs --out before.json
python -m benchmarks.jobs --out after.json --against before.json

Where the draws themselves differ between the states, several seeds of each tell whether their law does: with
`--seeds 3` on both sides, the ranges of a number overlap with probability .9 where nothing but the draws changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["JOBS", "main", "numbers"]

JOBS: dict[str, str] = {
    "vgrow": "train toy_vgrow --data toy:ring8 --steps 1500 --run vgrow",
    "gan": "train toy_gan --divergence LOGD --steps 600 --run gan",
    "digits": "train vgrow_digits --steps 200 --run digits",
    "particles": "train toy_particles --data toy:moons --steps 80 --particles 400 --batch 400 --run moons",
    "peers": "train flow_particles --steps 60 --particles 300 --run peers",
    "latent": "train toy_latent --steps 60 --run latent",
    "sample": "sample vgrow -n 500 --out vgrow.npz",
    "transport": "transport moons points.npy --out moved.npz",
    "evaluate": "evaluate --fake fake.csv --real real.csv --metrics all --permutations 99",
    "merge": "merge arrays.csv --batch cohort --target A --steps 60 --out merged.csv",
}
SKIPPED = ("seconds", "folder", "run", "report", "command", "versions", "created", "cpu", "path", "out", "page")


def main() -> None:
    """Run the jobs, write their numbers, and say which differ from those of another state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the numbers are written")
    parser.add_argument("--against", type=Path, help="numbers of another state")
    parser.add_argument("--seeds", type=int, default=1, help="seeds from 0 on; numbers of each stand in a list")
    chosen = parser.parse_args()
    out = chosen.out.resolve()
    before = read(chosen.against) if chosen.against else None
    each = []
    for seed in range(chosen.seeds):
        with tempfile.TemporaryDirectory() as folder:
            each.append(run(Path(folder), seed))
    found = {
        job: {
            name: [one[job][name] for one in each if name in one[job]]
            for name in sorted(set().union(*(one[job] for one in each)))
        }
        for job in JOBS
    }
    out.write_text(json.dumps(found, indent=1, sort_keys=True))
    if before is not None:
        compare(before, found)


def run(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """Each job's numbers by name, the jobs run one after the other in a folder, on the same files for every seed."""
    inputs(folder)
    found = {}
    for name, words in JOBS.items():
        seeded = [] if name == "transport" else ["--seed", str(seed)]
        command = [sys.executable, "-m", "pushforward.cli", *words.split(), *seeded, "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{words}: exit {done.returncode}\n{done.stderr}")
        found[name] = dict(numbers(json.loads(done.stdout)))
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as arrays:
                found[name] |= {
                    f"{path.name}:{key}": float(np.abs(arrays[key]).sum()) for key in ("x",) if key in arrays
                }
        print(f"{name}: {len(found[name])} numbers", file=sys.stderr)
    return found


def inputs(folder: Path) -> None:
    """The files that the jobs read."""
    rng = np.random.default_rng(0)
    np.save(folder / "points.npy", rng.standard_normal((200, 2)))
    for name, shift in (("fake", 0.1), ("real", 0.0)):
        rows = rng.standard_normal((400, 3)) + shift
        np.savetxt(folder / f"{name}.csv", rows, delimiter=",", header="a,b,c", comments="")
    lines = ["a,b,c,cohort"]
    for cohort, shift in (("A", 0.0), ("B", 1.5)):
        lines += [",".join([*(f"{v:.6f}" for v in row), cohort]) for row in rng.standard_normal((150, 3)) + shift]
    (folder / "arrays.csv").write_text("\n".join(lines) + "\n")


def numbers(answer: Any, name: str = "") -> list[tuple[str, float]]:
    """The numbers of a JSON answer by dotted name, without times and places."""
    if isinstance(answer, dict):
        return [x for key, part in answer.items() if key not in SKIPPED for x in numbers(part, f"{name}.{key}")]
    if isinstance(answer, list):
        return [x for k, part in enumerate(answer) for x in numbers(part, f"{name}.{k}")]
    return [(name[1:], float(answer))] if isinstance(answer, int | float) and not isinstance(answer, bool) else []


def compare(before: dict[str, dict[str, list[float]]], after: dict[str, dict[str, list[float]]]) -> None:
    """Say of each job how many numbers are equal to one part in a million, how many have ranges that overlap, and which
    lie apart.

    Raises:
        SystemExit: If one side has more seeds than the other.
    """
    seeds = [max((len(x) for job in side.values() for x in job.values()), default=0) for side in (before, after)]
    if seeds[0] != seeds[1]:
        raise SystemExit(f"--seeds {seeds[1]}: the numbers to compare with are of {seeds[0]}; give both sides the same")
    for job in sorted(before.keys() | after.keys()):
        old, new = before.get(job, {}), after.get(job, {})
        shared = sorted(old.keys() & new.keys())
        same = [
            name
            for name in shared
            if len(old[name]) == len(new[name])  # a number may be missing under some seed
            and np.allclose(np.sort(old[name]), np.sort(new[name]), 1e-6, equal_nan=True)
        ]
        apart = [
            name
            for name in shared
            if name not in same and (min(old[name]) > max(new[name]) or max(old[name]) < min(new[name]))
        ]
        every, near = len(old.keys() | new.keys()), len(shared) - len(same) - len(apart)
        print(f"{job}: of {every} numbers {len(same)} equal, {near} with ranges that overlap, {len(apart)} apart")
        for name in apart:
            print(f"    {name}: {spread(old[name])} -> {spread(new[name])}")


def read(path: Path) -> dict[str, dict[str, list[float]]]:
    """The numbers that an earlier call wrote.

    Raises:
        SystemExit: If the file is missing, or of another shape.
    """
    try:
        found = json.loads(path.read_text())
        lists = [values for job in found.values() for values in job.values()]
    except (OSError, ValueError, AttributeError) as error:
        raise SystemExit(f"--against {path}: {error}; give a file that --out wrote") from error
    if not all(isinstance(values, list) and values for values in lists):
        raise SystemExit(f"--against {path}: numbers do not stand in lists, a value a seed; write it anew with --out")
    return found


def spread(values: list[float]) -> str:
    """A number's values, the least first."""
    return " ".join(f"{value:.6g}" for value in sorted(values))


if __name__ == "__main__":
    main()
