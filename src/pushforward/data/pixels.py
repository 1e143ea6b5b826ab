r"""The unit of images: :math:`x_{\text{model}} = u / 127.5 - 1` on a square whose side is a power of two."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.data.conventions import convention, levels
from pushforward.errors import DataError, UsageError

__all__ = ["CHANNELS", "Pixels", "channels_last", "inner_side", "model_side", "recognise", "squared", "with_channels"]

CHANNELS = (1, 3, 4)
PAD = 1.25  # sides up to this factor below a power of two are padded, others are resized
SIDES = (4, 1024)


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


def recognise(x: np.ndarray, place: str) -> np.ndarray:
    """Bring an array of images to (n, h, w, c) and to levels from 0 to 255.

    Layout: (n, h, w) is grey; in four dimensions the axis of length 1, 3 or 4 holds the channels, and if both the
    second and the last qualify, the one that leaves square images. Range: see `conventions.convention`.

    Args:
        x: Three or four dimensions, of a numeric type and finite.
        place: The file, for messages.

    Returns:
        (n, h, w, c), uint8 for whole numbers up to 255, float32 for others.

    Raises:
        DataError: If the layout or the range is ambiguous.
    """
    x = channels_last(x, place)
    return levels(x, convention(x, place))


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
