"""How clouds are moved: divergence, slope, critic and steps, and when steps grow short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pushforward.divergences import Divergence, locate
from pushforward.errors import UsageError

__all__ = ["How", "Pace"]


@dataclass(frozen=True)
class How:
    """How clouds are moved; lengths are in units of the representation's scale.

    Attributes:
        divergence: A Lipschitz-regularised divergence by its name without the ending, kl, js, alpha(2), w1, or any
            other constant of `pushforward.divergences`.
        lipschitz: Largest slope L of the critic, and so largest speed.
        critic: "bjorck", a slope bounded by construction, or "penalty", a softplus perceptron with a one-sided penalty
            beside a limit on the speed.
        width: Units of the critic's three hidden layers.
        rate: Learning rate of the critic.
        updates: Updates of the critic between two moves.
        warmup: Calls of the critic before the first move.
        steps: Most moves at full step.
        step: Length of a move at full speed: L times its time.
        settle: Moves in which steps then shrink to nothing, as a multiple of those before.
        batch: Cells of either side that the critic sees at a time.
        plateau: Change of the divergence within 20 moves below which cells settle, as a share of the first divergence,
            or of L where that is larger.
        held: Share of either side that the critic never sees, on which it is judged; 0 for none, and then only the
            plateau says when cells settle.
        around: Share of the moving cells, in mode conditional of those of its class, whose velocities are averaged
            around each cell, after shift and scale of every column are taken out. Small shares mix finer and keep fewer
            neighbours; 0: each goes its own way; 1: all go by shift and scale alone. Of more than 500 cells means are
            around 500 of them and a cell goes by the nearest 8; a share of one cell or less is 0.

    Raises:
        UsageError: If a number is out of range.
    """

    divergence: str = "kl"
    lipschitz: float = 1.0
    critic: Literal["bjorck", "penalty"] = "bjorck"
    width: int = 64
    rate: float = 2e-3
    updates: int = 5
    warmup: int = 40
    steps: int = 200
    step: float = 0.1
    settle: float = 1.0
    batch: int = 1024
    plateau: float = 0.02
    held: float = 0.2
    around: float = 0.5

    def __post_init__(self) -> None:
        for name in ("lipschitz", "width", "rate", "updates", "steps", "step", "batch"):
            if not 0 < (value := getattr(self, name)) < float("inf"):
                raise UsageError(f"{name} {value}: give a positive number")
        if self.critic not in ("bjorck", "penalty"):
            raise UsageError(f"critic {self.critic!r}: use bjorck or penalty")
        for name in ("settle", "warmup", "plateau"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise UsageError(f"{name} {value}: give 0 or a positive number")
        if not 0 <= self.held <= 0.5:
            raise UsageError(f"held {self.held}: give a share from 0 to 0.5")
        if not 0 <= self.around <= 1:
            raise UsageError(f"around {self.around}: give a share from 0 to 1")
        self.law()

    def law(self) -> Divergence:
        """The divergence, Lipschitz-regularised where there is such a one of that name."""
        name = self.divergence.strip()
        for guess in (f"{name}_lip", name.replace("alpha(", "alpha_lip(")):
            try:
                found = locate(guess, outside=False)
            except UsageError:
                continue
            if found.contrast is not None:
                return found
        return locate(name)


@dataclass
class Pace:
    """How long steps are: full until something ends that, then shrinking to nothing over some more.

    Attributes:
        how: Settings.
        turn: Moves at full step.
        why: What ends them.
    """

    how: How
    turn: int
    why: str

    @property
    def moves(self) -> float:
        """Moves in all."""
        return self.turn * (1 + self.how.settle)

    def factor(self, done: int) -> float:
        """Factor of the step after so many, the first of which only looks and moves nothing."""
        over = done - self.turn
        return 0.0 if not done else 1.0 if over <= 0 else max(0.0, 1 - over / (self.how.settle * self.turn + 1))

    def settle(self, k: int, why: str) -> None:
        """End the full steps after k moves, where nothing has yet."""
        if self.turn == self.how.steps and k < self.turn:
            self.turn, self.why = k, why
