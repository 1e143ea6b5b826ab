"""`python -m benchmarks.bridges`: all parts, or those whose name contains --only, as a table, and as JSON in a file.

A ratio is base / side: above 1 the side is faster. Times are CPU milliseconds of a step, or of all samples of a call;
rows/s are rows or samples in a CPU second.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.bridges.turns import Row
    from benchmarks.measure import Contest, Side

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported

PARTS = ("step", "precision", "sample")
COLUMNS = "{:10} {:22} {:18} {:>9} {:14} {:>9}  {:>5} {:12} {:>9} {:>6} {:>8} {:>7}"
HEAD = ["part", "case", "side", "ms", "base", "ms", "ratio", "quartiles", "overhead", "rows", "rows/s", "first s"]


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridges", description=__doc__)
    parser.add_argument("--only", default="", metavar="NAME", help=f"those of {', '.join(PARTS)} with NAME in it")
    parser.add_argument("--repeats", type=int, default=15, help="timings of each side of a step (default 15)")
    parser.add_argument("--images", type=int, default=64, help="samples of a call, of side 32 (default 64)")
    parser.add_argument("--no-compile", action="store_true", help="leave out compiled steps: compiling takes minutes")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows into a file as well")
    parser.add_argument("--check", action="store_true", help="do not time: compare what both sides do, in float64")
    options = parser.parse_args()

    import torch

    chosen = [part for part in PARTS if options.only in part]
    if not chosen or options.repeats < 2 or options.images < 1:
        print(f"nothing to run: --repeats takes 2 or more, --images 1, --only a part of {PARTS}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    if options.check:
        return check()
    print(f"torch {torch.__version__}; CPU ms; ratio = base / side\n\n{COLUMNS.format(*HEAD)}")
    torch.zeros(2**22)  # freed at once: glibc then keeps pages, as late in any run, and no side pays for new ones
    rows: list[Row] = []
    for row in measured(chosen, options.repeats, options.images, not options.no_compile):
        rows.append(row)
        print(shown(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0


def measured(parts: list[str], repeats: int, images: int, compiled: bool) -> Iterator[Row]:
    """Rows of the parts, one case after the other."""
    from benchmarks.bridges.cases import SAMPLES, STEPS, WIDE, precisions, samples, steps
    from benchmarks.bridges.turns import compare

    few = max(2, repeats // 3)
    for name, case in STEPS.items() if "step" in parts else ():
        yield from compare("step", name, case.batch, steps(case), repeats, 0.3)
    narrow = STEPS["U-Net, 32 x 32"]
    for name, case in (("U-Net, width 16", narrow), ("U-Net, width 32", WIDE)) if "precision" in parts else ():
        yield from compare("precision", name, case.batch, precisions(case, compiled), few, 0.5)
    for name, case in SAMPLES.items() if "sample" in parts else ():
        n = images if case is narrow else 1_000
        for model, sides in samples(case, n).items():
            yield from compare("sample", f"{model}, {name}", n, sides, few if case is narrow else repeats, 0.5)


def check() -> int:
    """How far apart the sides are after three steps, and after one call for samples; 0 if that is rounding."""
    import torch

    from benchmarks.bridges.cases import SAMPLES, STEPS, samples, steps
    from benchmarks.measure import difference

    torch.set_default_dtype(torch.float64)
    gaps = {name: difference(_contest(steps(case))) for name, case in STEPS.items()}
    for name, case in SAMPLES.items():
        for model, sides in samples(case, 12).items():
            gaps[f"{model}, {name}"] = difference(_contest(sides), 1)
    print("\n".join(f"{name:26} {gap:.0e}" for name, gap in gaps.items()))
    return int(max(gaps.values()) > 1e-8)


def _contest(sides: Sequence[Side]) -> Contest:
    """Two sides as a contest, which can tell how far apart they are."""
    from benchmarks.measure import Contest

    ours, theirs = sides
    return Contest(ours, theirs, "")


def shown(r: Row) -> str:
    """One line of the table."""
    times = r.side, f"{r.side_ms:,.2f}", r.base, f"{r.base_ms:,.2f}"
    ratio = f"{r.ratio:.2f}", f"{r.low:.2f} .. {r.high:.2f}", f"{r.overhead:+.1f} %"
    return COLUMNS.format(r.part, r.case, *times, *ratio, r.rows, f"{r.speed:,.0f}", f"{r.first_s:.1f}")


if __name__ == "__main__":
    sys.exit(main())
