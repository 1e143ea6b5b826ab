r"""The shape of classes: samples of each against held-out rows of it, in width, centre and correlation.

With means m, covariances S and :math:`s^2 = \operatorname{tr} S / d` of a class's samples (q) and rows (p), K classes:

.. math::
    w = \Big(\prod_k \frac{s_q}{s_p}\Big)^{1/K}, \qquad
    c^2 = \frac1K \sum_k \frac{\|m_q - m_p\|^2 - d\,(s_q^2 / n + s_p^2 / m)}{s_p^2}, \qquad
    \rho^2 = \frac1K \sum_k \frac{\|S_q / s_q^2 - S_p / s_p^2\|_F^2}{d\,(d - 1)} - \text{noise}

Within a class any n of the n + m samples and rows are as likely the samples, if both follow one law: relabellings give
exact p-values. It is what `mode_shape` is where a class stands for a mode and its rows for what is known of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.features import blocked
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.reference import Given, check_compared
from pushforward.metrics.core.result import Measure, Row, Words
from pushforward.metrics.known.modes import labels_of
from pushforward.metrics.known.shares import with_null
from pushforward.randomness import generator

__all__ = ["PARTS", "class_shape"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

_LEAST = 20  # samples, and rows, that a class needs
_MOST = 1000  # of each that are looked at
_AXES = 64  # directions in which classes of more features are compared
_DRAWS = 999
_POINT = 1e-13  # of the variance of samples and rows together: what has none but for rounding
_VALUES = 2**22  # numbers of relabelled covariances at a time


def class_shape(
    fake: Given,
    real: Given,
    fake_labels: Tensor | Labels,
    real_labels: Tensor | Labels,
    *,
    least: int = _LEAST,
    seed: int = 0,
    features: str = "raw",
) -> dict[str, Measure]:
    """How samples lie within their classes, against held-out rows of the same classes.

    Each p-value is that of 999 relabellings within the classes, so that shares of classes which are off do not count:
    T sums over classes the squared logarithm of the ratio of variances, the distance of means in its noise, or the
    distance of covariances of equal size in its noise. Up to 1,000 samples and rows of a class are looked at, and of
    more than 64 features the 64 directions in which the classes of both together are widest.

    Args:
        fake: Model samples or their features, (n, d).
        real: Held-out data, (m, d).
        fake_labels: Class of each sample, whole numbers (n,): the one it was drawn for, or that a classifier sees.
        real_labels: Class of each row, (m,), had in the same way.
        least: Samples, and rows, that a class needs; others are left out, and their number said.
        seed: Seed of choices and relabellings.
        features: Identity of the feature space.

    Returns:
        class_width, the ratio of widths, 1 for one law; class_centre, in widths of the class; and from two features on
        class_correlation. The last two are 0 for one law but for noise. Their rows are the classes, the worst first.

    Raises:
        DataError: If the sets do not fit, labels are of other numbers, or no class has enough samples and rows.
    """
    fake, real, _ = check_compared(fake, real)
    x, y = (part.detach().double().cpu().flatten(1).numpy() for part in (fake, real))
    own, known = _whole("fake_labels", fake_labels, len(x)), _whole("real_labels", real_labels, len(y))
    classes, least = np.union1d(own, known), max(3, least)
    kept = [k for k in classes.tolist() if min((own == k).sum(), (known == k).sum()) >= least]
    if not kept:
        raise DataError(
            f"none of {len(classes)} classes has {least} samples and as many rows of data, of {len(x)} and {len(y)}: "
            "draw more"
        )
    rng = generator(seed, "evaluate", part="class shape")
    pairs = [tuple(_some(z[of == k], rng) for z, of in ((x, own), (y, known))) for k in kept]
    d = x.shape[1]
    if d > _AXES:
        axes = _widest([part - part.mean(0) for part in (np.concatenate(pair) for pair in pairs)])
        pairs = [tuple(part @ axes for part in pair) for pair in pairs]
    found = [_Class.of(k, p, q, rng) for k, (p, q) in zip(kept, pairs)]
    protocol: Words = {"classes": len(classes), "classes_counted": len(kept), "least": least}
    protocol |= {"p": f"{_DRAWS} relabellings within classes", "se": "over the samples and rows of each class"}
    if left := len(classes) - len(kept):
        protocol["note"] = f"{left} of {len(classes)} classes hold fewer than {least} samples or rows and are left out"
    protocol |= {"directions": _AXES, "of_features": d} if d > _AXES else {}
    return _measures(found, min(d, _AXES), (len(x), len(y)), features, protocol)


@dataclass(frozen=True)
class _Class:
    """One class: numbers of its samples against its rows, first as they are, then relabelled, (draws + 1,) each.

    Attributes:
        label: Its number.
        sizes: Samples n and rows m.
        ratio: Logarithm of the ratio of variances.
        off: Squared distance of the means.
        noise: Its expectation for one mean.
        unit: Variance of the rows along an axis.
        bent: Squared distance of the covariances of equal size.
        errors: Variances to first order of `ratio`, of `off` in units and of `bent`, as they are.
    """

    label: int
    sizes: tuple[int, int]
    ratio: Array
    off: Array
    noise: Array
    unit: Array
    bent: Array
    errors: tuple[float, float, float]

    @staticmethod
    def of(label: int, x: Array, y: Array, rng: np.random.Generator) -> _Class:
        """Of its samples (n, d) and rows (m, d)."""
        (n, d), m, pool = x.shape, len(y), np.concatenate([x, y])
        pool -= pool.mean(0)
        total, products = pool.T @ pool, np.einsum("ni,nj->nij", pool, pool).reshape(n + m, d * d)
        point = _POINT * max(float(np.trace(total)) / d / (n + m), 1e-100)
        chosen = np.zeros((_DRAWS + 1, n + m))
        chosen[0, :n] = 1
        chosen[1:] = rng.permuted(np.broadcast_to(chosen[0], (_DRAWS, n + m)), axis=1)
        parts: list[tuple[Array, ...]] = []
        step = max(1, _VALUES // (d * d))
        for some in (chosen[start : start + step] for start in range(0, len(chosen), step)):
            mean = some @ pool / n
            inner, outer = (some @ products).reshape(-1, d, d), np.einsum("bi,bj->bij", mean, mean)
            # The pool's mean is 0, so that of the rows is -n / m times that of the samples.
            mine, theirs = (inner - n * outer) / (n - 1), (total - inner - n**2 / m * outer) / (m - 1)
            v, u = (np.maximum(np.trace(s, axis1=1, axis2=2) / d, point) for s in (mine, theirs))
            bent = np.square(mine / v[:, None, None] - theirs / u[:, None, None]).sum((1, 2)) / (d * max(1, d - 1))
            bent = np.where((v > point) & (u > point), bent, 0.0)  # what is all one point has no direction
            off = np.square(mean * (1 + n / m)).sum(1)
            parts.append((np.log(v / u), off, d * (v / n + u / m), u, bent))
        ratio, off, noise, unit, bent = (np.concatenate(part) for part in zip(*parts))
        return _Class(label, (n, m), ratio, off, noise, unit, bent, _errors(x, y, point))


def _errors(x: Array, y: Array, point: float) -> tuple[float, float, float]:
    """Variances to first order of what a class's samples and rows come to."""
    d, apart = x.shape[1], x.mean(0) - y.mean(0)
    sides = []
    for z in (x, y):
        z = z - z.mean(0)
        cov = z.T @ z / (len(z) - 1)
        sides.append((z, cov, max(float(np.trace(cov)) / d, point)))
    unit, bend = sides[1][2], sides[0][1] / sides[0][2] - sides[1][1] / sides[1][2]
    ratio = off = bent = 0.0
    for z, cov, v in sides:
        n, lengths = len(z), np.einsum("ij,ij->i", z, z)
        ratio += float(lengths.var()) / (d * v) ** 2 / n
        off += 4 * float(apart @ cov @ apart) / n / unit**2
        turned = (np.einsum("ij,jk,ik->i", z, bend, z) - (bend * cov).sum() * lengths / (d * v)) / v
        bent += 4 * float(turned.var()) / n / (d * max(1, d - 1)) ** 2
    return ratio, off, bent


def _measures(
    found: list[_Class], d: int, sizes: tuple[int, int], features: str, protocol: Words
) -> dict[str, Measure]:
    """What the classes come to together."""
    count = len(found)
    share = np.array([n * m / (n + m) for n, m in (one.sizes for one in found)])
    ratio, off, noise, unit, bent = (
        np.stack([vars(one)[key] for one in found], 1) for key in ("ratio", "off", "noise", "unit", "bent")
    )
    first = np.array([one.errors for one in found]).sum(0) / count**2
    width, each = float(np.exp(ratio[0].mean() / 2)), np.exp(ratio[0] / 2)
    words = protocol | {"effect": f"{width:.2g} × as wide, single classes {each.min():.2g} to {each.max():.2g}"}
    measures = {
        "class_width": Measure(
            width, 1.0, width * float(first[0]) ** 0.5 / 2, _p(ratio**2 @ share), *sizes, features, "near", words,
            rows=_rows(found, each, np.abs(ratio[0]), "width"),
        )
    }  # fmt: skip
    loud = bent[1:].mean(0)
    ways = {"centre": (off / unit, noise / unit, (off / noise).sum(1), first[1], " widths off")}
    if d > 1:
        ways["correlation"] = (
            bent, np.broadcast_to(loud, bent.shape), bent @ (1 / np.maximum(loud, 1e-300)), first[2], " within classes"
        )  # fmt: skip
    for name, (squares, noises, statistic, error, unit_words) in ways.items():
        values = (squares - noises).mean(1)
        square, scatter = float(values[0]), with_null(
            float(error), float(squares[0].mean()), float(noises[0].mean()), float(values[1:].var())
        )  # fmt: skip
        value, each = max(0.0, square) ** 0.5, np.sqrt(np.maximum(0.0, squares[0]))
        words = protocol | {"noise": float(noises[0].mean()) ** 0.5, "effect": f"{value:.2g}{unit_words}"}
        measures[f"class_{name}"] = Measure(
            value, 0.0, scatter / (2 * max(square, scatter, 1e-300) ** 0.5), _p(statistic), *sizes, features, "lower",
            words, rows=_rows(found, each, each, name),
        )  # fmt: skip
    return measures


def _rows(found: list[_Class], each: Array, badness: Array, name: str) -> tuple[Row, ...]:
    """The classes, the worst first."""
    return tuple(
        {"class": found[k].label, "samples": found[k].sizes[0], "rows": found[k].sizes[1], name: float(each[k])}
        for k in np.argsort(-badness, kind="stable").tolist()
    )


def _p(statistic: Array) -> float:
    """Share of the labellings whose statistic is as large as the first."""
    first = float(statistic[0])
    return int((statistic >= first - 1e-12 * abs(first)).sum()) / len(statistic)


def _whole(name: str, labels: Tensor | Labels, n: int) -> Labels:
    values = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.shape != (n,) or values.dtype.kind not in "iu":
        raise DataError(f"{name} has shape {values.shape} of {values.dtype}: give {n} whole numbers, one a sample")
    return values.astype(np.int64)


def _some(x: Array, rng: np.random.Generator) -> Array:
    return x if len(x) <= _MOST else x[rng.permutation(len(x))[:_MOST]]


def _widest(parts: list[Array]) -> Array:
    """Directions in which rows about their classes' means vary most, (d, 64), whichever set they are of."""
    rows = np.concatenate(parts)
    return np.linalg.eigh(rows.T @ rows)[1][:, -_AXES:]


def _cost(c: Comparison) -> float:
    """Relabelled products of all pairs of features."""
    n, m, d = c.sizes
    return 5e8 + 2.0 * _DRAWS * min(n + m, 40 * _MOST) * min(d, _AXES) ** 2


def _part(c: Comparison) -> Found:
    assert c.space.classify is not None
    n = len(c.q) // c.draws
    answers = [blocked(c.space.classify, part) for part in (c.fake[: len(c.fake) // c.draws], c.real)]
    width = max(answer.shape[1] if answer.ndim > 1 else int(answer.max()) + 1 for answer in answers)
    own, known = (torch.from_numpy(labels_of(a, len(a), width)) for a in answers)
    q, p = (c.q[:n], c.p) if c.known is not c.space else (c.space(c.q[:n]), c.space(c.p))
    return named(class_shape(q, p, own, known, seed=c.seed, features=c.space.id))


PARTS = (
    Part(
        "class_shape", "width, centre and correlation within classes, against held-out rows of them", _part, _cost,
        {"class_width": "Width of the samples of a class, in that of the data's",
         "class_centre": "How far the middle of a class's samples is off, in its width",
         "class_correlation": "How unlike the correlations within a class are to the data's"},
        frozenset(("classifier",)), place=201,
        counted=frozenset(("class_width", "class_centre", "class_correlation")),
    ),
)  # fmt: skip
