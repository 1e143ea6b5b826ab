"""`python -m benchmarks.merging --data FOLDER --out FILE.jsonl`: merging beside its peers, kept line by line.

A second call with the same file does what is not there yet; --table prints what is there as Markdown and runs nothing.
Without --labels or --speed the situations are run: a method that leaves the target alone does not see a fifth of the
target's cells, by which everything is scored; Harmony, ComBat and Scanorama move the target and are given all cells.
Harmony and Scanorama run where harmonypy and scanorama can be imported.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch

from benchmarks.merging import journal, speed, tables
from benchmarks.merging.cases import REAL, warp
from benchmarks.merging.jobs import Job, of_situations, work
from benchmarks.merging.labelled import of_labels

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run, keep; 2 where there is nothing to do."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.merging", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl", help="where results are kept")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="holds pbmc_3batch.npz and cytof_person1.npz")
    parser.add_argument("--seeds", type=int, default=5, help="seeds from 0 on (default 5)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PATTERN",
        help="results whose title, such as 'pbmc / target without T / ours', has a match of every pattern in it",
    )  # fmt: skip
    parser.add_argument("--labels", action="store_true", help="methods that see labels beside those that do not")
    parser.add_argument(
        "--speed", nargs="*", type=int, metavar="CELLS",
        help=f"CPU seconds and memory at these sizes (default {' and '.join(f'{n:,}' for n in speed.ROWS)})",
    )  # fmt: skip
    parser.add_argument("--table", action="store_true", help="print the results that are there, and run nothing")
    options = parser.parse_args(arguments)
    try:
        patterns = [re.compile(words) for words in options.only]
    except re.error as error:
        parser.error(f"--only: {error}")
    if options.table:
        return show(options.out, patterns)
    if options.data is None and options.speed is None and not options.labels:
        parser.error("--data is missing: name the folder of pbmc_3batch.npz and cytof_person1.npz")
    if options.seeds < 1:
        parser.error(f"--seeds {options.seeds}: give at least 1")
    torch.set_num_threads(1)
    try:
        every = jobs(options)
    except FileNotFoundError as error:
        parser.error(f"--data {options.data}: {error}; give the folder of pbmc_3batch.npz and cytof_person1.npz")
    wanted = [job for job in every if all(one.search(job.title) for one in patterns)]
    if not wanted:
        print(f"--only {' '.join(options.only)}: no 'data / situation / method' matches; there are", file=sys.stderr)
        for names in zip(*(job.key[:3] for job in every)):
            print(f"    {'; '.join(dict.fromkeys(names))}", file=sys.stderr)
        return 2
    work(wanted, options.out)
    return 0


def jobs(options: argparse.Namespace) -> list[Job]:
    """All jobs of the parts that are asked for."""
    if options.speed is not None:
        return speed.of_speed(options.speed or speed.ROWS)
    real = [make(options.data) for make in REAL.values()] if options.data else []
    if not options.labels:
        return of_situations(real, options.seeds)
    if not real:
        print("without --data the real batches are left out", flush=True)
    return of_labels([*real, warp()], options.seeds)


def show(path: Path, patterns: Sequence[re.Pattern[str]]) -> int:
    """Print the tables of a file; 2 where there is nothing to show."""
    kept, said = journal.read(path)
    for words in said:
        print(words, file=sys.stderr)
    titles = {key: " / ".join(key[:3]) for key in kept}
    lines = [line for key, line in kept.items() if all(one.search(titles[key]) for one in patterns)]
    if not lines:
        print(f"{path}: no such results are there", file=sys.stderr)
        return 2
    print("\n".join(tables.markdown(sorted(lines, key=lambda line: line["seed"]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
