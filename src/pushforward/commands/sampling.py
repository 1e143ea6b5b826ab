"""sample and transport: what a finished run can give."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward import __version__
from pushforward.data import Noise, source
from pushforward.errors import DataError, UsageError
from pushforward.recipes import RECIPES
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.placement import Placement
from pushforward.training.state import load_state, place

__all__ = ["labels_for", "rebuild", "sample", "transport"]


def sample(
    folder: Path,
    n: int,
    seed: int,
    out: Path,
    *,
    which: str = "last",
    labels: str | None = None,
    trust: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw samples from a run and write them in data units.

    Args:
        folder: The run.
        n: Number of samples.
        seed: Seed of the latents.
        out: F.npz (array `x`, and `labels` if conditional), or a folder for PNG files, for images.
        which: "last" or "best".
        labels: Classes wanted, "0,1,2" repeated in turn; drawn by their frequency in the data if None.
        trust: Outside divergences that may be imported.
    """
    if n < 1:
        raise UsageError(f"-n {n}: ask for at least 1 sample")
    pictures = out.suffix == ""
    if out.suffix not in ("", ".npz"):
        raise UsageError(f"--out {out}: name a file that ends in .npz, or a folder for PNG files")
    experiment, _ = rebuild(folder, which, trust)
    if pictures and experiment.data.kind != "images":
        raise UsageError(f"--out {out}: this run's samples are points; name a file that ends in .npz")
    chosen = labels_for(experiment, n, seed, labels)
    rng = Noise(seed)
    x = experiment.data.decode(experiment.method.sample(n, rng, chosen))
    if pictures:
        out.mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(x):
            tag = "" if chosen is None else f"-class{int(chosen[k])}"
            Image.fromarray(image).save(out / f"{k:06d}{tag}.png")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"x": x} if chosen is None else {"x": x, "labels": chosen.numpy()}
        _write_npz(out, arrays)
    return {"out": str(out), "n": n, "seed": seed, "shape": list(x.shape)}


def transport(
    folder: Path, points: str, out: Path, *, which: str = "last", trust: Sequence[str] = ()
) -> dict[str, Any]:
    """Carry new points along the fields that a particle run recorded.

    Args:
        folder: A run of `toy_particles`.
        points: File of points in data units, PATH[:key].
        out: F.npz; array `x` holds the points after, `start` before.
        which: "last" or "best".
        trust: Outside divergences that may be imported.

    Raises:
        UsageError: If the run recorded no fields.
        DataError: If the points do not fit the run.
    """
    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: name a file that ends in .npz")
    experiment, description = rebuild(folder, which, trust)
    carry = getattr(experiment.method, "transport", None)
    if carry is None:
        raise UsageError(
            f"{folder}: a run of {description['recipe']} has no recorded fields; transport takes a run of toy_particles"
        )
    start, kind = source.read_array(points)
    if kind != experiment.data.kind or tuple(start.shape[1:]) != tuple(
        experiment.data.decode(experiment.data.test[:1]).shape[1:]
    ):
        raise DataError(
            f"{points}: {kind} of shape {tuple(start.shape[1:])}, and the run moves {experiment.data.kind} of "
            f"shape {experiment.data.event}; give points like the training data"
        )
    x = experiment.data.decode(carry(experiment.data.encode(start)))
    out.parent.mkdir(parents=True, exist_ok=True)
    _write_npz(out, {"x": x, "start": start})
    return {"out": str(out), "n": len(x), "shape": list(x.shape)}


def rebuild(folder: Path, which: str = "last", trust: Sequence[str] = ()) -> tuple[Experiment, dict[str, Any]]:
    """Call a run's recipe again with its stored arguments and load the tensors; nothing stored is ever executed.

    Raises:
        UsageError: If the run names an outside divergence that is not trusted.
        DataError: If the checkpoint is missing, damaged or does not fit.
    """
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint {which}: use last or best")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such run; name the folder given to train --run")
    saved = checkpoint.load(folder / "checkpoints" / which, resume=False)
    recipe, arguments = saved.run.get("recipe"), saved.run.get("arguments", {})
    if recipe not in RECIPES or not set(arguments) <= set(inspect.signature(RECIPES[recipe]).parameters):
        raise DataError(f"{folder}: made by a recipe {recipe!r} that this version ({__version__}) does not have")
    outside = arguments.get("divergence", "")
    if ":" in outside and outside not in trust:
        raise UsageError(
            f"{folder}: uses the divergence {outside} from outside this package; if you trust it, add --trust {outside}"
        )
    experiment = RECIPES[recipe](**arguments)
    place(experiment.method, Placement())
    try:
        load_state(experiment.method, saved.weights)
    except ValueError as error:
        raise DataError(f"{folder}: checkpoint {which} does not fit its recipe ({error}); train again") from error
    return experiment, saved.run


def labels_for(experiment: Experiment, n: int, seed: int, wanted: str | None) -> Tensor | None:
    """Classes to sample: those wanted, in turn, or drawn by their frequency in the data."""
    known = experiment.data.train_labels
    if not experiment.conditional or known is None:
        if wanted is not None:
            raise UsageError(f"--labels {wanted}: this run is not conditional; train it with --conditional")
        return None
    if wanted is None:
        return known[Noise(30_000 + seed).integers(len(known), n)]
    try:
        classes = torch.tensor([int(part) for part in wanted.split(",")])
    except ValueError as error:
        raise UsageError(f"--labels {wanted}: give whole numbers, for example 3 or 0,1,2") from error
    if int(classes.min()) < 0 or int(classes.max()) >= experiment.data.n_classes:
        raise UsageError(f"--labels {wanted}: this run has classes 0 to {experiment.data.n_classes - 1}")
    return classes.repeat(n // len(classes) + 1)[:n]


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    fresh = path.with_name(f".{path.name}")
    with open(fresh, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(fresh, path)
