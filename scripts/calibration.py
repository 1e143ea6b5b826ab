"""How often the two-sample tests reject: equal laws, where 5 % is right, and laws that differ, where more is better.

    python scripts/calibration.py null [--repeats 1000] [--json]
    python scripts/calibration.py power [--repeats 200] [--json] [--out docs/power.png]

Under the null, p-values of an exact test with B relabellings are uniform on 1/(B + 1), ..., 1; spread over their cells
they are uniform on [0, 1]. The picture needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from pushforward.geometry import imq
from pushforward.metrics.core.result import Measure
from pushforward.metrics.two_sample.classifier import boosting, c2st, logistic, nearest, network
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test
from pushforward.metrics.two_sample.kernel import energy_distance, mmd
from pushforward.metrics.two_sample.sliced_test import sliced_test

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
}
DEAR: dict[str, Test] = {
    "C2ST, network": _test(c2st, classifier=network),
    "C2ST, boosting": _test(c2st, classifier=boosting),
    "MMD, deep kernel": _test(deep_kernel_test),
}
ALL = CHEAP | DEAR
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
    seconds: float


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


def level(test: Test, repeats: int) -> Level:
    """One test on samples of 50 and 60 rows of one Gaussian law in five dimensions."""
    start = time.process_time()
    p = p_values(test, partial(gaussians, 50, 60, 5, 0.0), repeats)
    seconds = (time.process_time() - start) / repeats
    return Level(float((p <= 0.05).mean()), *band(repeats), uniformity(p), seconds)


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


def null(repeats: int) -> dict[str, dict[str, float]]:
    """The level of every test."""
    return {name: level(test, repeats)._asdict() for name, test in _told(ALL)}


def powers(repeats: int) -> dict[str, dict[str, list[float]]]:
    """The power of every test drawn, in both experiments."""
    return {
        name: {key: power(test, draw, at, repeats) for key, (draw, at, _, _) in EXPERIMENTS.items()}
        for name, test in _told(ALL)
    }


def picture(found: dict[str, dict[str, list[float]]], out: Path, repeats: int) -> None:
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
    panels[0].set_ylabel(f"rejections at 5 %, of {repeats}")
    panels[0].set_ylim(0, 1.02)
    panels[0].annotate("5 %", (1.0, 0.055), color="0.4", fontsize=8, ha="right")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False, fontsize=9)
    figure.savefig(out, dpi=100)


def main(words: Sequence[str] | None = None) -> None:
    """Run one of the two experiments and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("null", "power"))
    parser.add_argument("--repeats", type=int, help="pairs of samples; 1000 for null, 200 for power where omitted")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, help="where to draw the power, a .png")
    chosen = parser.parse_args(words)
    torch.set_num_threads(1)
    if chosen.what == "null":
        found = null(chosen.repeats or 1000)
        rows = [f"{k:22} {v['rejected']:.3f} in [{v['low']:.3f}, {v['high']:.3f}], uniform p {v['ks']:.2f}, "
                f"{1e3 * v['seconds']:.1f} ms" for k, v in found.items()]  # fmt: skip
    else:
        repeats = chosen.repeats or 200
        found = powers(repeats)
        rows = [f"{k:22} {key:6}" + "".join(f"{share:6.2f}" for share in v[key]) for k, v in found.items() for key in v]
        if chosen.out is not None:
            picture(found, chosen.out, repeats)
    print(json.dumps(found, indent=1) if chosen.json else "\n".join(rows))


def _told(tests: dict[str, Test]) -> Iterator[tuple[str, Test]]:
    for name, test in tests.items():
        print(name, file=sys.stderr, flush=True)
        yield name, test


if __name__ == "__main__":
    main()
