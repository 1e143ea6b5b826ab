r"""Fréchet distance of two Gaussians fitted to features.

.. math::
    F = \|m_q - m_p\|^2 + \operatorname{tr} C_q + \operatorname{tr} C_p - 2 \operatorname{tr} (C_q C_p)^{1/2}

Everything is float64; the cross term is the sum of roots of the eigenvalues of :math:`C_q^{1/2} C_p C_q^{1/2}`, which
are real and non-negative, so no general matrix root and no added jitter is needed. F is biased upwards by about
:math:`d^2 / 2 (1/n + 1/m)`: read it next to its floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.features import RAW, Features
from pushforward.metrics.reference import compare, real_floor
from pushforward.metrics.result import Measure

__all__ = ["Moments", "frechet", "frechet_distance", "frechet_floor", "frechet_se", "moments"]


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of features; `a + b` are those of both samples together, to rounding.

    Attributes:
        n: Number of rows.
        mean: (d,), float64.
        scatter: Sum of outer products of deviations from the mean, (d, d), float64.
    """

    n: int
    mean: Tensor
    scatter: Tensor

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance, scatter / (n - 1), (d, d)."""
        if self.n < 2:
            raise DataError(f"a covariance of {self.n} row(s) does not exist: give at least 2")
        return self.scatter / (self.n - 1)

    def __add__(self, other: Moments) -> Moments:
        """Merge two samples' moments (Chan, Golub & LeVeque, 1983)."""
        n = self.n + other.n
        step = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)


def moments(features: Tensor | Iterable[Tensor]) -> Moments:
    """Moments of features (n, d), or of a stream of such blocks.

    Raises:
        DataError: If the stream holds no rows.
    """
    blocks = [features] if isinstance(features, Tensor) else features
    parts = (_block_moments(block.double()) for block in blocks if len(block))
    first = next(parts, None)
    if first is None:
        raise DataError("no rows to take moments of: the stream of features is empty")
    return reduce(Moments.__add__, parts, first)


def frechet(q: Moments, p: Moments) -> float:
    """Fréchet distance (squared 2-Wasserstein distance of the fitted Gaussians), in squared feature units.

    Args:
        q: Moments of the model's features.
        p: Moments of the data's features.

    References:
        The Fréchet distance between multivariate normal distributions (Dowson & Landau, 1982);
        GANs trained by a two time-scale update rule (Heusel et al., 2017), arXiv:1706.08500.
    """
    root = _root(q.covariance)
    cross = torch.linalg.eigvalsh(_symmetric(root @ p.covariance @ root)).clamp_min(0).sqrt().sum()
    shift = (q.mean - p.mean).square().sum()
    return max(0.0, float(shift + q.covariance.trace() + p.covariance.trace() - 2 * cross))


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
    values = torch.linalg.eigvalsh(_symmetric(covariance.double())).clamp_min(0)
    sums = values[:, None] + values
    pairs = torch.where(sums > 0, values[:, None] * values / sums.where(sums > 0, 1.0), 0.0).sum()
    return (1 / n + 1 / m) * float(values.sum() + 0.5 * (pairs + 0.5 * values.sum()))


def frechet_se(q: Tensor, p: Tensor) -> float:
    r"""Standard error of the Fréchet distance over draws of both samples.

    The first variation of F at q is :math:`\phi(x) = 2 (m_q - m_p) \cdot x + (x - m_q)^\top (I - T)(x - m_q)` with T
    the optimal map between the centred Gaussians; the error is :math:`(\mathrm{Var}\,\phi_q / n + \mathrm{Var}\,
    \phi_p / m)^{1/2}`. It leaves out second-order noise, so it means little for values at the floor.

    Args:
        q: Model features, (n, d).
        p: Data features, (m, d).
    """
    q, p = q.double(), p.double()
    return float((_influence(q, p).var() / len(q) + _influence(p, q).var() / len(p)).sqrt())


def frechet_distance(
    fake: Tensor,
    real: Tensor,
    features: Features = RAW,
    *,
    train: Tensor | None = None,
    small: bool = False,
    repeats: int = 20,
    draws: int = 1,
    seed: int = 0,
) -> Measure:
    """Fréchet distance with its floor and standard error.

    The floor is measured (subsets of `train`, as many as there are fakes, against `real`) where `train` is given and
    large enough, else it is the closed form for a Gaussian with real's covariance; the protocol says which.

    Args:
        fake: Model samples, (draws * n, *event).
        real: Data samples, (m, *event), held out from training.
        features: The feature space; its identity belongs in the number's name.
        train: A second sample of the data, for the floor.
        small: Allow fewer rows than twice the number of features; the protocol then carries a note.
        repeats: Subsets averaged for the measured floor.
        draws: Sets of n that fake holds, one after the other; the value is their mean distance, as the floor is a mean.
        seed: Seed of these subsets.

    Raises:
        DataError: If the samples do not fit together, or are fewer than twice the number of features.
    """
    sets, p, t = compare(fake, real, train, features)
    if draws < 1 or len(sets) % draws:
        raise DataError(f"fake has {len(sets)} samples, not a multiple of {draws} draws: give whole sets")
    q, *more = sets.split(len(sets) // draws)
    least, dim = min(len(q), len(p)), q.shape[1]
    protocol: dict[str, str | float | int] = {"covariance": "ddof 1", "dim": dim, "se": "first variation"}
    if least < 2 * dim:
        name = "fake" if len(q) <= len(p) else "real"
        remedy = f"give at least {2 * dim}, use the unbiased mmd, or pass small=True and read it against its floor"
        if not small:
            raise DataError(f"{name} has {least} samples for {dim} features: {remedy}")
        protocol["note"] = f"{least} samples for {dim} features: covariance poorly known, read against the floor"
    reference = moments(p)
    if t is not None and len(t) >= len(q):
        floor, how = real_floor(
            lambda a, b: frechet(moments(a), moments(b)), p, t, (len(q), len(p)), repeats=repeats, seed=seed
        )
        protocol |= {"floor": how, "seed": seed}
    else:
        floor = frechet_floor(reference.covariance, len(q), len(p))
        protocol["floor"] = "closed form, Gaussian of real's covariance"
    value = math.fsum(frechet(moments(one), reference) for one in (q, *more)) / draws
    error = frechet_se(q, p)
    if draws > 1:
        protocol["value"] = f"mean of {draws} sets of {len(q)}; the se is that of one"
    return Measure(value, floor, error, None, len(q), len(p), features.id, "lower", protocol)


def _block_moments(block: Tensor) -> Moments:
    mean = block.mean(0)
    deviations = block - mean
    return Moments(len(block), mean, deviations.T @ deviations)


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def _root(matrix: Tensor, *, inverse: bool = False) -> Tensor:
    """Root of a positive semi-definite matrix, or the pseudo-inverse of that root."""
    values, vectors = torch.linalg.eigh(_symmetric(matrix))
    roots = values.clamp_min(0).sqrt()
    if inverse:
        kept = values > values.max().clamp_min(0) * len(values) * torch.finfo(values.dtype).eps
        roots = torch.where(kept, 1 / roots.where(kept, 1.0), 0.0)
    return (vectors * roots) @ vectors.T


def _influence(x: Tensor, y: Tensor) -> Tensor:
    """First variation of F with respect to the law of x, at the rows of x, (n,)."""
    a, b = moments(x), moments(y)
    root, inverse = _root(a.covariance), _root(a.covariance, inverse=True)
    carry = inverse @ _root(root @ b.covariance @ root) @ inverse
    deviations = x - a.mean
    return 2 * deviations @ (a.mean - b.mean) + (deviations * (deviations - deviations @ carry)).sum(1)
