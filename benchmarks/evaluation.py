"""`python -m benchmarks.evaluation --before FOLDER`: CPU of the evaluation as it comes, beside an earlier state's.

FOLDER is a checkout of that state (`git worktree add FOLDER COMMIT`). Every timing is a process of its own, which
evaluates a few rows for the sake of imports and is then timed; the two states take turns, so that a busy machine slows
both alike. Seconds are those that the process computes, one thread, not those of the clock.

    ratio = now / before      above 1 the evaluation costs more than it did; the median and quartiles of the pairs

Without --before the table shows this state alone. Below it stand the seconds of each part.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ROWS, COLUMNS = 1500, 10
SIDES = ("fake", "real", "train")
CASES = ("points", "table")
Seconds = dict[str, float]


def points(rows: int) -> list[np.ndarray]:
    """Samples, held-out and training rows of one normal law."""
    return list(np.random.default_rng(0).normal(size=(len(SIDES), rows, COLUMNS)))


def tables(rows: int) -> list[pd.DataFrame]:
    """The same as mixed tables: numbers, some skew or rounded, some that depend on a category."""
    rng = np.random.default_rng(1)

    def drawn() -> pd.DataFrame:
        kind, age = rng.integers(0, 4, rows), np.round(rng.normal(40, 12, rows))
        return pd.DataFrame({
            "income": rng.lognormal(10, 0.5, rows), "age": age, "height": np.round(rng.normal(170, 9, rows) - kind, 1),
            "visits": rng.poisson(3, rows), "balance": 1000 * rng.standard_t(4, rows),
            "score": rng.normal(size=rows) + kind + 0.05 * age, "kind": np.array(["gold", "grey", "red", "none"])[kind],
            "town": [f"town {k}" for k in rng.integers(0, 12, rows)],
            "member": np.where(rng.random(rows) < 0.3, "yes", "no"),
            "answer": np.where(rng.random(rows) < 0.1, "never", np.where(kind > 1, "often", "perhaps")),
        })  # fmt: skip

    return [drawn() for _ in SIDES]


class Timer:
    """A watch of an evaluation that notes what each part computes."""

    def __init__(self) -> None:
        self.parts: Seconds = {}
        self.last, self.began = "", 0.0

    def begin(self, name: str, seconds: float) -> None:
        """A part begins, and the last has ended."""
        del seconds
        self.end()
        self.last, self.began = name, computed()

    def tick(self, fraction: float) -> None:
        """Nothing to note."""

    def end(self) -> None:
        """The last part has ended."""
        if self.last:
            self.parts[self.last] = self.parts.get(self.last, 0.0) + computed() - self.began


def alone(case: str, folder: Path) -> Seconds:
    """One evaluation in this process: `all` of it, and its parts."""
    import torch

    from pushforward.evaluation import evaluate

    torch.set_num_threads(1)
    given = [points(rows) if case == "points" else [str(x) for x in files(folder, rows)] for rows in (60, ROWS)]
    evaluate(*given[0])
    timer, began = Timer(), computed()
    evaluate(*given[1], watch=timer)
    timer.end()
    whole = computed() - began
    return {"all": whole, **timer.parts, "reading and the rest": whole - sum(timer.parts.values())}


def computed() -> float:
    """CPU seconds of this process in its own code, without those of the system."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def files(folder: Path, rows: int) -> list[Path]:
    """Where the tables of so many rows lie."""
    return [folder / f"{side}_{rows}.csv" for side in SIDES]


def timed(case: str, state: Path, folder: Path) -> Seconds:
    """See `alone`; of the code in a checkout, in a process of its own."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"PYTHONPATH": str(state / "src")}
    command = [sys.executable, "-m", "benchmarks.evaluation", "--alone", case, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{case} by {state}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def shown(case: str, before: Sequence[Seconds], now: Sequence[Seconds]) -> float:
    """One line of the table of cases; answers with its ratio, not a number where there is nothing before."""
    seconds = [statistics.median(one["all"] for one in side) if side else float("nan") for side in (before, now)]
    ratios = [b["all"] / a["all"] for a, b in zip(before, now, strict=True)] if before else [float("nan")] * 2
    low, middle, high = (float(x) for x in np.quantile(ratios, (0.25, 0.5, 0.75)))
    print(f"| {case} | {seconds[0]:.2f} | {seconds[1]:.2f} | {middle:.2f} ({low:.2f} .. {high:.2f}) | {len(now)} |")
    return middle


def by_part(found: Mapping[str, tuple[Sequence[Seconds], Sequence[Seconds]]]) -> None:
    """Medians of each part, before and now, for every case."""
    print("\n| part | " + " | ".join(f"{case}, before s | now s" for case in found) + " |")
    print("|---" * (1 + 2 * len(found)) + "|")
    names = dict.fromkeys(name for sides in found.values() for side in sides for one in side for name in one)
    for name in (name for name in names if name != "all"):
        sides = [side for both in found.values() for side in both]
        known = [[one[name] for one in side if name in one] for side in sides]
        print(f"| {name} | " + " | ".join(f"{statistics.median(x):.2f}" if x else "" for x in known) + " |")


def main() -> int:
    """Parse the command line, run, print; 1 where the ratio of a case is above --most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of an earlier state")
    parser.add_argument("--only", choices=CASES, help="one case in place of both")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of timings of a case (default 5)")
    parser.add_argument("--most", type=float, default=float("inf"), metavar="RATIO", help="exit with 1 above it")
    parser.add_argument("--alone", nargs=2, metavar=("CASE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(options.alone[0], Path(options.alone[1]))))
        return 0
    found: dict[str, tuple[list[Seconds], list[Seconds]]] = {}
    ratios: list[float] = []
    print("| case | before s | now s | ratio (quartiles) | pairs |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows in (60, ROWS):
            for frame, path in zip(tables(rows), files(folder, rows), strict=True):
                frame.to_csv(path, index=False)
        for case in (case for case in CASES if options.only in (None, case)):
            before, now = found.setdefault(case, ([], []))
            states = [(now, ROOT)] if options.before is None else [(before, options.before.resolve()), (now, ROOT)]
            for k in range(options.pairs):
                for seconds, state in states[:: (-1) ** k]:
                    seconds.append(timed(case, state, folder))
            ratios.append(shown(case, before, now))
    by_part(found)
    return int(any(ratio > options.most for ratio in ratios))


if __name__ == "__main__":
    sys.exit(main())
