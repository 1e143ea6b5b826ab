"""`python -m benchmarks.densities`: log-likelihoods of held-out rows at equal CPU time, and outliers that are planted.

ours      the recipe density_table as it comes
zuko      zuko's NSF(transforms=3, hidden_features=(128, 128)), standardised, Adam at 1e-3, batches of 256
mixture   scikit-learn's GaussianMixture with full covariances, its number of components chosen on the validation part

Duplicates are dropped before the split into 80, 10 and 10 %. Rounded columns get uniform noise as wide as a step: anew
in each batch of ours and of zuko's, once in the rows of the mixture, and the same for all in the rows that are judged.
All have as much CPU time as ours took, on one thread; the mixture's includes all numbers of components that were tried,
and the next one is not begun where it would not be done in time.
One in a hundred of the rows that are judged for outliers has each of its numbers from another held-out row: right
columns, wrong together. Beside log densities stands scikit-learn's IsolationForest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported

import numpy as np
import torch
import zuko
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score
from sklearn.mixture import GaussianMixture
from torch import Tensor

from pushforward.data.columns.cells import cells
from pushforward.densities.laws import Law
from pushforward.methods.density import MaximumLikelihood
from pushforward.recipes import RECIPES

Array = NDArray[np.float64]
LogDensity = Callable[[Array], Array]

COMPONENTS = (10, 20, 40, 80, 160, 320)
PLANTED = 0.01


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a table without duplicates, split by a seed.

    Attributes:
        train: Rows to learn from, (n, d).
        validation: Rows to choose by, with noise.
        test: Rows to be judged by, with noise.
        cells: Width of the cells that columns were rounded to, (d,); 0 for none.
    """

    train: Array
    validation: Array
    test: Array
    cells: Array

    @staticmethod
    def of(path: Path, key: str, seed: int) -> Table:
        """An array of an .npz file."""
        x = np.unique(np.asarray(np.load(path)[key], np.float64), axis=0)
        rng = np.random.default_rng(seed)
        x, widths, tenth = rng.permutation(x), cells(x), len(x) // 10

        def spread(rows: Array) -> Array:
            return rows + widths * (rng.random(rows.shape) - 0.5)

        return Table(x[2 * tenth :], spread(x[tenth : 2 * tenth]), spread(x[:tenth]), widths)

    def outliers(self, seed: int) -> tuple[Array, NDArray[np.bool_]]:
        """The test rows with planted ones among them, and which these are."""
        count = max(1, round(PLANTED / (1 - PLANTED) * len(self.test)))
        rng = np.random.default_rng(1000 + seed)
        odd = rng.permuted(self.test, axis=0)[:count]
        return np.concatenate([self.test, odd]), np.arange(len(self.test) + count) >= len(self.test)


@dataclass(frozen=True)
class Fit:
    """What was learned: its log density, and the CPU seconds that it took."""

    name: str
    density: LogDensity
    seconds: float
    note: str = ""


def ours(table: Table, seed: int, options: dict[str, Any]) -> Fit:
    """The recipe as it comes."""
    began = time.process_time()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "table.npz"
        np.savez(file, x_train=table.train, x_test=table.validation)
        experiment = RECIPES["density_table"](data=f"{file}:x_train", seed=seed, **options)
    for _ in zip(range(experiment.steps), experiment.method.learn(experiment.batches)):
        pass
    method, data = experiment.method, experiment.data
    assert isinstance(method, MaximumLikelihood)
    seconds, law = time.process_time() - began, method.law.sampler
    assert isinstance(law, Law)
    return Fit("ours", in_blocks(law.log_prob, data.encode, data.log_volume), seconds)


def plain(table: Table, seed: int, seconds: float, batch: int) -> Fit:
    """A flow of zuko, trained in the plain way for so long."""
    torch.manual_seed(seed)
    mean, scale = table.train.mean(0), table.train.std(0)
    x = torch.from_numpy((table.train - mean) / scale).float()
    widths = torch.from_numpy(table.cells / scale).float()
    flow = zuko.flows.NSF(x.shape[1], transforms=3, hidden_features=(128, 128))
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
    began, updates = time.process_time(), 0
    while time.process_time() - began < seconds:
        for rows in torch.randperm(len(x)).split(batch)[:100]:
            noisy = x[rows] + widths * (torch.rand(len(rows), x.shape[1]) - 0.5)
            loss = -flow().log_prob(noisy).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            updates += 1
    seconds = time.process_time() - began
    answer = in_blocks(
        lambda z: flow().log_prob(z), lambda rows: torch.from_numpy((rows - mean) / scale).float(),
        -float(np.log(scale).sum()),
    )  # fmt: skip
    return Fit("zuko", answer, seconds, f"{updates} updates")


def mixture(table: Table, seed: int, seconds: float) -> Fit:
    """The mixture whose components suit the validation part best, of those that there is time to try."""
    rng, began = np.random.default_rng(2000 + seed), time.process_time()
    mean, scale = table.train.mean(0), table.train.std(0)
    x = (table.train + table.cells * (rng.random(table.train.shape) - 0.5) - mean) / scale
    volume, found, last = -float(np.log(scale).sum()), list[tuple[float, int, GaussianMixture]](), 0.0
    for k in COMPONENTS:
        spent = time.process_time() - began
        if found and spent + 2.5 * last > seconds:
            break
        model = GaussianMixture(k, random_state=seed, max_iter=300).fit(x)
        found.append((float(model.score((table.validation - mean) / scale)), k, model))
        last = time.process_time() - began - spent
    _, k, best = max(found, key=lambda one: one[0])
    answer: LogDensity = lambda rows: best.score_samples((rows - mean) / scale) + volume  # noqa: E731
    return Fit("mixture", answer, time.process_time() - began, f"{k} components, tried {[one[1] for one in found]}")


def in_blocks(density: Callable[[Tensor], Tensor], encode: Callable[[Array], Tensor], volume: float) -> LogDensity:
    """A density of model units as one of data units."""

    def answer(x: Array) -> Array:
        with torch.no_grad():
            return (
                np.concatenate(
                    [density(encode(part)).double().numpy() for part in np.array_split(x, 1 + len(x) // 1000)]
                )
                + volume
            )

    return answer


def judged(table: Table, seed: int, fit: Fit) -> dict[str, Any]:
    """One row of the table."""
    rows, planted = table.outliers(seed)
    held = fit.density(table.test)
    return {
        "seed": seed, "model": fit.name, "test": float(held.mean()), "se": float(held.std() / len(held) ** 0.5),
        "validation": float(fit.density(table.validation).mean()), "median": float(np.median(held)),
        "ap": float(average_precision_score(planted, -fit.density(rows))), "seconds": fit.seconds, "note": fit.note,
    }  # fmt: skip


def forest(table: Table, seed: int) -> dict[str, Any]:
    """What an isolation forest finds."""
    rows, planted = table.outliers(seed)
    began = time.process_time()
    model = IsolationForest(random_state=seed).fit(table.train)
    seconds = time.process_time() - began
    ap = float(average_precision_score(planted, -model.score_samples(rows)))
    return {"seed": seed, "model": "isolation forest", "ap": ap, "seconds": seconds}


def shown(row: dict[str, Any]) -> str:
    """A row as Markdown."""
    nats = (
        f"{row['test']:.3f} ± {row['se']:.3f} | {row['validation']:.3f} | {row['median']:.3f}"
        if "test" in row
        else "| |"
    )
    return (
        f"| {row['seed']} | {row['model']} | {nats} | {row['ap']:.3f} | {row['seconds']:.0f} | {row.get('note', '')} |"
    )


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.densities", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    folder = Path(os.environ.get("PUSHFORWARD_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=folder / "tab_diamonds.npz", help="an .npz file with a table")
    parser.add_argument("--key", default="num", help="its array (default num)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds from 0 on (default 3)")
    parser.add_argument(
        "--steps", type=int, default=None, help="steps of ours, for a quick look; what it has if left out"
    )
    parser.add_argument("--batch", type=int, default=256, help="rows of a batch of zuko's (default 256)")
    parser.add_argument("--json", type=Path, default=None, help="file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    more: dict[str, Any] = {} if options.steps is None else {"steps": options.steps}
    rows = list[dict[str, Any]]()
    print("| seed | model | test, nats a row | validation | median | AP of outliers | CPU s | |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in range(options.seeds):
        table = Table.of(options.data, options.key, seed)
        mine = ours(table, seed, more)
        fits = [
            mine,
            plain(table, seed, mine.seconds, options.batch),
            mixture(table, seed, mine.seconds),
        ]
        for row in (*(judged(table, seed, fit) for fit in fits), forest(table, seed)):
            rows.append(row)
            print(shown(row), flush=True)
    for name in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == name]
        means = {key: np.mean([row[key] for row in mine]) for key in ("test", "ap", "seconds") if key in mine[0]}
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
