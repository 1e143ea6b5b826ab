"""How well a run restores pictures that it has not seen; what docs/bridges.md says.

    python scripts/restoring.py runs/mnist --data mnist.npz:x_train --images 100 --out restored
    python scripts/restoring.py runs/digits --images 20 --draws 9 --out restored --json     # a second an image

The first held-out images of the run's own split, whose rows are in random order. Of each a part is hidden: the left
half, all but the means of 2 x 2 blocks, and of images in colour all but the grey. Errors are root mean squares over the
pixels of an image of which something is unknown, less what is known, in levels of 255, and their mean over images with
its standard error. They are told of

    draw        one draw, in the mean over the draws
    mean        the mean of the draws, which is what has the least error
    average     the mean training image
    neighbour   the training image that is nearest in what is known
    bicubic     of the means of blocks, PIL's enlargement

Draws are rounded to the levels that the training images have. `covered` is how often the hidden pixel is within the
central 80 % of its draws, beside what it is of draws that have its law. `right` is the share of images that a network,
the run's or that of --features, puts in their class, or, of a run without classes, in the class where it puts the
original. It may have been trained on them: of known classes the originals say how good it is. A run with classes is not
told them. Of pairs of held-out images a way is made between the two: how far its ends are from them, and how far its
middle is from the nearest training image, beside the mixture of the two images and held-out images themselves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward.commands.editing.images import Form, denoising, form_of
from pushforward.commands.rebuilding import with_rows
from pushforward.dynamics.editing import LinearProjection, Strategy, coverage, interpolate, nominal, restore, strategy
from pushforward.dynamics.sde.levels import linear_variance
from pushforward.errors import UsageError
from pushforward.evaluation import NETWORKS
from pushforward.metrics.core.features import Features, blocked
from pushforward.parallel import threads
from pushforward.parallel.placement import Placement
from pushforward.pictures import grid
from pushforward.randomness import stream
from pushforward.training.experiment import Experiment
from pushforward.types import Denoiser

BLOCK = 4096  # training rows that are compared at once
SHOWN, ROWS = 4, 10  # draws of an image, and images, in a grid
WAY, LEVEL = 9, 1.0  # pictures on a way between two, and the noise that it goes through, in spreads
HALF = 127.5  # levels of a model unit


@dataclass(frozen=True)
class Bench:
    """What is restored, and by what.

    Attributes:
        experiment: The run, with its rows.
        form: What its pictures are like.
        truth: Held-out images, (n, *event).
        labels: Their classes, or None.
        judge: The network that tells classes, or None.
        denoiser: D, of no class.
        ladder: Noise levels.
        how: How what is known enters.
        draws: Draws of each image.
        seed: Of the noise.
        scale: Levels of the training images, in model units and in order.
        mean: Of the data as the model has it, which what is hidden begins about.
        spread: Of the data about it.
    """

    experiment: Experiment
    form: Form
    truth: Tensor
    labels: Tensor | None
    judge: Features | None
    denoiser: Denoiser
    ladder: list[float]
    how: Strategy
    draws: int
    seed: int
    scale: Tensor
    mean: Tensor
    spread: float

    def rounded(self, x: Tensor) -> Tensor:
        """x on the levels that the data have."""
        at = torch.bucketize(x.contiguous(), (self.scale[1:] + self.scale[:-1]) / 2)
        return self.scale[at]

    def restored(self, known: LinearProjection, name: str) -> Tensor:
        """Draws, (draws, n, *event)."""
        y, rng = self.truth, stream(self.seed, "sample", part=f"restoring {name}")
        x = [
            restore(self.denoiser, known, y, self.ladder, rng, strategy=self.how, mean=self.mean)
            for _ in range(self.draws)
        ]
        return self.rounded(torch.stack(x))

    def framed(self, x: Tensor) -> Tensor:
        """The picture itself within its square, (..., c, inner, inner)."""
        own = slice(self.form.margin, self.form.margin + self.form.pixels.inner)
        return x[..., own, own]


def known_of(form: Form, name: str) -> LinearProjection:
    """What is known of an image.

    Args:
        form: What images are like.
        name: half, blocks or grey.
    """
    if name == "half":
        inner = form.pixels.inner
        return LinearProjection.mask(form.framed(LinearProjection.half((1, inner, inner), "left").seen[0]), form.event)
    return LinearProjection.grey(form.event) if name == "grey" else LinearProjection.pooled(form.event, 2)


def tasks_of(form: Form) -> list[str]:
    """What can be hidden of such images."""
    blocks = not (form.pixels.inner % 2 or form.margin % 2)
    return ["half", *["blocks"] * blocks, *["grey"] * (form.pixels.channels == 3)]


def unknown(known: LinearProjection, bench: Bench) -> Tensor:
    """Which numbers of a picture are not known, or not alone, boolean, (c, inner, inner)."""
    single = known.block == (1,) * len(known.block)
    seen = known.seen if single else torch.zeros_like(known.seen)
    return ~bench.framed(seen)


def errors(x: Tensor, known: LinearProjection, bench: Bench) -> np.ndarray:
    """Root mean square of (I - P)(x - truth) over what is not known, of each image (n,), in levels."""
    off = x - bench.truth
    wrong = bench.framed(off - known.known(off))[:, unknown(known, bench)]
    return HALF * wrong.double().square().mean(1).sqrt().numpy()


def nearest(y: Tensor, rows: Tensor, known: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The training images that are nearest to y (n, *event) in what is known, and their distances (n,)."""
    best, found = torch.full((len(y),), torch.inf), torch.zeros_like(y)
    for part in rows.split(BLOCK):
        distance, at = torch.cdist(known(y).flatten(1), known(part).flatten(1)).min(1)
        closer = distance < best
        best, found[closer] = torch.where(closer, distance, best), part[at[closer]]
    return found, best


def bicubic(bench: Bench) -> Tensor:
    """Enlargements by PIL of the means of 2 x 2 blocks, (n, *event)."""
    pixels, out = bench.form.pixels, bench.truth.clone()
    means = torch.nn.functional.avg_pool2d(bench.framed(bench.truth), 2)
    for row, small in zip(bench.framed(out), means):
        for plane, values in zip(row, small):
            large = Image.fromarray(values.numpy()).resize((pixels.inner, pixels.inner), Image.Resampling.BICUBIC)
            plane.copy_(torch.from_numpy(np.asarray(large).copy()))
    return bench.rounded(out)


def told(values: np.ndarray) -> dict[str, float]:
    """Mean and standard error over images."""
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return {"mean": round(float(values.mean()), 4), "error": round(float(error), 4)}


def right(x: Tensor, bench: Bench) -> np.ndarray | None:
    """Whether images (n, *event) are put in their class, (n,), or where the original is; None where nothing does."""
    judge, labels = bench.judge, bench.labels
    if judge is None or judge.classify is None:
        return None
    scores = blocked(judge.classify, x)
    if labels is None:
        labels = blocked(judge.classify, bench.truth).argmax(1)
    elif scores.shape[1] != bench.experiment.data.n_classes:
        return None
    return (scores.argmax(1) == labels).double().numpy()


def measured(bench: Bench, name: str, out: Path) -> dict[str, Any]:
    """The numbers of a task, and its grid as a file."""
    known, rows = known_of(bench.form, name), bench.experiment.data.train
    draws = bench.restored(known, name)
    neighbour = known.replace(nearest(bench.truth, rows, known.known)[0], bench.truth).clamp(-1, 1)
    ways = {
        "mean": draws.mean(0),
        "average": rows.mean(0).expand_as(bench.truth),
        "neighbour": neighbour,
        **({"bicubic": bicubic(bench)} if name == "blocks" else {}),
    }
    found: dict[str, Any] = {"draw": told(np.mean([errors(x, known, bench) for x in draws], axis=0))}
    found |= {way: told(errors(x, known, bench)) for way, x in ways.items()}
    inside = bench.framed(coverage(bench.truth, draws))[:, unknown(known, bench)].mean(1).numpy()
    found["covered"] = told(inside) | {"nominal": round(nominal(bench.draws), 4)}
    judged = {"draw": draws.flatten(0, 1), "neighbour": neighbour, "original": bench.truth}
    judged |= {"bicubic": ways["bicubic"]} if name == "blocks" else {}
    sure = {way: right(x, bench) if way != "draw" else _each(draws, bench) for way, x in judged.items()}
    found |= {"right": {way: told(values) for way, values in sure.items() if values is not None}}
    shown = [bench.truth, known.known(bench.truth), *draws[:SHOWN], ways["mean"], neighbour]
    shown += [ways["bicubic"]] if name == "blocks" else []
    save(torch.stack(shown, 1)[:ROWS].flatten(0, 1), len(shown), bench, out / f"{name}.png")
    return found


def _each(draws: Tensor, bench: Bench) -> np.ndarray | None:
    """The share of the draws of each image that are put in its class, (n,)."""
    sure = [right(x, bench) for x in draws]
    return None if sure[0] is None else np.mean(np.stack([one for one in sure if one is not None]), axis=0)


def ways(bench: Bench, out: Path) -> dict[str, Any]:
    """Ways from one held-out image to the next but one: their ends and their middles, and a grid."""
    a, b = bench.truth[0::2], bench.truth[1::2]
    rng, ladder = stream(bench.seed, "sample", part="restoring ways"), linear_variance(50, LEVEL * bench.spread)
    rows = [interpolate(bench.denoiser, x, y, WAY, ladder, rng) for x, y in zip(a, b)]
    path = bench.rounded(torch.stack(rows))
    save(path[:ROWS].flatten(0, 1), WAY, bench, out / "ways.png")
    off = torch.cat([path[:, 0] - a[: len(path)], path[:, -1] - b])
    size, train = bench.framed(a[0]).numel(), bench.experiment.data.train
    apart = {"middle": path[:, WAY // 2], "mixture": (a[: len(b)] + b) / 2, "held-out": bench.truth}
    distances = {of: HALF * nearest(x, train, lambda x: x)[1].numpy() / size**0.5 for of, x in apart.items()}
    return {
        "ends": told(HALF * bench.framed(off).flatten(1).square().mean(1).sqrt().numpy()),
        "to the nearest training image": {of: told(values) for of, values in distances.items()},
    }


def save(x: Tensor, columns: int, bench: Bench, path: Path) -> None:
    """Images (n, *event) as a grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(bench.form.pixels.decode(x), columns).save(path)


def opened(asked: argparse.Namespace) -> Bench:
    """The run, its images and its denoiser.

    Raises:
        UsageError: If there are no held-out images, or fewer than two are asked for.
    """
    experiment, run, _ = with_rows(asked.run, asked.checkpoint, asked.trust, asked.device, data=asked.data)
    form, data = form_of(experiment.data, asked.run, "restoring", fit=False), experiment.data
    n = min(asked.images, len(data.test))
    if n < 2:
        raise UsageError(f"{n} held-out images: give at least 2")
    method, device = denoising(experiment, asked.run, run["recipe"], "restoring"), Placement.find(asked.device).device
    inner = method.denoiser()
    scale = torch.cat([part.unique() for part in data.train.split(BLOCK)]).unique()
    return Bench(
        experiment, form, data.test[:n], None if data.test_labels is None else data.test_labels[:n],
        NETWORKS[asked.features]() if asked.features else experiment.features,
        lambda y, s: inner(y.to(device), s).to(y.device), [float(s) for s in method.levels(asked.steps)],
        strategy(asked.strategy), asked.draws, asked.seed, scale, method.mean.cpu(), method.spread,
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Restore, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="where the data are now, FILE[:key]; where they were if left out")
    parser.add_argument("--features", choices=NETWORKS, help="network that tells classes; the run's if left out")
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--draws", type=int, default=8, help="4 or more; of 9 the central band is 80 %% exactly")
    parser.add_argument("--strategy", default="resample", help="fixed, fresh, resample[:CYCLES] or guidance[:SCALE]")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--trust", nargs="*", default=())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON alone")
    asked = parser.parse_args(words)
    nominal(asked.draws)
    threads.use(1)
    bench = opened(asked)
    found: dict[str, Any] = {"images": len(bench.truth), "draws": asked.draws, "strategy": asked.strategy}
    for name in tasks_of(bench.form):
        found[name] = measured(bench, name, asked.out)
        if not asked.json:
            print(f"{name}, {len(bench.truth)} images, {asked.draws} draws: {_line(found[name])}", flush=True)
    found["ways"] = ways(bench, asked.out)
    print(json.dumps(found, indent=1) if asked.json else f"ways: {_line(found['ways'])}")


def _line(found: dict[str, Any]) -> str:
    """Numbers in a line."""
    if "mean" in found and isinstance(found["mean"], float):
        more = f" of {found['nominal']:.3f}" if "nominal" in found else ""
        return f"{found['mean']:.3f} ± {found['error']:.3f}{more}"
    return "; ".join(f"{name} {_line(value)}" for name, value in found.items() if value)


if __name__ == "__main__":
    main()
