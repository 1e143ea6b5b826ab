"""What a prior is worth that learns the codes of a variational autoencoder: Frechet distances of its samples.

    python scripts/learned_priors.py --data mnist.npz:x_train --features mnist_lenet --out priors.png --json priors.json
    python scripts/learned_priors.py --steps 500 --prior-steps 500 --seeds 1 --samples 500      # digits, to try it

One autoencoder a seed, with the prior N(0, I); another with a flow prior, which learns with it; and on the codes of the
first, drawn from its posteriors, a score model, a bridge, a generator by VGrow and particles. All decode to the mean of
p(x|z). `codes of data` decodes codes of training images: no prior of this decoder does better. The floor is what
training images score; `copied` is the share of samples that are copies, `authentic` that of those no nearer to a
training image than its own neighbour is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from pushforward.demos.drawing import BLUE, INK, SOFT, check_out, clean, save, sheet
from pushforward.evaluation import NETWORKS, evaluate
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.latent.vae import VAE, FromPosterior, VAESampling
from pushforward.metrics.core.features import RAW
from pushforward.metrics.quality.frechet import frechet_distance
from pushforward.parallel import threads
from pushforward.randomness import stream
from pushforward.recipes.parts.priors import learned_prior
from pushforward.recipes.variational import vae_images, vae_latent
from pushforward.settings.groups import Loop
from pushforward.settings.variational import Learned
from pushforward.training.asking import first_of
from pushforward.training.experiment import Experiment
from pushforward.training.loop import train
from pushforward.types import Method, Samples

LEARNERS = ("particles", "vgrow", "score", "bridge")


@dataclass
class Row:
    """Samples of one prior at one seed."""

    prior: str
    seed: int
    distance: float
    floor: float
    copied: float
    authentic: float
    seconds: float


def learned(experiment: Experiment) -> float:
    """Train it; seconds of CPU."""
    begun = time.process_time()
    for _ in train(experiment):
        pass
    return time.process_time() - begun


def measured(
    prior: str, experiment: Experiment, x: Samples, seconds: float, asked: argparse.Namespace, seed: int
) -> Row:
    """Samples against held-out images."""
    data = experiment.data
    features = NETWORKS[asked.features]() if asked.features else experiment.features or RAW
    shown = torch.as_tensor(data.encode(data.decode(x)))
    found = frechet_distance(shown, data.test, features, train=data.train, small=True)
    report = evaluate(shown, data.test, data.train[: asked.rows], features=features, metrics="memorisation", seed=seed)
    copied, authentic = (report[name].value for name in ("copied", "authenticity"))
    assert found.floor is not None
    row = Row(prior, seed, found.value, found.floor, copied, authentic, seconds)
    print(
        f"{prior:22} seed {seed}: FD {row.distance:.2f} (floor {row.floor:.2f}), copied {copied:.4f}, authentic "
        f"{authentic:.3f}, {seconds:.0f} s",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    return row


def rows_of(seed: int, asked: argparse.Namespace) -> list[Row]:
    """All priors at a seed."""
    net = {"data": asked.data, "steps": asked.steps, "seed": seed, "width": asked.width, "likelihood": "logistic",
           "net": "dense", "code": asked.code}  # fmt: skip
    first = vae_latent(**net, prior="normal", learner="particles", prior_steps=asked.prior_steps)
    inner = first.method
    assert isinstance(inner, InCodeSpace)
    codec = inner.codec
    assert isinstance(codec, FromPosterior)
    vae, loop = codec.vae, Loop(asked.prior_steps, 128, seed)

    def drawn(method: Method) -> Samples:
        return first_of(replace(first, method=method), asked.samples, stream(seed, "sample"))

    spent = learned(replace(first, method=vae, steps=asked.steps))
    rows = [measured("N(0, I)", first, drawn(vae), spent, asked, seed)]
    flow = vae_images(**net, prior="maf")
    assert isinstance(flow.method, VAE)
    flow.method.sampling = VAESampling("mean")
    spent = learned(flow)
    own = first_of(flow, asked.samples, stream(seed, "sample"))
    rows.append(measured("flow, with it", flow, own, spent, asked, seed))
    for learner in asked.learners:
        how = Learned(learner, asked.prior_steps, prior_rate=asked.prior_rate)
        method = InCodeSpace(codec, learned_prior(asked.code, how, loop), project=vae.project)
        spent = learned(replace(first, method=method, steps=asked.prior_steps))
        rows.append(measured(f"{learner}, after it", first, drawn(method), spent, asked, seed))
    with torch.no_grad():
        known = first.data.train[: asked.samples]
        rows.append(measured("codes of data", first, codec.decode(codec.encode(known)), 0.0, asked, seed))
    return rows


def picture(rows: Sequence[Row], out: Path) -> None:
    """A bar for each prior, a dot for each seed."""
    names = list(dict.fromkeys(row.prior for row in rows))
    figure = sheet(6.4, 3.2)
    axes = figure.subplots()
    for k, name in enumerate(names):
        mine = [row.distance for row in rows if row.prior == name]
        axes.barh(k, float(np.mean(mine)), color=BLUE, height=0.6)
        axes.plot(mine, [k] * len(mine), "o", color=INK, markersize=3)
    axes.axvline(float(np.mean([row.floor for row in rows])), color=SOFT, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    clean(axes, "", "FD of samples")
    save(figure, out)


def main(words: Sequence[str] | None = None) -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--features", choices=NETWORKS)
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--prior-steps", type=int, default=8_000)
    parser.add_argument("--prior-rate", type=float, default=2e-3)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--code", type=int, default=16)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=60_000, help="training images that copies are sought among")
    parser.add_argument("--out", type=Path, help="the picture, .png, .svg or .pdf")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(words)
    if asked.out is not None:
        check_out(asked.out)
    threads.use(1)
    rows = [row for seed in range(asked.seeds) for row in rows_of(seed, asked)]
    for name in dict.fromkeys(row.prior for row in rows):
        mine = np.array([row.distance for row in rows if row.prior == name])
        around = mine.std(ddof=1) if len(mine) > 1 else 0.0
        print(f"{name:22} FD {mine.mean():.2f} ± {around:.2f}")
    print(f"{'training images':22} FD {np.mean([row.floor for row in rows]):.2f}")
    if asked.out is not None:
        picture(rows, asked.out)
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
