"""What the commands do, once their arguments are read: train, sample, transport, evaluate, report, doctor."""

from __future__ import annotations

import inspect
import json
import os
import platform
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, distributed

from pushforward import __version__
from pushforward.data import Dataset, Noise, source
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.metrics.digits8 import digits8
from pushforward.metrics.evaluate import evaluate as measure
from pushforward.metrics.features import RAW, Features
from pushforward.metrics.result import Measure, table, to_json
from pushforward.pictures import grid, write_samples
from pushforward.recipes import RECIPES
from pushforward.report import write_report
from pushforward.training import checkpoint
from pushforward.training.experiment import Experiment
from pushforward.training.placement import Placement, Precision
from pushforward.training.run import Run, Stop, open_run
from pushforward.training.state import load_state, place

__all__ = [
    "command_line",
    "doctor",
    "evaluate_run",
    "evaluate_samples",
    "rebuild",
    "report",
    "sample",
    "show",
    "train",
    "transport",
]

say = Console(stderr=True, highlight=False)


def train(
    recipe: str,
    arguments: dict[str, Any],
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    precision: Precision = "fp32",
    threads: int = 0,
    minutes: float | None = None,
    save_every: int = 0,
    sample_every: int = 0,
    command: str = "",
) -> tuple[int, dict[str, Any]]:
    """Train a recipe in a folder, then evaluate it and write its report.

    Returns:
        The exit code (0, or 130 and 143 after Ctrl-C and SIGTERM) and a summary.

    Raises:
        UsageError: If the folder holds a run and `resume` is not set, or the arguments are not those of that run.
        DataError: If the data or a checkpoint are unfit.
        TrainingError: If training fails; the last good checkpoint is intact.
    """
    stored = open_run(folder, resume=resume)
    if stored is not None:
        _same(stored, recipe, arguments)
        threads = threads or stored["threads"]
    placement = Placement.find(device, precision)
    experiment = RECIPES[recipe](**arguments)
    torch.set_num_threads(threads or experiment.threads or os.cpu_count() or 1)
    description = stored or _describe(recipe, arguments, experiment, placement, command)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        folder,
        description,
        experiment,
        placement,
        every_samples=sample_every,
        every_save=save_every,
        show=write_samples,
    )
    if stored is not None:
        run.resume()
        _tell(placement, f"continuing {folder} at step {run.step} of {experiment.steps}")
    with _stop_between_steps() as stop:
        try:
            _watch(run, stop, minutes)
        except TrainingError as error:
            run.fail(str(error))
            last = folder / "checkpoints" / "last"
            raise TrainingError(f"{error}; the last good checkpoint is {last}") from error
    if run.step < experiment.steps and not stop.signal:
        _tell(
            placement,
            f"stopped at step {run.step} of {experiment.steps} after {minutes:g} minutes; learning rates had "
            "not finished their decay: continue with --resume, or plan with fewer --steps",
        )
    summary = {
        "run": str(folder),
        "step": run.step,
        "steps": experiment.steps,
        "seconds": run.description.get("seconds"),
        "status": run.description["status"],
    }
    if stop.signal:
        _tell(placement, f"interrupted at step {run.step}; saved. Continue with: {description['command']} --resume")
        return 128 + stop.signal, summary
    if placement.writes:
        measures = _measure_run(folder, "last", experiment, run.step)
        page = write_report([folder])
        say.print(table(measures), soft_wrap=True)
        say.print(f"trained {run.step} steps in {summary['seconds']:.0f} s; report: {page}", soft_wrap=True)
        summary |= to_json(measures) | {"report": str(page)}
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
    return 0, summary


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
    chosen = _labels(experiment, n, seed, labels)
    rng = Noise(seed)
    x = experiment.data.decode(experiment.method.sample(n, rng, chosen))
    if pictures:
        out.mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(x):
            tag = "" if chosen is None else f"-class{int(chosen[k])}"
            grid(image[None], columns=1, scale=1).save(out / f"{k:06d}{tag}.png")
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


def evaluate_run(
    folder: Path, *, which: str = "last", seed: int = 0, n: int | None = None, trust: Sequence[str] = ()
) -> dict[str, Measure]:
    """Measure a run's samples against its held-out data, and write metrics.json."""
    experiment, description = rebuild(folder, which, trust)
    return _measure_run(folder, which, experiment, description["step"], seed=seed, n=n)


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


def show(rows: Any) -> None:
    """Print a table on standard output."""
    Console(highlight=False).print(rows, soft_wrap=True)


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or one page that compares several."""
    for folder in folders:
        if not (folder / "run.json").exists():
            raise DataError(f"{folder}: no run.json here; name the folder of a run, as given to train --run")
    return write_report(folders, out)


def doctor() -> dict[str, Any]:
    """Versions, devices and optional parts of this installation."""
    from importlib.util import find_spec
    from shutil import which

    cuda = (
        [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return {
        "versions": _versions()
        | {name: _version(name) for name in ("scipy", "scikit-learn", "safetensors", "pillow", "tyro")},
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])],
        "bf16 on cpu": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        if torch.backends.mkldnn.is_available()
        else False,
        "compile=True": "ready" if which(os.environ.get("CXX", "g++")) else "needs a C++ compiler: install g++",
        "parquet": "ready" if find_spec("pyarrow") else "pip install 'pushforward[tables]'",
    }


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


def _measure_run(
    folder: Path, which: str, experiment: Experiment, step: int, *, seed: int = 0, n: int | None = None
) -> dict[str, Measure]:
    """As many fresh samples as there are held-out rows (or n), both in data units for points, measured and written."""
    data = experiment.data
    n = n or min(len(data.test), 10_000)
    if not getattr(experiment.method, "source", True):
        n = min(n, len(getattr(experiment.method, "particles", ())))
    x = experiment.method.sample(n, Noise(40_000 + seed), _labels(experiment, n, seed, None)).cpu()
    split = (
        f"{data.name}, held-out {data.split.n_test} of {data.split.n_test + data.split.n_train}, seed {data.split.seed}"
    )
    if data.kind == "points":
        fake, real, train = (torch.from_numpy(np.asarray(data.decode(part))) for part in (x, data.test, data.train))
    else:
        fake, real, train = x, data.test, data.train
    centres = {} if data.mixture is None else _centres(data.mixture)
    features = experiment.features or RAW
    measures = measure(fake, real, train=train, features=features, seed=seed, split=split, **centres)
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


def _labels(experiment: Experiment, n: int, seed: int, wanted: str | None) -> Tensor | None:
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


def _describe(
    recipe: str, arguments: dict[str, Any], experiment: Experiment, placement: Placement, command: str
) -> dict[str, Any]:
    """run.json at step 0."""
    data: Dataset = experiment.data
    split = data.split
    return {
        "format": 1,
        "recipe": recipe,
        "arguments": arguments,
        "seed": arguments.get("seed", 0),
        "step": 0,
        "steps": experiment.steps,
        "status": "running",
        "seconds": 0.0,
        "best": None,
        "data": {
            "name": data.name,
            "kind": data.kind,
            "event": list(data.event),
            "n_train": split.n_train,
            "n_test": split.n_test,
            "seed": split.seed,
            "test_fraction": split.test_fraction,
            "sha256": split.sha256,
        },
        "device": str(placement.device),
        "precision": placement.precision,
        "threads": torch.get_num_threads(),
        "world": placement.world,
        "versions": _versions(),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _same(stored: dict[str, Any], recipe: str, arguments: dict[str, Any]) -> None:
    """Refuse to continue a run as something else."""
    if stored["recipe"] != recipe:
        raise UsageError(f"this folder holds a run of {stored['recipe']}, not of {recipe}; name another folder")
    for name, value in arguments.items():
        if stored["arguments"].get(name, value) != value:
            raise UsageError(
                f"--{name.replace('_', '-')} {value}: the run began with {stored['arguments'][name]}; a run is "
                "continued as it began, so drop the option or start a new run"
            )


@contextmanager
def _stop_between_steps() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a wish to stop; the second stops at once."""
    stop = Stop()

    def wish(number: int, frame: Any) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number
        say.print("stopping after this step; once more to stop at once")

    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(run: Run, stop: Stop, minutes: float | None) -> None:
    """Run the loop under a progress bar, on a terminal, or in silence."""
    if not (run.placement.writes and say.is_terminal):
        for progress in run.advance(stop, minutes):
            if run.placement.writes and (progress.step % max(1, progress.steps // 10) == 0):
                say.print(
                    f"step {progress.step} of {progress.steps}, {progress.seconds:.0f} s, {_short(progress.numbers)}"
                )
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn(run.description["recipe"]),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    with Bar(*columns, console=say) as bar:
        task = bar.add_task("", total=run.experiment.steps, completed=run.step, numbers="")
        shown = 0.0
        for progress in run.advance(stop, minutes):
            if progress.seconds - shown > 0.2 or progress.step == progress.steps:
                shown = progress.seconds
                bar.update(task, completed=progress.step, numbers=_short(progress.numbers))


def _short(numbers: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in numbers.items() if name in ("bound", "speed", "score"))


def _tell(placement: Placement, message: str) -> None:
    if placement.writes:
        say.print(message, soft_wrap=True)


def _versions() -> dict[str, str]:
    return {
        "pushforward": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def command_line(arguments: Sequence[str]) -> str:
    """The command as one would type it again."""
    import shlex

    return shlex.join(
        [Path(sys.argv[0]).name if re.search(r"pushforward$", sys.argv[0]) else "pushforward", *arguments]
    )
