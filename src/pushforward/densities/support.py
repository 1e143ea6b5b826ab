r"""Where a law lives: nested sets :math:`S_1 \supset S_2 \supset \dots` that hold all of its mass, the last the finest.

A density tells how much there is at a place; of a law on a fractal, or on the dark squares of a board, the first thing
to ask is whether a sample lies where anything is at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

__all__ = ["Board", "Carpet", "Support"]

NEAR = 1e-5  # of the side: points in single precision may lie so far beyond an edge


@runtime_checkable
class Support(Protocol):
    """Nested sets that hold all of a law's mass."""

    @property
    def levels(self) -> int:
        """How many sets there are."""
        ...

    def depth(self, x: Tensor) -> Tensor:
        """In how many of the sets each of the points (n, d), in data units, lies: (n,), int64, from 0 to `levels`."""
        ...


@final
@dataclass(frozen=True)
class Carpet:
    """Sierpinski's carpet over [0, side]^2: of nine squares the middle one is cut out, `levels` times over.

    A hole's edge belongs to the carpet. Of a sheet in space the first two coordinates are looked at.

    Attributes:
        levels: Sizes of holes; the largest measure a third of the side.
        side: Width and height, in data units.
    """

    levels: int = 4
    side: float = 10.0

    def depth(self, x: Tensor) -> Tensor:
        """Sizes of holes, from the largest down, that the points (n, d) lie in none of; 0 beyond the outer edge too."""
        place = x[:, :2].double() / self.side
        inside = ((place >= -NEAR) & (place <= 1 + NEAR)).all(1)
        depth = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for level in range(1, self.levels + 1):
            ninth = place * 3**level % 3  # where in its square of the level before
            hole = ((ninth > 1 + NEAR * 3**level) & (ninth < 2 - NEAR * 3**level)).all(1)
            inside = inside & ~hole
            depth += inside
        return depth


@final
@dataclass(frozen=True)
class Board:
    """The dark squares of a board, two units wide, over [-4, 4]^2: row and column are both odd or both even.

    Attributes:
        levels: The board is the only set.
    """

    levels: int = 1

    def depth(self, x: Tensor) -> Tensor:
        """1 for points (n, 2) on a dark square or its edge, else 0."""
        place = x.double() / 2 + 2
        near = torch.tensor([-4 * NEAR, 4 * NEAR], dtype=torch.float64, device=x.device)
        cells = (place[:, :, None] + near).floor()  # (n, 2, 2): of a point on an edge, those on both sides
        rows, columns = cells[:, 1, :, None], cells[:, 0, None, :]
        on = ((rows + columns) % 2 == 0) & (rows >= 0) & (rows < 4) & (columns >= 0) & (columns < 4)
        return on.flatten(1).any(1).long()
