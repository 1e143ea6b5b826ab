r"""What is known of a sample: an orthogonal projector P, whatever the task.

.. math:: (Px)_i = m_i \, \frac{1}{|B|} \sum_{j \in B(i)} x_j

B(i) is the block that i lies in, and m is 1 in the blocks of which something is known. Blocks of one number are a mask,
blocks of all colours of a pixel leave its grey, and blocks of pixels leave a smaller image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.types import Samples

__all__ = ["SIDES", "LinearProjection", "Projection", "RowMasks", "Side"]

Side = Literal["left", "right", "top", "bottom"]
SIDES: tuple[Side, ...] = get_args(Side)


class Projection(Protocol):
    """What is known of samples: an orthogonal projector for each row."""

    def known(self, x: Samples) -> Samples:
        """P x, (n, *event)."""
        ...

    def replace(self, x: Samples, y: Samples) -> Samples:
        """(I − P) x + P y, (n, *event)."""
        ...


@dataclass(frozen=True, eq=False)
class RowMasks:
    """Of each row single numbers are known, of another row others.

    Attributes:
        seen: Where a number is known, boolean, (n, *event).

    Raises:
        UsageError: If these are no booleans.
    """

    seen: Tensor

    def __post_init__(self) -> None:
        if self.seen.dtype != torch.bool:
            raise UsageError(f"masks of {self.seen.dtype}: give booleans, True where something is known")

    def known(self, x: Samples) -> Samples:
        """P x, (n, *event)."""
        return torch.where(self._of(x), x, 0)

    def replace(self, x: Samples, y: Samples) -> Samples:
        """(I − P) x + P y, (n, *event): what is known are the numbers of y, to the last bit."""
        return torch.where(self._of(x), y, x)

    def _of(self, x: Samples) -> Tensor:
        if x.shape != self.seen.shape:
            raise UsageError(f"samples {tuple(x.shape)}, masks {tuple(self.seen.shape)}: give a mask for each row")
        return self.seen.to(x.device)


@dataclass(frozen=True, eq=False)
class LinearProjection:
    """The orthogonal projector P onto what is known of a sample, the same for all rows.

    Attributes:
        seen: m, boolean, (*event), the same all over a block.
        block: Sides of a block, as many as the event has axes; each divides that of the event.

    Raises:
        UsageError: If blocks do not fill the event, or one is known in part.
    """

    seen: Tensor
    block: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.block) != len(self.event) or any(b < 1 or e % b for e, b in zip(self.event, self.block)):
            raise UsageError(f"blocks of {self.block} do not fill samples of {self.event}: give sides that divide its")
        if self.seen.dtype != torch.bool:
            raise UsageError(f"a mask of {self.seen.dtype}: give booleans, True where something is known")
        if math.prod(self.block) > 1 and not torch.equal(self._means(self.seen.double()), self.seen.double()):
            raise UsageError(f"a mask that parts a block of {self.block}: give one that is the same all over a block")

    @classmethod
    def mask(cls, mask: Tensor, event: tuple[int, ...] | None = None) -> LinearProjection:
        """Single numbers are known.

        Args:
            mask: 1 where a number is known and 0 where not, (*event), or of its last axes only, as (h, w) of an image.
            event: Shape of a sample; that of the mask if left out.

        Raises:
            UsageError: If the mask does not fit, or holds anything but 0 and 1.
        """
        event = tuple(mask.shape) if event is None else tuple(event)
        if not mask.dim() or mask.dim() > len(event) or event[-mask.dim() :] != mask.shape:
            raise UsageError(f"a mask of {tuple(mask.shape)} on samples of {event}: give one of the same size")
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise UsageError(f"a mask from {float(mask.min()):g} to {float(mask.max()):g}: give 1 for known, 0 for not")
        return cls((mask == 1).expand(event), (1,) * len(event))

    @classmethod
    def half(cls, event: tuple[int, ...], side: Side) -> LinearProjection:
        """All is known but one half of an image; where the side is odd, the hidden half is the smaller one.

        Args:
            event: Shape of a sample, (..., h, w).
            side: The half that is hidden: left, right, top or bottom.

        Raises:
            UsageError: If there is no such side, or the samples are no images.
        """
        if side not in SIDES:
            raise UsageError(f"half {side!r}: use {', '.join(SIDES)}, the half that is hidden")
        h, w = _image(event, f"half {side!r}")[-2:]
        seen = torch.ones(h, w, dtype=torch.bool)
        hidden = {"left": seen[:, : w // 2], "right": seen[:, w - w // 2 :], "top": seen[: h // 2],
                  "bottom": seen[h - h // 2 :]}  # fmt: skip
        hidden[side].fill_(False)
        return cls.mask(seen, event)

    @classmethod
    def grey(cls, event: tuple[int, ...]) -> LinearProjection:
        r"""The grey of each pixel is known: its coordinate along :math:`(1, 1, 1)/\sqrt 3`, and not its colour.

        Args:
            event: Shape of a sample, (3, h, w).

        Raises:
            UsageError: If the samples have no three colours.
        """
        if _image(event, "grey")[0] != 3:
            raise UsageError(f"grey of samples of {tuple(event)}: give images of three channels, (3, h, w)")
        return cls(torch.ones(event, dtype=torch.bool), (3, 1, 1))

    @classmethod
    def pooled(cls, event: tuple[int, ...], factor: int) -> LinearProjection:
        """The means of square blocks are known: an image of `factor` times fewer pixels along each side.

        Args:
            event: Shape of a sample, (c, h, w).
            factor: Side of a block, at least 2.

        Raises:
            UsageError: If blocks of that side do not fill the image.
        """
        h, w = _image(event, f"blocks of {factor}")[-2:]
        if factor < 2 or h % factor or w % factor:
            raise UsageError(f"blocks of {factor} x {factor} do not fill {w} x {h} pixels: use a factor of both sides")
        return cls(torch.ones(event, dtype=torch.bool), (1, factor, factor))

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return tuple(self.seen.shape)

    def known(self, x: Samples) -> Samples:
        """P x, (n, *event)."""
        self._fits(x)
        return torch.where(self.seen.to(x.device), self._means(x), 0)

    def replace(self, x: Samples, y: Samples) -> Samples:
        """(I − P) x + P y, (n, *event): x with what y knows; of a mask these are the numbers of y, to the last bit."""
        self._fits(x)
        self._fits(y)
        inside = y if math.prod(self.block) == 1 else x + self._means(y - x)
        return torch.where(self.seen.to(x.device), inside, x)

    def _fits(self, x: Samples) -> None:
        if tuple(x.shape[1:]) != self.event:
            raise UsageError(f"samples of {tuple(x.shape[1:])}, known of {self.event}: give the same size")

    def _means(self, x: Tensor) -> Tensor:
        """The mean of its block in the place of every number, (..., *event)."""
        if math.prod(self.block) == 1:
            return x
        cut = [side for e, b in zip(self.event, self.block) for side in (e // b, b)]
        lead = x.shape[: x.dim() - len(self.event)]
        parts = x.reshape(*lead, *cut)
        means = parts.mean(tuple(range(len(lead) + 1, parts.dim(), 2)), keepdim=True)
        return means.expand_as(parts).reshape(x.shape)


def _image(event: tuple[int, ...], what: str) -> tuple[int, ...]:
    """The shape of an image.

    Raises:
        UsageError: If it is none.
    """
    if len(event) != 3:
        raise UsageError(f"{what} of samples of {tuple(event)}: give images, (channels, height, width)")
    return event
