"""What flows add to a variational autoencoder of MNIST: held-out log-likelihoods of one net with three pairs of laws.

    python scripts/latent_flows.py --data mnist.npz:x_train --json flows.json    # three seeds, an hour on one core
    python scripts/latent_flows.py --steps 500 --seeds 1                         # on the bundled digits, to try it

Pixels are black or white by the middle (threshold) or drawn by their intensity (dynamic): likelihoods of one and the
other do not compare, nor with those of the set that was drawn once and published. Each is a bound from below by so many
codes of every held-out image, with how many of them count; the elbo beside it is that of one code. Differences are of
the same images, so that their standard errors are far below those of the likelihoods themselves.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from pushforward.methods.latent.vae import VAE
from pushforward.parallel import threads
from pushforward.randomness import stream
from pushforward.recipes.variational import vae_mnist
from pushforward.training.loop import train

WAYS: dict[str, dict[str, str | int]] = {
    "diagonal, N(0, I)": {"prior": "normal", "posterior": "diagonal"},
    "flow posterior (IAF)": {"prior": "normal", "posterior": "maf", "context": 64},
    "flow prior (MAF)": {"prior": "maf", "posterior": "diagonal"},
}


@dataclass
class Row:
    """One run: nats of the held-out images."""

    way: str
    seed: int
    nll: float
    error: float
    elbo: float
    train: float
    effective: float
    seconds: float
    milliseconds: float


def likelihoods(method: VAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of all images and how many codes count in each, 500 images at a time."""
    values, effective = zip(*(method.bounded(rows) for rows in x.split(500)), strict=True)
    return torch.cat(values), torch.cat(effective)


def elbos(method: VAE, x: Tensor) -> Tensor:
    """The bound by one code of each image."""
    size = method.encode(x[:1]).shape[1]
    rng, found = stream(0, "evaluate", part="elbo"), list[Tensor]()
    for rows in x.split(500):
        z, likelihood, posterior = method.inferred(rows, rng.normal(len(rows), size))
        found.append(likelihood + method.log_prior(z) - posterior)
    return torch.cat(found)


def trained(way: str, seed: int, asked: argparse.Namespace) -> tuple[Row, Tensor]:
    """A run, and the bounds of the held-out images."""
    options = {"data": asked.data, "steps": asked.steps, "seed": seed, "binarise": asked.binarise, "width": asked.width}
    experiment = vae_mnist(**options, **WAYS[way])
    begun = time.process_time()
    for _ in train(experiment):
        pass
    spent = time.process_time() - begun
    method, test = experiment.method, experiment.data.test
    assert isinstance(method, VAE)
    method.sampling = replace(method.sampling, draws=asked.draws)
    values, effective = likelihoods(method, test)
    some = experiment.data.train[: len(test)]
    seen = -float(likelihoods(method, some)[0].mean()) if asked.binarise == "threshold" else math.nan
    row = Row(
        way, seed, -float(values.mean()), float(values.std() / math.sqrt(len(values))),
        -float(elbos(method, test).mean()), seen, float(effective.mean()), spent, 1000 * spent / asked.steps,
    )  # fmt: skip
    return row, values


def main(words: Sequence[str] | None = None) -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--binarise", choices=("threshold", "dynamic"), default="threshold")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--draws", type=int, default=256, help="codes of an image behind its likelihood")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    threads.use(1)
    rows, first = list[Row](), dict[int, Tensor]()
    for seed in range(asked.seeds):
        for way in asked.ways:
            row, values = trained(way, seed, asked)
            rows.append(row)
            less = values - first.setdefault(seed, values)
            print(
                f"{way:22} seed {seed}: -log p {row.nll:.2f} ± {row.error:.2f}, {row.effective:.1f} of {asked.draws} "
                f"codes count; elbo {row.elbo:.2f}; training images {row.train:.2f}; better than the first by "
                f"{float(less.mean()):.2f} ± {float(less.std() / math.sqrt(len(less))):.2f}; {row.seconds:.0f} s, "
                f"{row.milliseconds:.1f} ms a step",
                flush=True,
            )
    for way in asked.ways:
        mine = torch.tensor([row.nll for row in rows if row.way == way])
        print(f"{way:22} -log p {float(mine.mean()):.2f} ± {float(mine.std(correction=min(1, len(mine) - 1))):.2f}")
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
