"""Train a `lenet` feature network on 28x28 grey images, write its weights, print test accuracy and SHA-256.

DATA is an .npz file with uint8 images `x_train`, `x_test` of shape (n, 28, 28) and labels 0..9 `y_train`, `y_test`. On
one thread the result is the same for a given seed, processor and torch release; another machine may round differently,
so released weights are kept as a file. Weights are stored as float16; the accuracy is that of the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.metrics.networks.lenet import LeNet
from pushforward.metrics.networks.weights import settle, write


def load(path: Path, split: str) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 28, 28) in [-1, 1] and labels (n,) of a split, "train" or "test"."""
    with np.load(path) as file:
        x, y = file[f"x_{split}"], file[f"y_{split}"]
    return torch.from_numpy(x).float().div(127.5).sub(1).unsqueeze(1), torch.from_numpy(y).long()


def shifted(x: Tensor, rng: torch.Generator) -> Tensor:
    """Move all images by one of nine steps of at most a pixel along each axis, ground (-1) moving in."""
    n, _, side, _ = x.shape
    padded = F.pad(x, (1, 1, 1, 1), value=-1.0)
    step = torch.randint(0, 3, (2, n, 1), generator=rng)
    rows, columns = step[0] + torch.arange(side), step[1] + torch.arange(side)
    places = (rows[:, :, None] * (side + 2) + columns[:, None, :]).view(n, -1)
    return padded.flatten(1).gather(1, places).view_as(x)


def train(x: Tensor, y: Tensor, seed: int, epochs: int, batch: int) -> LeNet:
    """Fit a fresh network: AdamW, one-cycle cosine rate, label smoothing 0.05."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LeNet()
    rng = torch.Generator().manual_seed(seed + 1)
    steps = len(x) // batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * steps, pct_start=0.15)
    for epoch in range(epochs):
        order, total = torch.randperm(len(x), generator=rng), 0.0
        for i in range(steps):
            rows = order[i * batch : (i + 1) * batch]
            loss = F.cross_entropy(network(shifted(x[rows], rng)), y[rows], label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}", flush=True)
    return network


@torch.no_grad()
def accuracy(network: LeNet, x: Tensor, y: Tensor) -> float:
    """Share of images whose class the network names."""
    return float(torch.cat([network(part).argmax(1) for part in x.split(500)]).eq(y).double().mean())


def main() -> None:
    """Train, save, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x, y = load(args.data, "train")
    network = train(x, y, args.seed, args.epochs, args.batch)
    settle(network, network.activations, network.spread, x[:10_000])
    digest = write(network, args.out, f"lenet; seed {args.seed}, epochs {args.epochs}, batch {args.batch}")
    print(f"{args.out}: test accuracy {accuracy(network, *load(args.data, 'test')):.4f}, sha256 {digest}")


if __name__ == "__main__":
    main()
