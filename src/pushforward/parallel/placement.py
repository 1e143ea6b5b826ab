"""Where a run lives: its device, its precision, and its place among several processes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from pushforward.errors import UsageError

__all__ = ["Placement", "Precision"]

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Placement:
    """A device, a precision, and this process's rank among `world` processes.

    Attributes:
        device: Where nets and samples live.
        precision: "bf16" runs the forward passes under autocast; weights, penalties and moves stay in float32.
        rank: This process's number, 0 being the one that writes.
        world: How many processes share the joint batch.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = "fp32"
    rank: int = 0
    world: int = 1

    @staticmethod
    def find(device: str = "auto", precision: Precision = "fp32") -> Placement:
        """Pick a device and, under `torchrun`, join the other processes.

        Args:
            device: "auto" (cuda, then mps, then cpu), or anything `torch.device` reads.
            precision: "fp32" or "bf16".

        Raises:
            UsageError: If the device is not there.
        """
        world, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
        place = _device(device, local if world > 1 else None)
        if world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
        rank = distributed.get_rank() if world > 1 else 0
        return Placement(place, precision, rank, world)

    @property
    def writes(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def averaging(self, net: nn.Module) -> nn.Module:
        """The net as one whose backward passes average the gradients of all processes; it lives on this device."""
        ids = [self.device.index or 0] if self.device.type == "cuda" else None
        return DistributedDataParallel(net, device_ids=ids, gradient_as_bucket_view=True)


def _device(name: str, local_rank: int | None) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device name; use auto, cpu, cuda, cuda:1 or mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"--device {name}: this PyTorch ({torch.__version__}) sees no CUDA device; use --device cpu, or "
            "install a CUDA build"
        )
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: only {torch.cuda.device_count()} CUDA devices here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device {name}: no Metal device here; use --device cpu")
    if device.type == "cuda" and local_rank is not None:
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    return device
