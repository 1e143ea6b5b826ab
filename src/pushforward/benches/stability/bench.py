"""The bench as a whole: what there is to do, doing it side by side, and what all of it says."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pushforward import files
from pushforward.benches import kept
from pushforward.benches.stability import picture, tables
from pushforward.benches.stability.arms import Trial, trials
from pushforward.benches.stability.outcome import Outcome, outcome
from pushforward.benches.stability.pace import SHARE
from pushforward.benches.stability.summary import Row, by_arm, by_factor, reference
from pushforward.benches.stability.trial import performed, wired
from pushforward.benches.workers import side_by_side
from pushforward.commands.console import say, tell
from pushforward.data import outputs
from pushforward.errors import UsageError
from pushforward.parallel.threads import cores
from pushforward.progress import Bar, Pulse, span
from pushforward.settings.benches import Stability
from pushforward.training.folder.lock import held

__all__ = ["Bench", "measured"]

LEAST = 40  # samples for each mode, of which one counts with 20
MARK, SHAPE = 0.02, 0.3  # CPU seconds of a look at samples, and at the shape of modes, about


@dataclass(frozen=True)
class Bench:
    """All runs that are there, and what they say.

    Attributes:
        asked: What was asked.
        runs: Runs with their outcomes and lines.
        missing: How many are not there yet.
        arms: A row an arm.
        factors: A row for each value of each factor.
        notes: What has to be said of them.
        picture: Where the picture is; None where a report was to write none.
        markdown: Where the tables are, likewise.
    """

    asked: Stability
    runs: Sequence[tuple[Trial, Outcome, dict[str, Any]]]
    missing: int
    arms: list[Row]
    factors: list[Row]
    notes: list[str]
    picture: Path | None
    markdown: Path | None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        asked = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self.asked).items()}
        return {
            "asked": asked,
            "runs": len(self.runs),
            "missing": self.missing,
            "cpu_seconds": round(sum(run["cpu_all"] for _, _, run in self.runs), 1),
            "arms": [row.plain() for row in self.arms],
            "factors": [row.plain() for row in self.factors],
            "notes": self.notes,
            "picture": None if self.picture is None else str(self.picture),
            "markdown": None if self.markdown is None else str(self.markdown),
            "kept": str(self.asked.out / kept.RUNS),
        }


def measured(asked: Stability) -> Bench:
    """Do the runs that are not kept yet, and sum up all that are asked for.

    Raises:
        UsageError: If an option is wrong, a place cannot be written, or the runs that are kept are of other code.
        DataError: If what is kept cannot be read.
        KeyboardInterrupt: If it is stopped; what was finished is kept.
    """
    asked.check()
    painting, page = _written(asked)
    every = trials(asked)
    for arm in dict.fromkeys(trial.arm for trial in every):  # what a recipe or a divergence refuses, before any work
        wired(next(trial for trial in every if trial.arm == arm), 1)
    if asked.samples < LEAST * (modes := _modes(every[0])):
        raise UsageError(
            f"--samples {asked.samples}: {asked.data} has {modes} modes, and one counts with 20 samples; give at least "
            f"{LEAST * modes}, with which a perfect sampler shows all of them 99 times in 100"
        )
    there = kept.read(asked.out, [trial.key for trial in every], mixed=asked.mixed)
    runs, left = dict(there.runs), [trial for trial in every if trial.key not in there.runs]
    if left and not asked.report:
        _foretold(asked, every, left)
        runs |= _done(asked, left)
    found = [(t, outcome(runs[t.key], modes), runs[t.key]) for t in every if t.key in runs]
    if not found:
        other = f", but {there.others} of other settings; give the options that they were made with"
        said = other if there.others else " yet; give the command without it"
        raise UsageError(f"--report: {asked.out} holds none of these runs{said}")
    notes = there.notes(asked.out) + _notes(found, len(every) - len(found))
    pairs = [(trial, one) for trial, one, _ in found]
    arms, factors = by_arm(pairs), by_factor(pairs)
    notes.append(
        f"ahead: the share that ended with every mode, less that of {reference(pairs)} at the same settings and seed"
    )
    if painting is not None:
        picture.drawn(painting, arms, found, modes)
    if page is not None:
        tables.placed(page, _page(asked, arms, factors, notes, len(found)))
    return Bench(asked, found, len(every) - len(found), arms, factors, notes, painting, page)


def _written(asked: Stability) -> tuple[Path | None, Path | None]:
    """Where picture and tables go, looked at before any work; a report writes only what is named, and not in `out`.

    Raises:
        UsageError: If one is of another format, or may not be written.
        OSError: If one cannot be written.
    """
    painting, page = asked.picture, asked.markdown
    if not asked.report:
        outputs.claim_folder("--out", asked.out)
        painting, page = painting or asked.out / "stability.png", page or asked.out / "stability.md"
    if painting is not None:
        outputs.claim("--picture", painting, outputs.PICTURE)
    if page is not None:
        outputs.claim("--markdown", page, (".md",), () if painting is None else (painting,))
        tables.check(page)
    return painting, page


def _workers(asked: Stability) -> int:
    """How many processes."""
    if asked.workers > (here := cores()):
        raise UsageError(f"--workers {asked.workers}: there are {here} cores; more would only wait for each other")
    return asked.workers or min(2, here)


def cost(trial: Trial) -> float:
    """CPU seconds that a run takes about, rehearsal and marks included."""
    return trial.seconds * (trial.legs + 1.5 * SHARE) + (MARK * trial.marks + SHAPE) * trial.legs


def _foretold(asked: Stability, every: Sequence[Trial], left: Sequence[Trial]) -> None:
    """Say what is to come before it begins."""
    workers, seconds = _workers(asked), sum(map(cost, left))
    further = sum(trial.legs > 1 for trial in left)
    done = f", {len(every) - len(left)} there already" if len(left) < len(every) else ""
    on = f", of which {further} go on to {3 * asked.seconds:g} s" if further else ""
    wall = f", {span(seconds / workers)} with {workers} workers" if workers > 1 else ""
    runs = "1 run" if len(left) == 1 else f"{len(left)} runs"
    tell(f"{runs} of {asked.seconds:g} s{on}{done}: about {span(seconds)} of CPU{wall}")


def _done(asked: Stability, left: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """Do the runs, keep each as soon as it is done, and say how far it is."""
    total, spent, done = sum(map(cost, left)), 0.0, dict[str, dict[str, Any]]()
    bar, pulse = Bar(say, "stability", len(left), shown=say.is_terminal), Pulse()
    try:
        files.new_folders(asked.out)
        shared = side_by_side(performed, left, min(_workers(asked), len(left)))
        with held(asked.out, "--out"), bar, closing(shared) as finished:
            for trial, run in finished:
                done[trial.key] = kept.add(asked.out, run)
                spent += cost(trial)
                bar.move(len(done), trial.arm)
                if not say.is_terminal and pulse.due():
                    tell(f"stability: {len(done)} of {len(left)} runs, {pulse.left(spent / total)}")
    except KeyboardInterrupt:
        tell(f"{len(done)} of {len(left)} runs are kept in {asked.out}; the same command goes on with the others")
        raise
    return done


def _modes(trial: Trial) -> int:
    """How many modes its data have."""
    mixture = wired(trial, 1).data.mixture
    assert mixture is not None
    return len(mixture.means)


def _notes(found: Sequence[tuple[Trial, Outcome, dict[str, Any]]], missing: int) -> list[str]:
    """How equal the budgets were, and what is not there."""
    said = [f"not there yet: {missing} of {missing + len(found)} runs"] if missing else []
    if paced := [(trial, run) for trial, one, run in found if run["laid"] and not one.failed]:
        shares = [run["cpu"] / trial.seconds for trial, run in paced]
        cut = [run["done"] / run["laid"][-1] for _, run in paced]
        said.append(
            f"training up to T took {min(shares):.3f} to {max(shares):.3f} T of CPU and came to {min(cut):.3f} to "
            f"{max(cut):.3f} of the schedules"
        )
    if broken := [trial.arm for trial, one, _ in found if one.failed]:
        said.append(f"{len(broken)} runs broke off: {', '.join(sorted(set(broken)))}")
    return said


def _page(asked: Stability, arms: list[Row], factors: list[Row], notes: list[str], runs: int) -> str:
    """What goes into a page: what was measured, the tables, the notes."""
    seeds = f"{asked.seeds} seeds from {asked.seed} on" if asked.seeds > 1 else f"seed {asked.seed}"
    grid = (
        f"rates {_listed(asked.rates)}; widths {_listed(asked.widths)}; critic steps {_listed(asked.critic_steps)}; "
        f"{seeds}"
    )
    going = {
        "floor": f"{asked.going} of the seeds go on to 3T with every rate at {asked.floor:g} of what it was",
        "constant": f"no schedules at all; {asked.going} of the seeds go on to 3T",
        "none": "none goes on",
    }
    said = "".join(f"- {note}\n" for note in (*notes, kept.code()))
    by_factors = f"\n{tables.markdown(factors)}" if factors else ""
    return (
        f"\n{runs} runs of {asked.data}, T = {asked.seconds:g} CPU s each: {grid}; {going[asked.drift]}.\n\n"
        f"{tables.markdown(arms)}{by_factors}\n{said}\n"
    )


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
