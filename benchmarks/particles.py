"""`python -m benchmarks.particles`: what a step of a particle flow costs, in CPU time and peak memory.

    step        200 particles and 200 data in the plane, a critic of three hidden layers of 32, three updates and a
                move: compiled and eager, against a loop by hand or against each other
    ensemble    eight such critics at once, against one after the other
    linear      a step of 10^3 to 10^6 particles and as many data, of either of which the critic sees 200 at a time, a
                tenth or all; `slope` is the exponent of time ~ N^slope, by least squares over N >= 10^4
    sinkhorn    10,000 particles and 10,000 data in the plane: potentials of q against p and of q against itself, in as
                many updates on both sides, and the entropic maps that make the velocity; against dense matrices

Sides take turns, so that a busy machine slows both alike; the figures are medians, the ratio the median of the pairs'
ratios, other / library. Peak memory is that of a process of its own, torch included.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from torch import Tensor

EPSILON, UPDATES, ROWS = 0.2, 20, 10_000
SIZES: dict[str, tuple[Callable[[int], int], list[int]]] = {
    "200": (lambda n: 200, [10**3, 10**4, 10**5, 10**6]),
    "a tenth": (lambda n: n // 10, [10**3, 10**4, 10**5, 10**6]),
    "all": (lambda n: 0, [10**3, 10**4, 10**5]),
}
Row = dict[str, Any]


def clouds() -> tuple[Tensor, Tensor]:
    """Two samples in the plane."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(ROWS, 2, generator=rng), torch.randn(ROWS, 2, generator=rng) * 0.8 + 1


def ours(q: Tensor, p: Tensor, updates: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The library's velocity, and the updates that its two problems took."""
    from pushforward.flows.sinkhorn import SinkhornField
    from pushforward.geometry.sinkhorn import potentials

    between = potentials(q, p, EPSILON, tolerance=1e-9, iterations=updates[0])
    own = potentials(q, None, EPSILON, tolerance=1e-9, iterations=updates[1])
    return SinkhornField(q, p, own.f, between.g, EPSILON)(q), (between.iterations, own.iterations)


def dense(q: Tensor, p: Tensor, updates: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The same by logsumexp over whole matrices of costs, one epsilon from the start."""

    def cost(x: Tensor, y: Tensor) -> Tensor:
        return torch.cdist(x, y).square() / 2

    def soft_min(costs: Tensor, h: Tensor) -> Tensor:
        return -EPSILON * (torch.logsumexp((h - costs) / EPSILON, 1) - math.log(costs.shape[1]))

    def entropic_map(costs: Tensor, h: Tensor, y: Tensor) -> Tensor:
        return torch.softmax((h - costs) / EPSILON, 1) @ y

    costs, g = cost(q, p), torch.zeros(len(p))
    for _ in range(updates[0]):
        f = soft_min(costs, g)
        g = soft_min(costs.T, f)
    sent = entropic_map(costs, g, p)
    costs, f = cost(q, q), torch.zeros(len(q))
    for _ in range(updates[1]):
        f = (f + soft_min(costs, f)) / 2
    return sent - entropic_map(costs, f, q), updates


SIDES: dict[str, Callable[[Tensor, Tensor, tuple[int, int]], tuple[Tensor, tuple[int, int]]]]
SIDES = {"library": ours, "dense": dense}


def alone(side: str, updates: tuple[int, int]) -> Row:
    """One step in this process."""
    if side == "linear":
        from benchmarks.particle_steps import seconds

        return {"seconds": seconds(updates[0], updates[1] or None), "megabytes": peak()}
    q, p = clouds()
    SIDES[side](q[:50], p[:50], (2, 2))  # imports and thread pools are not what is timed
    began = time.process_time()
    v, made = SIDES[side](q, p, updates)
    spent = time.process_time() - began
    return {"seconds": spent, "megabytes": peak(), "updates": made, "velocity": v[:100].tolist()}


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def apart(side: str, updates: tuple[int, int], threads: int) -> Row:
    """One step in a fresh process."""
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "benchmarks.particles", "--alone", side, *map(str, updates)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def contests(part: str, pairs: int, threads: int) -> Iterator[Row]:
    """Two sides in this process, in turn."""
    from benchmarks.measure import measure
    from benchmarks.particle_steps import CONTESTS, contest

    torch.set_num_threads(threads)
    for name, sides in CONTESTS[part].items():
        found = measure(name, contest(sides()), max(2, pairs))
        yield {
            "library": found.library,
            "ms": found.library_ms,
            "other": found.other,
            "other ms": found.other_ms,
            "ratio": found.ratio,
            "quartiles": f"{found.low:.2f} .. {found.high:.2f}",
            "first s": found.first_s,
        }


def linear(pairs: int, threads: int) -> Iterator[Row]:
    """Sizes in turn, each in processes of its own."""
    from benchmarks.particle_steps import slope

    for name, (rows, sizes) in SIZES.items():
        found: dict[int, list[Row]] = {n: [] for n in sizes}
        for _ in range(pairs):
            for n in sizes:
                found[n].append(apart("linear", (n, rows(n)), threads))
        times = {n: statistics.median(one["seconds"] for one in each) for n, each in found.items()}
        large = [n for n in sizes if n >= 10**4]
        exponent = slope(large, [times[n] for n in large])
        for n, each in found.items():
            megabytes = statistics.median(one["megabytes"] for one in each)
            yield {"critic sees": name, "N": n, "ms": 1e3 * times[n], "MB": megabytes, "slope": exponent}


def sinkhorn(pairs: int, threads: int) -> Iterator[Row]:
    """Both sides in turn; the first library step decides how many updates everyone makes."""
    updates = tuple(apart("library", (UPDATES, UPDATES), threads)["updates"])
    found: dict[str, list[Row]] = {side: [] for side in SIDES}
    for k in range(pairs):
        for side in list(SIDES)[:: 1 if k % 2 == 0 else -1]:
            found[side].append(apart(side, updates, threads))
    v, w = (torch.tensor(found[side][0]["velocity"]) for side in SIDES)

    def middle(side: str, key: str) -> float:
        return statistics.median(one[key] for one in found[side])

    ratios = [b["seconds"] / a["seconds"] for a, b in zip(*found.values(), strict=True)]
    yield {
        "N": ROWS,
        "s": middle("library", "seconds"),
        "MB": middle("library", "megabytes"),
        "dense s": middle("dense", "seconds"),
        "dense MB": middle("dense", "megabytes"),
        "ratio": statistics.median(ratios),
        "difference": f"{float((v - w).norm() / w.norm()):.0e}",
        "updates": f"{updates[0]} + {updates[1]}",
    }


PARTS: dict[str, Callable[[int, int], Iterator[Row]]] = {
    "step": partial(contests, "step"),
    "ensemble": partial(contests, "ensemble"),
    "linear": linear,
    "sinkhorn": sinkhorn,
}


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.particles", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="parts whose name contains NAME")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of timings (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and of BLAS (default 1)")
    parser.add_argument("--alone", nargs=3, metavar=("SIDE", "N", "M"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        side, *updates = options.alone
        print(json.dumps(alone(side, (int(updates[0]), int(updates[1])))))
        return 0
    chosen = [name for name in PARTS if options.only in name]
    if not chosen or options.pairs < 1:
        print(f"nothing to run: --pairs takes 1 or more, --only a part of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in chosen:
        columns: list[str] = []
        for row in PARTS[name](options.pairs, options.threads):
            rows.append({"part": name} | row)
            if not options.json:
                if not columns:
                    columns = list(rows[-1])
                    print(f"\n{line(columns)}\n{line(['---'] * len(columns))}")
                print(line([shown(rows[-1][column]) for column in columns]), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


def line(cells: list[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def shown(value: object) -> str:
    """A cell: numbers with three figures."""
    if isinstance(value, float):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())
