"""What the scripts that train feature networks share: options, fresh weights, moved images, the loop, the accuracy.

Everything is drawn from a seed, on one thread and by deterministic operations, so that a file of weights can be made
again on the same processor and torch release.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Plan", "accuracy", "asked", "deterministic", "fit", "fresh", "moved", "parser"]

Network = TypeVar("Network", bound=nn.Module)

Logits = Callable[[Tensor, torch.Generator], Tensor]
"""(images (n, ...), source of chance for their changes) -> logits (n, K), in float32."""


@dataclass(frozen=True)
class Plan:
    """How long, in what portions and from which seed a network is trained.

    Attributes:
        epochs: Passes over the images.
        batch: Images a step; what is left of a pass is dropped.
        seed: Of the weights; order and changes of the images have the next one.
    """

    epochs: int
    batch: int
    seed: int

    def words(self) -> str:
        """The same for the header of a weight file."""
        return f"seed {self.seed}, epochs {self.epochs}, batch {self.batch}"


def parser(about: str | None, epochs: int) -> argparse.ArgumentParser:
    """A parser of `--seed` and `--epochs`, so many where they are not given; its help is a script's docstring."""
    options = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--epochs", type=int, default=epochs)
    return options


def asked(about: str | None, epochs: int) -> tuple[Path, Path, Plan]:
    """What `SCRIPT DATA OUT [--seed S] [--epochs E] [--batch B]` says, after `deterministic`."""
    options = parser(about, epochs)
    options.add_argument("data", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--batch", type=int, default=128)
    args = options.parse_args()
    deterministic()
    return args.data, args.out, Plan(args.epochs, args.batch, args.seed)


def deterministic() -> None:
    """One thread, and operations whose sums have one order."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fresh(make: Callable[[], Network], seed: int) -> Network:
    """A network with weights drawn from a seed; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def fit(
    logits: Logits, x: Tensor, y: Tensor, optimiser: torch.optim.Optimizer, plan: Plan, *, warm: float
) -> Iterator[float]:
    """Train by cross entropy with labels smoothed by 0.05, over batches in a new order every epoch.

    Args:
        logits: Batches to logits, changed at random on the way.
        x: Images, (n, ...), in whatever form `logits` takes them.
        y: Labels, (n,).
        optimiser: Of the network; its rate is the highest of one cosine cycle over all epochs.
        plan: How long.
        warm: Share of the steps in which the rate rises.

    Yields:
        The mean loss of each epoch, when it is over.
    """
    rng = torch.Generator().manual_seed(plan.seed + 1)
    steps = len(x) // plan.batch
    peak = optimiser.param_groups[0]["lr"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, total_steps=plan.epochs * steps, pct_start=warm)
    for _ in range(plan.epochs):
        order, total = torch.randperm(len(x), generator=rng), 0.0
        for i in range(steps):
            rows = order[i * plan.batch : (i + 1) * plan.batch]
            loss = F.cross_entropy(logits(x[rows], rng), y[rows], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        yield total / steps


def moved(padded: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A window of each image, of which each row and column is named.

    Args:
        padded: Images with room to move, (n, channels, height, width).
        rows: Where the window's rows lie, (n, side).
        columns: Where its columns lie, (n, side).

    Returns:
        (n, channels, side, side): value [k, :, i, j] is padded[k, :, rows[k, i], columns[k, j]].
    """
    n, channels, _, width = padded.shape
    places = (rows[:, :, None] * width + columns[:, None, :]).view(n, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, places).view(n, channels, rows.shape[1], columns.shape[1])


@torch.no_grad()
def accuracy(network: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """Share of images whose class the network names."""
    return float(torch.cat([network(part).argmax(1) for part in x.split(500)]).eq(y).double().mean())
