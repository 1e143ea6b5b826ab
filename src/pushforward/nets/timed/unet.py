"""U-Nets F(x, c) for images of power-of-two sides and 1 to 4 channels."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import (
    avg_pool2d,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    scaled_dot_product_attention,
    silu,
)

from pushforward.nets.timed.embedding import LevelEmbedding


def _norm(w, affine=True):
    return nn.GroupNorm(math.gcd(w, 8), w, affine=affine)


class Block(nn.Module):
    def __init__(self, width: int, embedding: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(width), _norm(width, False)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.level = nn.Linear(embedding, 2 * width)
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, h, e):
        shift, scale = self.level(e)[:, :, None, None].chunk(2, 1)
        u = self.norm2(self.conv1(silu(self.norm1(h))))
        return h + self.conv2(self.drop(silu(torch.addcmul(shift, u, 1 + scale))))


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads = max(1, width // 64) if width % 64 == 0 else 1
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h):
        n, w, a, b = h.shape
        rows = self.norm(h).flatten(2).mT
        q, k, v = self.qkv(rows).view(n, a * b, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, a * b, w)
        return h + self.out(seen).mT.reshape(n, w, a, b)


class Level(nn.Module):
    def __init__(self, widths, blocks, side, attention, embedding, dropout, concat=False):
        super().__init__()
        w = widths[0]
        self.before = nn.ModuleList(Block(w, embedding, dropout) for _ in range(blocks[0]))
        self.after = nn.ModuleList(Block(w, embedding, dropout) for _ in range(blocks[0]))
        self.attend = Attention(w) if side <= attention and blocks[0] else None
        self.inner = None
        self.concat = concat
        if len(widths) > 1:
            self.inner = Level(widths[1:], blocks[1:], side // 2, attention, embedding, dropout, concat)
            self.down, self.up = nn.Conv2d(w, widths[1], 1), nn.Conv2d(widths[1], w, 1)
            if concat:
                self.join = nn.Conv2d(2 * w, w, 1)

    def forward(self, h, e):
        for b in self.before:
            h = b(h, e)
        if self.attend is not None:
            h = self.attend(h)
        if self.inner is not None:
            u = interpolate(self.up(self.inner(self.down(avg_pool2d(h, 2)), e)), scale_factor=2.0)
            h = self.join(torch.cat([h, u], 1)) if self.concat else (h + u) * 0.5**0.5
        for b in self.after:
            h = b(h, e)
        return h


class UNet(nn.Module):
    def __init__(
        self,
        side,
        channels,
        width=32,
        multipliers=(1, 2),
        blocks=(1, 1),
        attention=8,
        classes=0,
        dropout=0.0,
        fold=1,
        cl=True,
        concat=False,
    ):
        super().__init__()
        self.fold, self.cl, self.classes = fold, cl, classes
        E = 4 * width
        w = width * multipliers[0]
        self.embed = LevelEmbedding(E, classes)
        self.stem = nn.Conv2d(channels * fold**2, w, 3, 1, 1)
        self.body = Level([width * m for m in multipliers], blocks, side // fold, attention, E, dropout, concat)
        self.norm = _norm(w, False)
        self.level = nn.Linear(E, 2 * w)
        self.last = nn.Conv2d(w, channels * fold**2, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x, c, labels=None):
        e = self.embed(c, labels)
        if self.fold > 1:
            x = pixel_unshuffle(x, self.fold)
        h = self.stem(x)
        if self.cl:
            h = h.contiguous(memory_format=torch.channels_last)
        h = self.body(h, e)
        shift, scale = self.level(e)[:, :, None, None].chunk(2, 1)
        y = self.last(silu(torch.addcmul(shift, self.norm(h), 1 + scale)))
        return pixel_shuffle(y, self.fold) if self.fold > 1 else y
