"""Options of every run, whatever its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pushforward.settings.options import Between, Count, Weight

__all__ = ["THREADS", "Running", "Threads"]

THREADS = 4096  # the most that may be asked for, or kept by a run
Threads = Annotated[int, Between(0, THREADS)]


@dataclass(frozen=True)
class Running:
    """Options of every run.

    Attributes:
        run: Folder of the run; by default a new one under runs/.
        resume: Continue the run in that folder; its options need not be repeated.
        device: auto, cpu, cuda, cuda:1, mps.
        precision: fp32, or bf16 for forward passes under autocast.
        threads: Threads, which a run keeps when it is continued; 0 for what suits the recipe.
        minutes: Minutes of this sitting, its evaluation and page included: training stops before, with a checkpoint.
        until: Step to stop at, with a checkpoint; schedules stay those of all steps.
        save_every: Steps between checkpoints; 0 for a twentieth of the run.
        sample_every: Steps between looks at samples; 0 for a twentieth of the run.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe of yours. A divergence
            that is typed here, --divergence package.module:NAME, needs no more than that.
        json: Print one JSON object.
    """

    run: Path | None = None
    resume: bool = False
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: Threads = 0
    minutes: Weight | None = None
    until: Count | None = None
    save_every: Count = 0
    sample_every: Count = 0
    trust: tuple[str, ...] = ()
    json: bool = False

    def stored(self) -> dict[str, object]:
        """What run.json keeps of them: those that a run is continued with."""
        names = ("device", "precision", "threads", "save_every", "sample_every")
        return {name: getattr(self, name) for name in names}
