"""`python -m benchmarks.particles`: a step of a particle flow against dense code, CPU time and peak memory.

Every figure comes from a process of its own, which makes the data, takes one step and reports its CPU seconds and its
peak resident memory, torch included. Sides take turns, so that a busy machine slows both alike; the figures are
medians, the ratio the median of the pairs' ratios.

    sinkhorn    10,000 particles and 10,000 data in the plane: potentials of q against p and of q against itself, in as
                many updates on both sides, and the entropic maps that make the velocity
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
from collections.abc import Callable
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from torch import Tensor

EPSILON, UPDATES, ROWS = 0.2, 20, 10_000


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


def alone(side: str, updates: tuple[int, int]) -> dict[str, Any]:
    """One step in this process."""
    q, p = clouds()
    SIDES[side](q[:50], p[:50], (2, 2))  # imports and thread pools are not what is timed
    began = time.process_time()
    v, made = SIDES[side](q, p, updates)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": seconds, "megabytes": peak, "updates": made, "velocity": v[:100].tolist()}


def apart(side: str, updates: tuple[int, int], threads: int) -> dict[str, Any]:
    """One step in a fresh process."""
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "benchmarks.particles", "--alone", side, *map(str, updates)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{side}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def sinkhorn(pairs: int, threads: int) -> dict[str, Any]:
    """Both sides in turn; the first library step decides how many updates everyone makes."""
    updates = tuple(apart("library", (UPDATES, UPDATES), threads)["updates"])
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for k in range(pairs):
        for side in list(SIDES)[:: 1 if k % 2 == 0 else -1]:
            found[side].append(apart(side, updates, threads))
    v, w = (torch.tensor(found[side][0]["velocity"]) for side in SIDES)

    def middle(side: str, key: str) -> float:
        return statistics.median(one[key] for one in found[side])

    ratios = [b["seconds"] / a["seconds"] for a, b in zip(*found.values(), strict=True)]
    return {
        "updates": updates,
        **{f"{side} {key}": middle(side, key) for key in ("seconds", "megabytes") for side in SIDES},
        "time ratio": statistics.median(ratios),
        "difference": float((v - w).norm() / w.norm()),
        "pairs": pairs,
    }


PARTS = {"sinkhorn": sinkhorn}


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.particles", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="parts whose name contains NAME")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of timings (default 3)")
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
    for name in chosen:
        print(json.dumps({"part": name} | PARTS[name](options.pairs, options.threads), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
