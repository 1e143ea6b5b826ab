r"""Fréchet distance of two Gaussians fitted to features.

.. math::
    F = \|m_q - m_p\|^2 + \operatorname{tr} C_q + \operatorname{tr} C_p - 2 \operatorname{tr} (C_q C_p)^{1/2}

Everything is float64; the cross term is the sum of roots of the eigenvalues of :math:`C_p^{1/2} C_q C_p^{1/2}`, which
are real and non-negative, so no general matrix root and no added jitter is needed. F is biased upwards by about
:math:`d^2 / 2 (1/n + 1/m)`: read it next to its floor, or extrapolate it (`frechet_limit`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison, moment_cost
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.held import HELD_VALUES, held, split_rows
from pushforward.metrics.core.moments import Moments, moments, ticking
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_compared, se_apart, se_near, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.networks.inception import is_true_inception
from pushforward.randomness import generator

__all__ = [
    "PARTS",
    "Moments",
    "frechet",
    "frechet_distance",
    "frechet_floor",
    "frechet_name",
    "frechet_rows",
    "frechet_se",
    "moments",
]

_ERROR_ROWS = 2**12
"""Rows of each sample behind a standard error: 4096 give it to one or two per cent."""

_FLOOR_VALUES = 2**26
"""Numbers (rows times features) that the repeats of a measured floor read together; one repeat is made in any case."""


def frechet(q: Moments, p: Moments) -> float:
    """Fréchet distance (squared 2-Wasserstein distance of the fitted Gaussians), in squared feature units.

    Args:
        q: Moments of the model's features.
        p: Moments of the data's features.

    References:
        The Fréchet distance between multivariate normal distributions (Dowson & Landau, 1982);
        GANs trained by a two time-scale update rule (Heusel et al., 2017), arXiv:1706.08500.
    """
    return _Gaussian.of(p).distance(q)


def frechet_rows(q: Tensor, p: Tensor) -> float:
    r"""The same number from feature rows without a (d, d) matrix: for fewer rows than features.

    With centred rows X and Y the cross term is the nuclear norm of :math:`X Y^\top / \sqrt{(n-1)(m-1)}`.

    Args:
        q: Model features, (n, d).
        p: Data features, (m, d).
    """
    return _Rows(p.double()).measure([q.double()])[0]


def frechet_floor(covariance: Tensor, n: int, m: int) -> float:
    r"""Expected Fréchet distance of two samples of one Gaussian law, to first order in 1/n and 1/m.

    With eigenvalues :math:`l` of the covariance,
    :math:`(1/n + 1/m) [\sum_i l_i + \tfrac12 (\sum_{ij} l_i l_j / (l_i + l_j) + \tfrac12 \sum_i l_i)]`; for the
    identity and n = m this is :math:`(d^2 + 5d) / 2n`.

    Args:
        covariance: (d, d).
        n: Size of the first sample.
        m: Size of the second.
    """
    return _floor(torch.linalg.eigvalsh(_symmetric(covariance.double())).clamp_min(0), n, m)


def frechet_se(q: Tensor, p: Tensor) -> float:
    r"""Standard error of the Fréchet distance over draws of both samples.

    The first variation of F at q is :math:`\phi(x) = 2 (m_q - m_p) \cdot x + (x - m_q)^\top (I - T)(x - m_q)` with T
    the optimal map between the centred Gaussians; the error is :math:`(\mathrm{Var}\,\phi_q / n + \mathrm{Var}\,
    \phi_p / m)^{1/2}`. It leaves out second-order noise, so it means little for values at the floor.

    Args:
        q: Model features, (n, d).
        p: Data features, (m, d).
    """
    return _Gaussian.of(moments(p)).error(moments(q), q, p)


def frechet_distance(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    train: Given | None = None,
    small: bool = False,
    repeats: int = 20,
    draws: int = 1,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    """Fréchet distance with its floor and standard error; samples are read in blocks and may be mapped from files.

    The floor is measured (subsets of `train`, as many as there are fakes, against `real`) where `train` is given and
    large enough, else between random halves of real and scaled to n and m, at which it falls like 1/n + 1/m; where
    real has fewer than four rows a feature it is the closed form for a Gaussian with real's covariance, too low for
    heavy tails. The error is that of the first variation, less the noise that it counts twice at the floor (`se_near`).
    The protocol says which floor, and beside `train` the standard error of value less floor, `se_apart`.

    Args:
        fake: Model samples, (draws * n, *event).
        real: Data samples, (m, *event), held out from training.
        features: The feature space; its identity belongs in the number's name.
        train: A second sample of the data, for the floor.
        small: Allow fewer rows than twice the number of features; the protocol then carries a note.
        repeats: Subsets averaged for the measured floor; fewer where they are costly.
        draws: Sets of n that fake holds, one after the other; the value is their mean distance, as the floor is a mean.
        seed: Seed of these subsets, and of the rows behind the error.
        tick: Called with the share of rows read so far.

    Raises:
        DataError: If the samples do not fit together, are fewer than twice the number of features, or overflow.
    """
    fake, real, train = check_compared(fake, real, train)
    if draws < 1 or len(fake) % draws:
        raise DataError(f"fake has {len(fake)} samples, not a multiple of {draws} draws: give whole sets")
    n, m, dim = len(fake) // draws, len(real), features(real[:1]).shape[1]
    protocol: Words = {"covariance": "ddof 1", "dim": dim}
    if min(n, m) < 2 * dim:
        name = "fake" if n <= m else "real"
        remedy = f"give at least {2 * dim}, use the unbiased mmd, or pass small=True and read it against its floor"
        if not small:
            raise DataError(f"{name} has {min(n, m)} samples for {dim} features: {remedy}")
        protocol["note"] = f"{min(n, m)} samples for {dim} features: covariance poorly known, read against the floor"
    known, rng = train is not None and len(train) >= n, generator(seed, "evaluate", part="frechet")
    halves, a = not known and m >= max(8, 4 * dim), min(n, m // 2)
    if train is not None and known:
        repeats = min(repeats, max(1, _FLOOR_VALUES // (n * dim))) if n < len(train) else 1
    elif halves:  # each also takes the eigenvalues of two matrices
        repeats = max(1, min(repeats if m * dim <= HELD_VALUES else 1, _FLOOR_VALUES // (m * dim + 64 * dim**2)))

    read = ticking(tick, len(fake) + (repeats * m if halves else m + known * repeats * n))
    sets = [held("fake", part, features, dim) for part in fake.split(n)]
    data, parts = held("real", real, features, dim), list[float]()

    def halved() -> Moments:
        """Moments of real, from one reading of two parts whose distance is kept."""
        q, p = (moments(read(data.stream(rows))) for rows in split_rows(m, a, rng))
        parts.append(frechet(q, p))
        return q + p

    if halves:
        fit = _Gaussian.of(halved())
    else:
        stream = read(data.stream())
        fit = _Rows(torch.cat(list(stream))) if max(n, m) < dim else _Gaussian.of(moments(stream))
    (first, error), *others = (fit.measure(read(part.stream())) for part in sets)
    values = [first, *(distance for distance, _ in others)]
    value = math.fsum(values) / draws

    if train is not None and known:
        more = held("train", train, features, dim)
        orders = (split_rows(len(train), n, rng)[0] for _ in range(repeats))
        floors = [fit.measure(read(more.stream(order)))[0] for order in orders]
        floor, how = math.fsum(floors) / repeats, f"train {n} vs real {m}, mean of {repeats}"
        if (apart := se_apart(values, floors, n / len(train))) is not None:
            protocol["se_apart"] = apart
    elif halves:
        while len(parts) < repeats:
            halved()
        floor = math.fsum(parts) / repeats * (1 / n + 1 / m) / (1 / a + 1 / (m - a))
        kind = "halves" if a == m // 2 else "parts"
        how = f"{kind} of real, {a} vs {m - a}, mean of {repeats}, scaled to {n} vs {m}"
    else:
        floor, how = _floor(fit.spectrum, n, m), "closed form, Gaussian of real's covariance"
    rng = generator(seed, "evaluate", part="frechet error")
    used = [part.features(subset(part.x, _ERROR_ROWS, rng)) for part in (sets[0], data)]
    rows = "all rows" if max(n, m) <= _ERROR_ROWS else f"{_ERROR_ROWS} rows of each"
    protocol |= {"floor": how, "se": f"first variation, less its noise at the floor, {rows}", "seed": seed}
    if draws > 1:
        protocol["value"] = f"mean of {draws} sets of {n}; the se is that of one, over fresh rows of data too"
    se = se_near(error(*used), value, floor)
    return Measure(value, floor, se, None, n, m, features.id, "lower", protocol)


_Error = Callable[[Tensor, Tensor], float]
"""(rows of q, rows of p) -> standard error of their samples' distance."""


@dataclass(frozen=True)
class _Gaussian:
    """The data as moments and the eigenvalues and -vectors of their covariance."""

    p: Moments
    spectrum: Tensor
    vectors: Tensor

    @staticmethod
    def of(p: Moments) -> _Gaussian:
        values, vectors = torch.linalg.eigh(_symmetric(p.covariance))
        return _Gaussian(p, values.clamp_min(0), vectors)

    def measure(self, blocks: Iterable[Tensor]) -> tuple[float, _Error]:
        q = moments(blocks)
        return self.distance(q), lambda x, y: self.error(q, x, y)

    def distance(self, q: Moments) -> float:
        cross = torch.linalg.eigvalsh(self._middle(q)).clamp_min(0).sqrt().sum()
        shift = (q.mean - self.p.mean).square().sum()
        return max(0.0, float(shift + q.covariance.trace() + self.p.covariance.trace() - 2 * cross))

    def error(self, q: Moments, x: Tensor, y: Tensor) -> float:
        # With F F' = C_p, F' C_q F = W M W' and G inverse to F', the optimal maps are T_q = F W M^(-1/2) W' F' and
        # T_p = G W M^(1/2) W' G': their quadratic forms are squared lengths.
        values, vectors = torch.linalg.eigh(self._middle(q))
        values = values.clamp_min(0)
        to_p = (self.vectors * self.spectrum.sqrt()) @ (vectors * _inverse(values, 0.25))
        to_q = (self.vectors * _inverse(self.spectrum, 0.5)) @ (vectors * values.pow(0.25))
        noise_q = _variation(x, q.mean, self.p.mean, to_p).var() / q.n
        noise_p = _variation(y, self.p.mean, q.mean, to_q).var() / self.p.n
        return float((noise_q + noise_p).sqrt())

    def _middle(self, q: Moments) -> Tensor:
        """A matrix with the eigenvalues of the product of the covariances, symmetric."""
        root = self.vectors * self.spectrum.sqrt()
        return _symmetric(root.T @ q.covariance @ root)


@dataclass(frozen=True)
class _Rows:
    """The data as rows of features, fewer than there are features: all in (n, m), nothing in (d, d)."""

    p: Tensor

    @property
    def spectrum(self) -> Tensor:
        return torch.linalg.svdvals(self.p - self.p.mean(0)).square() / (len(self.p) - 1)

    def measure(self, blocks: Iterable[Tensor]) -> tuple[float, _Error]:
        q, p = torch.cat(list(blocks)), self.p
        x, y, shift = q - q.mean(0), p - p.mean(0), q.mean(0) - p.mean(0)
        n, m = len(q), len(p)
        left, values, right = torch.linalg.svd(x @ y.T / ((n - 1) * (m - 1)) ** 0.5, full_matrices=False)
        lengths_x, lengths_y = x.square().sum(1), y.square().sum(1)
        traces = lengths_x.sum() / (n - 1) + lengths_y.sum() / (m - 1)
        # The optimal map's quadratic form at a row is that row's share of the nuclear norm.
        along_x = 2 * x @ shift + lengths_x - (n - 1) * left.square() @ values
        along_y = -2 * y @ shift + lengths_y - (m - 1) * right.T.square() @ values
        error = float((along_x.var() / n + along_y.var() / m).sqrt())
        return max(0.0, float(shift.square().sum() + traces - 2 * values.sum())), lambda _x, _y: error


def _floor(values: Tensor, n: int, m: int) -> float:
    sums = values[:, None] + values
    pairs = torch.where(sums > 0, values[:, None] * values / sums.where(sums > 0, 1.0), 0.0).sum()
    return (1 / n + 1 / m) * float(values.sum() + 0.5 * (pairs + 0.5 * values.sum()))


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def _inverse(values: Tensor, power: float) -> Tensor:
    """Eigenvalues to a negative power; those that are zero up to rounding stay zero."""
    kept = values > values.max() * len(values) * torch.finfo(values.dtype).eps
    return torch.where(kept, values.where(kept, 1.0).pow(-power), 0.0)


def _variation(x: Tensor, mean: Tensor, other: Tensor, root: Tensor) -> Tensor:
    """First variation of F with respect to the law of x, at the rows of x, (n,); root @ root.T is the optimal map."""
    parts = []
    for part in x.split(_ERROR_ROWS):
        deviations = part.double() - mean
        squares = deviations.square().sum(1) - (deviations @ root).square().sum(1)
        parts.append(2 * deviations @ (mean - other) + squares)
    return torch.cat(parts)


def frechet_name(space: Features) -> str:
    """What a Fréchet distance in a feature space is called: FID only in that of the Inception network of 2015."""
    return "FID" if is_true_inception(space) else "FD"


def _part(c: Comparison) -> Found:
    found = frechet_distance(c.q, c.p, c.known, train=c.t, small=True, draws=c.draws, seed=c.seed, tick=c.tick)
    return {f"{frechet_name(c.space)}@{c.space.id}": found}


PARTS = (
    Part(
        "fd", "Fréchet distance of features", _part, moment_cost,
        {"FD": "Fréchet distance: Gaussians fitted to features of samples and of data, compared",
         "FID": "Fréchet distance in the features of the Inception network of 2015"},
        usual=frozenset(("images",)), place=0,
    ),
)  # fmt: skip
