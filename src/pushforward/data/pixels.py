r"""The unit of images: :math:`x_{\text{model}} = u / 127.5 - 1` on a square whose side is a power of two.

And what stored pixels mean: where the channels are, which number is black, which is white.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.data.blocks.scratch import Room, held, is_mapped, spans, written
from pushforward.errors import DataError, UsageError

__all__ = [
    "CHANNELS",
    "Convention",
    "Pixels",
    "cell_of",
    "channels_last",
    "convention",
    "inner_side",
    "levels",
    "model_side",
    "recognise",
    "squared",
    "with_channels",
]

CHANNELS = (1, 3, 4)
PAD = 1.25  # sides up to this factor below a power of two are padded, others are resized
SIDES = (4, 1024)
SLACK = 0.25  # of the width of a range: so far may single values lie outside of it
MOST_OUTSIDE = 0.05  # share of values that may lie outside
DEEP = 1 << 14  # 16-bit images reach this; what stays below may be stored with 10 or 12 bits


def model_side(short: int, side: int | None, place: str) -> int:
    """Side of the square that images with this shorter side are brought to.

    Args:
        short: Shorter side of the images, in pixels.
        side: The side asked for, or None for: the power of two itself; the next one if at most 25 % are missing; else
            the one below.
        place: The file, for messages.

    Raises:
        UsageError: If `side` is not a power of two from 4 to 1024.
        DataError: If the images are smaller than 4 pixels.
    """
    if side is not None:
        if not SIDES[0] <= side <= SIDES[1] or side & (side - 1):
            raise UsageError(f"side {side}: give a power of two from {SIDES[0]} to {SIDES[1]}, for example 32")
        return side
    if short < 3:
        raise DataError(f"{place}: images with a side of {short} pixels are too small: they need at least 4")
    up = 1 << (short - 1).bit_length()
    return up if up <= PAD * short or up == SIDES[0] else up // 2


def inner_side(short: int, side: int) -> int:
    """Side that a picture itself takes within the square: its own if it is padded, else all of it."""
    return short if short < side <= PAD * short else side


@dataclass(frozen=True)
class Pixels:
    """Between images in data units, numbers from 0 to 255, and model units, [-1, 1] and channels first.

    Attributes:
        side: Side of the square in model units, in pixels.
        inner: Side of the picture within it; the rest is black padding, which `decode` cuts off again.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
    """

    side: int
    inner: int
    channels: int

    def log_volume(self, event: tuple[int, ...]) -> float:
        """log |det dy/dx| of model units y by levels x, counted as a continuum, in nats."""
        return -math.prod(event) * math.log(127.5)

    def encode(self, images: np.ndarray) -> Tensor:
        """Images (n, h, w) or (n, h, w, c) from 0 to 255, of any size -> float32 (n, channels, side, side)."""
        x = images[..., None] if images.ndim == 3 else images
        x = squared(with_channels(x, self.channels), self.inner)
        before = (self.side - self.inner) // 2
        after = self.side - self.inner - before
        x = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0))) if before or after else x
        planes = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
        return planes.to(torch.float32, memory_format=torch.contiguous_format, copy=True).div_(127.5).sub_(1)

    def decode(self, x: Tensor) -> np.ndarray:
        """Model units (n, channels, side, side) -> uint8 (n, inner, inner) for grey, else (n, inner, inner, c)."""
        before = (self.side - self.inner) // 2
        own = slice(before, before + self.inner)
        levels = x.detach()[..., own, own].float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        images = levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return images[..., 0] if self.channels == 1 else images


def cell_of(x: Tensor) -> float:
    """The distance of the levels that images in model units have, where these lie evenly; else that of 256 levels.

    Args:
        x: Images, (n, channels, side, side), of which every number lies in [-1, 1].

    Returns:
        2/255 of photographs, 2 of black and white, 2/16 of the embedded digits.
    """
    there = np.zeros(256, dtype=bool)
    for part in x.split(4096):
        there[np.unique(part.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).numpy())] = True
    found = np.flatnonzero(there)
    steps = np.diff(found)
    if not len(steps) or steps.max() - steps.min() > 1:
        return 1 / 127.5
    return float(steps.mean()) / 127.5


def squared(x: np.ndarray, side: int) -> np.ndarray:
    """Cut out the central square and resize it with antialiasing, (n, h, w, c) -> (n, side, side, c)."""
    h, w = x.shape[1:3]
    short = min(h, w)
    top, left = (h - short) // 2, (w - short) // 2
    x = x[:, top : top + short, left : left + short]
    if short == side:
        return x
    from PIL import Image

    out = np.empty((len(x), side, side, x.shape[3]), x.dtype)
    for i, image in enumerate(x):
        for c in range(x.shape[3]):  # PIL resizes numbers with a fraction one plane at a time
            plane = Image.fromarray(np.ascontiguousarray(image[..., c], np.float32))
            level = np.clip(np.asarray(plane.resize((side, side), Image.Resampling.LANCZOS)), 0, 255)
            out[i, ..., c] = np.rint(level) if x.dtype == np.uint8 else level
    return out


def with_channels(x: np.ndarray, channels: int) -> np.ndarray:
    """Convert (n, h, w, c) to another number of channels; transparent pixels turn black, grey is ITU-R 601 luma.

    Raises:
        UsageError: If `channels` is not 1, 3 or 4.
    """
    if channels not in CHANNELS:
        raise UsageError(f"channels {channels}: give 1 (grey), 3 (RGB) or 4 (RGBA)")
    if x.shape[-1] == channels:
        return x
    full = x.astype(np.float32)
    if channels == 4:
        full = np.broadcast_to(full, (*full.shape[:-1], 3))
        full = np.concatenate([full, np.full_like(full[..., :1], 255)], axis=-1)
    else:
        full = full[..., :3] * (full[..., 3:] / 255) if x.shape[-1] == 4 else full
        if channels == 1:
            full = full @ np.array([[0.299], [0.587], [0.114]], np.float32)
        else:
            full = np.broadcast_to(full, (*full.shape[:-1], 3))
    return np.rint(full).astype(np.uint8) if x.dtype == np.uint8 else full


def recognise(x: np.ndarray, place: str, room: Room = held) -> np.ndarray:
    """Bring an array of images to (n, h, w, c) and to levels from 0 to 255.

    Layout: (n, h, w) is grey; in four dimensions the axis of length 1, 3 or 4 holds the channels, and if both the
    second and the last qualify, the one that leaves square images. Range: see `convention`.

    Args:
        x: Three or four dimensions, of a numeric type and finite.
        place: The file, for messages.
        room: Where levels go if the images are mapped.

    Returns:
        (n, h, w, c), uint8 for whole numbers up to 255, float32 for others.

    Raises:
        DataError: If the layout or the range is ambiguous.
    """
    x = channels_last(x, place)
    found = convention(x, place)
    if not is_mapped(x):
        return levels(x, found)
    if x.dtype == np.uint8:
        return x
    out = room(x.shape, levels(x[:1], found).dtype, place)
    for part in spans(x):
        out[part] = levels(x[part], found)
        written(out)
    return out


def channels_last(x: np.ndarray, place: str) -> np.ndarray:
    """Bring images to (n, h, w, c).

    Raises:
        DataError: If the shape does not tell where the channels are.
    """
    if x.ndim == 3:
        return x[..., None]
    first, last = x.shape[1] in CHANNELS, x.shape[3] in CHANNELS
    if first and last:
        first, last = x.shape[2] == x.shape[3], x.shape[1] == x.shape[2]
    if first == last:
        raise DataError(
            f"{place}: the shape {x.shape} does not tell where the channels are: "
            "save images as (n, height, width, channels) with 1, 3 or 4 channels"
        )
    return np.moveaxis(x, 1, -1) if first else x


@dataclass(frozen=True)
class Convention:
    """The numbers found in an array of images, and the scale they are read on.

    Attributes:
        dtype: Their type.
        low: The smallest.
        high: The largest.
        black: The number that stands for level 0.
        white: The number that stands for level 255.
        outside: Share of the values beyond black and white, which are clamped.
    """

    dtype: str
    low: float
    high: float
    black: float
    white: float
    outside: float = 0.0

    @property
    def words(self) -> str:
        """What was found and how it is read, in words."""
        clamped = f"; {self.outside:.2g} of the values lie outside and are clamped" if self.outside else ""
        return f"{self.dtype} from {self.low:.4g} to {self.high:.4g}, read as {self.black:g}..{self.white:g}{clamped}"


def convention(x: np.ndarray, place: str, *, slack: bool = False) -> Convention:
    """Find out on which scale pixels were stored.

    uint8 and other whole numbers from 0 to 255 are levels, uint16 with larger numbers fills 0..65535, booleans are
    black and white; numbers with a fraction lie in [0, 1], or in [-1, 1] if some are negative, or in 0..255 if the
    largest is at least 128.

    Args:
        x: Images in any layout, of a numeric type and finite.
        place: The file, for messages.
        slack: Let up to 5 % of the numbers with a fraction overshoot their range by up to a quarter of its width, as
            networks without a bounded output do; a lowest value above -0.25 then counts as an overshoot of [0, 1].

    Raises:
        DataError: If no scale or more than one fits.
    """
    kind, low, high = str(x.dtype), float(x.min()), float(x.max())
    if x.dtype == np.bool_:
        return Convention(kind, low, high, 0, 1)
    if x.dtype.kind in "iu":
        return _whole(kind, low, high, place)
    if slack:
        black, white = (0.0, 255.0) if high >= 128 else (0.0, 1.0) if low > -SLACK else (-1.0, 1.0)
        room, margin = SLACK * (white - black), 0.001 * (white - black)
        if black - room <= low and high <= white + room:
            share = 0.0
            if low < black - margin or high > white + margin:
                share = float(((x < black - margin) | (x > white + margin)).mean())
            if share <= MOST_OUTSIDE:
                return Convention(kind, low, high, black, white, share)
    elif low >= -1.001 and high <= 1.001:
        return Convention(kind, low, high, 0 if low >= -1e-3 else -1, 1)
    elif low >= -0.5 and 128 <= high <= 255.5:
        return Convention(kind, low, high, 0, 255)
    raise DataError(
        f"{place}: numbers from {low:g} to {high:g} fit none of the ranges of pixels: "
        "rescale to [0, 1] or [-1, 1], or to 0..255 as uint8"
    )


def _whole(kind: str, low: float, high: float, place: str) -> Convention:
    if kind.endswith("uint16") and high >= DEEP:
        return Convention(kind, low, high, 0, 65535)
    if low < 0 or high > 255:
        raise DataError(f"{place}: whole numbers from {low:g} to {high:g} are no pixels: save uint8 from 0 to 255")
    if low < high <= 1:
        raise DataError(
            f"{place}: whole numbers 0 and 1 may be a mask or a dark image: save booleans, or multiply by 255"
        )
    return Convention(kind, low, high, 0, 255)


def levels(x: np.ndarray, found: Convention) -> np.ndarray:
    """Levels from 0 to 255: uint8 where the numbers were whole and at most 255, else float32, clamped and unrounded."""
    if x.dtype == np.bool_:
        return x.astype(np.uint8) * 255
    if x.dtype.kind in "iu" and found.white == 255:
        return x.astype(np.uint8)
    y = x.astype(np.float32)
    if found.white != 255:
        y = (y + 1) * 127.5 if found.black else y * 255 if found.white == 1 else y / 257
    return np.clip(y, 0, 255)
