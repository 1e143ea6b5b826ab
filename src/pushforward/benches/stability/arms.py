"""Which runs there are: arms x learning rates x widths x critic steps x seeds.

Runs of one seed share their data, first weights (of one width) and latents, on purpose: arms are compared on the same
draws. Streams of different purposes share nothing (`randomness`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from pushforward.recipes import RECIPES
from pushforward.settings.benches import Stability
from pushforward.settings.options import options_of

__all__ = ["Arm", "Trial", "arms", "trials"]


@dataclass(frozen=True)
class Arm:
    """A method with what sets it apart from the others.

    Attributes:
        name: What tables call it.
        family: vgrow or gan.
        recipe: Its recipe.
        options: What it asks of the recipe.
        critic: The recipe's option for updates of the critic.
        falls: Whether its learning rates fall to zero along the run.
    """

    name: str
    family: str
    recipe: str
    options: Mapping[str, Any]
    critic: str
    falls: bool

    def held(self, floor: float, rate: float) -> dict[str, Any]:
        """What it goes on with when its schedules are over: every learning rate at `floor` times what it was."""
        return {"rate_end": floor} if self.falls else {"rate": floor * rate}


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        arm: Name of its arm.
        family: Its family.
        recipe: Its recipe.
        options: What is asked of the recipe, seed and data among it.
        held: What other options it goes on with after `seconds`; None where it does not go on.
        constant: Whether it has no schedules.
        seconds: CPU seconds of training.
        marks: Times that it is measured within them.
        samples: Fresh samples at each.
    """

    arm: str
    family: str
    recipe: str
    options: Mapping[str, Any]
    held: Mapping[str, Any] | None
    constant: bool
    seconds: float
    marks: int
    samples: int

    @property
    def legs(self) -> int:
        """How many times `seconds` it takes: one, or three where it goes on."""
        return 1 if self.held is None else 3

    def settings(self) -> dict[str, Any]:
        """All that decides what it does, with the recipe's own defaults, so that a new default is another run."""
        defaults = {name: one.default for name, one in options_of(RECIPES[self.recipe]).items()}
        found = asdict(self) | {"options": defaults | dict(self.options) | {"steps": None}}
        return json.loads(json.dumps(found))

    @property
    def key(self) -> str:
        """Digest of the settings."""
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """The run in a line."""
        return ", ".join([self.arm, *(f"{name} {value}" for name, value in self.options.items() if name != "data")])


def arms(asked: Stability) -> tuple[Arm, ...]:
    """The arms that are asked for: VGrow by divergence and moves, then the GAN."""
    grown = [
        Arm(f"VGrow {name}, {count} {'move' if count == 1 else 'moves'}", "vgrow", "toy_vgrow",
            {"divergence": name, "moves": count}, "critic_steps", True)
        for name, count in product(asked.divergences, asked.moves)
    ]  # fmt: skip
    same = {"begin": "normal", "octaves": 3, "fourier": 32}  # the nets of VGrow at one move
    plain = [Arm(f"GAN {name}", "gan", "toy_gan", {"divergence": name, **same}, "rounds", False) for name in asked.gans]
    return (*grown, *plain)


def trials(asked: Stability) -> list[Trial]:
    """Every run, seed after seed, so that what is there after half of the time is a bench of fewer seeds."""
    return list(_trials(asked))


def _trials(asked: Stability) -> Iterator[Trial]:
    for number, width, critic, rate, arm in product(
        range(asked.seeds), asked.widths, asked.critic_steps, asked.rates, arms(asked)
    ):
        options = {"data": asked.data, "width": width, "rate": rate, "seed": asked.seed + number}
        options |= {**arm.options, arm.critic: critic}
        constant, goes = asked.drift == "constant", number < asked.going
        held = None if not goes else {} if constant else arm.held(asked.floor, rate)
        yield Trial(arm.name, arm.family, arm.recipe, options, held, constant, asked.seconds, asked.marks,
                    asked.samples)  # fmt: skip
