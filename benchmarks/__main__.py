"""`python -m benchmarks`: every contest, or those whose name contains --only, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help="contests whose name contains NAME")
    parser.add_argument("--repeats", type=int, default=15, help="pairs of timings in a contest (default 15)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    options = parser.parse_args()

    import torch

    from benchmarks.cases import CASES
    from benchmarks.measure import Result, measure

    chosen = [name for name in CASES if options.only in name]
    if not chosen or options.repeats < 2:
        print(f"nothing to run: --repeats takes 2 or more, --only a part of {', '.join(CASES)}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    columns = "{:26} {:20} {:>9} {:16} {:>9}  {:>5} {:13} {:>9} {:8} {:>7} {:>7} {:>10}"
    head = "case library ms other ms ratio quartiles batch dtype threads first_s difference".split()

    def row(r: Result) -> str:
        return columns.format(
            r.case, r.library, f"{r.library_ms:.3f}", r.other, f"{r.other_ms:.3f}", f"{r.ratio:.2f}",
            f"{r.low:.2f} .. {r.high:.2f}", r.batch, r.dtype, r.threads, f"{r.first_s:.1f}", f"{r.difference:.0e}",
        )  # fmt: skip

    results = []
    if not options.json:
        print(f"torch {torch.__version__}; CPU ms a step; ratio = other / library\n\n{columns.format(*head)}")
    for name in chosen:
        results.append(measure(name, CASES[name](), options.repeats))
        if not options.json:
            print(row(results[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
