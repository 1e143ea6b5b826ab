"""How good samples are for how many calls of the net: the curve of trained bridges, and of what they were distilled to.

    pushforward train bridge_toy --steps 4000 --distil-steps 6000 --refine-steps 3000 --run runs/ring8
    python scripts/calls.py runs/ring8 --out calls.png --json calls.json
    python scripts/calls.py runs/digits-0 runs/digits-1 --published           # with 2,000 calls of Euler, as published
    python scripts/calls.py runs/mnist-0 runs/mnist-1 --features mnist_lenet --beside runs/vgrow-0 runs/vgrow-1
    python scripts/calls.py --more a.json b.json --out calls.png              # of earlier calls, with no run anew

Of each run as many sets of samples are drawn as there are seeds, in every way. Points of a known mixture are held
against its modes, all others by sliced W2; images by the Fréchet distance in the run's feature space, or another
network's. What they are held against is the held-out data, and the floor is what training rows score, or of modes a
perfect sampler. ± is the deviation over runs and seeds. Runs of any other method stand beside them as they sample.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pushforward import files
from pushforward.commands.rebuilding import with_rows
from pushforward.commands.sampling import labels_for
from pushforward.demos.drawing import BLUE, GREEN, INK, PALE, RED, SOFT, check_out, clean, save, sheet
from pushforward.errors import DataError, UsageError
from pushforward.evaluation import NETWORKS
from pushforward.methods.bridges.diffusion import Diffusion
from pushforward.methods.bridges.two_stages import Bridge, BridgeSampling
from pushforward.methods.latent.distilled import Distilled
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.result import Measure
from pushforward.metrics.known.modes import modes
from pushforward.metrics.known.shape import mode_shape
from pushforward.metrics.quality.frechet import frechet_distance
from pushforward.metrics.quality.sliced import sliced_w2
from pushforward.parallel import threads
from pushforward.randomness import stream
from pushforward.training.asking import first_of
from pushforward.training.experiment import Experiment
from pushforward.types import CountsCalls, Method, Samples, able

STEPS = (4, 8, 18, 36)
SCORE: dict[str, Literal["heun", "multistep", "exponential"]] = {
    "flow, heun": "heun",
    "flow, multistep": "multistep",
    "diffusion, exponential": "exponential",
}
LOGARITHMIC = ("FD", "sliced W2", "KL")
BESIDE = "#56B4E9"  # runs of other recipes
KINDS = {
    "flow, heun": RED,
    "flow, multistep": BLUE,
    "diffusion, exponential": GREEN,
    "bridge": INK,
    "bridge as published": INK,
    "regressed": "#CC79A7",
    "refined": "#E69F00",
}
"""Ways to samples and their colours."""


@dataclass(frozen=True)
class Way:
    """One way to samples: its kind, its calls of a net for a sample, and what draws them."""

    kind: str
    calls: int
    method: Method


def ways(method: Method, published: bool, whole: bool = True) -> list[Way]:
    """The ways that a run has; a generator is one of them once its training is whole.

    Raises:
        UsageError: If it is a run of something else.
    """
    found, inner = list[Way](), method.teacher if isinstance(method, Distilled) else method
    score = inner.diffusion if isinstance(inner, Bridge) else inner
    if not isinstance(score, Diffusion):
        raise UsageError(f"a run of a {type(method).__name__}: give one of a bridge or a score model")
    for kind, sampler in SCORE.items():
        for steps in STEPS:
            one = replace(score, sampling=replace(score.sampling, sampler=sampler, steps=steps))
            found.append(Way(kind, one.calls, one))
    if isinstance(inner, Bridge):
        for first in (2, 4, 6, 12):  # as the defaults are, one to two
            usual = replace(inner, sampling=replace(inner.sampling, first_steps=first, second_steps=2 * first))
            found.append(Way("bridge", usual.calls, usual))
        if published:
            slow = BridgeSampling("euler_maruyama", 1000, "uniform", "euler_maruyama", 1000, "uniform")
            one = replace(inner, sampling=slow)
            found.append(Way("bridge as published", one.calls, one))
    if isinstance(method, Distilled) and whole:
        pairs = (method.starts, method.ends, method.source, method.rng)
        found.append(Way("regressed", 1, Distilled(method.generator, *pairs, labels=method.labels)))
        if method.refined is not None:
            found.append(Way("refined", 1, method.refined))
    return found


def calls_of(method: Method) -> int:
    """Calls of a net that a sample of any method costs: one of a generator, those that others say."""
    return method.calls if able(method, CountsCalls) else 1


def measured(experiment: Experiment, x: Samples, features: Features) -> dict[str, Measure]:
    """What samples in model units score against held-out data."""
    data = experiment.data
    held = torch.as_tensor(data.encode(data.decode(x)))  # as a file would hold them: rounded, and in the box
    if data.kind == "images":
        return {"FD": frechet_distance(held, data.test, features, train=data.train, small=True)}
    found = {"sliced W2": sliced_w2(held, data.test, train=data.train)}
    if data.mixture is None:
        return found
    y, known = torch.as_tensor(data.decode(x)).double(), data.mixture
    some, shape = modes(y, known.means, known.sigma, known.weights), dict[str, Measure]()
    with suppress(DataError):  # where no mode holds 20 samples
        shape = mode_shape(y, known.means, known.sigma)
    measures = some | shape
    names = {"high quality": "high_quality", "KL": "mode_kl", "width": "mode_width"}
    return {name: measures[key] for name, key in names.items() if key in measures} | found


@dataclass
class Row:
    """Numbers of one way: (runs x seeds) values and floors for each name."""

    kind: str
    calls: int
    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    floors: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    seconds: list[float] = field(default_factory=list[float])

    def note(self, found: Mapping[str, Measure], seconds: float) -> None:
        """Add what one set of samples scored, and what it took of a processor."""
        self.seconds.append(seconds)
        for name, measure in found.items():
            self.values.setdefault(name, []).append(measure.value)
            self.floors.setdefault(name, []).append(math.nan if measure.floor is None else measure.floor)

    @property
    def last(self) -> str:
        """The set that was noted last, in words."""
        scores = [f"{name} {values[-1]:.4g}" for name, values in self.values.items()]
        return ", ".join([*scores, f"{self.seconds[-1]:.0f} s"])

    def about(self, name: str) -> tuple[float, float, float]:
        """Mean, deviation and mean floor of a number; NaN where there is none."""
        values, floors = self.values.get(name, [math.nan]), self.floors.get(name, [math.nan])
        return float(np.mean(values)), float(np.std(values, ddof=len(values) > 1)), float(np.mean(floors))


def floor_of(rows: Sequence[Row], name: str) -> float:
    """What data score, or a perfect sampler where the data's law is known; mean over all ways that have the number."""
    return float(np.nanmean([row.about(name)[2] for row in rows if name in row.values]))


def table(rows: Sequence[Row], names: Sequence[str]) -> str:
    """All rows as a table."""
    cells = [["samples by", "calls", *names]]
    for row in rows:
        known = [row.about(name) for name in names]
        cells.append(
            [
                row.kind,
                f"{row.calls:,}",
                *("none" if math.isnan(mean) else f"{mean:.4g} ± {around:.2g}" for mean, around, _ in known),
            ]
        )
    cells.append(["floor", "", *(f"{floor_of(rows, name):.4g}" for name in names)])
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths)) for line in cells)


def picture(rows: Sequence[Row], names: Sequence[str], out: Path) -> None:
    """A panel for each number, over calls."""
    figure = sheet(4.2 * len(names), 3.8)
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names):
        axes.axhline(floor_of(rows, name), color=SOFT, linestyle=":", linewidth=1)
        for kind in dict.fromkeys(row.kind for row in rows):
            colour = KINDS.get(kind, BESIDE)
            known = sorted((row.calls, *row.about(name)[:2]) for row in rows if row.kind == kind and name in row.values)
            if known:
                calls, means, around = zip(*known)
                axes.errorbar(calls, means, around, color=colour, marker="o", markersize=4, linewidth=1.2, label=kind)
        axes.set_xscale("log")
        if name in LOGARITHMIC:
            axes.set_yscale("log")
        clean(axes, name, "calls of a net for a sample")
        axes.grid(color=PALE, linewidth=0.6)
    figure.axes[0].legend(fontsize=7.5, frameon=False)
    save(figure, out)


def earlier(paths: Sequence[Path]) -> dict[tuple[str, int], Row]:
    """Rows of files that `--json` wrote; those of one way and as many calls are one."""
    rows = dict[tuple[str, int], Row]()
    for path in paths:
        for one in json.loads(path.read_text()):
            row = rows.setdefault((one["kind"], one["calls"]), Row(one["kind"], one["calls"]))
            for known, more in ((row.values, one["values"]), (row.floors, one["floors"])):
                for name, numbers in more.items():
                    known.setdefault(name, []).extend(numbers)
            row.seconds.extend(one["seconds"])
    return rows


def run(asked: argparse.Namespace) -> list[Row]:
    """Every way of every run, so many times."""
    rows = earlier(asked.more)
    named = NETWORKS[asked.features]() if asked.features else None
    for folder in [*asked.runs, *asked.beside]:
        experiment, run, notes = with_rows(folder, trust=tuple(asked.trust))
        features = named or experiment.features or RAW
        for note in notes:
            print(f"note: {folder}: {note}", file=sys.stderr)
        whole = run["step"] >= experiment.steps
        if not whole:
            print(f"note: {folder}: stopped at step {run['step']} of {experiment.steps}", file=sys.stderr)
        other = [Way(run["recipe"], calls_of(experiment.method), experiment.method)]
        for way in other if folder in asked.beside else ways(experiment.method, asked.published, whole):
            if asked.kinds and way.kind not in (*asked.kinds, run["recipe"]):
                continue
            one = replace(experiment, method=way.method)
            row = rows.setdefault((way.kind, way.calls), Row(way.kind, way.calls))
            for seed in range(asked.seeds):
                begun = time.process_time()
                labels = labels_for(one, asked.samples, stream(seed, "sample", part="labels"), None)
                x = first_of(one, asked.samples, stream(seed, "sample"), labels)
                row.note(measured(one, x, features), time.process_time() - begun)
                print(f"{folder}: {row.kind}, {row.calls:,} calls, set {seed}: {row.last}", file=sys.stderr, flush=True)
    return list(rows.values())


def main(words: Sequence[str] | None = None) -> None:
    """Draw, measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--more", nargs="+", type=Path, default=[], help="files of earlier calls' --json to add to")
    parser.add_argument("--seeds", type=int, default=3, help="sets of samples of each run in each way")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--features", choices=NETWORKS, help="network that compares images; the run's if left out")
    parser.add_argument("--beside", nargs="+", type=Path, default=[], help="runs of other methods, as they sample")
    parser.add_argument("--published", action="store_true", help="also 1,000 and 1,000 steps of Euler, as published")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="these ways alone")
    parser.add_argument("--trust", nargs="+", default=[], help="guests that may be imported")
    parser.add_argument("--out", type=Path, help="the picture, .png, .svg or .pdf")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    if asked.seeds < 1 or asked.samples < 2:
        parser.error(f"--seeds {asked.seeds} --samples {asked.samples}: give 1 and 2 at the least")
    if not (asked.runs or asked.beside or asked.more):
        parser.error("no run: give folders of runs, or files of earlier calls with --more")
    if asked.out is not None:
        check_out(asked.out)
    threads.use(1)
    rows = run(asked)
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    print(table(rows, names))
    if asked.out is not None:
        picture(rows, names, asked.out)
    if asked.json is not None:
        files.write(asked.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n", parents=True)


if __name__ == "__main__":
    main()
