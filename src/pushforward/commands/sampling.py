"""sample: what a finished run can give."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward import files
from pushforward.commands import tables
from pushforward.commands.rebuilding import rebuild, standing
from pushforward.commands.watching import Watching
from pushforward.data import Dataset, outputs
from pushforward.errors import UsageError
from pushforward.parallel.ordinary import ordinarily
from pushforward.plain.kinds import class_names
from pushforward.plain.lists import listed
from pushforward.randomness import stream
from pushforward.settings.options import Between, Seed, checked, options_of
from pushforward.training.asking import first_of, stock
from pushforward.training.experiment import Experiment
from pushforward.types import HasParticles, Randomness, Remarks, able

__all__ = ["labels_for", "names_of", "sample", "write_npz", "write_pictures"]


@ordinarily
def sample(
    folder: Path,
    n: Annotated[int, Between(1, 10**9)],
    seed: Seed,
    out: str,
    *,
    which: str = "last",
    labels: str | None = None,
    trust: Sequence[str] = (),
    sampling: Sequence[str] = (),
    device: str = "cpu",
) -> dict[str, Any]:
    """Draw samples from a run and write them in data units; fewer with the same seed are the first of them.

    Args:
        folder: The run.
        n: Number of samples.
        seed: Seed of the latents.
        out: F.npz (array `x`, and `labels` if conditional), F.csv or F.parquet with the columns of a table, or a folder
            for PNG files, for images.
        which: "last" or "best".
        labels: Names of classes wanted, "a,b,c" repeated in turn; drawn by their frequency in the data if None.
        trust: Guests that may be imported.
        sampling: Settings of the run's own sampling, as "steps=50".
        device: Where the generator runs.

    Raises:
        UsageError: If a number is out of range, a setting does not apply, or `out` must not be written there.
        DataError: If the run or its data are missing, damaged or unfit.
        OSError: If `out` cannot be written; it names the file.
    """
    if not out:
        raise UsageError("--out '': name a file that ends in .npz, or a folder for PNG files")
    checked(options_of(sample), {"n": n, "seed": seed}, "sample")
    path = Path(out)
    pictures = out.endswith(("/", os.sep)) or path.is_dir() or path.suffix == ""
    if pictures:
        outputs.claim_folder("--out", path, outputs.read_by(folder))
    else:
        outputs.claim("--out", path, (".npz", *tables.ENDINGS), outputs.read_by(folder))
    experiment, run = rebuild(folder, which, trust, device, sampling)
    if pictures and experiment.data.kind != "images":
        raise UsageError(f"--out {out}: this run's samples are points; name a file that ends in .npz")
    if path.suffix.lower() in tables.ENDINGS and experiment.data.kind == "images":
        raise UsageError(f"--out {out}: this run's samples are images; name a file that ends in .npz, or a folder")
    if pictures and any(path.glob("*.png")):
        raise UsageError(f"--out {out}: already holds PNG files; name a new folder, so that two draws do not mix")
    chosen = labels_for(experiment, n, stream(seed, "sample", part="labels"), labels)
    before = _remarks(experiment, run)
    with Watching() as watch:
        watch.begin("sampling", 0.0)
        drawn = first_of(experiment, n, stream(seed, "sample"), chosen, watch.tick)
    x = tables.held(experiment.data.decode(drawn), experiment.data)
    told = [remark for remark in _remarks(experiment, run) if remark not in before]
    names = None if chosen is None else names_of(experiment.data)[chosen.numpy()]
    notes = tables.notes(experiment.data)
    if pictures:
        write_pictures(path, _named(x, names))
    elif path.suffix.lower() in tables.ENDINGS:
        table, notes = tables.columns(x, experiment.data, names)
        tables.write(path, table)
    else:
        write_npz(path, {"x": x} if names is None else {"x": x, "labels": names})
    return {"out": out, "n": n, "seed": seed, "shape": list(x.shape), "notes": [*standing(run, which), *notes, *told]}


def _named(x: np.ndarray, names: np.ndarray | None) -> Iterator[tuple[str, Image.Image]]:
    """Pictures and the names of their files."""
    for k, image in enumerate(x):
        tag = "" if names is None else "-" + re.sub(r"[^\w.-]", "_", str(names[k]))
        yield f"{k:06d}{tag}.png", Image.fromarray(image)


def _remarks(experiment: Experiment, run: Mapping[str, Any]) -> Sequence[str]:
    """What the method has to say of itself."""
    return experiment.method.remarks(run["step"]) if able(experiment.method, Remarks) else ()


def write_pictures(folder: Path, pictures: Iterable[tuple[str, Image.Image]]) -> None:
    """All pictures as new PNG files of a folder, or none of them; none goes through a link.

    Args:
        folder: Made where it is missing.
        pictures: Names below the folder, and what they name; they may be made one by one.

    Raises:
        OSError: If one cannot be written; it names the folder.
    """
    made, begun = files.new_folders(folder), list[Path]()
    try:
        for name, image in pictures:
            path = folder / name
            made = [*files.new_folders(path.parent), *made]
            with path.open("xb") as file:
                begun.append(path)
                image.save(file, "PNG")
    except BaseException as error:
        for path in begun:
            path.unlink(missing_ok=True)
        files.without(made)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or str(error), os.fspath(folder)) from error
        raise


def names_of(data: Dataset) -> np.ndarray:
    """What the data call their classes, (classes,): whole numbers where all are, else text."""
    return class_names(data.classes or ())


def labels_for(experiment: Experiment, n: int, rng: Randomness, wanted: str | None) -> Tensor | None:
    """Classes to sample: those wanted, in turn, or drawn by their frequency in the data.

    Where samples can only be chosen from particles, their own classes are drawn, without replacement, so that none runs
    out.

    Raises:
        UsageError: If the run has no such classes, or more samples are wanted than there are particles.
    """
    known, most = experiment.data.train_labels, stock(experiment.method)
    if most is not None and n > most:
        raise UsageError(f"-n {n}: this run keeps {most} particles and no way to make more; ask for at most {most}")
    if not experiment.conditional or known is None:
        if wanted is not None:
            raise UsageError(
                f"--labels {wanted}: this run knows no classes; leave the option out, or train with "
                "--conditional where the recipe has it"
            )
        return None
    method = experiment.method
    if wanted is None and most is not None and able(method, HasParticles) and method.labels is not None:
        return method.labels.cpu()[torch.argsort(rng.uniform(most))[:n]]
    if wanted is None:
        return known.sort().values[rng.integers(len(known), n)]  # by their shares, whatever the order of the rows
    classes = experiment.data.classes or ()
    if unknown := [name for name in wanted.split(",") if name.strip() not in classes]:
        if not unknown[0].strip():
            raise UsageError(
                f"--labels {wanted!r}: names an empty class; this run has the classes {listed(classes, 20)}"
            )
        raise UsageError(f"--labels {unknown[0]}: this run has the classes {listed(classes, 20)}")
    codes = torch.tensor([classes.index(name.strip()) for name in wanted.split(",")])
    return codes.repeat(n // len(codes) + 1)[:n]


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays so that nobody ever reads half of them."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    files.write(path, content.getvalue(), parents=True)
