"""Merging beside its peers: real batches, and one that no location and scale per class can undo.

    python -m benchmarks.merging --data FOLDER [--only pbmc|cytof|warp] [--seeds 2] [--json]

FOLDER holds pbmc_3batch.npz and cytof_person1.npz. Harmony is shown where harmonypy is installed
(pip install harmonypy); ComBat is written out here. Methods that see labels are marked, and must not be
ranked against those that do not.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.merging import merge_arrays
from pushforward.merging.codes import principal_axes
from pushforward.merging.numbers.distances import distances
from pushforward.metrics.integration.table import integration, split_floor, total
from pushforward.metrics.quality.transport import wasserstein

Array = NDArray[Any]

SHOWN = ("ilisi", "kbet", "kbet_label", "bras", "pcr", "clisi", "asw_label", "connectivity", "nmi", "ari", "transfer")


@dataclass(frozen=True)
class Case:
    """A representation with batches and classes; of a known law also held-out cells of the reference."""

    name: str
    x: Array
    batch: Array
    labels: Array
    reference: str
    held: tuple[Array, Array] | None = None


def pbmc(folder: Path, dims: int = 20) -> Case:
    """1,200 blood cells of three chemistries along principal components, onto 5p."""
    from scipy.sparse import csr_matrix

    found = np.load(folder / "pbmc_3batch.npz")
    shape = tuple(map(int, found["shape"]))
    x = csr_matrix((found["data"], found["indices"].astype(np.int64), found["indptr"]), shape=shape)
    names = found["batch_names"][found["batch"]]
    return Case(
        "pbmc", principal_axes(x, dims).encode(x), names, found["cell_type_broad_names"][found["cell_type_broad"]], "5p"
    )


def cytof(folder: Path) -> Case:
    """6,784 blood cells by 25 markers of two days, day 2 onto day 1."""
    found = np.load(folder / "cytof_person1.npz")
    x = np.log1p(found["x"]).astype(np.float64)
    return Case("cytof", x, found["batch_names"][found["batch"]], found["cd8"].astype(str), "day1")


def warp(seed: int = 0, n: int = 800) -> Case:
    """Three classes in five dimensions, each bent by a map of its own; means and standard deviations stay.

    Within a class u and v are independent normal numbers; the other batch has u and (v + c (u² - 1)) / sqrt(1 + 2c²) of
    the same means and variances, c of a sign of the class, so that matching these per class has nothing to do.
    """
    rng = np.random.default_rng(seed)
    labels, part = rng.integers(0, 3, 3 * n), np.repeat(["old", "new", "held"], n)
    x = rng.standard_normal((3 * n, 5)) * np.array([0.5, 0.5, 0.5, 1, 1])
    c = np.array([2.0, -2.0, 2.0])[labels]
    bent = (x[:, 4] + c * (x[:, 3] ** 2 - 1)) / np.sqrt(1 + 2 * c**2)
    x[:, 4] = np.where(part == "new", bent, x[:, 4]) + 3.0 * labels
    seen, held = part != "held", part == "held"
    return Case("warp", x[seen], part[seen], labels[seen].astype(str), "old", (x[held], labels[held].astype(str)))


def off(case: Case, x: Array, mine: NDArray[np.bool_]) -> float:
    """Mean over the classes of W2 from some cells to held-out cells of the reference's law, which nothing saw."""
    assert case.held is not None
    held, labels = case.held
    found = []
    for label in np.unique(labels):
        q, p = x[mine & (case.labels == label)], held[labels == label]
        size = min(len(q), len(p))
        found.append(wasserstein(torch.from_numpy(q[:size].copy()), torch.from_numpy(p[:size].copy())))
    return float(np.mean(found))


def matched(case: Case, seed: int) -> Array:
    """Mean and standard deviation of each class and column matched to the reference's."""
    out = case.x.copy()
    for name in np.unique(case.batch[case.batch != case.reference]):
        for label in np.unique(case.labels):
            mine = (case.batch == name) & (case.labels == label)
            theirs = (case.batch == case.reference) & (case.labels == label)
            if min(mine.sum(), theirs.sum()) > 1:
                a, b = case.x[mine], case.x[theirs]
                out[mine] = (a - a.mean(0)) / np.maximum(a.std(0), 1e-12) * b.std(0) + b.mean(0)
    return out


def combat(case: Case, seed: int) -> Array:
    """Location and scale of each batch and column, shrunk towards their mean over columns (parametric ComBat).

    References:
        Adjusting batch effects in microarray expression data using empirical Bayes methods (Johnson et al., 2007).
    """
    names = np.unique(case.batch)
    mean = case.x.mean(0)
    spread = np.sqrt(
        sum(((case.x[case.batch == b] - case.x[case.batch == b].mean(0)) ** 2).sum(0) for b in names) / len(case.x)
    )
    z, out = (case.x - mean) / spread, np.empty_like(case.x)
    for name in names:
        mine = case.batch == name
        part, n = z[mine], int(mine.sum())
        gamma, delta = part.mean(0), part.var(0, ddof=1)
        centre, width = gamma.mean(), gamma.var(ddof=1)
        shape = (2 * delta.var(ddof=1) + delta.mean() ** 2) / delta.var(ddof=1)
        rate = (delta.mean() * delta.var(ddof=1) + delta.mean() ** 3) / delta.var(ddof=1)
        g, d = gamma, delta
        for _ in range(100):
            g = (n * width * gamma + d * centre) / (n * width + d)
            d = (rate + 0.5 * ((part - g) ** 2).sum(0)) / (n / 2 + shape - 1)
        out[mine] = (part - g) / np.sqrt(d)
    return out * spread + mean


def harmony(case: Case, seed: int) -> Array:
    """Harmony with its defaults."""
    import harmonypy  # pyright: ignore[reportMissingImports]
    import pandas

    made = harmonypy.run_harmony(
        case.x, pandas.DataFrame({"batch": case.batch}), ["batch"], random_state=seed, verbose=False
    )
    z = np.asarray(made.Z_corr)
    return z if len(z) == len(case.x) else z.T


def ours(mode: Any) -> Callable[[Case, int], Array]:
    """`merge_arrays` with its defaults."""

    def method(case: Case, seed: int) -> Array:
        labels = None if mode == "unconditional" else case.labels
        return merge_arrays(
            case.x,
            case.batch,
            reference=case.reference,
            labels=labels,
            mode=mode,
            scarce="carry",
            scores=False,
            seed=seed,
        ).x

    return method


METHODS: dict[str, tuple[bool, Callable[[Case, int], Array]]] = {
    "none": (False, lambda case, seed: case.x),
    "Harmony": (False, harmony),
    "ComBat": (False, combat),
    "ours, unconditional": (False, ours("unconditional")),
    "location-scale per class": (True, matched),
    "ours, per class": (True, ours("per_class")),
    "ours, conditional": (True, ours("conditional")),
}


def measure(case: Case, seeds: int) -> list[dict[str, Any]]:
    """One row for each method and seed, and the floor."""
    staying = case.batch == case.reference
    shares = [float((case.batch == name).mean()) for name in (case.reference, *np.unique(case.batch[~staying]))]
    floor = split_floor(case.x[staying], case.labels[staying], shares)
    table: list[dict[str, Any]] = [{"case": case.name, "method": "floor: parts of the target", **floor}]
    scale = float(np.sqrt(np.var(case.x, axis=0).mean()))
    for name, (uses, method) in METHODS.items():
        for seed in range(seeds if name.startswith("ours") else 1):
            start = time.process_time()
            try:
                x = method(case, seed)
            except ImportError:
                continue
            seconds = time.process_time() - start
            scores = integration(x, case.batch, case.labels, before=case.x, reference=case.reference)
            row = {"case": case.name, "method": name, "labels": uses, "seed": seed, "cpu_s": seconds, **scores}
            row["total"] = total(scores)
            moved = distances(case.x[~staying] / scale, x[~staying] / scale, x[staying] / scale)
            table[0] |= {"w2": moved["w2_split"]}
            table[0] |= {"held": off(case, case.x, staying)} if case.held is not None else {}
            row["w2"] = moved["w2_after"]
            if case.held is not None:
                row["held"] = off(case, x, ~staying)
            table.append(row)
            print(_line(row), flush=True)
    print(_line(table[0]), flush=True)
    return table


def _line(row: dict[str, Any]) -> str:
    numbers = "".join(f"{row[name]:7.3f}" if name in row else " " * 7 for name in (*SHOWN, "total", "w2", "held"))
    marked = "labels" if row.get("labels") else ""
    return f"{row['case']:6} {row['method']:27}{marked:7}{row.get('seed', ''):>3}{numbers}{row.get('cpu_s', 0.0):8.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--only", choices=("pbmc", "cytof", "warp"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    cases: dict[str, Callable[[], Case]] = {"warp": warp}
    if wanted.data is not None:
        cases |= {"pbmc": lambda: pbmc(wanted.data), "cytof": lambda: cytof(wanted.data)}
    print(" " * 44 + "".join(f"{name[:6]:>7}" for name in (*SHOWN, "total", "w2", "held")) + "   cpu s")
    rows = [row for name, make in cases.items() if wanted.only in (None, name) for row in measure(make(), wanted.seeds)]
    if wanted.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
