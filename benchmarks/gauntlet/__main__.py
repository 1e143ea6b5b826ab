"""`python -m benchmarks.gauntlet`: run the ways, print the tables, keep the outcomes as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from . import honest, laws, rivals, tables, ways_numbers, ways_rows, ways_special
from .judging import Outcome, judge
from .trial import KINDS, Kind, Way

__all__ = ["BAD", "HONEST", "main"]

BAD = (*ways_rows.WAYS, *ways_numbers.WAYS, *ways_special.WAYS)
HONEST = honest.WAYS


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; answers with its exit code: 1 where more honest ways are accused than chance allows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gauntlet", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--sizes", nargs="+", type=int, default=[200, 600, 1200], metavar="N", help="rows of a sample")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions")
    parser.add_argument("--ways", nargs="+", metavar="NAME", help="only these ways, or bad, or honest")
    parser.add_argument("--permutations", type=int, default=199, help="relabellings behind a p-value")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the outcomes here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables here, in Markdown")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE", help="only make tables of kept outcomes")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rivals", action="store_true", help="what SDMetrics and torchmetrics say instead")
    options = parser.parse_args(arguments)

    if options.rivals:
        for size in options.sizes:
            print(rivals.text(BAD, HONEST[0], options.data, options.kinds, size, options.seeds))
        return 0
    if options.read:
        outcomes = [read(record) for file in options.read for record in json.loads(file.read_text())]
    else:
        chosen = [(way, False) for way in BAD] + [(way, True) for way in HONEST]
        if options.ways:
            known = {way.name for way, _ in chosen} | {"bad", "honest"}
            if unknown := sorted(set(options.ways) - known):
                print(f"no way is called {', '.join(unknown)}; there are {', '.join(sorted(known))}", file=sys.stderr)
                return 2
            chosen = [one for one in chosen if {one[0].name, "honest" if one[1] else "bad"} & set(options.ways)]
        outcomes = run(chosen, options)
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=0))
    text = tables.text(outcomes, {way.name: way.kinds for way in (*BAD, *HONEST)})
    print(text)
    if options.table:
        options.table.write_text(text + "\n")
    return int(tables.too_many(outcomes))


def read(record: dict[str, object]) -> Outcome:
    """An outcome from its record."""
    return Outcome(**record | {"findings": tuple(record["findings"])})  # pyright: ignore[reportArgumentType]


def run(chosen: Sequence[tuple[Way, bool]], options: argparse.Namespace) -> list[Outcome]:
    """All repetitions; kinds whose data are not there, and sizes that they are too few for, are said and left out."""
    start, outcomes = time.monotonic(), list[Outcome]()
    torch.set_num_threads(1)
    for kind in options.kinds:
        try:
            data = _law(kind, options.data)
        except OSError as error:
            print(f"{kind} left out: {error}", file=sys.stderr)
            continue
        sizes = [n for n in options.sizes if data is None or 3 * n <= len(data)]
        if left := [n for n in options.sizes if n not in sizes]:
            print(f"{kind} left out at {left}: there are {len(data or ())} rows", file=sys.stderr)
        ways = [(way, honestly) for way, honestly in chosen if kind in way.kinds]
        jobs = [(way.name, honestly, n, s) for way, honestly in ways for n in sizes for s in range(options.seeds)]
        outcomes += _at_once(kind, options.data, jobs, options.permutations, options.processes)
        print(f"{kind}: {len(jobs)} evaluations, {time.monotonic() - start:.0f} s so far", file=sys.stderr, flush=True)
    return outcomes


Job = tuple[str, bool, int, int]


def _at_once(kind: Kind, folder: Path, jobs: list[Job], permutations: int, processes: int) -> list[Outcome]:
    judged = partial(_judge, kind, folder, permutations)
    if processes == 1:
        return [judged(job) for job in jobs]
    with ProcessPoolExecutor(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(judged, jobs, chunksize=8))


def _judge(kind: Kind, folder: Path, permutations: int, job: Job) -> Outcome:
    name, honestly, size, seed = job
    way = next(way for way in (HONEST if honestly else BAD) if way.name == name)
    return judge(way, honestly, kind, _law(kind, folder), size, seed, permutations)


_law = lru_cache(maxsize=1)(laws.law)  # a worker reads its data once: they are not sent with every job


if __name__ == "__main__":
    sys.exit(main())
