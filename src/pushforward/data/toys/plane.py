"""Toys in two or three dimensions: functions and mixtures that draw n points from a generator."""

import math
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.data.dataset import Dataset, Split, fingerprint
from pushforward.data.toys.shapes import four_modes, normal, sierpinski, sierpinski3, swiss_roll3
from pushforward.data.units import Unit, standardise
from pushforward.densities import student
from pushforward.densities.mixture import Mixture, Rng, numpy_rng
from pushforward.densities.support import Board, Carpet, Support
from pushforward.errors import UsageError, meant

__all__ = [
    "NAMES",
    "Mixture",
    "checkerboard",
    "circles",
    "four_modes",
    "gaussian",
    "gaussians2",
    "gaussians4",
    "grid25",
    "grid25_turned",
    "load",
    "mixture2",
    "mixture_skewed",
    "moons",
    "normal",
    "pinwheel",
    "ring8",
    "s_curve",
    "sierpinski",
    "sierpinski3",
    "swiss_roll",
    "swiss_roll3",
    "two_spirals",
]

NAMES = (
    "ring8",
    "grid25",
    "grid25_turned",
    "gaussian",
    "gaussians2",
    "gaussians4",
    "mixture2",
    "mixture_skewed",
    "moons",
    "circles",
    "swiss_roll",
    "s_curve",
    "two_spirals",
    "checkerboard",
    "pinwheel",
    "normal",
    "four_modes",
    "swiss_roll3",
    "sierpinski",
    "sierpinski3",
)

SUPPORTS: dict[str, Support] = {"sierpinski": Carpet(), "sierpinski3": Carpet(), "checkerboard": Board()}

# Eight modes of standard deviation 0.01 on the unit circle (PacGAN, Lin et al., 2018, arXiv:1712.04086).
ring8 = Mixture.of([[math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)] for k in range(8)], sigma=0.01)

# Twenty-five modes of standard deviation 0.05 on a square grid (PacGAN).
grid25 = Mixture.of([[x, y] for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)], sigma=0.05)

# The same, turned by 30 degrees: no row or column lies along an axis, of the data or of a generator's latents.
grid25_turned = Mixture.of(
    (grid25.means @ torch.tensor([[math.sqrt(3), 1.0], [-1.0, math.sqrt(3)]], dtype=torch.float64) / 2).tolist(),
    sigma=0.05,
)

# One correlated Gaussian.
gaussian = Mixture.of([[1.0, -0.5]], covariances=[[[1.0, 0.6], [0.6, 0.8]]])

# Two round Gaussians of equal weight, four standard deviations apart.
gaussians2 = Mixture.of([[-1.0, 0.0], [1.0, 0.0]], sigma=0.5)

# Four round Gaussians at the corners of a square, eight standard deviations apart.
gaussians4 = Mixture.of([[x, y] for x in (0.0, 4.0) for y in (0.0, 4.0)], sigma=0.5)

# Two Gaussians with opposite correlations.
mixture2 = Mixture.of(
    [[-1.5, 0.0], [1.5, 0.0]],
    covariances=[[[0.5, 0.4], [0.4, 0.5]], [[0.5, -0.4], [-0.4, 0.5]]],
)

# Three round Gaussians, one of them rare.
mixture_skewed = Mixture.of([[-2.0, 0.0], [1.0, 1.7], [1.0, -1.7]], sigma=0.35, weights=[0.7, 0.25, 0.05])


def moons(n: int, rng: Rng, noise: float = 0.05) -> Tensor:
    """Two interleaving half circles of radius 1 with normal noise, (n, 2)."""
    rng = numpy_rng(rng)
    angle, lower = math.pi * rng.random(n), rng.random(n) < 0.5
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return _noisy(x, y, noise, rng)


def circles(n: int, rng: Rng, noise: float = 0.05) -> Tensor:
    """Two circles of radius 1 and 1/2 with normal noise, (n, 2)."""
    rng = numpy_rng(rng)
    angle, radius = 2 * math.pi * rng.random(n), np.where(rng.random(n) < 0.5, 0.5, 1.0)
    return _noisy(radius * np.cos(angle), radius * np.sin(angle), noise, rng)


def swiss_roll(n: int, rng: Rng, noise: float = 0.5) -> Tensor:
    """A spiral of one and a half turns, radius equal to the angle in [1.5 pi, 4.5 pi], with normal noise, (n, 2)."""
    rng = numpy_rng(rng)
    t = 1.5 * math.pi * (1 + 2 * rng.random(n))
    return _noisy(t * np.cos(t), t * np.sin(t), noise, rng)


def s_curve(n: int, rng: Rng, noise: float = 0.05) -> Tensor:
    """The S-shaped profile of the three-dimensional S curve, (n, 2), with normal noise."""
    rng = numpy_rng(rng)
    t = 3 * math.pi * (rng.random(n) - 0.5)
    return _noisy(np.sin(t), np.sign(t) * (np.cos(t) - 1), noise, rng)


def two_spirals(n: int, rng: Rng, noise: float = 0.1) -> Tensor:
    """Two arms that turn one and a half times around the origin, radius up to pi, with normal noise, (n, 2)."""
    rng = numpy_rng(rng)
    t, arm = 3 * math.pi * np.sqrt(rng.random(n)), np.where(rng.random(n) < 0.5, -1.0, 1.0)
    return _noisy(-arm * t * np.cos(t) / 3, arm * t * np.sin(t) / 3, noise, rng)


def checkerboard(n: int, rng: Rng) -> Tensor:
    """Uniform on the eight dark squares of a 4 x 4 board over [-4, 4]^2, (n, 2)."""
    rng = numpy_rng(rng)
    row, half = rng.integers(4, size=n), rng.integers(2, size=n)
    corner = np.stack([2 * half + row % 2, row], axis=1)
    return torch.from_numpy(2 * (corner + rng.random((n, 2))) - 4).float()


def pinwheel(n: int, rng: Rng, blades: int = 5) -> Tensor:
    """Blades bent around the origin: Gaussians stretched along the radius, turned by exp of it, (n, 2)."""
    rng = numpy_rng(rng)
    x = rng.standard_normal((n, 2)) * (0.3, 0.1) + (1.0, 0.0)
    turn = 2 * math.pi * rng.integers(blades, size=n) / blades + 0.25 * np.exp(x[:, 0])
    cos, sin = np.cos(turn), np.sin(turn)
    return _noisy(2 * (cos * x[:, 0] - sin * x[:, 1]), 2 * (sin * x[:, 0] + cos * x[:, 1]), 0.0, rng)


def _noisy(x: np.ndarray, y: np.ndarray, noise: float, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(np.stack([x, y], axis=1) + noise * rng.standard_normal((len(x), 2))).float()


def load(name: str, *, seed: int = 0, n_train: int = 100_000, n_test: int = 10_000) -> Dataset:
    """A toy as a data set, centred and divided by one scale; mixtures bring their density and component labels.

    Student's t, whose sample variance is the accident of its largest values, stays as it is: the model unit is the
    data unit, in which its scale is one.

    Args:
        name: One of `NAMES`, whose case, hyphens and underscores do not matter; or, NU being degrees of freedom,
            student(NU), with independent coordinates, or multivariate_t(NU), with round contours.
        seed: Seed of the draw.
        n_train: Points to train on.
        n_test: Points to test on.

    Raises:
        UsageError: If there is no such toy, or a number is out of range.
    """
    if n_train < 2 or n_test < 1 or seed < 0:
        raise UsageError(f"toy:{name} with {n_train} training and {n_test} test points, seed {seed}: numbers too small")
    key, toy = _found(name)
    rng, n = np.random.default_rng(seed), n_train + n_test
    x, labels = toy.draw(n, rng) if isinstance(toy, Mixture) else (toy(n, rng), None)
    raw = x.numpy()
    if isinstance(toy, student.Student):
        unit = Unit(np.zeros(2), np.ones(1))
    else:
        unit = standardise(raw[:n_train], place=f"toy:{key}", single=True)
    return Dataset(
        name=f"toy:{key}",
        kind="points",
        train=unit.encode(raw[:n_train]),
        test=unit.encode(raw[n_train:]),
        train_labels=None if labels is None else labels[:n_train],
        test_labels=None if labels is None else labels[n_train:],
        decode=unit.decode,
        encode=unit.encode,
        mixture=toy if isinstance(toy, Mixture) else None,
        split=Split(seed, n_test / n, n_train, n_test, fingerprint(raw)),
        columns=("x", "y", "z")[: raw.shape[1]],
        classes=tuple(map(str, range(len(toy.weights)))) if isinstance(toy, Mixture) else None,
        one_unit=True,
        unit=unit,
        support=SUPPORTS.get(key),
    )


def _found(name: str) -> tuple[str, Mixture | Callable[[int, Rng], Tensor]]:
    """A toy and how it is spelled."""
    if (heavy := student.named(name)) is not None:
        return f"{'multivariate_t' if heavy.joint else 'student'}({heavy.nu:g})", heavy
    known = {_plain(k): k for k in NAMES}
    key = known.get(_plain(name))
    if key is None:
        hint = meant(_plain(name), known, lambda near: f"toy:{known[near]}")
        listed = ", ".join([*NAMES, *(f"{k}(NU)" for k in student.NAMES)])
        raise UsageError(f"no toy named {name!r}: {hint}the toys are {listed}")
    return key, getattr(sys.modules[__name__], key)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
