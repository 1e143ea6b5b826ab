"""U-Nets F(x, c) for images of power-of-two sides and 1 to 4 channels: the noise level enters every block.

Maps are kept with their channels last, which on a CPU halves what halving and doubling their sides costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, scaled_dot_product_attention, silu

from pushforward.errors import UsageError
from pushforward.nets.blocks import image_shape
from pushforward.nets.timed.embedding import LevelEmbedding, full_precision
from pushforward.types import Samples

__all__ = ["Plan", "UNet", "unet"]

GROUPS = 8  # of a group norm, or as many of them as divide the channels
HEAD = 64  # channels of a head of attention


@dataclass(frozen=True)
class Plan:
    """Sizes of the parts of a U-Net.

    Attributes:
        widths: Channels of the maps at the full side, half of it, and so on.
        blocks: Residual blocks at each side on the way down, and again on the way up.
        attention: Largest side of maps whose pixels attend to one another; 0 for none.
        embedding: Size of the embedding of the noise level.
        dropout: Share of the features in a block that are dropped in training.
    """

    widths: tuple[int, ...]
    blocks: int
    attention: int
    embedding: int
    dropout: float


class UNet(nn.Module):
    """A convolution, a U of levels, and a convolution that starts at 0, so that F does too.

    Args:
        side: Height and width of an image.
        channels: Its channels.
        classes: Number of classes; 0 for none.
        plan: Sizes of its parts.
    """

    def __init__(self, side: int, channels: int, classes: int, plan: Plan) -> None:
        super().__init__()
        self.classes, width = classes, plan.widths[0]
        self.embed = LevelEmbedding(plan.embedding, classes)
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.body = _Level(side, plan)
        self.leave = _Levelled(width, plan.embedding)
        self.last = _zero(nn.Conv2d(width, channels, 3, 1, 1))

    def forward(self, x: Samples, c: Tensor, labels: Tensor | None = None) -> Samples:
        """F, (n, channels, side, side), for inputs x alike, levels c (n,) or (1,), and classes (n,) or None."""
        e = self.embed(c, labels)
        h = _full(self.first(x)).contiguous(memory_format=torch.channels_last)
        return self.last(self.leave(self.body(h, e), e))


def unet(
    side: int,
    channels: int = 1,
    *,
    width: int = 16,
    multipliers: Sequence[int] | None = None,
    blocks: int = 1,
    attention: int | None = None,
    classes: int = 0,
    dropout: float = 0.0,
) -> UNet:
    """A U-Net F(x, c) for images, to go into `Preconditioned`. The defaults suit a processor: give one GPU width 64.

    Args:
        side: Height and width, a power of two.
        channels: 1 to 4.
        width: Channels of the maps at the full side.
        multipliers: Channels of maps at the full side, half of it, a quarter, ..., in units of `width`; None for 1 at
            the full side, 2 at half of it, and 4 below, down to side 4.
        blocks: Residual blocks at each side on the way down, and again on the way up.
        attention: Largest side of maps whose pixels attend to one another, at most 16; 0 for none; None for 8, and for
            none in images of side 8 or less, where two convolutions at half the side see everything.
        classes: Number of classes; 0 for none.
        dropout: Share of the features in a block that are dropped in training.

    Raises:
        UsageError: If the image has another shape, or a size is out of range.
    """
    image_shape(side, channels)
    if multipliers is None:
        multipliers = [min(2**k, 4) for k in range(max(1, side.bit_length() - 2))]
    attention = (8 if side > 8 else 0) if attention is None else attention
    if not multipliers or min(*multipliers, width, blocks) < 1 or side >> (len(multipliers) - 1) < 1:
        raise UsageError(
            f"width {width}, multipliers {tuple(multipliers)}, blocks {blocks}: give at least 1 of each, and 1 to "
            f"{side.bit_length()} multipliers for side {side}"
        )
    if not 0 <= attention <= 16:
        raise UsageError(f"attention at sides up to {attention}: give 0 for none, or at most 16")
    if not 0 <= dropout < 1 or classes < 0:
        raise UsageError(f"dropout {dropout}, classes {classes}: give a share from 0 to below 1, and a count from 0")
    widths = tuple(width * factor for factor in multipliers)
    return UNet(side, channels, classes, Plan(widths, blocks, attention, 4 * width, dropout))


class _Level(nn.Module):
    """Maps of one side: blocks, the level of half the side beside them, blocks; attention where the side is small.

    Half the side is joined by a learned mixture of channels, J h + u: stacked, the two would double the convolution
    after them.
    """

    def __init__(self, side: int, plan: Plan, depth: int = 0) -> None:
        super().__init__()
        width, rest = plan.widths[depth], plan.widths[depth + 1 :]
        self.before = nn.ModuleList(_Block(width, plan) for _ in range(plan.blocks))
        self.attend = _Attention(width) if side <= plan.attention else None
        self.below = _Below(width, rest[0], _Level(side // 2, plan, depth + 1)) if rest else None
        self.after = nn.ModuleList(_Block(width, plan) for _ in range(plan.blocks))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """The same shape, (n, width, side, side), for embeddings (n, embedding) or (1, embedding)."""
        for block in self.before:
            h = block(h, e)
        if self.attend is not None:
            h = self.attend(h)
        if self.below is not None:
            h = self.below(h, e)
        for block in self.after:
            h = block(h, e)
        return h


class _Below(nn.Module):
    """J h + u(h): u is a level at half the side, with averages down and nearest neighbours up.

    Channels change where the maps are small.
    """

    def __init__(self, width: int, inner: int, level: _Level) -> None:
        super().__init__()
        self.down, self.level, self.up = nn.Conv2d(width, inner, 1), level, nn.Conv2d(inner, width, 1)
        self.join = nn.Conv2d(width, width, 1)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """The same shape, (n, width, side, side)."""
        u = self.up(self.level(_full(self.down(avg_pool2d(h, 2))), e))
        return _full(self.join(h)) + interpolate(u, scale_factor=2.0)


class _Block(nn.Module):
    """h plus two convolutions of it; between them the noise level scales and shifts, and the second one starts at 0."""

    def __init__(self, width: int, plan: Plan) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), _zero(nn.Conv2d(width, width, 3, 1, 1))
        self.levelled = _Levelled(width, plan.embedding)
        self.dropout = nn.Dropout(plan.dropout) if plan.dropout else nn.Identity()

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """The same shape, (n, width, side, side)."""
        u = self.levelled(self.conv1(silu(self.norm(h))), e)
        return h + self.conv2(self.dropout(u))


class _Levelled(nn.Module):
    """SiLU((1 + a) N h + b) with a group norm N, and a and b linear in the embedding of the noise level."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm, self.shifts = _norm(width, learned=False), nn.Linear(embedding, 2 * width)

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """The same shape, (n, width, side, side)."""
        shift, scale = self.shifts(e)[:, :, None, None].chunk(2, 1)
        return silu(torch.addcmul(shift, self.norm(_full(h)), 1 + scale))


class _Attention(nn.Module):
    """h plus what its pixels see of one another, by a layer that starts at 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD if width % HEAD == 0 else 1
        self.norm, self.inputs, self.out = _norm(width), nn.Linear(width, 3 * width), _zero(nn.Linear(width, width))

    def forward(self, h: Tensor) -> Tensor:
        """The same shape, (n, width, side, side)."""
        n, width, side, _ = h.shape
        rows = self.norm(h).flatten(2).mT
        parts = self.inputs(rows).view(n, side * side, 3, self.heads, width // self.heads)
        with full_precision(h):  # a CPU takes ten times as long for the slope of attention in bfloat16
            q, k, v = _full(parts).permute(2, 0, 3, 1, 4)
            seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows.shape)
        return h + self.out(seen).mT.reshape(h.shape)


def _norm(width: int, *, learned: bool = True) -> nn.GroupNorm:
    """A group norm, with scales and shifts of its own or without."""
    return nn.GroupNorm(math.gcd(GROUPS, width), width, affine=learned)


def _full(h: Tensor) -> Tensor:
    """Sums of residuals and norms are in full precision; a CPU takes twice as long for norms in bfloat16."""
    return h.float() if h.dtype == torch.bfloat16 else h


def _zero(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer, which answers 0 until it learns."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
