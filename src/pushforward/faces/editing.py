"""What a run does to pictures that are given to it, as the command line takes it."""

from __future__ import annotations

from typing import Annotated, Any

from tyro.conf import arg

from pushforward.errors import shortened
from pushforward.faces.answers import answer
from pushforward.settings.editing import Interpolating, Restoring

__all__ = ["interpolate", "restore"]


def restore(*, asked: Annotated[Restoring, arg(name="")], json: bool = False) -> int:
    """Fill in what is missing of pictures: a part, colours, or resolution; several draws of each.

    Args:
        asked: What is restored.
        json: Print one JSON object.
    """
    asked.check()
    from pushforward.commands.editing.restoring import restore_pictures
    from pushforward.parallel import threads as computing

    computing.as_run(asked.run, asked.opening.threads)
    done = restore_pictures(asked)
    off = "to the last bit" if not done["off"] else f"to {done['off']:.2g} of 255 levels"
    what = f"{done['n']} draws of each of {len(done['pictures'])} pictures: {done['out']}"
    answer(done, json, f"{_notes(done)}{what}\nwhat was known of them is in them {off}")
    return 0


def interpolate(*, asked: Annotated[Interpolating, arg(name="")], json: bool = False) -> int:
    """Go from one picture to another through pictures as the run makes them.

    Args:
        asked: Between what.
        json: Print one JSON object.
    """
    asked.check()
    from pushforward.commands.editing.interpolating import interpolate_pictures
    from pushforward.parallel import threads as computing

    computing.as_run(asked.run, asked.opening.threads)
    done = interpolate_pictures(asked)
    first, last = done["ends"]
    ends = f"its ends differ from those given by {first:.3g} and {last:.3g} of 255 levels, root mean square"
    answer(done, json, f"{_notes(done)}{done['n']} pictures: {done['out']}\n{ends}")
    return 0


def _notes(done: dict[str, Any]) -> str:
    """Notes for people, one a line."""
    return "".join(f"note: {shortened(note)}\n" for note in done["notes"])
