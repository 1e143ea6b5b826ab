"""How often the two-sample tests reject: equal laws, where 5 % is right, and laws that differ, where more is better.

    python scripts/calibration.py null [--repeats 1000] [--only boosting] [--json]
    python scripts/calibration.py power [--repeats 100] [--only boosting] [--json] [--out docs/power.png]
    python scripts/calibration.py power --read forest.json others.json --out docs/power.png

`--read` draws what `--json` left, so that tests may be run side by side, or one of them anew.
Under the null, p-values of an exact test with B relabellings are uniform on 1/(B + 1), ..., 1; spread over their cells
they are uniform on [0, 1]. The picture needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from pushforward.geometry import imq
from pushforward.metrics.columns.by_column import column_laws
from pushforward.metrics.columns.by_pair import column_pairs
from pushforward.metrics.core.result import Measure
from pushforward.metrics.core.scale import fit_scale
from pushforward.metrics.two_sample.classifier import c2st
from pushforward.metrics.two_sample.classifiers import boosting, forest, logistic, nearest, network
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test
from pushforward.metrics.two_sample.kernel import energy_distance, mmd
from pushforward.metrics.two_sample.sliced_test import sliced_test
from pushforward.plain.fields import Field

Test = Callable[[Tensor, Tensor, int], Measure]
"""(q, p, seed) -> a measure with its p-value."""

Draw = Callable[[float, int], tuple[Tensor, Tensor]]
"""(strength of the difference, seed) -> q, p."""

PERMUTATIONS = 99


def _test(function: Callable[..., Measure], **options: object) -> Test:
    return lambda q, p, seed: function(q, p, permutations=PERMUTATIONS, seed=seed, **options)


CHEAP: dict[str, Test] = {
    "MMD, mean of lengths": _test(mmd),
    "MMD, aggregated": _test(mmd, bandwidth="aggregated"),
    "MMD, split": _test(mmd, bandwidth="split"),
    "MMD, multiquadric": _test(mmd, family=imq),
    "energy": _test(energy_distance),
    "sliced W1": _test(sliced_test, projections=32),
    "C2ST, logistic": _test(c2st, classifier=logistic),
    "C2ST, neighbours": _test(c2st, classifier=nearest),
    "C2ST, forest": _test(c2st, classifier=forest),
}
DEAR: dict[str, Test] = {
    "C2ST, network": _test(c2st, classifier=network),
    "C2ST, boosting": _test(c2st, classifier=boosting),
    "MMD, deep kernel": _test(deep_kernel_test),
}
ALL = CHEAP | DEAR
OF_TABLES: dict[str, Callable[..., Measure]] = {"columns": column_laws, "pairs": column_pairs}
"""Tests that read what each column is, as they come."""

SHARE = {"C2ST, network": 0.1, "MMD, deep kernel": 0.1}
"""Of the repetitions on equal laws, those of tests that learn for long."""
SEEN = {"C2ST, network": 0.3, "MMD, deep kernel": 0.3}
"""Of the repetitions on laws that differ."""

LOOKS = {
    "MMD, mean of lengths": ("#1f5fa8", "-"),
    "MMD, aggregated": ("#1f5fa8", "--"),
    "MMD, split": ("#1f5fa8", ":"),
    "MMD, multiquadric": ("#6fb1e0", "-"),
    "MMD, deep kernel": ("#6fb1e0", "--"),
    "energy": ("#2a8a57", "-"),
    "sliced W1": ("#2a8a57", "--"),
    "C2ST, logistic": ("#c8501e", "-"),
    "C2ST, neighbours": ("#c8501e", "--"),
    "C2ST, forest": ("#c8501e", ":"),
    "C2ST, network": ("#e8a13a", "-"),
    "C2ST, boosting": ("#e8a13a", "--"),
}
"""Colour and line of each test: blue for MMD, green for distances without a choice, orange for classifiers."""


class Level(NamedTuple):
    """What equal laws gave: the share of rejections at 5 % with its band, and the uniformity of the p-values."""

    rejected: float
    low: float
    high: float
    ks: float
    repeats: int
    milliseconds: float


def gaussians(n: int, m: int, dim: int, shift: float, seed: int) -> tuple[Tensor, Tensor]:
    """Standard normal samples, q moved by `shift` along each axis."""
    rng = np.random.default_rng([seed, n, m, dim])
    return torch.from_numpy(rng.standard_normal((n, dim)) + shift), torch.from_numpy(rng.standard_normal((m, dim)))


def rings(n: int, m: int, weight: float, seed: int, sigma: float = 0.2) -> tuple[Tensor, Tensor]:
    """Eight Gaussians on the unit circle; q gives the first of them `weight` and the others equal shares."""
    rng, shares = np.random.default_rng([seed, n, m]), np.full((2, 8), 1 / 8)
    shares[0] = [weight, *[(1 - weight) / 7] * 7]
    angles = [rng.choice(8, size, p=share) * (2 * np.pi / 8) for size, share in zip((n, m), shares)]
    centres = (np.stack([np.cos(angle), np.sin(angle)], 1) for angle in angles)
    q, p = (torch.from_numpy(centre + sigma * rng.standard_normal(centre.shape)) for centre in centres)
    return q, p


def cauchy(n: int, m: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three columns without a mean."""
    rng = np.random.default_rng([seed, n, m, 1])
    return torch.from_numpy(rng.standard_cauchy((n, 3))), torch.from_numpy(rng.standard_cauchy((m, 3)))


def counts(n: int, m: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two Poisson counts of mean 1, and a flag that one row in ten has: nearly every row ties with others."""
    rng = np.random.default_rng([seed, n, m, 2])
    q, p = (np.c_[rng.poisson(1, (size, 2)), rng.random(size) < 0.1] for size in (n, m))
    return torch.from_numpy(q), torch.from_numpy(p)


FIELDS = (
    Field("skew", (0,), missing=1),
    Field("whole", (2,)),
    Field("kind", (3, 4, 5, 6), "category", ("a", "b", "c", "d")),
)
"""What the coordinates of a `table` are."""


def table(n: int, m: int, seed: int) -> tuple[Tensor, Tensor]:
    """A skew number that depends on a category and is empty in one row of ten, a whole number, and the category."""
    rng = np.random.default_rng([seed, n, m, 3])
    kind = rng.choice(4, n + m, p=[0.5, 0.3, 0.15, 0.05])
    empty = rng.random(n + m) < 0.1
    skew = rng.lognormal(size=n + m) + kind
    skew[empty] = np.median(skew)
    whole = np.rint(2 * rng.standard_normal(n + m) + kind)
    rows = torch.from_numpy(np.c_[skew, empty / 2**0.5, whole, np.eye(4)[kind] / 2**0.5])
    return rows[:n], rows[n:]


LAWS: dict[str, tuple[Callable[[int], tuple[Tensor, Tensor]], tuple[Field, ...]]] = {
    "normal": (partial(gaussians, 50, 60, 5, 0.0), ()),
    "Cauchy": (partial(cauchy, 50, 60), ()),
    "counts": (partial(counts, 50, 60), ()),
    "table": (partial(table, 50, 60), FIELDS),
}
"""Two samples of one law, 50 and 60 rows, and what their columns are."""


def p_values(test: Test, draw: Callable[[int], tuple[Tensor, Tensor]], repeats: int) -> np.ndarray:
    """p-values of one test on independent pairs of samples."""
    return np.array([test(*draw(seed), seed).p for seed in range(repeats)], float)


def band(repeats: int, level: float = 0.05, coverage: float = 0.9973) -> tuple[float, float]:
    """Shares of rejections between which an exact test's falls with this probability."""
    low, high = stats.binom.interval(coverage, repeats, level)
    return float(low) / repeats, float(high) / repeats


def uniformity(p: np.ndarray, permutations: int = PERMUTATIONS) -> float:
    """Kolmogorov-Smirnov p-value of p-values spread over their cells, against the uniform law."""
    smooth = p - np.random.default_rng(0).uniform(0, 1 / (permutations + 1), len(p))
    return float(stats.kstest(smooth, "uniform").pvalue)


def level(test: Test, draw: Callable[[int], tuple[Tensor, Tensor]], repeats: int) -> Level:
    """One test on samples of one law."""
    start = time.process_time()
    p = p_values(test, draw, repeats)
    milliseconds = 1e3 * (time.process_time() - start) / repeats
    return Level(float((p <= 0.05).mean()), *band(repeats), uniformity(p), repeats, milliseconds)


def in_widths(draw: Callable[[int], tuple[Tensor, Tensor]], seed: int) -> tuple[Tensor, Tensor]:
    """Samples as an evaluation compares tables: in widths of the columns of both together."""
    q, p = draw(seed)
    scale = fit_scale(torch.cat([q, p]))
    return scale(q), scale(p)


def power(test: Test, draw: Draw, strengths: Sequence[float], repeats: int) -> list[float]:
    """Share of rejections at 5 % for each strength of a difference."""
    return [float((p_values(test, partial(draw, strength), repeats) <= 0.05).mean()) for strength in strengths]


EXPERIMENTS: dict[str, tuple[Draw, tuple[float, ...], str, str]] = {
    "shift": (
        lambda shift, seed: gaussians(50, 50, 5, shift, seed),
        (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
        "Moved Gaussian: 5 dimensions, 50 rows each",
        "shift along each axis, in standard deviations",
    ),
    "mode": (
        lambda missing, seed: rings(200, 200, (1 - missing) / 8, seed),
        (0.0, 0.25, 0.5, 0.75, 1.0),
        "One mode of a ring of eight too rare: 200 rows each",
        "missing share of that mode",
    ),
}


def null(tests: Sequence[str], repeats: int) -> dict[str, dict[str, Level]]:
    """The level of tests on every law."""
    found: dict[str, dict[str, Level]] = {}
    for name in tests:
        found[name] = {}
        for law, (draw, fields) in LAWS.items():
            print(f"{name}, {law}", file=sys.stderr, flush=True)
            if name in OF_TABLES:
                test = _test(OF_TABLES[name], fields=fields)
                found[name][law] = level(test, draw, repeats)
            else:
                times = max(1, round(repeats * SHARE.get(name, 1.0)))
                found[name][law] = level(ALL[name], partial(in_widths, draw), times)
    return found


def null_table(found: dict[str, dict[str, Level]]) -> list[str]:
    """Rejections at 5 %, with the p-value of uniformity, in Markdown."""
    rows = [f"| test | repetitions | exact in 99.7 % | {' | '.join(LAWS)} | ms |", "|---" * (4 + len(LAWS)) + "|"]
    for name, of in found.items():
        one, slowest = next(iter(of.values())), max(x.milliseconds for x in of.values())
        cells = [f"{100 * x.rejected:.1f} % ({x.ks:.2f})" for x in of.values()]
        exact = f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
        rows.append(f"| {name} | {one.repeats:,} | {exact} | {' | '.join(cells)} | {slowest:.0f} |")
    return rows


def powers(tests: Sequence[str], repeats: int) -> dict[str, dict[str, list[float]]]:
    """The power of tests in both experiments."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in tests:
        print(name, file=sys.stderr, flush=True)
        times = max(1, round(repeats * SEEN.get(name, 1.0)))
        found[name] = {key: power(ALL[name], draw, at, times) for key, (draw, at, _, _) in EXPERIMENTS.items()}
    return found


def _kept(files: Sequence[Path]) -> dict[str, dict[str, list[float]]]:
    """What earlier runs printed, of each test the last."""
    found: dict[str, dict[str, list[float]]] = {}
    for file in files:
        found |= json.loads(file.read_text())
    if missing := [name for name in ALL if name not in found]:
        raise SystemExit(f"--read: {', '.join(missing)} stand in none of {len(files)} files")
    return {name: found[name] for name in ALL}


def picture(found: dict[str, dict[str, list[float]]], out: Path) -> None:
    """Both experiments side by side, one line a test."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("agg")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for panel, (key, (_, at, title, along)) in zip(panels, EXPERIMENTS.items()):
        panel.axhline(0.05, color="0.6", linewidth=0.8)
        for name, (colour, line) in LOOKS.items():
            panel.plot(at, found[name][key], line, color=colour, label=name, marker=".", markersize=5, linewidth=1.4)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(along)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.02)
    panels[0].set_ylabel("share rejected at 5 %")
    panels[0].set_ylim(0, 1.02)
    panels[0].annotate("5 %", (1.0, 0.055), color="0.4", fontsize=8, ha="right")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=9)
    figure.savefig(out, dpi=100)


def main(words: Sequence[str] | None = None) -> None:
    """Run one of the two experiments and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("null", "power"))
    parser.add_argument("--repeats", type=int, help="pairs of samples; 1000 for null, 100 for power where omitted")
    parser.add_argument("--only", default="", metavar="NAME", help="tests whose name contains NAME")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE", help="JSON of tests to draw, run before")
    parser.add_argument("--out", type=Path, help="where to draw the power of all tests, a .png")
    chosen = parser.parse_args(words)
    torch.set_num_threads(1)
    every = [*ALL, *OF_TABLES] if chosen.what == "null" else [*ALL]
    tests = [name for name in every if chosen.only in name]
    if not tests or (chosen.out is not None and len(tests) < len(every)):
        parser.error(f"--only {chosen.only!r} leaves {tests}: of {', '.join(every)}; a picture needs all of them")
    if chosen.what == "null":
        levels = null(tests, chosen.repeats or 1000)
        rows = null_table(levels)
        found = {name: {law: one._asdict() for law, one in of.items()} for name, of in levels.items()}
    else:
        found = powers(tests, chosen.repeats or 100) if chosen.read is None else _kept(chosen.read)
        rows = [f"{k:22} {key:6}" + "".join(f"{share:6.2f}" for share in v[key]) for k, v in found.items() for key in v]
        if chosen.out is not None:
            picture(found, chosen.out)
    print(json.dumps(found, indent=1) if chosen.json else "\n".join(rows))


if __name__ == "__main__":
    main()
