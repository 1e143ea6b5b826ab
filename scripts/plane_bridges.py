"""The two-stage bridge on three data sets of the plane that bridges are published on.

    python scripts/plane_bridges.py                # five seeds, 10,000 samples of 20 calls; an hour on one core
    python scripts/plane_bridges.py --data moons --seeds 1 --samples 2000

Each run is `bridge_toy` on 100,000 fresh points, sampled in 20 calls of the net, 4 of stage 1 and 16 of stage 2. Its
distance is the exact W2 of so many samples to as many fresh points, and the floor is that of two fresh sets of points:
a model cannot be expected below it. Moons and the eight Gaussians are made as the published code makes them, the S
curve as scikit-learn does.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import make_s_curve

from pushforward.methods.bridges.two_stages import Bridge
from pushforward.metrics.quality.transport import wasserstein
from pushforward.parallel import threads
from pushforward.randomness import generator, stream, word
from pushforward.recipes.bridges import bridge_toy
from pushforward.training.asking import first_of
from pushforward.training.loop import train

Rows = np.ndarray
PUBLISHED = {"moons": (0.111, "OT-CFM"), "scurve": (0.102, "OT-CFM"), "8gaussians": (0.253, "OT-CFM")}
FIRST, SECOND = 4, 16  # calls of the net in each stage


def moons(n: int, rng: np.random.Generator) -> Rows:
    """Half circles of radius 3, each point moved along the diagonal by a number between 0 and 0.6."""
    angle, inner = math.pi * rng.random(n), rng.random(n) < 0.5
    x = np.where(inner, 1 - np.cos(angle), np.cos(angle))
    y = np.where(inner, 0.5 - np.sin(angle), np.sin(angle))
    return 3 * (np.stack([x, y], 1) + 0.2 * rng.random((n, 1))) - 1


def gaussians(n: int, rng: np.random.Generator) -> Rows:
    """Eight normal laws around a circle of radius 5, of variance sqrt(0.1) in each direction."""
    angle = rng.integers(8, size=n) * math.pi / 4
    return 5 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1**0.25 * rng.standard_normal((n, 2))


def scurve(n: int, rng: np.random.Generator) -> Rows:
    """The profile of scikit-learn's S curve with noise of 0.05."""
    points, _ = make_s_curve(n, noise=0.05, random_state=int(rng.integers(2**31)))
    return points[:, [0, 2]]


DATA: dict[str, Callable[[int, np.random.Generator], Rows]] = {
    "moons": moons,
    "scurve": scurve,
    "8gaussians": gaussians,
}


def trained(name: str, seed: int, steps: int, samples: int) -> tuple[Rows, float]:
    """Samples of a run in data units, and the seconds of processor time that it learned for."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.npz"
        np.savez(path, x=DATA[name](110_000, generator(seed, "data", part=name)).astype(np.float32))
        experiment = bridge_toy(data=f"{path}:x", steps=steps, seed=seed)
        begun = time.process_time()
        for _ in train(experiment):
            pass
        spent = time.process_time() - begun
        method = experiment.method
        assert isinstance(method, Bridge)
        method.sampling = replace(method.sampling, first_steps=FIRST, second_steps=SECOND)
        return experiment.data.decode(first_of(experiment, samples, stream(seed, "sample"))), spent


def main(words: Sequence[str] | None = None) -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    threads.use(1)
    found = []
    for name in asked.data:
        for seed in range(asked.seeds):
            q, spent = trained(name, seed, asked.steps, asked.samples)
            rng = np.random.default_rng(word(seed, "evaluate", part=name))
            p, other = (DATA[name](asked.samples, rng) for _ in range(2))
            row = {
                "data": name,
                "seed": seed,
                "w2": wasserstein(q, p),
                "floor": wasserstein(other, p),
                "seconds": spent,
            }
            found.append(row)
            print(f"{name:11} seed {seed}: W2 {row['w2']:.3f}, floor {row['floor']:.3f}, {spent:.0f} s", flush=True)
        mine = [row for row in found if row["data"] == name]
        (mean, spread), (floor, around) = (
            (np.mean([row[key] for row in mine]), np.std([row[key] for row in mine], ddof=min(1, len(mine) - 1)))
            for key in ("w2", "floor")
        )
        best, who = PUBLISHED[name]
        print(
            f"{name:11} W2 {mean:.3f} ± {spread:.3f}, floor {floor:.3f} ± {around:.3f}; best published {best} ({who})"
        )
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
