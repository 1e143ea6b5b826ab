"""demo, recipes and train as the command line takes them; nothing heavy is imported before one of them runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from pushforward.errors import UsageError, printable
from pushforward.faces.answers import answer, printed
from pushforward.settings.running import Running, Threads

if TYPE_CHECKING:
    from pushforward import options
    from pushforward.commands.training import Outcome

__all__ = ["begun", "demo", "recipes", "train"]


def demo(
    what: Positional[Literal["digits", "likelihood", "covering", "consistency", "collapse"]] = "digits",
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
            little about it; covering, which modes forward KL, reverse KL and JS keep; consistency, at which rates the
            two-stage bridge becomes exact, in about a minute; collapse, when the codes of a variational autoencoder
            tell nothing.
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
        computing.use(computing.asked(threads))
        if what == "consistency":
            return _consistency(picture, seed, json)
        draws = {"likelihood": demos.paradox, "collapse": demos.collapse}
        numbers = draws[what](picture, seed) if what in draws else demos.covering(picture)
        width = max(map(len, numbers))
        lines = "\n".join(f"{name:{width}} {value:.4g}" for name, value in numbers.items())
        answer({"picture": str(picture), "numbers": numbers}, json, f"{lines}\npicture: {picture}")
        return 0
    if out is not None:
        raise UsageError(f"--out {out}: goes with the demos that draw a picture; demo digits writes --run FOLDER")
    from pushforward import options

    words = ["train", "vgrow_digits", "--seed", str(seed), *(["--run", str(run)] if run else [])]
    words += ["--threads", str(threads)] if threads else []
    arguments = options.defaults("vgrow_digits") | {"seed": seed}
    return begun(options.Training("vgrow_digits", arguments, run, Running(threads=threads, json=json), words), "demo")


def _consistency(picture: Path, seed: int, json: bool) -> int:
    """The table of rates, row by row as they are found, and the picture; 1 where a rate is not as it should be."""
    from dataclasses import asdict

    from pushforward import demos
    from pushforward.demos.consistency import HEAD, line

    if not json:
        printed(HEAD)
    found = demos.consistency(picture, seed, told=None if json else lambda rate: print(line(rate), flush=True))
    rates = [asdict(rate) | {"holds": rate.holds} for rate in found]
    answer({"picture": str(picture), "rates": rates}, json, f"picture: {picture}")
    return 0 if all(rate.holds for rate in found) else 1


def recipes(*, json: bool = False) -> int:
    """List the recipes with what to expect of them.

    Args:
        json: Print one JSON object with every option and its default.
    """
    from pushforward import options
    from pushforward.recipes import RECIPES

    if json:
        answer({name: options.defaults(name) for name in RECIPES}, True)
        return 0
    width = max(map(len, RECIPES))
    for name, recipe in RECIPES.items():
        print(f"{name:{width}} {(recipe.__doc__ or '').strip().splitlines()[0]}")
    print("\nOptions of one: pushforward train RECIPE --help")
    return 0


def train(recipe: Positional[str], /) -> int:
    """Train a recipe in a folder, evaluate it and write its report; `pushforward train --help` lists the recipes.

    Args:
        recipe: One of the recipes, or package.module:NAME of yours with --trust package.module:NAME.
    """
    # What a recipe is asked is its own, so `cli` has `train` read by `options.read`; this one stands in lists and help.
    raise UsageError(f"recipe {recipe!r}")


def begun(wanted: options.Training, stem: str = "") -> int:
    """Train what was read from the command line, and say how it ended; the exit code."""
    from pushforward.commands import console, training

    line = console.command_line(wanted.words)
    outcome = training.train(wanted.recipe, wanted.arguments, wanted.folder, wanted.running, line, stem)
    return _ended(outcome, wanted.running.json)


def _ended(outcome: Outcome, as_json: bool) -> int:
    """Say how training ended: one object, or the table of metrics and the path of the report."""
    from pushforward.commands import console
    from pushforward.metrics.verdict.report import beneath, table

    spent = time.process_time()
    if as_json and outcome.run.placement.writes:
        answer(outcome.summary() | {"cpu_seconds": round(spent, 1)}, True)
    elif outcome.measures is not None:
        print(f"{printable(outcome.measures.verdict)}\n")
        console.show(table(outcome.measures), *beneath(outcome.measures))
        for warning in outcome.measures.warnings:
            console.tell(f"warning: {warning}", "bold yellow")
        seconds, page = outcome.run.description["seconds"], f"\nreport: {outcome.page}" if outcome.page else ""
        printed(f"\ntrained {outcome.run.step} steps in {seconds:.0f} s; this command took {spent:.0f} s of CPU{page}")
    return outcome.code
