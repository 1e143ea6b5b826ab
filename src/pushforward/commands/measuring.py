"""evaluate and report: runs and files measured, and the pages about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.commands.sampling import labels_for, rebuild
from pushforward.data import Noise, source
from pushforward.errors import DataError, UsageError
from pushforward.metrics.digits8 import digits8
from pushforward.metrics.evaluate import evaluate as measure
from pushforward.metrics.features import RAW, Features
from pushforward.metrics.result import Measure, to_json
from pushforward.report import write_report
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment

__all__ = ["evaluate_run", "evaluate_samples", "measure_run", "report"]


def evaluate_run(
    folder: Path,
    *,
    which: str = "last",
    features: str = "auto",
    seed: int = 0,
    n: int | None = None,
    trust: Sequence[str] = (),
    device: str = "cpu",
) -> dict[str, Measure]:
    """Measure a run's samples against its held-out data, and write metrics.json.

    Args:
        folder: The run.
        which: "last" or "best".
        features: "auto" for what the run was judged by, "raw", or "digits8" for images of digits.
        seed: Seed of samples, subsets, directions and permutations.
        n: Number of samples; as many as there are held-out rows, at most 10,000, if None.
        trust: Outside divergences that may be imported.
        device: Where the generator runs.
    """
    if n is not None and n < 2:
        raise UsageError(f"-n {n}: ask for at least 2 samples")
    experiment, description = rebuild(folder, which, trust, device)
    if features != "auto":
        space = _features(features, experiment.data.kind, experiment.data.event, digits=False)
        experiment.features = None if space is RAW else space
    return measure_run(folder, which, experiment, description["step"], seed=seed, n=n)


def evaluate_samples(fake: str, real: str, *, features: str = "auto", seed: int = 0) -> dict[str, Measure]:
    """Measure one file of samples against another, both in data units.

    Args:
        fake: Model samples, PATH[:key], digits or toy:NAME.
        real: Data, likewise.
        features: "auto", "raw", or "digits8" for images of digits.
        seed: Seed of subsets, directions and permutations.
    """
    (q, q_kind), (p, p_kind) = _read(fake, seed), _read(real, seed)
    if q_kind != p_kind or q.shape[1:] != p.shape[1:]:
        raise DataError(
            f"{fake} holds {q_kind} of shape {tuple(q.shape[1:])} and {real} {p_kind} of shape "
            f"{tuple(p.shape[1:])}; only like can be compared with like"
        )
    known = source.load(real, seed=seed).mixture if real.startswith("toy:") else None
    space = _features(features, q_kind, tuple(q.shape[1:]), digits=real == "digits")
    centres = {} if known is None else _centres(known)
    return measure(q, p, features=space, seed=seed, split=f"{fake} against {real}", **centres)


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or one page that compares several."""
    for folder in folders:
        if not (folder / "run.json").exists():
            raise DataError(f"{folder}: no run.json here; name the folder of a run, as given to train --run")
    return write_report(folders, out)


def measure_run(
    folder: Path, which: str, experiment: Experiment, step: int, *, seed: int = 0, n: int | None = None
) -> dict[str, Measure]:
    """As many fresh samples as there are held-out rows (or n), both in data units for points, measured and written."""
    data = experiment.data
    n = n or min(len(data.test), 10_000)
    if not getattr(experiment.method, "source", True):
        n = min(n, len(getattr(experiment.method, "particles", ())))
    draws = 1 if experiment.features is None else max(1, min(20, 12_000 // n))
    count = draws * n
    x = experiment.method.sample(count, Noise(40_000 + seed), labels_for(experiment, count, seed, None)).cpu()
    split = (
        f"{data.name}, held-out {data.split.n_test} of {data.split.n_test + data.split.n_train}, seed {data.split.seed}"
    )
    if data.kind == "points" and data.name.startswith("toy:"):
        fake, real, train = (torch.from_numpy(np.asarray(data.decode(part))) for part in (x, data.test, data.train))
    elif data.kind == "points":
        fake, real, train, split = x, data.test, data.train, f"{split}; every column in its standard deviations"
    else:
        fake, real, train = x, data.test, data.train
    centres = {} if data.mixture is None else _centres(data.mixture)
    features = experiment.features or RAW
    measures = measure(fake, real, train=train, features=features, seed=seed, draws=draws, split=split, **centres)
    stored = to_json(measures) | {"checkpoint": which, "step": step, "seed": seed}
    checkpoint.write_atomically(folder / "metrics.json", json.dumps(stored, indent=1) + "\n")
    return measures


def _centres(mixture: Any) -> dict[str, Any]:
    """Centres, width and weights for mode counts, where the components are round and alike."""
    sigma, dim = mixture.sigma, mixture.means.shape[1]
    alike = torch.allclose(mixture.covariances, sigma**2 * torch.eye(dim, dtype=mixture.covariances.dtype))
    return {"centres": mixture.means, "sigma": sigma, "weights": mixture.weights} if alike else {}


def _features(name: str, kind: str, event: tuple[int, ...], *, digits: bool) -> Features:
    if name == "auto":
        name = "digits8" if kind == "images" and digits else "raw"
    if name == "raw":
        return RAW
    if name != "digits8":
        raise UsageError(f"--features {name}: use auto, raw or digits8")
    if kind != "images":
        raise UsageError(f"--features digits8: the samples are points of shape {event}, not images; use raw")
    return digits8()


def _read(spec: str, seed: int) -> tuple[Tensor, str]:
    """Samples in the unit they are compared in: points as they are, images in [-1, 1] with channels first."""
    if spec == "digits" or spec.startswith("toy:"):
        data = source.load(spec, seed=seed)
        x = data.test if data.kind == "images" else torch.from_numpy(np.asarray(data.decode(data.test)))
        return x, data.kind
    x, kind = source.read_array(spec)
    if kind == "points":
        return torch.from_numpy(np.asarray(x, np.float64)), kind
    x = x[..., None] if x.ndim == 3 else x
    return torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1, kind
