"""What is done with runs and files, as the command line takes it; nothing heavy is imported before a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pushforward.errors import UsageError, shortened
from pushforward.faces.answers import Told, answer, printed
from pushforward.settings.asked import Evaluating, Merging, Sampling, Which
from pushforward.settings.running import Threads

__all__ = ["doctor", "evaluate", "merge", "report", "sample", "transport"]


def sample(
    run: Positional[Path],
    /,
    *,
    n: Annotated[int, arg(aliases=["-n"])] = 64,
    seed: int = 0,
    out: str,
    labels: str | None = None,
    checkpoint: Which = "last",
    device: str = "cpu",
    threads: Threads = 0,
    sampling: Sampling = (),
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Draw samples from a run, in the units of its data; of two numbers of samples the fewer are the first of the more.

    Args:
        run: Folder of the run.
        n: Number of samples.
        seed: Seed of the latents.
        out: F.npz for array x (and labels), F.csv or F.parquet for the columns of a table, or a folder for PNG files.
        labels: Classes wanted from a conditional run, by name, for example 3 or cat,dog.
        checkpoint: Which checkpoint.
        device: auto, cpu, cuda, cuda:1, mps.
        threads: Threads; 0 for those of the run, as far as there are cores.
        sampling: A setting of the run's own sampling, where it has some, by its name; several may be given.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe or a divergence.
        json: Print one JSON object.
    """
    from pushforward.commands import sampling as drawing
    from pushforward.parallel import threads as computing

    computing.as_run(run, threads)
    done = drawing.sample(run, n, seed, out, which=checkpoint, labels=labels, trust=trust, sampling=sampling,
                          device=device)  # fmt: skip
    notes = "".join(f"note: {shortened(note)}\n" for note in done["notes"])
    answer(done, json, f"{notes}{done['n']} samples of shape {tuple(done['shape'][1:])}: {out}")
    return 0


def transport(
    run: Positional[Path],
    points: Positional[str],
    /,
    *,
    out: Path,
    labels: str | None = None,
    checkpoint: Which = "last",
    device: str = "cpu",
    threads: Threads = 0,
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Carry new points along the fields that a run recorded, and say how far from held-out data they end.

    Args:
        run: Folder of a run of particles, or of anything else that carries points.
        points: File of points in data units, PATH[:key].
        out: F.npz; array x holds the points after, start before, labels their classes if they have some. Or F.csv or
            F.parquet: the table that the points came in, its columns moved and whatever else it has as it stood.
        labels: Classes of the points: one for all, a column or array of the same file, or PATH[:key] of another.
        checkpoint: Which checkpoint.
        device: auto, cpu, cuda, cuda:1, mps.
        threads: Threads; 0 for those of the run, as far as there are cores.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe or a divergence.
        json: Print one JSON object.
    """
    from pushforward.commands import transport as carrying
    from pushforward.parallel import threads as computing

    computing.as_run(run, threads)
    done = carrying.transport(run, points, out, labels=labels, which=checkpoint, trust=trust, device=device)
    answer(done, json, carrying.words(done))
    return 0


def evaluate(*, asked: Annotated[Evaluating, arg(name="")], json: bool = False) -> Told:
    """Measure a run against its held-out data, or any samples against any data, each number with its floor.

    Exit code 0; 1 where a gate of --fail-if fails; 2 wrong usage; 3 data that cannot be compared.

    Args:
        asked: What is measured.
        json: Print one JSON object.
    """
    return lambda line: _evaluate(asked, json, line)


def _evaluate(asked: Evaluating, json: bool, line: str) -> int:
    if asked.metrics == "list":
        return _list_parts(json)
    asked.check()
    from pushforward.commands import console, measuring
    from pushforward.parallel import threads as computing

    computing.as_run(asked.run, asked.threads)
    measure = measuring.evaluate_run if asked.run is not None else measuring.evaluate_samples
    done = measure(asked, line)
    if not done.speaks:
        return 0
    if json:
        answer(done.summary(), True)
    else:
        console.show_report(done.report, done.failed)
    return 1 if done.failed else 0


def _list_parts(as_json: bool) -> int:
    """The parts of an evaluation, one a line."""
    from pushforward.metrics.suite import PARTS

    if as_json:
        answer({name: part.about for name, part in PARTS.items()}, True)
        return 0
    for name, part in PARTS.items():
        needs = f" (needs {', '.join(sorted(part.needs))})" if part.needs else ""
        print(f"{name:12} {part.about}{needs}")
    return 0


def merge(*, asked: Annotated[Merging, arg(name="")], json: bool = False) -> Told:
    """Move the cells or samples of other batches onto those of a target batch, which keep every bit.

    Args:
        asked: What is merged.
        json: Print one JSON object.
    """
    return lambda line: _merge(asked, json, line)


def _merge(asked: Merging, json: bool, line: str) -> int:
    from pushforward.commands import console, merging
    from pushforward.parallel import threads as computing

    computing.use(computing.asked(asked.threads) or 1)  # nets of this size need one; more wait for each other
    done = merging.merge_file(asked, line)
    if json:
        answer(done.summary(), True)
        return 0
    for note in done.notes:
        print(f"note: {shortened(note)}")
    for table in done.tables():
        console.show(table)
    for words in done.found["warnings"]:
        console.tell(f"warning: {shortened(words)}", "bold yellow")
    printed(f"merged: {done.out}" + (f"\npage: {done.page}" if done.page else ""))
    return 0


def report(runs: Positional[tuple[Path, ...]], /, *, out: Path | None = None, json: bool = False) -> int:
    """Write the page of a run, or one page that compares several.

    Args:
        runs: Folders of runs.
        out: Where to write; report.html in the run's folder, or comparison.html beside the first, if not given.
        json: Print one JSON object.
    """
    if not runs:
        raise UsageError("report: name at least one folder of a run")

    from pushforward.commands import measuring

    page = measuring.report(runs, out)
    answer({"report": str(page)}, json, f"report: {page}")
    return 0


def doctor(*, json: bool = False) -> int:
    """Print versions, devices and optional parts of this installation.

    Args:
        json: Print one JSON object.
    """
    from pushforward.commands import doctor as installation

    facts = installation.doctor()
    if json:
        answer(facts, True)
        return 0
    for name, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:14} {', '.join(map(str, text)) if isinstance(text, list) else text}")
    return 0
