r"""The shape of known modes: whether samples are as wide about each, about its centre, and as round.

Of the samples within R standard deviations of a mode's centre, each counted by the probability that it is of this mode,
with mean :math:`m_k` from the centre, covariance :math:`S_k`, :math:`s_k^2 = \operatorname{tr} S_k / d`, all in sigma:

.. math::
    w^2\, v_d(R / w) = \frac1K \sum_k s_k^2, \qquad
    c^2 = \frac1K \sum_k \Big(\|m_k\|^2 - \frac{d\,s_k^2}{n_k}\Big), \qquad
    \rho^2 = \frac1K \sum_k \Big(\frac{\|S_k / s_k^2 - I\|_F^2}{d\,(d - 1)} - \text{noise}\Big)

The width w is that of round normal modes of which so much lies within R (`cut_normal`): a perfect sampler has 1 at any
R. Both distances are unbiased. The last is the root mean square correlation where all axes are equally wide; it does
not change where space is turned, and samples on a line have 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given
from pushforward.metrics.core.result import Measure, Row, Words
from pushforward.metrics.known.cut_normal import ModeMoments, cut_variance, perfect_moments, width_behind
from pushforward.metrics.known.modes import good_radius, known_modes
from pushforward.metrics.known.shares import with_null
from pushforward.randomness import generator

__all__ = ["PARTS", "mode_shape"]

Array = NDArray[np.float64]

LEAST = 20
"""Samples within the radius that a mode needs for its shape to count."""

_DRAWS = 999
_BLURRED = 0.002  # share of samples that may belong to two modes, up to which draws of single modes give p-values
_ROWS = 4096
_POINT = 1e-20  # variance of what has none but for rounding
_NUMBERS = 2**29  # that all draws may take, 999 of them in any case up to 146 dimensions of 25 modes


def mode_shape(
    fake: Given,
    centres: Tensor,
    sigma: float,
    weights: Tensor | Sequence[float] | None = None,
    *,
    radius: float | None = None,
    least: int = LEAST,
) -> dict[str, Measure]:
    """How samples lie within the modes of a mixture of round Gaussians with known centres; `modes` says how many where.

    Each p-value is that of 999 draws of a perfect sampler with as many samples in each mode, so that shares which are
    off, samples between the modes and missing modes do not count here: T sums over modes, weighted by their samples,
    the squared logarithm of the variance, the distance from the centre in the mode's own width, or the distance
    from round by its own noise. Where more than 0.2 % of the samples may be of two modes (centres nearer than
    5.5 sigma) there is no p-value.

    Args:
        fake: Model samples, (n, d), in data units.
        centres: Means of the components, (k, d).
        sigma: Their common standard deviation along each axis, in data units.
        weights: Their probabilities, (k,), all positive; equal where omitted. They matter where modes overlap.
        radius: In sigma; as for `modes`.
        least: Samples within the radius that a mode needs; others are left out, and their number said.

    Returns:
        mode_width, in sigma, 1 for a perfect sampler; mode_centre, in sigma, and from two dimensions on
        mode_correlation, both 0 for a perfect sampler but for noise: what was taken off for it is `noise` in the
        protocol. Their rows are the modes, the worst first.

    Raises:
        DataError: If the shapes do not fit, sigma is not positive, a weight is not, or no mode holds enough samples.
    """
    fake, shares = known_modes(fake, centres, sigma, weights)
    n, d = fake.shape
    near, least = radius or good_radius(d), max(3, least)
    known = _Counted.of(fake, centres.detach().double().cpu(), sigma, np.log(shares), near, least)
    drawn = None
    if known.blurred <= _BLURRED:
        rng = generator(0, "evaluate", part="shape")
        draws = max(99, min(_DRAWS, _NUMBERS // (len(known.which) * d * d)))
        parts = [_Shape.of(part, near) for part in perfect_moments(known.moments.n, d, near, draws, rng)]
        drawn = _Shape.joined(parts)
    seen = _Shape.of(known.moments, near)
    protocol: Words = {"modes": len(centres), "modes_counted": len(known.which), "least": least}
    protocol |= {"sigma": sigma, "radius_sigma": near, "samples_counted": round(float(known.weight.sum()))}
    if left := len(centres) - len(known.which):
        protocol["note"] = f"{left} of {len(centres)} modes hold fewer than {least} samples and are left out"
    protocol["p"] = (
        f"{len(drawn.statistic)} draws of as many samples in each mode" if drawn else "none, as modes overlap"
    )
    found = {"mode_width": _width(known, seen, drawn, n, near, protocol)}
    found["mode_centre"] = _distance(known, seen.centre, drawn and drawn.centre, known.sway, n, "centre", protocol)
    if d > 1:
        found["mode_correlation"] = _distance(
            known, seen.round, drawn and drawn.round, known.bend, n, "correlation", protocol
        )
    return found


@dataclass(frozen=True)
class _Counted:
    """The samples of the modes that hold enough.

    Attributes:
        which: Numbers of these modes, (K,).
        weight: Samples of each, those of two modes in part, (K,).
        moments: What they are like.
        spread: Variance of each mode's variance over its samples, to first order, (K,).
        sway: The same of the squared distance from its centre.
        bend: The same of the squared distance from round.
        blurred: Share of the samples that belong to other modes too.
    """

    which: NDArray[np.int64]
    weight: Array
    moments: ModeMoments
    spread: Array
    sway: Array
    bend: Array
    blurred: float

    @staticmethod
    def of(fake: Tensor, centres: Tensor, sigma: float, logs: Array, radius: float, least: int) -> _Counted:
        """Those of samples (n, d) about centres (K, d) with the logarithms of their weights."""
        rows, places, parts = _belonging(fake, centres, sigma, logs, radius)
        weight = np.bincount(places, parts, minlength=len(centres)).astype(np.float64)
        which = np.flatnonzero(weight >= least)
        if not len(which):
            raise DataError(
                f"none of {len(centres)} modes has {least} samples within {radius:.3g} sigma, of {len(fake)}: draw more"
            )
        order = np.argsort(places, kind="stable")
        edges = np.searchsorted(places[order], np.arange(len(centres) + 1))
        found = []
        for k in which.tolist():
            own = order[edges[k] : edges[k + 1]]
            x = (fake[torch.from_numpy(rows[own])].detach().double().cpu() - centres[k]).numpy() / sigma
            found.append(_of_mode(x, parts[own]))
        size, mean, cov, quartic, spread, sway, bend = (np.stack(part) for part in zip(*found))
        blurred = 1 - float((parts**2).sum() / parts.sum())
        return _Counted(which, weight[which], ModeMoments(size, mean, cov, quartic), spread, sway, bend, blurred)


def _belonging(
    fake: Tensor, centres: Tensor, sigma: float, logs: Array, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Pairs of a sample and a mode that it lies within the radius of, and how likely it is of that mode."""
    found, first = [], 0
    for part in fake.split(_ROWS):
        squared = np.square(torch.cdist(part.detach().double().cpu(), centres).numpy() / sigma)
        level = logs - squared / 2
        level -= level.max(1, keepdims=True)
        belongs = np.exp(level)
        belongs /= belongs.sum(1, keepdims=True)
        rows, places = np.nonzero((squared < radius**2) & (belongs > 1e-9))
        found.append((rows + first, places, belongs[rows, places]))
        first += len(part)
    rows, places, parts = (np.concatenate(part) for part in zip(*found))
    return rows, places, parts


def _of_mode(x: Array, parts: Array) -> tuple[Array | float, ...]:
    """Size, moments and variances to first order of a mode's samples (n, d), about its centre, that count in part."""
    d, total, squares = x.shape[1], parts.sum(), (parts**2).sum()
    n, share = total**2 / squares, parts / total
    mean = share @ x
    y = x - mean
    cov = (share[:, None] * y).T @ y / (1 - 1 / n)
    lengths = np.einsum("ij,ij->i", y, y)
    quartic, variance = share @ lengths**2, float(np.trace(cov)) / d
    spread = max(0.0, float(quartic) / d**2 - variance**2) / n
    sway = 4 * float(mean @ cov @ mean) / n
    off = cov / max(variance, _POINT) - np.eye(d)
    bent = (np.einsum("ij,jk,ik->i", y, off, y) - (off**2).sum() * lengths / d) / max(variance, _POINT)
    bend = 4 * float(share @ bent**2) / n / max(1, d * (d - 1)) ** 2
    return n, mean, cov, quartic, spread, sway, bend


@dataclass(frozen=True)
class _Square:
    """A mean over modes of squares, unbiased.

    Attributes:
        each: The squares of single modes with their noise, (..., K).
        noise: Its expectation, (..., K).
        statistic: What p-values are had by, (...,).
    """

    each: Array
    noise: Array
    statistic: Array

    @property
    def mean(self) -> Array:
        """The mean without the noise, (...,)."""
        return (self.each - self.noise).mean(-1)


@dataclass(frozen=True)
class _Shape:
    """Of samples, or of draws of perfect ones: variances of the modes (..., K), their statistic, and two distances."""

    variance: Array
    statistic: Array
    centre: _Square
    round: _Square

    @staticmethod
    def of(m: ModeMoments, radius: float) -> _Shape:
        """Numbers of some moments, which are cut at the radius."""
        d, v = m.mean.shape[-1], np.maximum(m.variance, _POINT)
        logs = np.log(v / cut_variance(d, radius))
        off, scale = (m.mean**2).sum(-1), d * max(1, d - 1)
        # Samples that are all one point have no direction.
        bent = np.where(v > _POINT, np.square(m.cov / v[..., None, None] - np.eye(d)).sum((-2, -1)) / scale, 0.0)
        # Fourth moments say how noisy a covariance is; on a line, where none is left to be seen, it is not.
        loud = m.quartic / (d * v) ** 2 / m.n
        return _Shape(
            v,
            (m.n * logs**2).sum(-1),
            _Square(off, d * v / m.n, (m.n * off / v).sum(-1)),
            _Square(bent, loud * np.maximum(0.0, 1 - bent), (bent / np.maximum(loud, 1e-300)).sum(-1)),
        )

    @staticmethod
    def joined(parts: Sequence[_Shape]) -> _Shape:
        """Draws one after the other."""

        def square(some: Sequence[_Square]) -> _Square:
            return _Square(
                *(np.concatenate([vars(one)[key] for one in some]) for key in ("each", "noise", "statistic"))
            )

        variance = np.concatenate([part.variance for part in parts])
        statistic = np.concatenate([part.statistic for part in parts])
        return _Shape(variance, statistic, square([x.centre for x in parts]), square([x.round for x in parts]))


def _width(known: _Counted, seen: _Shape, drawn: _Shape | None, n: int, radius: float, protocol: Words) -> Measure:
    d, variance = known.moments.mean.shape[1], float(seen.variance.mean())
    value, error = float(width_behind(variance, d, radius)), float(known.spread.sum()) ** 0.5 / len(known.which)
    low, high = width_behind([max(0.0, variance - error), variance + error], d, radius)
    each = width_behind(seen.variance, d, radius)
    rows = _rows(known, each, np.abs(np.log(np.maximum(each, 1e-300))), "width")
    effect = f"{value:.2g} σ wide"
    effect += f", single modes {each.min():.2g} to {each.max():.2g}" if len(each) > 1 else ""
    words = protocol | {"se": "over the samples of each mode", "effect": effect}
    p = None if drawn is None else _p(drawn.statistic, float(seen.statistic))
    return Measure(value, 1.0, float(high - low) / 2, p, n, 0, "raw", "near", words, rows=rows)


def _distance(
    known: _Counted, seen: _Square, drawn: _Square | None, first: Array, n: int, name: str, protocol: Words
) -> Measure:
    count, square, noise = len(known.which), float(seen.mean), float(seen.noise.mean())
    null = float(drawn.mean.var()) if drawn else 2 * float((seen.noise**2).sum()) / count**2
    error = with_null(float(first.sum()) / count**2, float(seen.each.mean()), noise, null)
    value = max(0.0, square) ** 0.5
    each = np.sqrt(np.maximum(0.0, seen.each))
    unit = " σ off" if name == "centre" else " within modes"
    words = protocol | {"se": "over the samples of each mode, drawn at the floor", "noise": noise**0.5}
    words |= {"effect": f"{value:.2g}{unit}", "floor": "0: unbiased"}
    p = None if drawn is None else _p(drawn.statistic, float(seen.statistic))
    scatter = error / (2 * max(square, error, 1e-300) ** 0.5)  # at 0 the root of what the square scatters by
    return Measure(value, 0.0, scatter, p, n, 0, "raw", "lower", words, rows=_rows(known, each, each, name))


def _rows(known: _Counted, each: Array, badness: Array, name: str) -> tuple[Row, ...]:
    """The modes, the worst first."""
    return tuple(
        {"mode": int(known.which[k]), "samples": round(float(known.weight[k])), name: float(each[k])}
        for k in np.argsort(-badness, kind="stable").tolist()
    )


def _p(null: Array, value: float) -> float:
    """The share of draws that are as far off, the samples themselves among them."""
    return (1 + int((null >= value).sum())) / (len(null) + 1)


def _cost(c: Comparison) -> float:
    """A look at each sample from each centre, and the draws."""
    assert c.centres is not None
    (n, _, d), k = c.sizes, len(c.centres)
    few = n if n <= 256 * k else 0  # sums of more are drawn as one
    return 10.0 * n * k * d + _DRAWS * (400.0 * few * d + 2e3 * k * d * d)


def _part(c: Comparison) -> Found:
    assert c.centres is not None
    assert c.sigma is not None
    return mode_shape(c.first, c.centres, c.sigma, c.weights)


PARTS = (
    Part(
        "mode_shape", "width, centre and correlation within the modes of a known mixture", _part, _cost,
        {"mode_width": "Width of the samples about each mode, in that of the mode",
         "mode_centre": "How far the middle of a mode's samples is off, in its width",
         "mode_correlation": "Correlation within modes that are round, 0 for round and 1 for a line"},
        frozenset(("centres",)), usual=frozenset(("points",)), place=191,
        counted=frozenset(("mode_width", "mode_centre", "mode_correlation")),
    ),
)  # fmt: skip
