"""`python -m benchmarks.metrics`: metrics against other libraries and dense code, CPU time and memory side by side.

Every timing is a process of its own: data are made, both memory marks are reset, one call is measured. Sides take
turns, so that a busy machine slows both alike; the figures are medians, the ratios medians of the pairs' ratios.

    ratio = other / library      above 1 the library is faster, or needs less memory
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch
from torch import Tensor

Values = list[float]


@dataclass(frozen=True)
class Match:
    """One metric computed twice.

    Attributes:
        what: Sizes, for the table.
        other: Who computes it the other way.
        data: Makes fake and real.
        library: The library's way; its numbers.
        rival: The other way; its numbers.
        tolerance: Relative difference allowed between the two, or None where both draw their own subsets or directions.
    """

    what: str
    other: str
    data: Callable[[], tuple[Tensor, Tensor]]
    library: Callable[[Tensor, Tensor], Values]
    rival: Callable[[Tensor, Tensor], Values]
    tolerance: float | None = 1e-8


@dataclass(frozen=True)
class Outcome:
    """What a match showed: medians over its pairs."""

    case: str
    what: str
    other: str
    library_s: float
    other_s: float
    time_ratio: float
    library_mb: float
    other_mb: float
    memory_ratio: float
    difference: float
    pairs: int


def clouds(n: int, d: int, dtype: torch.dtype = torch.float32) -> Callable[[], tuple[Tensor, Tensor]]:
    """Two normal samples, one a little shifted."""

    def make() -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(0)
        q, p = (torch.randn(n, d, generator=rng, dtype=dtype) for _ in range(2))
        return q + 0.3 / d**0.5, p

    return make


def frechet_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.frechet import frechet, moments

    return [frechet(moments(q.split(1000)), moments(p.split(1000)))]


def frechet_torchmetrics(q: Tensor, p: Tensor) -> Values:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_identity(q.shape[1]), normalize=True, input_img_size=(q.shape[1], 1, 1))
    metric.set_dtype(torch.float64)
    for x, real in ((q, False), (p, True)):
        for block in x.split(1000):
            metric.update(block[:, :, None, None], real=real)
    return [float(metric.compute())]


def kid_subsets_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.kid import kid_subsets

    return [kid_subsets(q, p).value]


def kid_torchmetrics(q: Tensor, p: Tensor) -> Values:
    from torchmetrics.image.kid import KernelInceptionDistance

    metric = KernelInceptionDistance(feature=_identity(q.shape[1]), subsets=100, subset_size=1000)
    for x, real in ((q, False), (p, True)):
        for block in x.split(1000):
            metric.update(block[:, :, None, None], real=real)
    return [float(metric.compute()[0])]


def kid_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.kid import kid

    return [kid(q, p).value]


def kid_dense(q: Tensor, p: Tensor) -> Values:
    x, y = q.double().numpy(), p.double().numpy()
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return [float(within - 2 * xy.mean())]


def manifold_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.balls import cover, squared_radii

    found = cover(q, p, squared_radii(q, 5), squared_radii(p, 5), 5)
    return [found.precision, found.recall, found.density, found.coverage]


def manifold_dense(q: Tensor, p: Tensor) -> Values:
    from sklearn.metrics import pairwise_distances

    x, y, k = q.double().numpy(), p.double().numpy(), 5
    within_x, within_y, between = pairwise_distances(x), pairwise_distances(y), pairwise_distances(y, x)
    reach_x = np.partition(within_x, k, axis=1)[:, k]
    reach_y = np.partition(within_y, k, axis=1)[:, k]
    inside = between < reach_y[:, None]
    precision, recall = inside.any(0).mean(), (between < reach_x[None]).any(1).mean()
    density, coverage = inside.sum(0).mean() / k, (between.min(1) < reach_y).mean()
    return [float(precision), float(recall), float(density), float(coverage)]


def mmd_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.geometry.kernels import rbf
    from pushforward.metrics.two_sample.kernel import mmd

    found = mmd(q, p, kernel=rbf(q.shape[1] ** 0.5), permutations=200, max_n=len(q))
    return [found.value, found.p or 0.0]


def mmd_dense(q: Tensor, p: Tensor) -> Values:
    from sklearn.metrics.pairwise import rbf_kernel

    n, m = len(q), len(p)
    pool = torch.cat([q, p]).double().numpy()
    kernel = rbf_kernel(pool, gamma=0.5 / q.shape[1])
    np.fill_diagonal(kernel, 0)
    rng = np.random.default_rng(0)
    labels = np.zeros((201, n + m))
    labels[:, :n] = 1
    for row in labels[1:]:
        rng.shuffle(row)
    product = labels @ kernel
    within = (product * labels).sum(1)
    cross = product.sum(1) - within
    other = kernel.sum() - within - 2 * cross
    values = within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * cross / (n * m)
    return [float(values[0]), float(1 + (values[1:] >= values[0]).sum()) / 201]


def w2_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.transport import wasserstein

    return [wasserstein(q, p)]


def w2_pot(q: Tensor, p: Tensor) -> Values:
    import ot

    x, y = q.double().numpy(), p.double().numpy()
    cost: Any = ot.emd2([], [], ot.dist(x, y), numItermax=10_000_000)
    return [float(cost) ** 0.5]


def sliced_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.sliced import directions, sliced_wasserstein

    return [sliced_wasserstein(q, p, directions(q.shape[1], 128, 0))[0]]


def sliced_pot(q: Tensor, p: Tensor) -> Values:
    import ot

    from pushforward.metrics.quality.sliced import directions

    along = directions(q.shape[1], 128, 0).numpy()
    found: Any = ot.sliced_wasserstein_distance(q.double().numpy(), p.double().numpy(), projections=along)
    return [float(found)]


def sinkhorn_ours(q: Tensor, p: Tensor) -> Values:
    from pushforward.metrics.quality.sinkhorn import sinkhorn_divergence

    return [sinkhorn_divergence(q.double(), p.double(), epsilon=1.0).value]


def sinkhorn_pot(q: Tensor, p: Tensor) -> Values:
    import ot

    x, y = q.double().numpy(), p.double().numpy()

    def cost(a: np.ndarray, b: np.ndarray) -> float:
        weights = np.full(len(a), 1 / len(a)), np.full(len(b), 1 / len(b))
        half = ot.dist(a, b) / 2
        _, log = ot.sinkhorn(*weights, half, 1.0, method="sinkhorn_log", stopThr=1e-7, numItermax=5000, log=True)
        return float(weights[0] @ log["log_u"] + weights[1] @ log["log_v"])  # dual value, as the library's

    return [cost(x, y) - (cost(x, x) + cost(y, y)) / 2]


def _identity(d: int) -> torch.nn.Module:
    """A network whose features are its inputs."""

    class Flat(torch.nn.Module):
        num_features = d

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    return Flat()


MATCHES = {
    "frechet": Match("50,000 x 2048", "torchmetrics", clouds(50_000, 2048), frechet_ours, frechet_torchmetrics, 1e-6),
    "kid-subsets": Match(
        "10,000 x 2048, 100 of 1000", "torchmetrics", clouds(10_000, 2048), kid_subsets_ours, kid_torchmetrics, None
    ),
    "kid-full": Match("10,000 x 2048", "dense numpy", clouds(10_000, 2048), kid_ours, kid_dense, 1e-6),
    "manifold-64": Match("10,000 x 64, k 5", "dense, as prdc", clouds(10_000, 64), manifold_ours, manifold_dense),
    "manifold-2048": Match("10,000 x 2048, k 5", "dense, as prdc", clouds(10_000, 2048), manifold_ours, manifold_dense),
    "mmd-test": Match("10,000 x 64, B 200", "dense numpy", clouds(10_000, 64), mmd_ours, mmd_dense),
    "w2": Match("2,000 x 8", "POT", clouds(2_000, 8), w2_ours, w2_pot),
    "sliced-w2": Match("10,000 x 64, 128 directions", "POT", clouds(10_000, 64), sliced_ours, sliced_pot),
    "sinkhorn": Match("2,000 x 8, epsilon 1", "POT", clouds(2_000, 8), sinkhorn_ours, sinkhorn_pot, 1e-6),
}


def alone(case: str, side: str) -> dict[str, Any]:
    """One call in this process: its values, CPU seconds and the megabytes it needed above what was there."""
    match = MATCHES[case]
    call = match.library if side == "library" else match.rival
    q, p = match.data()
    rows = {"kid-subsets": 1100, "w2": 1600}.get(case, 50)
    call(q[:rows], p[:rows])  # imports and thread pools are not what is timed
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before, began = _memory("VmRSS"), time.process_time()
    values = call(q, p)
    seconds = time.process_time() - began
    return {"values": values, "seconds": seconds, "megabytes": _memory("VmHWM") - before}


def _memory(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def run(case: str, pairs: int, threads: int) -> Outcome:
    """Both sides in turn, each time in a fresh process."""
    found: dict[str, list[dict[str, Any]]] = {"library": [], "rival": []}
    environment = os.environ | {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    for k in range(pairs):
        for side in ("library", "rival") if k % 2 == 0 else ("rival", "library"):
            command = [sys.executable, "-m", "benchmarks.metrics", "--alone", case, side]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                raise SystemExit(f"{case}, {side}: {done.stderr.strip()}")
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    ours, theirs = found["library"], found["rival"]
    match = MATCHES[case]
    gap = max(abs(a - b) / max(abs(b), 1e-12) for a, b in zip(ours[0]["values"], theirs[0]["values"], strict=True))
    if match.tolerance is not None and gap > match.tolerance:
        raise SystemExit(f"{case}: {ours[0]['values']} against {theirs[0]['values']}: the two do not agree")

    def ratio(key: str) -> float:
        return statistics.median(b[key] / max(a[key], 1e-9) for a, b in zip(ours, theirs, strict=True))

    def middle(side: list[dict[str, Any]], key: str) -> float:
        return statistics.median(one[key] for one in side)

    return Outcome(
        case, match.what, match.other, middle(ours, "seconds"), middle(theirs, "seconds"), ratio("seconds"),
        middle(ours, "megabytes"), middle(theirs, "megabytes"), ratio("megabytes"), gap, pairs,
    )  # fmt: skip


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="matches whose name contains NAME")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of timings in a match (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and of BLAS (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--alone", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(*options.alone)))
        return 0
    chosen = [name for name in MATCHES if options.only in name]
    if not chosen or options.pairs < 1:
        print(f"nothing to run: --pairs takes 1 or more, --only a part of {', '.join(MATCHES)}", file=sys.stderr)
        return 2
    outcomes = []
    if not options.json:
        print("| case | size | other | s | other s | time ratio | MB | other MB | memory ratio | difference |")
        print("|---|---|---|---|---|---|---|---|---|---|")
    for name in chosen:
        outcomes.append(run(name, options.pairs, options.threads))
        if not options.json:
            o = outcomes[-1]
            print(
                f"| {o.case} | {o.what} | {o.other} | {o.library_s:.2f} | {o.other_s:.2f} | {o.time_ratio:.2f} "
                f"| {o.library_mb:.0f} | {o.other_mb:.0f} | {o.memory_ratio:.1f} | {o.difference:.0e} |",
                flush=True,
            )
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
