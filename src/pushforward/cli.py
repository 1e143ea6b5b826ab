"""The command line. Nothing heavy is imported before a command runs, so that --help answers at once."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import tyro
from tyro.conf import Positional, arg

from pushforward import __version__
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.recipes import RECIPES

if TYPE_CHECKING:
    from pushforward.commands.training import Outcome

__all__ = ["main"]

Which = Literal["last", "best"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 a run failed, 2 wrong usage, 3 bad data, 130 Ctrl-C, 143 SIGTERM."""
    os.environ.setdefault(
        "GOMP_SPINCOUNT", "0"
    )  # torch's threads must not spin: any other busy process would starve them
    words = list(sys.argv[1:] if arguments is None else arguments)
    words = words[words[:1] == ["--"] :]  # what torchrun may leave in front
    try:
        code = _dispatch(words)
    except (DataError, UsageError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)


def demo(*, run: Path | None = None, seed: int = 0, threads: int = 0, json: bool = False) -> int:
    """Learn handwritten digits by variational gradient flow, measure them, and write a page about it: about a minute.

    Args:
        run: Folder of the run; by default a new one under runs/.
        seed: Seed of everything.
        threads: Threads; 0 for what suits the recipe.
        json: Print one JSON object.
    """

    folder = run or _free("demo")
    words = ["demo", "--run", str(folder), "--seed", str(seed)]
    from pushforward.commands import console, training

    outcome = training.train(
        "vgrow_digits",
        _defaults("vgrow_digits") | {"seed": seed},
        folder,
        threads=threads,
        command=console.command_line(words),
    )
    return _ended(outcome, json)


def recipes(*, json: bool = False) -> int:
    """List the recipes with what to expect of them.

    Args:
        json: Print one JSON object with every option and its default.
    """
    if json:
        _answer({name: _defaults(name) for name in RECIPES}, True)
        return 0
    for name, recipe in RECIPES.items():
        print(f"{name:14} {(recipe.__doc__ or '').strip().splitlines()[0]}")
    print("\nOptions of one: pushforward train RECIPE --help")
    return 0


def sample(
    run: Positional[Path],
    /,
    *,
    n: Annotated[int, arg(aliases=["-n"])] = 64,
    seed: int = 0,
    out: Path,
    labels: str | None = None,
    checkpoint: Which = "last",
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Draw samples from a run, in the units of its data.

    Args:
        run: Folder of the run.
        n: Number of samples.
        seed: Seed of the latents.
        out: F.npz for array x (and labels), or a folder for PNG files.
        labels: Classes wanted from a conditional run, for example 3 or 0,1,2.
        checkpoint: Which checkpoint.
        trust: Divergence from outside this package that may be imported, package.module:NAME.
        json: Print one JSON object.
    """

    from pushforward.commands import sampling

    done = sampling.sample(run, n, seed, out, which=checkpoint, labels=labels, trust=trust)
    _answer(done, json, f"{done['n']} samples of shape {tuple(done['shape'][1:])}: {out}")
    return 0


def transport(
    run: Positional[Path],
    points: Positional[str],
    /,
    *,
    out: Path,
    checkpoint: Which = "last",
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Carry new points along the fields that a particle run recorded.

    Args:
        run: Folder of a toy_particles run.
        points: File of points in data units, PATH[:key].
        out: F.npz; array x holds the points after, start before.
        checkpoint: Which checkpoint.
        trust: Divergence from outside this package that may be imported, package.module:NAME.
        json: Print one JSON object.
    """

    from pushforward.commands import sampling

    done = sampling.transport(run, points, out, which=checkpoint, trust=trust)
    _answer(done, json, f"{done['n']} points carried: {out}")
    return 0


def evaluate(
    run: Positional[Path | None] = None,
    /,
    *,
    fake: str | None = None,
    real: str | None = None,
    features: Literal["auto", "raw", "digits8"] = "auto",
    checkpoint: Which = "last",
    n: Annotated[int | None, arg(aliases=["-n"])] = None,
    seed: int = 0,
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Measure a run against its held-out data, or any samples against any data, each number with its floor.

    Args:
        run: Folder of a run; or give --fake and --real.
        fake: Model samples: PATH[:key], digits or toy:NAME.
        real: Data to hold them against, likewise.
        features: Feature network for images given as files.
        checkpoint: Which checkpoint of the run.
        n: Samples drawn from the run; as many as there are held-out rows, at most 10000, if not given.
        seed: Seed of samples, subsets and permutations.
        trust: Divergence from outside this package that may be imported, package.module:NAME.
        json: Print one JSON object.
    """
    if (run is None) == (fake is None and real is None) or (fake is None) != (real is None):
        raise UsageError("evaluate: give the folder of a run, or both --fake A and --real B")
    from pushforward.commands import console, measuring
    from pushforward.metrics.result import table, to_json

    if run is not None:
        measures = measuring.evaluate_run(run, which=checkpoint, seed=seed, n=n, trust=trust)
    else:
        assert fake is not None
        assert real is not None
        measures = measuring.evaluate_samples(fake, real, features=features, seed=seed)
    if json:
        _answer(to_json(measures), True)
    else:
        console.show(table(measures))
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
        recipe: One of the recipes.
    """
    raise UsageError(f"recipe {recipe!r}")


COMMANDS: dict[str, Callable[..., int]] = {
    command.__name__: command for command in (demo, recipes, train, sample, transport, evaluate, report, doctor)
}

EXAMPLES = """
examples:
  pushforward demo
  pushforward train toy_vgrow --data toy:grid25 --run runs/grid
  pushforward train vgrow_images --data mnist.npz:x_train --minutes 20 --run runs/mnist
  pushforward sample runs/grid -n 1000 --seed 1 --out samples.npz
  pushforward evaluate --fake samples.npz:x --real toy:grid25 --json
  pushforward report runs/grid runs/mnist
"""


def _dispatch(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        print(f"pushforward {__version__}")
        return 0
    if words[:1] == ["train"]:
        return _train(words[1:])
    code = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="pushforward",
        args=words or ["--help"],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description="Generate and move data by gradient flow.\n" + EXAMPLES,
    )
    return int(code)


def _train(words: list[str]) -> int:
    """Read a recipe's options off its signature, with the options of every run beside them."""
    stored = _stored(words)
    commands = {name: _command(name, stored.get(name, {}), words) for name in RECIPES}
    code = tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="pushforward train",
        args=words or ["--help"],
        use_underscores=False,
        config=(tyro.conf.FlagCreatePairsOff,),
        description="Train a recipe in a folder, evaluate it and write its report.\n" + EXAMPLES,
    )
    return int(code)


def run_options(
    *,
    run: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    threads: int = 0,
    minutes: float | None = None,
    save_every: int = 0,
    sample_every: int = 0,
    json: bool = False,
) -> None:
    """Options of every run.

    Args:
        run: Folder of the run; by default a new one under runs/.
        resume: Continue the run in that folder; its options need not be repeated.
        device: auto, cpu, cuda, cuda:1, mps.
        precision: fp32, or bf16 for forward passes under autocast.
        threads: Threads; 0 for what suits the recipe.
        minutes: Stop after so many minutes of this sitting, with a checkpoint.
        save_every: Steps between checkpoints; 0 for a twentieth of the run.
        sample_every: Steps between looks at samples; 0 for a twentieth of the run.
        json: Print one JSON object.
    """


def _command(name: str, stored: dict[str, Any], words: list[str]) -> Callable[..., int]:
    """A recipe's options and a run's options as one function, for the parser to read."""
    recipe = inspect.signature(RECIPES[name], eval_str=False).parameters
    options = inspect.signature(run_options, eval_str=True).parameters
    hints = _hints(RECIPES[name])
    of_recipe = [p.replace(annotation=hints[p.name], default=stored.get(p.name, p.default)) for p in recipe.values()]

    def command(**values: Any) -> int:
        chosen = {key: values[key] for key in recipe}
        return _run(name, chosen, {key: values[key] for key in options}, words)

    together = [*of_recipe, *options.values()]
    command.__name__ = name
    command.__doc__ = (
        (inspect.getdoc(RECIPES[name]) or "") + "\n" + (inspect.getdoc(run_options) or "").split("Args:\n", 1)[1]
    )
    command.__signature__ = inspect.Signature(together, return_annotation=int)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in together} | {"return": int}
    return command


def _hints(recipe: Callable[..., Any]) -> dict[str, Any]:
    """Types of a recipe's options; the type of its answer would need torch."""
    return get_type_hints(recipe, localns={"Experiment": object})


def _run(recipe: str, arguments: dict[str, Any], options: dict[str, Any], words: list[str]) -> int:

    json, folder = options.pop("json"), options.pop("run") or _free(recipe)
    if "data" in arguments:
        arguments["data"] = _absolute(arguments["data"])
    line = [word for word in ("train", *words) if word != "--resume"]
    line = line if "--run" in line else [*line, "--run", str(folder)]
    from pushforward.commands import console, training

    outcome = training.train(recipe, arguments, folder, command=console.command_line(line), **options)
    return _ended(outcome, json)


def _ended(outcome: Outcome, as_json: bool) -> int:
    """Say how training ended: one object, or the table of metrics and the path of the report."""
    from pushforward.commands import console
    from pushforward.metrics.result import table

    if as_json and outcome.run.placement.writes:
        _answer(outcome.summary(), True)
    elif outcome.measures is not None:
        console.show(table(outcome.measures))
        print(
            f"\ntrained {outcome.run.step} steps in {outcome.run.description['seconds']:.0f} s\nreport: {outcome.page}"
        )
    return outcome.code


def _stored(words: list[str]) -> dict[str, dict[str, Any]]:
    """The arguments of the run that is to be continued, by recipe, to serve as its defaults."""
    if "--resume" not in words or "--run" not in words[:-1]:
        return {}
    path = Path(words[words.index("--run") + 1]) / "run.json"
    try:
        description = json.loads(path.read_text())
        return {description["recipe"]: dict(description["arguments"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # said properly when the run is opened


def _absolute(data: str) -> str:
    """A path in a form that still holds when the run is opened from another folder."""
    if data == "digits" or data.startswith("toy:"):
        return data
    head, colon, key = data.rpartition(":")
    for path, rest in ((data, ""), (head, f":{key}")):
        if path and (colon or not rest) and Path(path).expanduser().exists():
            return str(Path(path).expanduser().resolve()) + rest
    return data


def _free(name: str) -> Path:
    """The first folder runs/NAME, runs/NAME-2, ... that is not there yet."""
    k = 1
    while (folder := Path("runs") / (name if k == 1 else f"{name}-{k}")).exists():
        k += 1
    return folder


def _defaults(recipe: str) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(RECIPES[recipe]).parameters.items()}


def _answer(value: dict[str, Any], as_json: bool, otherwise: str = "") -> None:
    if as_json:
        print(json.dumps(value))
    elif otherwise:
        print(otherwise)


if __name__ == "__main__":
    main()
