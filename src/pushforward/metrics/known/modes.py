"""Coverage of known modes: how many, how well, and in the right shares; every floor is a perfect sampler's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import bdtrc, chdtr, chdtrc, chdtri
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison, linear_cost
from pushforward.metrics.core.features import blocked
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_samples
from pushforward.metrics.core.result import Measure
from pushforward.metrics.known.shares import counted_kl, known_kl
from pushforward.randomness import generator

__all__ = [
    "PARTS",
    "class_shares",
    "classes",
    "expected_modes",
    "good_radius",
    "known_modes",
    "labels_of",
    "modes",
    "probabilities",
]

Array = NDArray[np.float64]


def modes(
    fake: Given,
    centres: Tensor,
    sigma: float,
    weights: Tensor | Sequence[float] | None = None,
    *,
    radius: float | None = None,
) -> dict[str, Measure]:
    """How a sample covers a mixture of round Gaussians with known centres.

    A sample is of high quality within `radius` sigma of its nearest centre. The published count asks for one such
    sample a mode; the strict one for twenty. Nearest-centre frequencies, over all samples, are compared with the
    weights by KL(frequencies || weights), whose p-value is that of 999 draws of a perfect sampler (`known_kl`). The
    weights count as those of the nearest centre: modes are to lie well apart.

    Args:
        fake: Model samples, (n, d), in data units.
        centres: Means of the components, (k, d).
        sigma: Their common standard deviation along each axis, in data units.
        weights: Their probabilities, (k,), all positive; equal where omitted. Need not be normalised.
        radius: In sigma; 3 up to two dimensions, above that the radius that holds 99.73 % (a 3-sigma ball in many
            dimensions is nearly empty).

    Returns:
        modes_captured, modes_captured_20, high_quality, high_quality_4 (the wider radius: 4 sigma, or 99.994 %) and
        mode_kl, in nats.

    Raises:
        DataError: If the shapes do not fit, sigma is not positive, or a weight is not.

    References:
        VEEGAN (Srivastava et al., 2017), arXiv:1705.07761; PacGAN (Lin et al., 2018), arXiv:1712.04086.
    """
    fake, shares = known_modes(fake, centres, sigma, weights)
    n, dim = fake.shape
    near = radius or good_radius(dim)
    wide = near * 4 / 3 if radius else good_radius(dim, 4.0)

    centres = centres.detach().double().cpu()
    nearest = [torch.cdist(part.detach().double().cpu(), centres).min(1) for part in fake.split(4096)]
    distance = torch.cat([values for values, _ in nearest]).numpy() / sigma
    assigned = torch.cat([rows for _, rows in nearest]).numpy()
    good = np.bincount(assigned[distance < near], minlength=len(centres))
    hold, hold_wide = float(chdtr(dim, near**2)), float(chdtr(dim, wide**2))
    protocol: dict[str, str | float | int] = {"modes": len(centres), "sigma": sigma, "radius_sigma": near}

    return {
        "modes_captured": _exact(float((good >= 1).sum()), expected_modes(1, n, shares * hold), n, protocol),
        "modes_captured_20": _exact(float((good >= 20).sum()), expected_modes(20, n, shares * hold), n, protocol),
        "high_quality": _share(distance < near, hold, protocol),
        "high_quality_4": _share(distance < wide, hold_wide, protocol | {"radius_sigma": wide}),
        "mode_kl": _kl(np.bincount(assigned, minlength=len(centres)), shares, protocol),
    }


def classes(
    fake: Given,
    classify: Callable[[Tensor], Tensor],
    n_classes: int,
    weights: Tensor | Sequence[float] | None = None,
    *,
    n_real: int = 0,
    features: str = "raw",
) -> dict[str, Measure]:
    """How a sample covers the classes that a classifier sees in it.

    Args:
        fake: Model samples, (n, *event).
        classify: (n, *event) -> logits (n, n_classes), or labels (n,).
        n_classes: Number of classes K.
        weights: Their shares in the data, (K,), all positive; equal where omitted.
        n_real: Number of data samples these shares were counted in; 0 where they are known. Floor, error and p-value
            of the KL allow for their noise, by relabelling the counts of both (`counted_kl`).
        features: Identity of the classifier.

    Returns:
        classes_present, smallest_class_share and class_kl, KL(frequencies || weights) in nats.

    Raises:
        DataError: If the classifier answers with other classes, or a weight is not positive.
    """
    fake = check_samples("fake", fake, least=1)
    n, shares = len(fake), probabilities(weights, n_classes)
    counts = _count(blocked(classify, fake), n, n_classes)
    protocol: dict[str, str | float | int] = {"classes": n_classes}
    draws = generator(0, "evaluate", part="least share").multinomial(n, shares, size=1000).min(1) / n
    smallest = float(counts.min() / n)
    error = (smallest * (1 - smallest) / n) ** 0.5
    return {
        "classes_present": _exact(
            float((counts > 0).sum()), expected_modes(1, n, shares), n, protocol, n_real, features
        ),
        "smallest_class_share": Measure(
            smallest, float(draws.mean()), error, None, n, n_real, features, "higher", protocol | {"se": "binomial"}
        ),
        "class_kl": _kl(counts, shares, protocol, n_real, features),
    }


def class_shares(x: Tensor, classify: Callable[[Tensor], Tensor], n_classes: int | None = None) -> Tensor:
    """Shares of the classes seen in x, (K,), with half a count added to each so that none is zero.

    Args:
        x: Data samples, (n, *event).
        classify: (n, *event) -> logits (n, K), or labels (n,).
        n_classes: Number of classes K; needed where `classify` answers with labels.
    """
    answer = blocked(classify, x)
    counts = _count(answer, len(x), n_classes or answer.shape[-1]) + 0.5
    return torch.from_numpy(counts / counts.sum())


def labels_of(answer: Tensor, n: int, n_classes: int) -> NDArray[np.int64]:
    """Classes named by a classifier, (n,).

    Args:
        answer: Logits (n, n_classes), or labels (n,).
        n: Number of samples it was given.
        n_classes: Number of classes K.

    Raises:
        DataError: If it answers for other samples, or with other classes.
    """
    width = n_classes if answer.ndim == 1 else answer.shape[1]
    labels = (answer if answer.ndim == 1 else answer.argmax(1)).long().numpy()
    if width != n_classes or len(labels) != n or labels.min() < 0 or labels.max() >= n_classes:
        raise DataError(f"classify gave shape {tuple(answer.shape)} for {n} samples: wanted {n_classes} classes")
    return labels


def probabilities(weights: Tensor | Sequence[float] | None, count: int) -> Array:
    """Weights of modes as probabilities, (count,); equal ones where there are none.

    Raises:
        DataError: If there are not as many, or one is not positive.
    """
    if weights is None:
        return np.full(count, 1 / count)
    values = torch.as_tensor(weights).detach().double().cpu().numpy()
    if values.shape != (count,) or not (values > 0).all() or not np.isfinite(values).all():
        raise DataError(f"weights are {values.tolist()}: give {count} positive numbers, one a mode")
    return values / values.sum()


def known_modes(
    fake: Given, centres: Tensor, sigma: float, weights: Tensor | Sequence[float] | None
) -> tuple[Tensor, Array]:
    """Samples (n, d) that fit a mixture of round Gaussians, and its weights as probabilities, (k,).

    Raises:
        DataError: If the shapes do not fit, sigma is not positive, or a weight is not.
    """
    fake = check_samples("fake", fake, least=1)
    if fake.ndim != 2 or centres.ndim != 2 or fake.shape[1] != centres.shape[1]:
        shapes = f"fake has shape {tuple(fake.shape)}, centres {tuple(centres.shape)}"
        raise DataError(f"{shapes}: give (n, d) and (k, d) in the same units")
    if not sigma > 0:
        raise DataError(f"sigma is {sigma}: give the components' standard deviation in data units")
    return fake, probabilities(weights, len(centres))


def good_radius(dim: int, deviations: float = 3.0) -> float:
    """Distance from a centre, in sigma, that samples of high quality keep to.

    So many standard deviations up to two dimensions; above, what holds as much of the law as these do on a line, since
    a ball of three in many dimensions is nearly empty.
    """
    return deviations if dim <= 2 else float(chdtri(dim, chdtrc(1, deviations**2)) ** 0.5)


def expected_modes(least: int, n: int, shares: Array) -> float:
    """Expected number of modes with at least `least` of n samples, given the chance of each, (K,)."""
    return float(bdtrc(least - 1, n, shares).sum()) if n >= least else 0.0


def _count(answer: Tensor, n: int, n_classes: int) -> NDArray[np.int64]:
    """Number of samples in each class, from logits or labels."""
    return np.bincount(labels_of(answer, n, n_classes), minlength=n_classes)


def _exact(
    value: float, floor: float, n: int, protocol: dict[str, str | float | int], n_real: int = 0, features: str = "raw"
) -> Measure:
    return Measure(value, floor, None, None, n, n_real, features, "higher", protocol)


def _share(good: NDArray[np.bool_], floor: float, protocol: dict[str, str | float | int]) -> Measure:
    value, n = float(good.mean()), len(good)
    error = (value * (1 - value) / n) ** 0.5
    return Measure(value, floor, error, None, n, 0, "raw", "higher", protocol | {"se": "binomial"})


def _kl(
    counts: NDArray[np.int64],
    shares: Array,
    protocol: dict[str, str | float | int],
    n_real: int = 0,
    features: str = "raw",
) -> Measure:
    """KL(frequencies || shares) with floor, error and p-value; the protocol says how far a share is off at most."""
    n, frequencies = int(counts.sum()), counts / counts.sum()
    found = counted_kl(counts, shares, n_real) if n_real else known_kl(counts, shares)
    off = float(np.abs(frequencies - shares).max())
    words = protocol | {"p": found.how, "floor": found.floor_words}
    words |= {"se": "first order above the floor, drawn at it", "off": off}
    detail = {"fake_shares": torch.from_numpy(frequencies), "real_shares": torch.from_numpy(shares)}
    return Measure(found.value, found.floor, found.se, found.p, n, n_real, features, "lower", words, detail)


def _modes_part(c: Comparison) -> Found:
    assert c.centres is not None
    assert c.sigma is not None
    return modes(c.first, c.centres, c.sigma, c.weights)


def _classes_part(c: Comparison) -> Found:
    assert c.space.classify is not None
    shares = class_shares(c.real, c.space.classify)
    return classes(c.fake, c.space.classify, len(shares), shares, n_real=len(c.real), features=c.space.id)


PARTS = (
    Part(
        "modes", "modes of a known mixture", _modes_part, linear_cost,
        {"modes_captured": "Modes with at least one good sample",
         "modes_captured_20": "Modes with at least twenty good samples",
         "high_quality": "Share of samples close to a mode",
         "high_quality_4": "Share of samples within a wider radius of a mode",
         "mode_kl": "How far the shares of the modes are off, in nats"},
        frozenset(("centres",)), usual=frozenset(("points",)), place=190, counted=frozenset(("mode_kl",)),
    ),
    Part(
        "classes", "shares of classes", _classes_part, linear_cost,
        {"classes_present": "Classes that a classifier sees in the samples",
         "smallest_class_share": "Share of the rarest class",
         "class_kl": "How far the shares of the classes are off, in nats"},
        frozenset(("classifier",)), usual=frozenset(("images",)), place=200, counted=frozenset(("class_kl",)),
    ),
)  # fmt: skip
