"""What other libraries say of the same pairs, where they can be imported.

SDMetrics of frames: the score of its quality report and of its diagnostic report, in [0, 1], 1 is best. torchmetrics of
images: Frechet distance and kernel distance, on the activations of the bundled digits network. Neither has a test, so
each score stands against what fresh samples of the same size get: a way is seen where all its repetitions score worse
than every fresh one.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pushforward.metrics.networks.lenet import mnist_lenet

from . import laws
from .trial import Array, Kind, Rows, Trial, Way, as_frame, as_images

__all__ = ["text"]

Scores = Mapping[str, float]
"""A score by its name; larger is worse."""

FRESH = 8  # fresh samples that a score is read against


def text(ways: Sequence[Way], fresh: Way, folder: Path, kinds: Sequence[Kind], size: int, seeds: int) -> str:
    """A table in Markdown: the median score of every way, in bold where it is seen, below that of fresh samples.

    Args:
        ways: Bad ways.
        fresh: The way that changes nothing.
        folder: Where the data sets are.
        kinds: The kinds of data wanted.
        size: Rows of each sample.
        seeds: Repetitions of each way.
    """
    columns: dict[tuple[Kind, str], dict[str, str]] = {}
    said = list[str]()
    for kind in kinds:
        library = "torchmetrics" if kind == "images" else "sdmetrics"
        if find_spec(library) is None:
            said.append(f"{kind}: {library} is not installed.")
            continue
        try:
            data = laws.law(kind, folder)
        except OSError as error:
            said.append(f"{kind}: {error}.")
            continue
        score = _images if kind == "images" else _frames
        honest = [_scored(score, fresh, kind, data, size, 100 + seed) for seed in range(FRESH)]
        for name in honest[0]:
            columns[kind, name] = {"fresh samples, worst": f"{max(one[name] for one in honest):.3g}"}
        for way in (way for way in ways if kind in way.kinds):
            found = [_scored(score, way, kind, data, size, seed) for seed in range(seeds)]
            for name in found[0]:
                values = [one[name] for one in found]
                seen = min(values) > max(one[name] for one in honest)
                middle = f"{float(np.median(values)):.3g}"
                columns[kind, name][way.name] = f"**{middle}**" if seen else middle
    names = ["fresh samples, worst", *(way.name for way in ways)]
    heads = ["way", *(f"{kind}: {name}" for kind, name in columns)]
    rows = [[name.replace("_", " "), *(column.get(name, "") for column in columns.values())] for name in names]
    counts = [f"{sum('**' in cell for cell in column.values())} of {len(column) - 1}" for column in columns.values()]
    lines = [heads, ["---"] * len(heads), *rows, ["**seen**", *counts]]
    return "\n\n".join([*said, "\n".join("| " + " | ".join(line) + " |" for line in lines)] if columns else said)


def _scored(score: Callable[[Trial], Scores], way: Way, kind: Kind, data: Rows | None, size: int, seed: int) -> Scores:
    rng = np.random.default_rng([seed, size, zlib.crc32(f"{kind} {way.name}".encode())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score(way.change(laws.trial(kind, data, size, rng)))


def _frames(trial: Trial) -> Scores:
    """One less each report's score, so that larger is worse."""
    from sdmetrics.reports.single_table import DiagnosticReport, QualityReport  # pyright: ignore[reportMissingImports]

    real, fake = as_frame(trial.real), as_frame(trial.fake)
    kinds = {name: "numerical" if name in trial.real.numeric() else "categorical" for name in real.columns}
    about = {"columns": {name: {"sdtype": kind} for name, kind in kinds.items()}}
    scores = dict[str, float]()
    for name, report in (("1 - SDMetrics quality", QualityReport()), ("1 - SDMetrics diagnostic", DiagnosticReport())):
        report.generate(real, fake, about, verbose=False)
        scores[name] = 1 - float(report.get_score())
    return scores


class Activations(nn.Module):
    """The digits network as torchmetrics wants it: images (n, 3, h, w) in 0..255 to features (n, 128)."""

    num_features = 128

    def __init__(self) -> None:
        super().__init__()
        self.space = mnist_lenet()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features in double precision."""
        return self.space(x[:, :1].float() / 127.5 - 1).double()


def _images(trial: Trial) -> Scores:
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    def colour(images: Array) -> torch.Tensor:
        return torch.from_numpy(np.repeat(images[:, None], 3, 1))

    size = min(len(trial.fake), len(trial.real)) // 2
    torch.manual_seed(0)  # torchmetrics draws its subsets from the global stream
    metrics: dict[str, Any] = {
        "FD": FrechetInceptionDistance(Activations(), input_img_size=(3, 28, 28)),
        "KD": KernelInceptionDistance(Activations(), subset_size=max(2, size), subsets=20),
    }
    scores = dict[str, float]()
    for name, metric in metrics.items():
        metric.update(colour(as_images(trial.real)), real=True)
        metric.update(colour(as_images(trial.fake)), real=False)
        value = metric.compute()
        scores[f"torchmetrics {name}"] = float(value[0] if isinstance(value, tuple) else value)
    return scores
