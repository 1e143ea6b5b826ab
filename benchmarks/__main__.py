"""`python -m benchmarks`: every contest, or those whose name contains --only, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measure import Result

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="contests whose name contains NAME")
    parser.add_argument("--repeats", type=int, default=15, help="pairs of timings in a contest (default 15)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--check", action="store_true", help="do not time: compare what both sides train, in float64")
    options = parser.parse_args()

    import torch

    from benchmarks.cases import CASES
    from benchmarks.measure import difference, measure

    chosen = [name for name in CASES if options.only in name]
    if not chosen or options.repeats < 2:
        print(f"nothing to run: --repeats takes 2 or more, --only a part of {', '.join(CASES)}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    if options.check:
        torch.set_default_dtype(torch.float64)
        gaps = {name: difference(CASES[name]()) for name in chosen}
        print("\n".join(f"{name:26} {gap:.0e}" for name, gap in gaps.items()))
        return int(max(gaps.values()) > 1e-8)

    if not options.json:
        print(f"torch {torch.__version__}; CPU ms a step; ratio = other / library\n\n{COLUMNS.format(*HEAD)}")
    results: list[Result] = []
    for name in chosen:
        results.append(measure(name, CASES[name](), options.repeats))
        if not options.json:
            print(row(results[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    return 0


COLUMNS = "{:25} {:19} {:>8} {:14} {:>8}  {:>5} {:12} {:>11} {:7} {:>7} {:>7}"
HEAD = ["case", "library", "ms", "other", "ms", "ratio", "quartiles", "batch", "dtype", "threads", "first s"]


def row(r: Result) -> str:
    """One line of the table."""
    times = r.library, f"{r.library_ms:.3f}", r.other, f"{r.other_ms:.3f}"
    ratio = f"{r.ratio:.2f}", f"{r.low:.2f} .. {r.high:.2f}"
    return COLUMNS.format(r.case, *times, *ratio, r.batch, r.dtype, r.threads, f"{r.first_s:.1f}")


if __name__ == "__main__":
    sys.exit(main())
