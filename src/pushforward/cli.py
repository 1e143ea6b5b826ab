"""The command line. Nothing heavy is imported before a command runs, so that --help answers at once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from pushforward import __version__, guests
from pushforward.commands.publishing.faces import export, pull, push
from pushforward.errors import (
    DataError,
    TrainingError,
    UsageError,
    meant,
    of_memory,
    on_any_terminal,
    printable,
    shortened,
)
from pushforward.settings.asked import Evaluating, Merging, Sampling, Threads, Which
from pushforward.settings.running import Running

if TYPE_CHECKING:
    from pushforward import options
    from pushforward.commands.training import Outcome

__all__ = ["main"]

Told = Callable[[str], int]
"""What is left to do once the options are read: given the command, for its page, it does it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 a run failed or a disk is full, 2 wrong usage, 3 bad data, 128 + signal."""
    with on_any_terminal():
        _main(arguments)


def _main(arguments: Sequence[str] | None) -> None:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # else idle threads of torch spin, and starve a busy machine
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = words[words[:1] == ["--"] :]  # what torchrun may leave in front
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except (DataError, UsageError, TrainingError) as error:
        code = _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        _to_nobody()
        code = 141
    except Exception as error:  # also of a library that knows a damaged file or a full memory by an error of its own
        code = _unforeseen(error, words)
    if code == 0 and os.environ.get("WORLD_SIZE", "1") != "1":
        # Threads of a process group may abort an interpreter that takes its time to end. After an error nobody hurries:
        # the first process that fails has the others stopped, and one of them has the message.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _to_nobody() -> None:
    """What standard output still holds goes nowhere, or the interpreter would fail over it once more as it ends."""
    with suppress(OSError, ValueError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception, words: Sequence[str]) -> int:
    """Say in one line what a guest raised, or which file could not be had; anything else is a mistake of ours."""
    if said := guests.blamed(error, guests.mentioned(words)):
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        # by every process, since it may have failed in one alone
        print(f"error: {printable(said + notes)}", file=sys.stderr)
        return TrainingError.exit_code
    if isinstance(error, OSError):
        from pushforward import files

        if files.is_full(error):
            if error.filename is None:
                _to_nobody()
            return _complain(
                f"{files.no_room(error)} or name another place, and give the command again", TrainingError.exit_code
            )
        if error.filename is not None:
            where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
            return _complain(f"{where}: {error.strerror}; name a place that can be read or written", 2)
        said = error.strerror or str(error) or type(error).__name__
        return _complain(f"the system refused: {said}; see to the disk or the device, then try again", 1)
    if of_memory(error):
        said = str(error).partition("\n")[0] or "no memory is left"
        return _complain(f"out of memory ({said}); take fewer rows or a smaller side, batch or net", 1)
    raise error


def _complain(message: str, code: int) -> int:
    """Print an error, once where several processes share a command."""
    if os.environ.get("RANK", "0") == "0":
        print(f"error: {printable(message)}", file=sys.stderr)
    return code


def demo(
    what: Positional[Literal["digits", "likelihood", "covering"]] = "digits",
    /,
    *,
    run: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    threads: Threads = 0,
    json: bool = False,
) -> int:
    """Show what it is about: digits trains, measures and writes a page, in about a minute; the others draw a picture.

    Args:
        what: digits, learned by variational gradient flow; likelihood, why it says little about samples and samples
            little about it; covering, which modes forward KL, reverse KL and JS keep.
        run: Folder of the run of digits; by default a new one under runs/.
        out: Picture of the others, .png, .svg or .pdf; by default named after them.
        seed: Seed of everything.
        threads: Threads; 0 for what suits the recipe.
        json: Print one JSON object.
    """
    if what != "digits":
        if run is not None:
            raise UsageError(f"--run {run}: goes with demo digits; demo {what} draws a picture, --out FILE.png")
        from pushforward import demos
        from pushforward.data import outputs
        from pushforward.parallel import threads as computing

        picture = out or Path(f"{what}.png")
        outputs.claim("--out", picture, outputs.PICTURE)
        computing.use(threads)
        numbers = demos.paradox(picture, seed) if what == "likelihood" else demos.covering(picture)
        width = max(map(len, numbers))
        lines = "\n".join(f"{name:{width}} {value:.4g}" for name, value in numbers.items())
        _answer({"picture": str(picture), "numbers": numbers}, json, f"{lines}\npicture: {picture}")
        return 0
    if out is not None:
        raise UsageError(f"--out {out}: goes with demo likelihood and demo covering; demo digits writes --run FOLDER")
    from pushforward import options

    words = ["train", "vgrow_digits", "--seed", str(seed), *(["--run", str(run)] if run else [])]
    words += ["--threads", str(threads)] if threads else []
    arguments = options.defaults("vgrow_digits") | {"seed": seed}
    return _run(options.Training("vgrow_digits", arguments, run, Running(threads=threads, json=json), words), "demo")


def recipes(*, json: bool = False) -> int:
    """List the recipes with what to expect of them.

    Args:
        json: Print one JSON object with every option and its default.
    """
    from pushforward import options
    from pushforward.recipes import RECIPES

    if json:
        _answer({name: options.defaults(name) for name in RECIPES}, True)
        return 0
    width = max(map(len, RECIPES))
    for name, recipe in RECIPES.items():
        print(f"{name:{width}} {(recipe.__doc__ or '').strip().splitlines()[0]}")
    print("\nOptions of one: pushforward train RECIPE --help")
    return 0


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
    _answer(done, json, f"{notes}{done['n']} samples of shape {tuple(done['shape'][1:])}: {out}")
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
    _answer(done, json, carrying.words(done))
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
        _answer(done.summary(), True)
    else:
        console.show_report(done.report, done.failed)
    return 1 if done.failed else 0


def _list_parts(as_json: bool) -> int:
    """The parts of an evaluation, one a line."""
    from pushforward.metrics.suite import PARTS

    if as_json:
        _answer({name: part.about for name, part in PARTS.items()}, True)
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

    computing.use(asked.threads)
    done = merging.merge_file(asked, line)
    if json:
        _answer(done.summary(), True)
        return 0
    for note in done.notes:
        print(f"note: {shortened(note)}")
    for table in done.tables():
        console.show(table)
    for words in done.found["warnings"]:
        console.tell(f"warning: {shortened(words)}", "bold yellow")
    _answer({}, False, f"merged: {done.out}" + (f"\npage: {done.page}" if done.page else ""))
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
    _answer({"report": str(page)}, json, f"report: {page}")
    return 0


def doctor(*, json: bool = False) -> int:
    """Print versions, devices and optional parts of this installation.

    Args:
        json: Print one JSON object.
    """

    from pushforward.commands import doctor as installation

    facts = installation.doctor()
    if json:
        _answer(facts, True)
        return 0
    for name, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:14} {', '.join(map(str, text)) if isinstance(text, list) else text}")
    return 0


def train(recipe: Positional[str], /) -> int:
    """Train a recipe in a folder, evaluate it and write its report; `pushforward train --help` lists the recipes.

    Args:
        recipe: One of the recipes, or package.module:NAME of yours with --trust package.module:NAME.
    """
    raise UsageError(f"recipe {recipe!r}")


COMMANDS: dict[str, Callable[..., int | Told]] = {
    command.__name__: command
    for command in (demo, recipes, train, sample, transport, evaluate, merge, report, export, push, pull, doctor)
}

EXAMPLES = """
examples:
  pushforward demo
  pushforward train toy_vgrow --data toy:grid25 --run runs/grid
  pushforward train vgrow_images --data mnist.npz:x_train --features digits8 --run runs/mnist
  pushforward sample runs/grid -n 1000 --seed 1 --out samples.npz
  pushforward evaluate --fake samples/ --real photos/ --train photos_train/ --features cifar_resnet --page page.html
  pushforward evaluate --fake synthetic.csv --real held_out.csv --fail-if 'p<0.01' 'recall<0.5'
  pushforward merge cells.h5ad --batch donor --target A --labels cell_type --out merged.h5ad --page merge.html
  pushforward report runs/grid runs/mnist
  pushforward export runs/grid --out grid.onnx
  pushforward push runs/grid hub/grid
"""


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"pushforward {__version__}")
        return 0
    for option, what in (("--run", "the folder of a run"), ("--out", "what to write"), ("--page", "a file, .html")):
        if (option, "") in pairwise(guests.apart(words)):
            raise UsageError(f"{option} '': name {what}")
    if words[:1] == ["--completion"]:
        from pushforward import options

        options.completion(words[1] if words[1:] else "", COMMANDS)
        return 0
    first = (words or ["--help"])[0]
    if first not in COMMANDS and not first.startswith("-"):
        raise UsageError(f"{first}: no such command; {meant(first, COMMANDS)}there are {', '.join(COMMANDS)}")
    if words[:1] == ["train"]:
        from pushforward import options  # reads the options of all recipes, which --help must not wait for

        about = "Train a recipe in a folder, evaluate it and write its report.\n" + EXAMPLES
        return _run(options.read(words[1:], about))
    read = words
    if first in COMMANDS:
        from pushforward import options

        read = options.with_settings(words) if first in ("sample", "evaluate") else words
        options.refuse_unknown(guests.apart(words[1:]), options.flags_of(COMMANDS[first]), f"pushforward {first}")
    code = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="pushforward",
        args=read or ["--help"],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description="Generate and move data by gradient flow.\n" + EXAMPLES,
    )
    if callable(code):
        from pushforward.commands import console

        return code(console.command_line(words))
    return int(code)


def _run(wanted: options.Training, stem: str = "") -> int:
    from pushforward.commands import console, training

    line = console.command_line(wanted.words)
    outcome = training.train(wanted.recipe, wanted.arguments, wanted.folder, wanted.running, line, stem)
    return _ended(outcome, wanted.running.json)


def _ended(outcome: Outcome, as_json: bool) -> int:
    """Say how training ended: one object, or the table of metrics and the path of the report."""
    from pushforward.commands import console
    from pushforward.metrics.core.result import table

    if as_json and outcome.run.placement.writes:
        _answer(outcome.summary(), True)
    elif outcome.measures is not None:
        console.show(table(outcome.measures))
        print(f"\n{printable(outcome.measures.verdict)}")
        for warning in outcome.measures.warnings:
            console.tell(f"warning: {warning}", "bold yellow")
        seconds, page = outcome.run.description["seconds"], f"\nreport: {outcome.page}" if outcome.page else ""
        _answer({}, False, f"\ntrained {outcome.run.step} steps in {seconds:.0f} s{page}")
    return outcome.code


def _answer(value: dict[str, Any], as_json: bool, otherwise: str = "") -> None:
    if as_json:
        print(json.dumps(value))
    elif otherwise:
        print("\n".join(map(printable, otherwise.split("\n"))))


if __name__ == "__main__":
    main()
