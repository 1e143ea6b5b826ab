"""How a run went on: with more steps, another rate, data in another place; each change begins a leg, kept in run.json.

    "legs": [{"from": 0, "steps": 400, ...}, {"from": 400, "changed": {"steps": [400, 700]}, "steps": 700, ...}]

From there on every schedule is that of a run which had the new options from its start: a cosine over 400 steps that is
lengthened to 700 takes up where one over 700 is at step 400, so a rate that had fallen to nothing rises again. What was
done before stays as it was done: recorded fields keep the times of their own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

from pushforward import __version__
from pushforward.errors import DataError, UsageError
from pushforward.settings.options import Option, flag
from pushforward.training.stages import Stages
from pushforward.training.state import members
from pushforward.types import Method

__all__ = ["begin", "changed_options", "fitting", "leg", "stages_of"]

SAME = ("version", "threads", "device", "precision", "world", "steps")  # what else makes a leg of its own


def changed_options(
    known: Mapping[str, Option], began: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Options with another value than before, as [before, now].

    Args:
        known: The recipe's options.
        began: What the run was last trained with.
        now: What is asked for.

    Raises:
        UsageError: If one of them is no option to change in a run: it says why, and what to do.
    """
    found: dict[str, list[Any]] = {}
    for name, value in now.items():
        before = began.get(name, value)
        if before == value:
            continue
        option = known.get(name)
        if option is not None and not (option.later or option.names is not None):
            can = ", ".join(flag(one.name) for one in known.values() if one.later)
            raise UsageError(
                f"{flag(name)} {value}: the run began with {before}, and what it has learned is of that; a run goes on "
                f"with other values of {can or 'no option of this recipe'} alone: drop the option or start a new run"
            )
        found[name] = [before, value]
    return found


def stages_of(method: Method) -> list[list[list[Any]]]:
    """Names and steps of the stages of a method and of the methods in it, the outermost first."""
    found = [(name.count("."), member) for name, member in members(method) if isinstance(member, Stages)]
    tables = [member for _, member in sorted(found, key=lambda one: one[0])]
    return [[[stage.name, stage.steps] for stage in table.stages] for table in tables]


def fitting(run: Mapping[str, Any], method: Method, steps: int) -> None:
    """Refuse a length with which what was done would have been done otherwise.

    Args:
        run: The description of the run so far.
        method: The method as it would go on.
        steps: Steps of the run as it would go on.

    Raises:
        UsageError: If more steps were done already, or a stage that is over would have been of another length.
        DataError: If the stages that the description tells of are none.
    """
    done = int(run["step"])
    if steps < done:
        raise UsageError(f"--steps: the run did {done} steps, and would have {steps} in all; give at least as many")
    before, now = run.get("stages"), stages_of(method)
    if before is None or before == now:
        return
    tables = _tables(before)
    order = [name for table in tables for name, _ in table]
    both = [pair for old, new in zip_longest(tables, _tables(now), fillvalue=[]) for pair in zip_longest(old, new)]
    names = [old[0] for old, new in both if old is not None and old != new]
    at = str(run.get("stage", ""))
    over = order.index(at) if at in order else 0
    if late := [name for name in names if name in order[:over] and done]:
        raise UsageError(
            f"the stage {late[0]} is over, and its length can no longer be changed (the run is in {at}); leave the "
            "option as it was, or start a new run"
        )


def _tables(found: object) -> list[list[tuple[str, object]]]:
    """Names and steps of stages, of a description that may be anybody's.

    Raises:
        DataError: If it holds none.
    """
    try:
        return [[(str(name), steps) for name, steps in table] for table in found]  # pyright: ignore[reportGeneralTypeIssues]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"run.json: stages is {found!r:.60}, no table of them; restore it or start a new run"
        ) from error


def begin(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The legs of a run so far; of one that had no word for them, the one it is in."""
    found = run.get("legs")
    if legs := [dict(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []:
        return legs
    version = run.get("versions", {}).get("pushforward") if isinstance(run.get("versions"), dict) else None
    return [{"from": 0, "version": version} | {name: run.get(name) for name in SAME[1:]}]


def leg(
    legs: list[dict[str, Any]],
    step: int,
    now: Mapping[str, Any],
    changed: Mapping[str, list[Any]],
    data: tuple[str, ...],
) -> list[dict[str, Any]]:
    """The legs with the one that begins at a step, where anything is other than before.

    Args:
        legs: The legs so far.
        step: Steps done.
        now: What the run is trained with from here: threads, device, precision, world, steps.
        changed: Options with another value, as [before, now].
        data: What changed in the data.
    """
    present = {"version": __version__} | {name: now[name] for name in SAME[1:]}
    last = legs[-1]
    if not changed and not data and all(last.get(name, value) == value for name, value in present.items()):
        return legs
    fresh: dict[str, Any] = {"from": step} | present | {"began": datetime.now(UTC).isoformat(timespec="seconds")}
    fresh |= {"changed": dict(changed)} if changed else {}
    fresh |= {"data": list(data)} if data else {}
    return [*legs, fresh]
