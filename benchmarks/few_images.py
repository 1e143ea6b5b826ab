"""`python -m benchmarks.few_images --data mnist.npz`: 200 images with classes, three methods, equal CPU time.

Lipschitz-KL particles, the GAN of the same divergence and WGAN-GP see the same 200 images, with critics of one size,
for the same CPU seconds of one thread. All are judged by the same held-out images and asked whether they copy. After
several seeds their means, lowest and highest stand in one table.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from benchmarks.lines import Line, head, together
from pushforward.data import Dataset
from pushforward.metrics.copying.memorisation import copies, memorisation
from pushforward.metrics.core.features import Features
from pushforward.metrics.networks.lenet import mnist_lenet
from pushforward.metrics.quality.frechet import frechet_distance
from pushforward.randomness import Noise, stream
from pushforward.recipes import RECIPES
from pushforward.recipes.parts.wiring import shares, spread
from pushforward.training.experiment import Experiment
from pushforward.training.loop import checked

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "particles": ("few_particles", {"record": 0}),  # samples are the particles themselves
    "particles from class laws": ("few_particles", {"record": 0, "source": "class"}),
    "new points": ("few_particles", {}),  # carried along the fields that the particles made
    "KL-Lip GAN": ("few_gan", {}),
    "WGAN-GP": ("few_wgan_gp", {}),
}
CONTEST = ("particles", "KL-Lip GAN", "WGAN-GP")
IMAGES, SAMPLES, LOOKS, FRESH = 200, 600, 6, 5000
EARLY = 0.75  # of the images' own spacing: where particles are looked at before they arrive


@dataclass(frozen=True)
class Trained:
    """One method's run.

    Attributes:
        seconds: CPU seconds of training at each look, (k,).
        steps: Steps done by then, (k,).
        images: Samples at each look, uint8 (k, n, h, w).
        early: Number of the look kept for its distance from the images; -1 where there is none.
    """

    seconds: np.ndarray
    steps: np.ndarray
    images: np.ndarray
    early: int


@dataclass(frozen=True)
class Judge:
    """What samples are held against.

    Attributes:
        train: The 200 images, (200, 1, s, s).
        labels: Their classes.
        test: Held-out images, (m, 1, s, s).
        test_features: What the network makes of them, (m, 128).
        fresh: Images for floors, neither among the 200 nor held out, (k, 1, s, s).
        fresh_labels: Their classes.
        fresh_features: What the network makes of them.
        features: The network that judges.
        encode: From uint8 (n, h, w) to model units.
    """

    train: Tensor
    labels: Tensor
    test: Tensor
    test_features: Tensor
    fresh: Tensor
    fresh_labels: Tensor
    fresh_features: Tensor
    features: Features
    encode: Callable[[np.ndarray], Tensor]

    @staticmethod
    def of(data: Dataset, path: Path) -> Judge:
        """The judge of a data set's 200 images; `path` has x_train, y_train and x_test."""
        with np.load(path) as file:
            x, y, test = file["x_train"], file["y_train"], file["x_test"]
        assert data.train_labels is not None
        chosen = {row.tobytes() for row in data.decode(data.train)}
        order = np.random.default_rng(data.split.seed).permutation(len(x))[: FRESH + 2 * IMAGES]
        others = [k for k in order if x[k].tobytes() not in chosen][:FRESH]
        network, held = mnist_lenet(), data.encode(test)
        fresh, labels = data.encode(x[others]), torch.from_numpy(y[others].astype(np.int64))
        seen, held_seen = network(fresh), network(held)
        return Judge(data.train, data.train_labels, held, held_seen, fresh, labels, seen, network, data.encode)

    def line(self, title: str, x: Tensor, labels: Tensor, cost: tuple[float, float] | None = None) -> Line:
        """Samples of some classes beside held-out images and the 200."""
        distance = frechet_distance(self.features(x), self.test_features, train=self.fresh_features, small=True)
        assert self.features.classify is not None
        right = float((self.features.classify(x).argmax(1) == labels).float().mean())
        seen = memorisation(x, self.test, self.train, max_n=2000)
        detail, said = seen["copying"].detail, copies(seen)
        numbers = (
            *(cost or (math.nan, math.nan)),
            distance.value,
            distance.floor or 0.0,
            100 * right,
            seen["authenticity"].value,
            100 * seen["near_copies"].value,
            100 * seen["copied"].value,
            seen["train_gap"].value,
            float(detail["fake"].median() / detail["real"].median()),
            float(said is not None),
        )
        return Line(title, len(x), numbers, said or "")


def built(name: str, path: Path, seed: int, **options: int) -> Experiment:
    """The recipe on the 200 images."""
    recipe, own = METHODS[name]
    return RECIPES[recipe](data=f"{path}:x_train", labels="y_train", limit=IMAGES, seed=seed, **own, **options)


def clocked(experiment: Experiment) -> Iterator[float]:
    """Train step by step; yields CPU seconds spent in training so far, and none of what the caller does between."""
    spent, steps = 0.0, experiment.method.learn(experiment.batches)
    for step in range(1, experiment.steps + 1):
        began = time.process_time()
        logs = next(steps)
        spent += time.process_time() - began
        checked(logs, step)
        yield spent


def affordable(name: str, path: Path, seed: int, seconds: float) -> int:
    """Steps that fit into the budget, so that schedules end with it; from the time of a few steps."""
    times = [spent for _, spent in zip(range(9), clocked(built(name, path, seed)))]
    return max(2, int(0.97 * (seconds - times[0]) / ((times[-1] - times[0]) / (len(times) - 1))))


def trained(name: str, path: Path, seed: int, seconds: float) -> Trained:
    """Train one method for its CPU seconds and draw samples at a few looks, later ones further apart."""
    experiment = built(name, path, seed, steps=affordable(name, path, seed, seconds))
    labels, train = labels_of(experiment.data), experiment.data.train.flatten(1)
    own = torch.cdist(train, train).fill_diagonal_(torch.inf).min(1).values.median()
    ahead = due(seconds)
    looks: list[tuple[float, int, np.ndarray]] = []
    early: tuple[float, int, np.ndarray] | None = None
    spent, step = 0.0, 0
    for step, spent in enumerate(clocked(experiment), 1):
        if spent >= min(seconds, ahead[0]):
            looks.append((spent, step, drawn(experiment, seed)))
            ahead = [mark for mark in ahead if mark > spent]
        if not ahead or spent >= seconds:
            break
        if name.startswith("particles") and step % 2 == 0:
            x = experiment.method.sample(SAMPLES, stream(seed, "sample"), labels).flatten(1)
            if torch.cdist(x, train).min(1).values.median() >= EARLY * own:
                early = (spent, step, experiment.data.decode(x.view(SAMPLES, *experiment.data.event)))
    if not looks or looks[-1][1] < step:
        looks.append((spent, step, drawn(experiment, seed)))
    if early:
        looks = sorted([*looks, early], key=lambda one: one[:2])
    place = next((k for k, one in enumerate(looks) if one is early), -1)
    times, steps, images = zip(*looks, strict=True)
    return Trained(np.array(times), np.array(steps), np.stack(images), place)


def due(seconds: float) -> list[float]:
    """CPU seconds at which samples are looked at, each twice the one before."""
    return [seconds * 2.0 ** (k + 1 - LOOKS) for k in range(LOOKS)]


def drawn(experiment: Experiment, seed: int) -> np.ndarray:
    """Samples of all classes, in data units."""
    return experiment.data.decode(experiment.method.sample(SAMPLES, stream(seed, "sample"), labels_of(experiment.data)))


def labels_of(data: Dataset) -> Tensor:
    """Classes asked for: the images' own, in their frequencies."""
    return shares(data.train_labels, SAMPLES)


def kept(name: str, path: Path, seed: int, seconds: float, folder: Path) -> Trained:
    """The run in the folder, or else a new one, which is put there."""
    file = folder / f"{name.replace(' ', '-')}-{seed}-{seconds:g}s.npz"
    if not file.exists():
        found = trained(name, path, seed, seconds)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, seconds=found.seconds, steps=found.steps, images=found.images, early=found.early)
    with np.load(file) as stored:
        return Trained(stored["seconds"], stored["steps"], stored["images"], int(stored["early"]))


def report(name: str, run: Trained, judge: Judge, labels: Tensor, seconds: float) -> Iterator[Line]:
    """The lines of one method: its last look, then the looks before."""
    last, marks = len(run.seconds) - 1, due(seconds)
    for k in [last, *range(last)]:
        mark = max((mark for mark in marks if mark <= run.seconds[k]), default=marks[0])  # a step may take long
        way = f"stopped at {EARLY:g} of spacing" if k == run.early else f"after {mark:.3g} s"
        title = name if k == last else f"{name}, {way}"
        yield judge.line(title, judge.encode(run.images[k]), labels, (run.seconds[k], run.steps[k]))


def floors(judge: Judge) -> Iterator[Line]:
    """The lines of real images, and of what no training gives."""
    some = slice(0, SAMPLES), slice(SAMPLES, SAMPLES + IMAGES)
    classes = shares(judge.labels, SAMPLES)
    normal = spread(judge.train, Noise(0), SAMPLES, judge.labels, classes)
    yield judge.line("no training: a normal law for each class", normal, classes)
    yield judge.line(f"the {IMAGES} images themselves", judge.train, judge.labels)
    for rows in some:
        fresh, known = judge.fresh[rows], judge.fresh_labels[rows]
        yield judge.line(f"{len(fresh)} fresh images", fresh, known)


def picture(panels: dict[str, tuple[np.ndarray, np.ndarray]], columns: int = 8, scale: int = 1) -> Image.Image:
    """Panels side by side, a class a row; titles above.

    Args:
        panels: For each title, images uint8 (n, h, w) and their classes (n,).
        columns: Images of a class.
        scale: Whole-number enlargement.
    """
    sheets = []
    for images, labels in panels.values():
        rows = [images[np.flatnonzero(labels == c)] for c in np.unique(labels)]
        rows = [row[np.arange(columns) * len(row) // columns] for row in rows]  # evenly over all of a class
        sheets.append(np.concatenate([np.concatenate(list(row), 1) for row in rows]))
    height, width = sheets[0].shape
    gap, top = 8, 14
    sheet = Image.new("L", (len(sheets) * (scale * width + gap) - gap, scale * height + top), 255)
    brush = ImageDraw.Draw(sheet)
    for k, (title, pixels) in enumerate(zip(panels, sheets)):
        coarse = (pixels // 17 * 17).repeat(scale, 0).repeat(scale, 1)  # 16 greys: a smaller file
        sheet.paste(Image.fromarray(coarse), (k * (scale * width + gap), top))
        brush.text((k * (scale * width + gap), 0), title, fill=0)
    return sheet


def main() -> int:
    """Parse the command line, train what is missing, print the table, write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_images", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=".npz with x_train, y_train and x_test of MNIST")
    parser.add_argument("--minutes", type=float, default=2.0, help="CPU minutes of one thread for each method")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each chooses other 200 images")
    parser.add_argument("--only", choices=list(METHODS), help="train this one alone, and print no floors")
    parser.add_argument("--folder", type=Path, default=Path("runs/few_images"), help="where runs are kept and found")
    parser.add_argument("--picture", type=Path, help="where to write the picture of the first seed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [options.only] if options.only else list(CONTEST)
    lines: list[Line] = []
    print(head())
    for seed in options.seeds:
        data = built("particles", options.data, seed).data
        judge, labels = Judge.of(data, options.data), labels_of(data)
        panels = {f"the {IMAGES} images": (data.decode(data.train), judge.labels.numpy())}
        print(f"seed {seed}")
        for name in names:
            run = kept(name, options.data, seed, 60 * options.minutes, options.folder)
            for line in report(name, run, judge, labels, 60 * options.minutes):
                print(line, *[f"  {line.said}"] * (line.title == name and bool(line.said)), sep="\n", flush=True)
                lines.append(line)
            if run.early >= 0:
                panels[f"{name}, stopped at {EARLY:g}"] = (run.images[run.early], labels.numpy())
            panels[name] = (run.images[-1], labels.numpy())
        if not options.only:
            for line in floors(judge):
                print(line, flush=True)
                lines.append(line)
        if options.picture and seed == options.seeds[0]:
            picture(panels).save(options.picture, optimize=True)
    if len(options.seeds) > 1:
        print(f"\nMean (lowest to highest) of the seeds {', '.join(map(str, options.seeds))}:\n")
        print(*together(lines), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
