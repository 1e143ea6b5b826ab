"""bench as the command line takes it: a function for each; nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from pushforward.errors import UsageError
from pushforward.faces.answers import Told, answer
from pushforward.settings.benches import Stability

__all__ = ["bench", "stability"]


def bench(name: Positional[str], /) -> int:
    """Measure methods against each other over many settings, as long as it takes; `pushforward bench --help` lists how.

    Args:
        name: Which bench, as stability.
    """
    # What a bench is asked is its own, so `cli` reads it by the function of that name; this one stands in lists.
    raise UsageError(f"bench {name!r}")


def stability(*, asked: Annotated[Stability, arg(name="")], json: bool = False) -> Told:
    """Which method ends with every mode whatever it is set to: VGrow and GAN at equal CPU time, over a grid.

    Args:
        asked: What is measured.
        json: Print one JSON object.
    """
    return lambda _: _stability(asked, json)


def _stability(asked: Stability, json: bool) -> int:
    asked.check()
    from pushforward.benches.stability import bench, tables
    from pushforward.commands import console

    done = bench.measured(asked)
    if json:
        answer(done.plain(), True)
        return 0
    console.show(*tables.shown("by arm", done.arms))
    if done.factors:
        console.show(*tables.shown("by setting", done.factors))
    for note in done.notes:
        console.tell(f"note: {note}")
    for name, path in (("picture", done.picture), ("tables", done.markdown)):
        if path is not None:
            print(f"{name}: {path}")
    return 0
