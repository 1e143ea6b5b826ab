"""An epoch of a variational autoencoder beside pythae's, and what a flow costs a posterior.

    python -m benchmarks.autoencoders --data mnist.npz        # 10,000 images an epoch, both in turn, seven repeats

The opponent is pythae 0.1.2, which has to be there; without it only the posteriors are measured.

Both sides have the same perceptron (one hidden layer of 512 on either side, ten codes, Bernoulli pixels), the same rows
in batches of 100, Adam at the same rate, no running average and no logs on the disk; pythae as its own trainer runs it.
Draws of a posterior are of 256 rows and 64 numbers, with their densities, ahead and back, behind an encoder of two
layers of 512; the flow has one step, whose net has a layer of 64.
Times are CPU seconds of the process on one thread, in turn; a ratio is of one repeat.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from pushforward.data.batches import Batches
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.flows import FlowPosterior, NormalisingFlow
from pushforward.densities.laws import StandardNormal
from pushforward.densities.likelihoods.discrete import Bernoulli, Levels
from pushforward.methods.latent.vae import VAE
from pushforward.nets.variational.model import Encoder, LatentModel
from pushforward.parallel.placement import Placement
from pushforward.randomness import seeded, stream
from pushforward.training.learner import Learner
from pushforward.training.state import place

ROWS, BATCH, HIDDEN, CODE, RATE = 10_000, 100, 512, 10, 1e-3


def ours(x: Tensor, precision: Literal["fp32", "bf16"] = "fp32") -> Callable[[], object]:
    """An epoch of the library."""
    size = x[0].numel()
    with seeded(0):
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * CODE))
        decoder = nn.Sequential(
            nn.Linear(CODE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, size), nn.Unflatten(1, (1, *x.shape[1:]))
        )
        model = LatentModel(Encoder(encoder, CODE), decoder, Bernoulli(Levels(2, 0.0, 1.0)), StandardNormal(CODE))
    method = VAE(Learner(model, partial(Adam, lr=RATE, fused=True)), stream(0, "train"))
    place(method, Placement(precision=precision))
    steps = method.learn(Batches(x, BATCH, seed=0))
    return lambda: [next(steps) for _ in range(len(x) // BATCH)]


def theirs(x: Tensor, folder: str) -> Callable[[], object]:
    """An epoch of pythae's trainer."""
    import pythae.models as others  # pyright: ignore[reportMissingImports]
    from pythae.data.datasets import BaseDataset  # pyright: ignore[reportMissingImports]
    from pythae.trainers import BaseTrainer, BaseTrainerConfig  # pyright: ignore[reportMissingImports]

    config = others.VAEConfig(input_dim=tuple(x.shape[1:]), latent_dim=CODE, reconstruction_loss="bce")
    training = BaseTrainerConfig(
        output_dir=folder, per_device_train_batch_size=BATCH, learning_rate=RATE, no_cuda=True, num_epochs=1
    )
    trainer: Any = BaseTrainer(others.VAE(config), BaseDataset(x, torch.ones(len(x))), None, training)
    trainer.prepare_training()
    trainer.callback_handler.callbacks = []  # their progress bar
    return lambda: trainer.train_step(1)


def posteriors() -> tuple[Callable[[], object], Callable[[], object]]:
    """Draws of a flow posterior, and of a diagonal one, from the same encoder's net, with their slopes."""
    d, n = 64, 256
    with seeded(0):
        net = nn.Sequential(nn.Linear(784, 512), nn.SiLU(), nn.Linear(512, 512), nn.SiLU(), nn.Linear(512, 2 * d))
        flow = FlowPosterior(NormalisingFlow(d, "maf", steps=1, hidden=(64,)))
        x, e = torch.randn(n, 784), torch.randn(n, d)

    def drawn(flown: bool) -> None:
        base = DiagonalNormal(*net(x).chunk(2, 1))
        z, own = flow.draw(base, e) if flown else (base.at(e), base.log_prob(base.at(e)))
        (z.sum() + own.sum()).backward()

    return partial(drawn, True), partial(drawn, False)


def in_turn(
    one: Callable[[], object], other: Callable[[], object], repeats: int, calls: int = 1
) -> list[tuple[float, float]]:
    """CPU seconds of both, one after the other, the first first in every second repeat."""
    found = list[tuple[float, float]]()
    for k in range(repeats + 1):
        spent = dict[bool, float]()
        for first in (True, False) if k % 2 else (False, True):
            begun = time.process_time()
            for _ in range(calls):
                (one if first else other)()
            spent[first] = time.process_time() - begun
        if k:  # the first repeat warms both up
            found.append((spent[True], spent[False]))
    return found


def told(name: str, times: list[tuple[float, float]]) -> dict[str, Any]:
    """A line, and its numbers."""
    low, middle, high = quantiles([a / b for a, b in times], n=4)
    one, other = (float(np.median([pair[k] for pair in times])) for k in (0, 1))
    print(f"{name}: {one:.3f} s, other {other:.3f} s, ratio {middle:.3f} ({low:.3f} .. {high:.3f})", flush=True)
    return {
        "case": name,
        "seconds": one,
        "other": other,
        "ratio": middle,
        "quartiles": [low, high],
        "repeats": len(times),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.autoencoders", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, help="mnist.npz; noise of its shape if left out")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.data is None:
        x = (stream(0, "data").uniform(ROWS, 1, 28, 28) < 0.2).float()
    else:
        with np.load(asked.data) as arrays:
            x = (torch.from_numpy(arrays["x_train"][:ROWS])[:, None] > 127).float()
    found = list[dict[str, Any]]()
    try:
        with TemporaryDirectory() as folder:
            other = theirs(x, folder)
            for precision in ("fp32", "bf16"):
                times = in_turn(ours(x, precision), other, asked.repeats)
                found.append(told(f"an epoch in {precision} beside pythae", times))
    except ImportError as error:
        print(f"{error}: install pythae 0.1.2 to see its epochs", file=sys.stderr)
    found.append(told("a flow posterior beside a diagonal one, d = 64", in_turn(*posteriors(), asked.repeats, 20)))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
