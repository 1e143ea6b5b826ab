"""How many copies are seen, and how many models that copy nothing are accused; prints what docs/evaluation.md says.

python scripts/copies.py seen            # 20 samples a cell, about ten minutes on one core
python scripts/copies.py accused         # 200 samples a cell, about an hour
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits

from pushforward.metrics.copying.findings import found
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.networks.digits8 import digits8

Array = np.ndarray
Rng = np.random.Generator
SIZES = (300, 300, 600)  # samples, held-out and training rows


def levels(n: int, rng: Rng) -> Array:
    """Six columns of six levels that depend on each other."""
    return np.floor((0.8 * (rng.normal(size=(n, 1)) + rng.normal(size=(n, 6)))).clip(-2.4, 2.4))


def mixed(n: int, rng: Rng) -> Array:
    """A skew column, one that depends on a category of four, and its levels."""
    kind = rng.integers(0, 4, n)
    return np.c_[rng.lognormal(size=n), rng.normal(size=n) + kind, np.eye(4)[kind] / 2**0.5]


def ring(n: int, rng: Rng) -> Array:
    """Eight narrow modes."""
    angle = np.pi / 4 * rng.integers(0, 8, n)
    return 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.normal(size=(n, 2))


def digits(n: int, rng: Rng) -> Array:
    """Rows of the 1,797 digits in an order of their own; three draws in a row would overlap, so all come at once."""
    pixels, _ = load_digits(return_X_y=True)
    return (pixels / 8 - 1)[rng.permutation(1797)[:n]]


LAWS: dict[str, Callable[[int, Rng], Array]] = {
    "points, 2 columns": lambda n, rng: rng.normal(size=(n, 2)),
    "points, 4 columns": lambda n, rng: rng.normal(size=(n, 4)),
    "points, 16 columns": lambda n, rng: rng.normal(size=(n, 16)),
    "points of one decimal, 4 columns": lambda n, rng: np.round(rng.normal(size=(n, 4)), 1),
    "table, mixed": mixed,
    "table of levels": levels,
    "digits, pixels": digits,
    "digits, digits8": digits,
    "ring of 8 modes": ring,
    "Student t, 2 degrees": lambda n, rng: rng.standard_t(2, (n, 4)),
}

MODELS: dict[str, Callable[[Array, Rng], Array]] = {
    "fresh samples": lambda x, rng: x,
    "half as wide": lambda x, rng: np.median(x, 0) + 0.5 * (x - np.median(x, 0)),
    "five times as wide": lambda x, rng: np.median(x, 0) + 5 * (x - np.median(x, 0)),
    "far off": lambda x, rng: x + 20,
    "columns shuffled": lambda x, rng: np.stack([rng.permutation(column) for column in x.T], 1),
    "normal fit": lambda x, rng: rng.multivariate_normal(x.mean(0), np.cov(x.T) + 1e-9 * np.eye(x.shape[1]), len(x)),
}


def drawn(law: str, rng: Rng) -> list[Array]:
    """Samples, held-out and training rows of one law, apart."""
    return np.split(LAWS[law](sum(SIZES), rng), np.cumsum(SIZES)[:2])


def names(law: str, q: Array, p: Array, t: Array, seed: int) -> set[str]:
    """What is found."""
    x = [torch.from_numpy(np.ascontiguousarray(part)) for part in (q, p, t)]
    if law.startswith("digits"):
        x = [part.clamp(-1, 1).float().reshape(-1, 1, 8, 8) for part in x]
    space = digits8() if law == "digits, digits8" else RAW
    return {one.name for one in found(memorisation(x[0], x[1], x[2], space, seed=seed))}


def seen(repeats: int) -> None:
    """Samples of `repeats` in which copies are warned of, by the share of copies and their distance from the rows."""
    shares = (0.0, 0.02, 0.05, 0.1, 1.0)
    print("| data | copies moved by | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    print("|---" * (len(shares) + 2) + "|")
    for law in list(LAWS)[:8]:
        for noise in (0.0, 0.05, 0.3):
            counts = [sum(_warned(law, share, noise, seed) for seed in range(repeats)) for share in shares]
            print(f"| {law} | {noise or 'nothing'} | " + " | ".join(map(str, counts)) + " |", flush=True)


def _warned(law: str, share: float, noise: float, seed: int) -> bool:
    rng = np.random.default_rng([seed, round(100 * share)])
    q, p, t = drawn(law, rng)
    count = round(share * len(q))
    q = q.copy()
    q[:count] = t[rng.permutation(len(t))[:count]]
    if noise:
        move = rng.normal(size=(count, q.shape[1]))
        usual = float(np.median(nearest(p, t)[0]))
        q[:count] += noise * usual * move / np.linalg.norm(move, axis=1, keepdims=True)
    return "copies" in names(law, q, p, t, seed)


def accused(repeats: int) -> None:
    """Models of `repeats` that are accused though they know no row; in brackets where held-out rows are moved."""
    print("| data | " + " | ".join(MODELS) + " |")
    print("|---" * (len(MODELS) + 1) + "|")
    for law in LAWS:
        cells: list[str] = []
        for k, model in enumerate(MODELS.values()):
            counts = [0, 0]
            for seed in range(repeats):
                rng = np.random.default_rng([seed, 1000 + k])
                x, p, t = drawn(law, rng)
                q = model(x, rng)
                counts[0] += "copies" in names(law, q, p, t, seed)
                if seed < repeats // 4:
                    counts[1] += "copies" in names(law, q, p + p.std(0), t, seed)
            cells.append(f"{counts[0]} ({counts[1]})")
        print(f"| {law} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("seen", "accused"))
    parser.add_argument("--repeats", type=int)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.what == "seen":
        seen(asked.repeats or 20)
    else:
        accused(asked.repeats or 200)
