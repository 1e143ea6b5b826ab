"""What the benches are asked: read off the command line once, and handed on as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pushforward.errors import UsageError
from pushforward.settings.options import Between, Rate, Rounds, Seed, Units, examined, flag

__all__ = ["Stability"]


@dataclass(frozen=True)
class Stability:
    """What is measured, for how long, and where it is kept.

    Attributes:
        out: Folder of the runs, one line each; a second call does what is not there yet.
        data: What is learned.
        moves: VGrow's moves, an arm each; none leaves VGrow out.
        divergences: Its divergences, an arm each.
        gans: Divergences of the plain GAN, an arm each: JS saturates, LOGD is the log-D trick; none leaves it out.
        rates: Learning rates of the generator; the critic's is a quarter of it in VGrow, the same in the GAN.
        widths: Units of their hidden layers.
        critic_steps: Updates of the critic before each move, and for each step of the GAN.
        seeds: Seeds of each, from --seed on.
        seed: The first of them; runs of one seed share data, first weights and latents.
        seconds: CPU seconds of training of every run, on one thread.
        marks: Times that a run is measured within them.
        samples: Fresh samples at each, at least 40 for each mode.
        drift: How runs go on to three times the seconds: floor, with schedules at their end and every rate held at its
            floor; constant, without any schedule from the start; none, not at all.
        floor: What is left of every learning rate then, as a factor.
        drift_seeds: How many of the seeds go on.
        workers: Processes, one run each; 0 for as many as there are cores, two at most.
        picture: Where the picture goes, .png, .svg or .pdf; stability.png in the folder if not given.
        markdown: A file for the table, .md, between its two marks where it has them; stability.md in the folder if not
            given.
        report: Run nothing, show what is there; picture and table are written where they are named, and only there.
        mixed: Take runs that were made by another version of what computes them as they are.
    """

    out: Path = Path("runs/stability")
    data: Literal["toy:grid25", "toy:grid25_turned", "toy:ring8"] = "toy:grid25"
    moves: tuple[Rounds, ...] = (1, 5, 20)
    divergences: tuple[str, ...] = ("KL", "JS", "LOGD", "JEFFREYS")
    gans: tuple[str, ...] = ("JS", "LOGD")
    rates: tuple[Rate, ...] = (1e-3, 4e-3)
    widths: tuple[Units, ...] = (64, 128)
    critic_steps: tuple[Rounds, ...] = (1, 3)
    seeds: Rounds = 3
    seed: Seed = 0
    seconds: Annotated[float, Between(0.01, 10**6)] = 60.0
    marks: Annotated[int, Between(2, 1000)] = 20
    samples: Annotated[int, Between(1, 10**6)] = 2500
    drift: Literal["floor", "constant", "none"] = "floor"
    floor: Annotated[float, Between(1e-6, 1)] = 0.1
    drift_seeds: Annotated[int, Between(0, 1000)] = 1
    workers: Annotated[int, Between(0, 4096)] = 0
    picture: Path | None = None
    markdown: Path | None = None
    report: bool = False
    mixed: bool = False

    def check(self) -> None:
        """Check what the command line gave.

        Raises:
            UsageError: If a number is out of range, a list lacks or repeats something, or there is nothing to run.
        """
        examined(self)
        if not (self.moves and self.divergences) and not self.gans:
            raise UsageError("bench stability: name --moves and --divergences, or --gans, or there is nothing to run")
        for name in ("moves", "divergences", "gans", "rates", "widths", "critic_steps"):
            values: Sequence[object] = getattr(self, name)
            if twice := [value for k, value in enumerate(values) if value in values[:k]]:
                raise UsageError(f"{flag(name)}: {twice[0]} stands there twice; name each once")
            if not values and name in ("rates", "widths", "critic_steps"):
                raise UsageError(f"{flag(name)}: name at least one")
        if self.drift != "none" and self.drift_seeds > self.seeds:
            raise UsageError(f"--drift-seeds {self.drift_seeds}: there are {self.seeds}; give at most so many")

    @property
    def going(self) -> int:
        """How many of the seeds go on."""
        return 0 if self.drift == "none" else self.drift_seeds
