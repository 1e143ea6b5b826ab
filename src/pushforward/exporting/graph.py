"""A generator as one module: latents, and classes if any, to samples in data units.

model_units(z, y) = box(net_k(... net_1(z, y)))        forward(z, y) = unit(model_units(z, y))
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.nets.blocks import Box
from pushforward.plain.kinds import ColumnKind, grid, rounded, rounds

__all__ = ["Both", "Columns", "Graph", "Levels"]


class Columns(nn.Module):
    """The unit of points: s x + m in float64, column by column, rounded where columns hold whole numbers or less.

    Args:
        shift: m, (*event), in data units.
        scale: s, (*event), in data units per model unit.
        kinds: What each column holds; empty for numbers all.
    """

    shift: Tensor
    scale: Tensor
    grid: Tensor

    def __init__(self, shift: Tensor, scale: Tensor, kinds: Sequence[ColumnKind] = ()) -> None:
        super().__init__()
        self.kinds = tuple(kinds) if any(map(rounds, kinds)) else ()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.register_buffer("grid", grid(self.kinds), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Model units (n, *event) to data units (n, *event), float64."""
        numbers = x.double() * self.scale + self.shift
        return rounded(numbers, self.grid) if self.kinds else numbers


class Levels(nn.Module):
    """The unit of images: levels from 0 to 255, rounded, of the picture without its padding, channels last.

    Args:
        side: Side of the square in model units, in pixels.
        inner: Side of the picture within it.
        channels: 1 (grey, without an axis of its own afterwards), 3 or 4.
    """

    def __init__(self, side: int, inner: int, channels: int) -> None:
        super().__init__()
        self.side, self.inner, self.channels = side, inner, channels

    def forward(self, x: Tensor) -> Tensor:
        """Model units (n, channels, side, side) to uint8 (n, inner, inner) or (n, inner, inner, channels)."""
        before = (self.side - self.inner) // 2
        x = x[:, :, before : before + self.inner, before : before + self.inner]
        levels = ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return levels[:, 0] if self.channels == 1 else levels.permute(0, 2, 3, 1)


class Graph(nn.Module):
    """Nets one after the other, a box and a unit.

    Args:
        nets: The first takes latents (n, *latent) and, if `conditional`, classes (n,).
        unit: Model units to data units.
        box: What the last net's answers are projected on, or None.
        conditional: Whether the first net takes classes.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        unit: nn.Module,
        box: Box | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.nets, self.unit, self.box, self.conditional = nn.ModuleList(nets), unit, box, conditional

    def model_units(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples in model units, (n, *event)."""
        first, *others = self.nets
        x = first(z, labels) if self.conditional else first(z)
        for net in others:
            x = net(x)
        return x if self.box is None else self.box(x)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples in data units."""
        return self.unit(self.model_units(z, labels))


class Both(nn.Module):
    """The same graph with two answers: data units, and the model units before them."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.inner = graph  # by the name "graph" torch.export loses it

    def forward(self, z: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Samples in data units, and in model units (n, *event)."""
        x = self.inner.model_units(z, labels)
        return self.inner.unit(x), x
