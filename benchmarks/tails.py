"""`python -m benchmarks.tails`: how much of a heavy tail particles learn, of Student's t and of real data.

poster  t(0.5), 200 particles from N((10, 10), I): the divergence over time for KL, alpha = 2 and alpha = 10
hill    t(3), 10,000 particles from N(0, I): Hill's index of the result beside the target's
files   returns, losses and word counts: indices of start, result, training and held-out half; quantile plots
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported

import numpy as np
import torch

from pushforward.metrics.quality.tails import hill, quantile_band
from pushforward.recipes.tails import heavy_tails
from pushforward.report.figures.tails import draw_quantiles, draw_survival, tail_columns
from pushforward.types import HasParticles, able

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pushforward.training.experiment import Experiment

SHARE = 0.05
DIVERGENCES = {"KL": "KL_LIP", "α = 2": "alpha_lip(2)", "α = 10": "alpha_lip(10)"}
FILES = {
    "BMW and Siemens": "tail_bmw_siemens_logreturns.csv",
    "EU stock indices": "tail_eustock_logreturns.csv",
    "Danish fire": "tail_danish_fire.csv",
    "Moby Dick": "tail_moby_dick_word_counts.csv",
}
POSTER: dict[str, Any] = {
    "data": "toy:student(0.5)", "limit": 400, "test_fraction": 0.5, "particles": 200, "batch": 200, "start": 10.0,
    "critic_steps": 5, "steps": 1500, "step": 0.3, "step_end": 1.0,
}  # fmt: skip


def run(experiment: Experiment) -> list[float]:
    """All steps of an experiment; the divergence at each."""
    found = [
        logs["divergence"] for _, logs in zip(range(experiment.steps), experiment.method.learn(experiment.batches))
    ]
    return [float(value) for value in found]


def result(experiment: Experiment) -> np.ndarray:
    """The particles in data units, (n, d)."""
    method = experiment.method
    assert able(method, HasParticles)
    return experiment.data.decode(method.particles)


def poster(seeds: Sequence[int], out: Path, steps: float, mode: str) -> None:
    """Curves of the divergence, and how far the particles got."""
    print("\nt(0.5), 200 particles, T = 450; medians over seeds (least .. most)\n")
    print(
        "| critic | f | not finite | highest D, at t | D at t = 450 | radius q50 q90: target | result | KS per axis |"
    )
    print("|---|---|---|---|---|---|---|---|")
    curves = {name: poster_runs(mode, name, seeds, steps) for name in DIVERGENCES}
    draw_poster(curves, out)


def poster_runs(mode: str, name: str, seeds: Sequence[int], steps: float) -> np.ndarray:
    """One row of the table; the divergence at each step, (seeds, steps)."""
    runs, radii, gaps, lost = [], [], [], 0
    for seed in seeds:
        options = POSTER | {"steps": max(2, int(POSTER["steps"] * steps))}
        experiment = heavy_tails(divergence=DIVERGENCES[name], mode=mode, seed=seed, **options)
        runs.append(run(experiment))
        x, p = result(experiment), experiment.data.decode(experiment.data.train)
        lost += int(not (np.isfinite(runs[-1]).all() and np.isfinite(x).all()))
        radii.append([np.quantile(np.linalg.norm(y, axis=1), (0.5, 0.9)) for y in (p, x)])
        gaps.append(np.mean([kolmogorov(x[:, k], p[:, k]) for k in range(2)]))
    curve = np.array(runs)
    last, top, r = np.median(curve[:, -50:], axis=1), np.median(curve, 0), np.median(radii, 0)
    print(f"| {mode} | {name} | {lost} of {len(seeds)} | {top.max():.1f}, {POSTER['step'] * top.argmax():.1f} | "
          f"{np.median(last):.3f} ({last.min():.3f} .. {last.max():.3f}) | {r[0, 0]:.1f} {r[0, 1]:.0f} | "
          f"{r[1, 0]:.1f} {r[1, 1]:.0f} | {np.median(gaps):.2f} |", flush=True)  # fmt: skip
    return curve


def draw_poster(curves: Mapping[str, np.ndarray], out: Path) -> None:
    """Medians and bands over time."""

    def draw(axes: Sequence[Axes]) -> None:
        for (name, curve), colour in zip(curves.items(), ("#2a6fb0", "#d9822b", "#3a8f4d")):
            t = POSTER["step"] * np.arange(curve.shape[1])
            axes[0].fill_between(t, curve.min(0), curve.max(0), color=colour, alpha=0.2, linewidth=0)
            axes[0].plot(t, np.median(curve, 0), color=colour, linewidth=1, label=name)
        axes[0].set_yscale("log")
        axes[0].set_xlabel("time")
        axes[0].set_ylabel("divergence")
        axes[0].legend(frameon=False)

    picture(out / "heavy_tails.png", (1, 1), (5.2, 3.2), draw)


def kolmogorov(q: np.ndarray, p: np.ndarray) -> float:
    """Largest gap between two empirical distribution functions."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(q, p).statistic)  # pyright: ignore[reportAttributeAccessIssue]


def index(x: np.ndarray) -> tuple[float, float]:
    """Hill's index of the largest five per cent, and its error."""
    return hill(torch.from_numpy(np.ascontiguousarray(x)), SHARE)


def words(found: tuple[float, float]) -> str:
    """An index and its error."""
    return f"{found[0]:.2f} ± {found[1]:.2f}"


def hill_of_t3(seeds: Sequence[int], out: Path, steps: float) -> None:
    """Index of the radius of 10,000 particles under each divergence."""
    print("\nt(3), 10,000 particles, L = 1, T = 75: Hill's index of the radius, 500 largest\n")
    print("| f | seed | start | result | target | held out | result / target | q99.9: result | target |")
    print("|---|---|---|---|---|---|---|---|---|")
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    for name, divergence in DIVERGENCES.items():
        for seed in seeds if name == "KL" else seeds[:1]:
            options = {"limit": 20_000, "test_fraction": 0.5, "steps": max(2, int(600 * steps))}
            experiment = heavy_tails(divergence=divergence, seed=seed, **options)
            start = np.linalg.norm(result(experiment), axis=1)
            run(experiment)
            data = experiment.data
            rows = result(experiment), data.decode(data.train), data.decode(data.test)
            x, p, held = (np.linalg.norm(y, axis=1) for y in rows)
            found = [index(y) for y in (start, x, p, held)]
            far = [np.quantile(y, 0.999) for y in (x, p)]
            print(f"| {name} | {seed} | {' | '.join(map(words, found))} | {found[1][0] / found[2][0]:.3f} | "
                  f"{far[0]:.1f} | {far[1]:.1f} |", flush=True)  # fmt: skip
            shown.append((x, held))

    def draw(axes: Sequence[Axes]) -> None:
        x, held = shown[0]
        draw_survival(axes[0], {"particles": x, "held-out data": held}, SHARE)
        axes[0].set_xlabel("radius")
        draw_quantiles(axes[1], quantile_band(x, held))
        axes[1].set_xlabel("quantiles of held-out radii")
        axes[1].set_ylabel("of particles")

    picture(out / "tails_t3.png", (1, 2), (7.6, 2.9), draw)


def files(folder: Path, out: Path, steps: float) -> None:
    """Particles onto half of each file, judged by the other half."""
    panels: list[tuple[str, np.ndarray, np.ndarray]] = []
    print("\nFiles, 4,000 particles from N(0, I) in robust units, seed 0: Hill's index of the largest 5 %\n")
    print("| data | what | start | result | learned from | held out | farthest: result | learned from |")
    print("|---|---|---|---|---|---|---|---|")
    for name, file in FILES.items():
        if not (folder / file).exists():
            print(f"| {name} | {folder / file} is not there | | | | | | |")
            continue
        options = {"particles": 4000, "test_fraction": 0.5, "steps": max(2, int(600 * steps))}
        experiment = heavy_tails(data=str(folder / file), **options)
        start, data = result(experiment), experiment.data
        run(experiment)
        x, p, held = result(experiment), data.decode(data.train), data.decode(data.test)
        if (p == np.rint(p)).all():  # counts: particles stand for the nearest one
            start, x, p, held = (np.maximum(1, np.rint(y)) for y in (start, x, p, held))
        triples = [tail_columns(y, p) for y in (start, x, held)]
        labels = (*data.columns[: len(triples[0]) - 1], "length of a row") if len(data.columns) > 1 else data.columns
        for column, label in zip(triples[0], labels):
            values = [triples[0][column][0], triples[1][column][0], triples[1][column][1], triples[2][column][0]]
            far = " | ".join(f"{values[k].max():.3g}" for k in (1, 2))
            print(f"| {name} | {label} | {' | '.join(words(index(v)) for v in values)} | {far} |", flush=True)
        panels += [(f"{name}: {(*data.columns, 'x')[k]}", x[:, k], held[:, k]) for k in range(min(2, x.shape[1]))]
    if not panels:
        return

    def draw(axes: Sequence[Axes]) -> None:
        for ax, (name, x, held) in zip(axes, panels):
            draw_quantiles(ax, quantile_band(x, held))
            ax.set_title(name, fontsize=8)
            ax.tick_params(labelsize=7)

    picture(out / "tails_qq.png", (2, -(-len(panels) // 2)), (8.4, 5.0), draw)


def picture(
    path: Path, shape: tuple[int, int], size: tuple[float, float], draw: Callable[[Sequence[Axes]], None]
) -> None:
    """A PNG file of small pictures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.asarray(figure.subplots(*shape)).reshape(-1)
    draw(list(axes))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(f"\n{path}, {path.stat().st_size // 1000} kB")


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tails", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--only", default="", choices=("", "poster", "hill", "files"), help="one part")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PUSHFORWARD_DATA", "../shared/data")),
                        help="folder with the tail_*.csv files; others of the same names do")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for the pictures (default docs)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds from 0 on (default 5)")
    parser.add_argument("--critic", default="reference", choices=("reference", "spectral", "bjorck"),
                        help="bound of the critic in the part poster (default reference, as published)")  # fmt: skip
    parser.add_argument("--steps", type=float, default=1.0, help="share of the steps, for a quick look")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started, seeds = time.process_time(), list(range(options.seeds))
    parts: dict[str, Callable[[], None]] = {
        "poster": lambda: poster(seeds, options.out, options.steps, options.critic),
        "hill": lambda: hill_of_t3(seeds, options.out, options.steps),
        "files": lambda: files(options.data, options.out, options.steps),
    }
    for name, part in parts.items():
        if options.only in ("", name):
            before = time.process_time()
            part()
            print(f"{name}: {time.process_time() - before:.0f} s of CPU", flush=True)
    print(f"\ntorch {torch.__version__}, one thread, {time.process_time() - started:.0f} s of CPU in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
