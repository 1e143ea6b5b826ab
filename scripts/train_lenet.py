"""Train a `lenet` feature network on 28x28 grey images, write its weights, print test accuracy and SHA-256.

DATA is an .npz file with uint8 images `x_train`, `x_test` of shape (n, 28, 28) and labels 0..9 `y_train`, `y_test`. On
one thread the result is the same for a given seed, processor and torch release; another machine may round differently,
so released weights are kept as a file. Weights are stored as float16; the accuracy is that of the file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from classifying import Plan, accuracy, asked, fit, fresh, moved
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
    step = torch.randint(0, 3, (2, n, 1), generator=rng)
    return moved(F.pad(x, (1, 1, 1, 1), value=-1.0), step[0] + torch.arange(side), step[1] + torch.arange(side))


def train(x: Tensor, y: Tensor, plan: Plan) -> LeNet:
    """Fit a fresh network by AdamW."""
    network = fresh(LeNet, plan.seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    losses = fit(lambda x, rng: network(shifted(x, rng)), x, y, optimiser, plan, warm=0.15)
    for epoch, loss in enumerate(losses, 1):
        print(f"epoch {epoch}/{plan.epochs}: loss {loss:.4f}", flush=True)
    return network


def main() -> None:
    """Train, save, report."""
    data, out, plan = asked(__doc__, epochs=5)
    x, y = load(data, "train")
    network = train(x, y, plan)
    settle(network, network.activations, network.spread, x[:10_000])
    digest = write(network, out, f"lenet; {plan.words()}")
    print(f"{out}: test accuracy {accuracy(network, *load(data, 'test')):.4f}, sha256 {digest}")


if __name__ == "__main__":
    main()
