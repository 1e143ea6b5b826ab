"""`python -m benchmarks.told`: seconds told in advance beside the CPU seconds that each part of an evaluation takes.

Every part runs alone on two normal samples, once at a few rows for the sake of imports and once timed.

    ratio = told / taken      within 0.25 .. 4 is meant; what takes less than 0.05 s is passed over
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch

from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import RAW
from pushforward.metrics.evaluate import SPEED
from pushforward.metrics.suite import PARTS

FACTOR, LEAST = 4.0, 0.05
SIZES = ((500, 4), (1500, 10), (5000, 30))


@dataclass(frozen=True)
class Told:
    """A part at one size: rows of each sample, columns, seconds."""

    part: str
    rows: int
    columns: int
    told: float
    taken: float

    @property
    def right(self) -> bool:
        """Whether what was told is of use."""
        return self.taken < LEAST or 1 / FACTOR <= self.told / self.taken <= FACTOR


def comparison(n: int, d: int, permutations: int = 999) -> Comparison:
    """Two normal samples of n rows, and a third as the training set."""
    rng = torch.Generator().manual_seed(0)
    q, p, t = (torch.randn(n, d, generator=rng, dtype=torch.float64) for _ in range(3))
    return Comparison(q, p, t, q, p, t, known=RAW, permutations=permutations)


def measured(only: str, sizes: tuple[tuple[int, int], ...]) -> Iterator[Told]:
    """Every part that points allow."""
    for part in (part for part in PARTS.values() if only in part.name and part.lacks(comparison(60, 4)) is None):
        if part.needs & {"density"} or part.name == "stacked":
            continue
        part.run(comparison(60, 4, 19))
        for n, d in sizes:
            c = comparison(n, d)
            began = time.process_time()
            part.run(c)
            yield Told(part.name, n, d, part.cost(c) / SPEED, time.process_time() - began)


def main() -> int:
    """Parse the command line, run, print; 1 where a part tells what is of no use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.told", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="parts whose name contains NAME")
    parser.add_argument("--size", nargs=2, type=int, metavar=("ROWS", "COLUMNS"), help="one size in place of three")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: list[Told] = []
    if not options.json:
        print("| part | rows | columns | told s | taken s | ratio | |\n|---|---|---|---|---|---|---|")
    for one in measured(options.only, SIZES if options.size is None else (tuple(options.size),)):
        found.append(one)
        if not options.json:
            ratio, mark = one.told / max(one.taken, 1e-9), "" if one.right else "wrong"
            sizes = f"{one.rows:,} | {one.columns}"
            print(f"| {one.part} | {sizes} | {one.told:.2f} | {one.taken:.2f} | {ratio:.2f} | {mark} |", flush=True)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    return 0 if all(one.right for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
