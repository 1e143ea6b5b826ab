"""Feature spaces that need no trained network: pixels, scaled columns, principal components, random features."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.errors import DataError
from pushforward.metrics.core.features import RAW, Features, fingerprint
from pushforward.metrics.core.moments import moments
from pushforward.metrics.core.reference import check_samples
from pushforward.metrics.core.scale import Scale, fit_scale

__all__ = ["pca", "pixels", "random_features", "scaled", "scaled_by", "whitened"]

pixels = replace(RAW, name="pixels")
"""The values of an image as they are, flattened: `RAW` under the name that says what they are."""


def whitened(features: Features, reference: Tensor, *, name: str | None = None) -> Features:
    """Any feature space with each feature in its standard deviations over a reference; no rotation, no centring.

    Scores of networks trained from different seeds come nearer to each other in these units, and no feature counts for
    more than the rest because of its scale. Features that are constant on the reference keep their own units.

    Args:
        features: The feature space.
        reference: Real samples, (n, *event), n >= 2; a fixed set in a fixed order, since it is part of the identity.
        name: What to call the new space; "whitened-" and the old name where omitted.

    Raises:
        DataError: If the reference has fewer than two samples or values that are not finite.
    """
    check_samples("reference", reference)
    spread = _spread(features(reference))
    # Not of the spread: a network rounds differently on another machine, and the identity should be the same there.
    sha = fingerprint({f"reference of {features.name} {features.sha}": reference})
    function = _After(features, _Division(spread))
    return Features(name or f"whitened-{features.name}", sha, len(spread), function, features.classify)


def scaled(real: Tensor) -> Features:
    """Each column in widths of `real`, for tables whose columns differ in unit: `core.scale` has the formula.

    A width is the standard deviation of a normal law, but no few rows decide it; rows beyond ten of them are drawn in.
    Columns that are constant in `real` keep their own units; `fit_scale(real.flatten(1)).constant` names them.

    Args:
        real: Data samples, (n, *event), n >= 2.

    Raises:
        DataError: If there are fewer than two samples or values that are not finite.
    """
    check_samples("real", real)
    return scaled_by(fit_scale(real))


def scaled_by(scale: Scale) -> Features:
    """The samples as they are, flattened, in units that are known."""
    told = {"centre": scale.centre + 0.0, "width": scale.width}  # -0.0 and 0.0 are one median
    return Features("scaled", fingerprint(told), len(scale.width), _After(RAW, scale))


def pca(real: Tensor, k: int, *, whiten: bool = False, features: Features = RAW) -> Features:
    """Coordinates along the k directions of largest variance of a reference, largest first, centred on its mean.

    Args:
        real: Data samples, (n, *event).
        k: Number of directions, at most n - 1 and at most the number of features.
        whiten: Divide each coordinate by its standard deviation on the reference.
        features: The feature space in which the directions are sought.

    Raises:
        DataError: If k is too large, or if with `whiten` a direction has no variance.
    """
    check_samples("real", real)
    values = features(real)
    n, d = values.shape
    most = min(n - 1, d)
    if not 1 <= k <= most:
        raise DataError(f"pca with k = {k} on {n} samples of {d} features: give 1 <= k <= {most}")
    variances, axes = _directions(values, k)
    if whiten and float(variances[-1]) <= 1e-12 * float(variances[0]):
        flat = int((variances > 1e-12 * variances[0]).sum())
        raise DataError(f"pca with k = {k}: the reference varies along {flat} directions only; give k <= {flat}")
    mean, axes = values.mean(0), axes / variances.sqrt() if whiten else axes
    mean = _fitted(mean, torch.maximum(mean.abs(), values.std(0)))
    projection = _Projection(mean, _fitted(axes, axes.abs().amax(0)))
    sha = fingerprint({f"mean of {features.name} {features.sha}": projection.mean, "axes": projection.axes})
    kind = "pca-whitened" if whiten else "pca"
    name = f"{kind}-{k}" if features is RAW else f"{kind}-{k}-{features.name}"
    return Features(name, sha, k, _After(features, projection), features.classify)


def random_features(
    event: tuple[int, ...], dim: int = 128, *, seed: int = 0, reference: Tensor, features: Features | None = None
) -> Features:
    """Features of a network that was never trained, in standard deviations over a reference.

    Images (channels, side, side) go through 3x3 convolutions with stride two until the side is at most 4, everything
    else, flattened, through three dense layers. Weights have variance 2 / fan-in, 1 / fan-in in the last layer, so that
    signals keep their size with depth; biases have a spread of 0.1. With the usual initialisation of torch signals
    shrink layer by layer, and Fréchet distances between any two data sets come out near zero.

    Args:
        event: Shape of a sample.
        dim: Number of features.
        seed: Seed of the weights.
        reference: Real samples, (n, *event), n >= 2; a fixed set in a fixed order, since it is part of the identity.
        features: A space of points that the network looks at in the place of the samples, such as `scaled`.

    Raises:
        DataError: If the reference has another shape, too few samples or values that are not finite.
    """
    if reference.shape[1:] != event:
        raise DataError(
            f"reference has event shape {tuple(reference.shape[1:])}, wanted {event}: give samples like those"
        )
    rng = torch.Generator().manual_seed(seed)
    images = len(event) == 3
    weights: list[Tensor] = []
    if images:
        width, side = event[0], max(event[1:])
        while side > 4:
            after = min(2 * max(width, 16), 256)
            weights.append(_drawn((after, width, 3, 3), 2.0, rng))
            width, side = after, (side + 1) // 2
        flat = width * _halved(event[1], len(weights)) * _halved(event[2], len(weights))
        weights.append(_drawn((dim, flat), 1.0, rng))
    else:
        sizes = [math.prod(event), 2 * dim, 2 * dim, dim]
        weights += [_drawn((b, a), 1.0 if i == 2 else 2.0, rng) for i, (a, b) in enumerate(pairwise(sizes))]
    network = _Random(weights, [0.1 * torch.randn(len(weight), generator=rng) for weight in weights])
    state = {f"weight {i}": weight for i, weight in enumerate(network.weights)}
    sha = fingerprint(state | {f"bias {i}": bias for i, bias in enumerate(network.biases)})
    kind = "random-conv" if images else "random-mlp"
    if features is None:
        return whitened(Features(kind, sha, dim, network), reference, name=kind)
    kind = f"{kind}-{features.name}"
    sha = fingerprint({f"{features.id} {sha}": reference.new_zeros(0)})
    return whitened(Features(kind, sha, dim, _After(features, network)), reference, name=kind)


@dataclass(frozen=True)
class _After:
    """A map of features, after the features."""

    features: Features
    then: Scale | _Projection | _Division | _Random

    def __call__(self, x: Tensor) -> Tensor:
        return self.then(self.features.function(x))


@dataclass(frozen=True)
class _Division:
    spread: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return x.double() / self.spread.to(x.device)


@dataclass(frozen=True)
class _Projection:
    mean: Tensor
    axes: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x.double() - self.mean.to(x.device)) @ self.axes.to(x.device)


@dataclass(frozen=True)
class _Random:
    """Convolutions and dense layers with ReLU between them, none after the last."""

    weights: list[Tensor]
    biases: list[Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        x = x.float()
        for weight, bias in zip(self.weights[:-1], self.biases):
            weight, bias = weight.to(x.device), bias.to(x.device)
            if weight.ndim == 4:
                x = F.relu(F.conv2d(x, weight, bias, stride=2, padding=1))
            else:
                x = F.relu(F.linear(x.flatten(1), weight, bias))
        return F.linear(x.flatten(1), self.weights[-1].to(x.device), self.biases[-1].to(x.device))


def _spread(values: Tensor) -> Tensor:
    """Standard deviation of each feature, 1 where it is constant but for rounding."""
    spread = values.std(0)
    spread = torch.where(spread <= 1e-10 * values.abs().amax(0), 1.0, spread)
    return _fitted(spread, spread)


def _drawn(shape: tuple[int, ...], gain: float, rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng) * (gain / math.prod(shape[1:])) ** 0.5


def _halved(side: int, times: int) -> int:
    for _ in range(times):
        side = (side + 1) // 2
    return side


def _fitted(value: Tensor, size: Tensor) -> Tensor:
    """Rounded to 24 bits of `size`: then the order of a sum, which differs between machines, seldom shows in the id."""
    exponent = torch.frexp(size).exponent
    rounded = torch.ldexp(torch.ldexp(value, 24 - exponent).round(), exponent - 24)
    return (rounded + 0.0).contiguous()  # -0.0 becomes 0.0, whose bytes differ


def _directions(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest variances, descending, and their directions as columns (d, k), largest entry positive."""
    n, d = values.shape
    if n > d:
        found, vectors = torch.linalg.eigh(moments(values).covariance)
        variances, axes = found.flip(0)[:k].clamp_min(0), vectors.flip(1)[:, :k]
    else:
        _, roots, rows = torch.linalg.svd(values - values.mean(0), full_matrices=False)
        variances, axes = roots[:k].square() / (n - 1), rows[:k].T
    signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    return variances, axes * signs
