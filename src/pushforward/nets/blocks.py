"""Parts that all nets share: a generator and a critic around any body, with optional classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError

__all__ = [
    "LAW_ROWS",
    "Affine",
    "Bounded",
    "Box",
    "Classed",
    "CriticNet",
    "FourierFeatures",
    "GeneratorNet",
    "Norm",
    "NormalStart",
    "PixelNorm",
    "class_shares",
    "classes_of",
    "empty_law",
    "image_shape",
    "initialise",
    "normal_law",
    "normalisation",
    "started",
    "steepest_of",
]

LAW_ROWS = 10_000  # rows that a normal law is taken from, at the most

Norm: TypeAlias = Literal["batch", "pixel", "none"]


@dataclass(frozen=True)
class Box:
    """The projection onto a box, for data that live in one.

    Attributes:
        low: Its lower end, in every coordinate.
        high: Its upper end.
    """

    low: float
    high: float

    def __call__(self, x: Tensor) -> Tensor:
        """The nearest points of the box, (n, *event)."""
        return x.clamp(self.low, self.high)


class GeneratorNet(nn.Module):
    """x = body(z), or body([z, e(y)]) with a learned embedding e of the class y.

    Args:
        body: Maps (n, latent + embedding) to (n, *event).
        latent: Size of z.
        classes: Number of classes; 0 for none.
        embedding: Size of e(y).
    """

    def __init__(self, body: nn.Module, latent: int, classes: int = 0, embedding: int = 0) -> None:
        super().__init__()
        self.body, self.latent, self.classes = body, latent, classes
        self.embed = nn.Embedding(classes, embedding) if classes else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples (n, *event) for latents (n, latent) and, in a conditional net, classes (n,)."""
        if self.embed is None:
            return self.body(z)
        return self.body(torch.cat([z, self.embed(_needed(labels, "generator"))], 1))


class CriticNet(nn.Module):
    r"""Score :math:`d(x, y) = a^\top\phi(x) + b + e(y)^\top\phi(x)`; the last term only in a conditional critic.

    Args:
        body: Features phi, (n, *event) -> (n, width).
        width: Number of features.
        classes: Number of classes; 0 for none.

    References:
        cGANs with projection discriminator (Miyato and Koyama, 2018), arXiv:1802.05637.
    """

    def __init__(self, body: nn.Module, width: int, classes: int = 0) -> None:
        super().__init__()
        self.body, self.head, self.classes = body, nn.Linear(width, 1), classes
        self.embed = nn.Embedding(classes, width) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (n,) for samples (n, *event) and, if conditional, classes (n,) or class weights (n, classes)."""
        features = self.body(x)
        scores = self.head(features).squeeze(-1)
        if self.embed is None:
            return scores
        labels = _needed(labels, "critic")
        embedded = labels @ self.embed.weight if labels.is_floating_point() else self.embed(labels)
        return scores + (embedded * features).sum(1)


class NormalStart(nn.Module):
    r"""The affine map :math:`m + z A` beside a body that answers 0 at first: a net that starts at a normal law.

    From usual weights a generator starts at a small lump, and what flows out of it to the modes tears it at random
    places. From the law with the data's mean and covariance every mode is near, and what becomes one stays in a piece.

    Args:
        body: Maps (n, inputs) to (n, outputs).
        mean: m, (outputs,).
        axes: A, (inputs, outputs).
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, body: nn.Sequential, mean: Tensor, axes: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("mean", mean)
        self.register_buffer("axes", axes)

    def forward(self, z: Tensor) -> Tensor:
        """Points (n, outputs) for latents (n, inputs)."""
        return torch.addmm(self.mean, z, self.axes) + self.body(z)


def normal_law(x: Tensor, latent: int) -> tuple[Tensor, Tensor]:
    r"""The mean m and the axes A for which :math:`m + z A` has the mean and covariance of samples, z standard normal.

    A is the symmetric square root of the covariance, with rows of zeros for what z has beside that: of all such maps it
    moves z least. Where z has fewer numbers than x, it is that of the leading principal components.

    Args:
        x: Samples in random order, (n, *event), of which the first 10,000 count.
        latent: Size of z.

    Returns:
        m (d,) and A (latent, d), for events of d numbers.
    """
    rows = x[:LAW_ROWS].flatten(1).double()
    mean, d = rows.mean(0), rows.shape[1]
    if d > max(latent, len(rows)):  # the directions are those of the rows' products, which are fewer
        centred = (rows - mean) / len(rows) ** 0.5
        scaled = centred.T @ torch.linalg.eigh(centred @ centred.T).eigenvectors
    else:
        squares, directions = torch.linalg.eigh(torch.cov(rows.T, correction=0).reshape(d, d))
        scaled = directions * squares.clamp_min(0).sqrt()
        scaled = scaled @ directions.T if latent >= d else scaled
    axes = scaled.T if latent >= d else scaled.flip(1)[:, :latent].T  # columns stand in order of their length
    return mean.to(x), torch.cat([axes, axes.new_zeros(latent - len(axes), d)]).to(x)


def empty_law(size: int, latent: int) -> tuple[Tensor, Tensor]:
    """Zeros in the shapes of `normal_law`, m (size,) and A (latent, size), for a net that a file is to fill."""
    return torch.zeros(size), torch.zeros(latent, size)


def started(net: GeneratorNet, mean: Tensor, axes: Tensor) -> GeneratorNet:
    """The same net, which from now on starts at a normal law; its last layer is set to 0.

    Args:
        net: A generator of vectors, whose body is a sequence of layers with a linear one at its end.
        mean: m, (d,).
        axes: A, (latent, d); the embedding of a class is no part of it.
    """
    body = net.body
    assert isinstance(body, nn.Sequential)
    last = [layer for layer in body if isinstance(layer, nn.Linear)][-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    embedding = 0 if net.embed is None else net.embed.embedding_dim
    net.body = NormalStart(body, mean, torch.cat([axes, axes.new_zeros(embedding, axes.shape[1])]))
    return net


def _needed(labels: Tensor | None, who: str) -> Tensor:
    if labels is None:
        raise ValueError(f"this {who} is conditional: give labels (n,), or build it with classes=0")
    return labels


@runtime_checkable
class Classed(Protocol):
    """A net that takes classes beside samples or latents, and says how many; 0 for one that takes none."""

    @property
    def classes(self) -> int: ...


@runtime_checkable
class Bounded(Protocol):
    """A critic that says what slope it cannot exceed, in score units per data unit; None where nothing bounds it."""

    @property
    def steepest(self) -> float | None: ...


def classes_of(net: nn.Module) -> int:
    """Number of classes that a net takes; 0 where it takes none or does not say."""
    return net.classes if isinstance(net, Classed) else 0


def steepest_of(net: nn.Module) -> float | None:
    """The slope that a critic cannot exceed; None where nothing bounds it or it does not say."""
    return net.steepest if isinstance(net, Bounded) else None


def class_shares(labels: Tensor, classes: int) -> Tensor:
    """Class weights (n, classes): those given, or 1 at the class of each row; looks at no number from Python."""
    if labels.is_floating_point():
        return labels
    return labels[:, None] == torch.arange(classes, device=labels.device)


class FourierFeatures(nn.Module):
    r"""(x, a cos k x, a sin k x) with frequencies k that do not learn: octaves along the axes, and random ones.

    Args:
        dim: Size of x.
        features: Number of random frequencies, normal and drawn from torch's generator at construction.
        scale: Standard deviation of their coordinates in the plane, in cycles per unit of x; for d numbers
            :math:`\sqrt{2/d}` of it, at which phases of data of unit variance vary as much.
        octaves: Frequencies 2, 4, ... of each coordinate alone, in radians per unit of x.
        damped: Whether :math:`a = 1 / \max(1, |k|)`, so that no wave is steeper than x itself, instead of 1: a fresh
            net with such a front is as smooth as one without.

    Attributes:
        out: Size of what it answers with, dim + 2 * (dim * octaves + features).

    References:
        Fourier features let networks learn high frequency functions (Tancik et al., 2020), arXiv:2006.10739.
    """

    frequencies: Tensor
    heights: Tensor | None

    def __init__(self, dim: int, features: int, scale: float = 1.0, *, octaves: int = 0, damped: bool = False) -> None:
        super().__init__()
        along = [2.0 ** (k + 1) * torch.eye(dim) for k in range(octaves)]
        k = torch.cat([*along, torch.randn(dim, features) * (2 * math.pi * scale * math.sqrt(2 / dim))], 1)
        self.out = dim + 2 * k.shape[1]
        self.register_buffer("frequencies", k)
        self.register_buffer("heights", 1 / k.norm(dim=0).clamp_min(1) if damped else None)

    def forward(self, x: Tensor) -> Tensor:
        """Features (n, out)."""
        phase = x @ self.frequencies
        if self.heights is None:
            return torch.cat([x, phase.cos(), phase.sin()], 1)
        return torch.cat([x, phase.cos() * self.heights, phase.sin() * self.heights], 1)


class Affine(nn.Module):
    """s x + m, with a vector m and one number s that do not learn.

    Args:
        shift: m, (d,).
        scale: s, ().
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, (n, d)."""
        return self.shift + x * self.scale


class PixelNorm(nn.Module):
    """Each pixel's channels divided by their root mean square: no statistics, no modes, no coupling of samples."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, (n, c, ...)."""
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """The layer that a generator puts before its activations."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return PixelNorm() if norm == "pixel" else nn.Identity()


def image_shape(side: int, channels: int) -> tuple[int, int]:
    """Check an image shape and return the side of the smallest map and the number of doublings to the full side.

    Raises:
        UsageError: If the side is no power of two or the channels are not 1 to 4.
    """
    if side < 1 or side & (side - 1):
        raise UsageError(
            f"side {side}: image nets need a power of two; load the images with --side "
            f"{2 ** round(math.log2(max(side, 1)))}"
        )
    if not 1 <= channels <= 4:
        raise UsageError(f"{channels} channels: image nets take 1 to 4")
    base = min(4, side)
    return base, (side // base).bit_length() - 1


def initialise(net: nn.Module, std: float = 0.02) -> nn.Module:
    """Normal(0, std) weights and zero biases in every linear, convolution and embedding layer; returns the net."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, std)
    return net
