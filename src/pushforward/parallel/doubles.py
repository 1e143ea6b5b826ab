"""float64 where a device has it: Metal has none, and refuses to hold or to make it."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fine", "finest", "moved"]

WITHOUT = ("mps",)  # kinds of devices


def finest(device: torch.device) -> torch.dtype:
    """The finest floating type that a device has."""
    return torch.float32 if device.type in WITHOUT else torch.float64


def fine(x: Tensor) -> Tensor:
    """The same numbers in the finest type of the device that they are on."""
    return x.to(finest(x.device))


def moved(x: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device: float64 becomes float32 where the device has none, and all else keeps its type."""
    return x.to(device, finest(device)) if x.dtype == torch.float64 else x.to(device)
