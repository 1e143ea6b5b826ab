"""What a run came to, told by its looks at samples: modes that it lost, samples that froze, a score below its best."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.types import Samples

__all__ = ["Look", "ending", "looks_of", "moved", "sketch"]

STILL = 0.005  # of the data's spread; samples that move less from one look to the next stand still
LOOKS = 5  # moves between looks, the last ones, over which they must: a quarter of a run
FAR = 3.0  # times the score of held-out rows, from which on samples are far from the data
WORSE = 2.0  # times the best score, and that of held-out rows, from which on the end is worse
POINTS, COORDINATES = 64, 256  # of samples that are kept from one look to the next


@dataclass(frozen=True)
class Look:
    """A line of the log on samples.

    Attributes:
        step: Steps done.
        score: The score that picks the best checkpoint.
        modes: Known modes seen; None where none are known.
        of: Modes to be seen.
        moved: How far samples of the same latents moved since the look before, in spreads of the data.
    """

    step: int
    score: float
    modes: int | None = None
    of: int | None = None
    moved: float | None = None


def looks_of(log: Path) -> list[Look]:
    """The looks in a log, those of its damaged lines left out."""
    if not log.exists():
        return []
    found: list[Look] = []
    for line in log.read_text("utf-8", "replace").splitlines():
        try:
            entry = json.loads(line)
            if isinstance(entry["score"], float | int) and "seconds" not in entry:
                found.append(Look(**entry))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def sketch(x: Samples) -> Tensor:
    """A few coordinates of a few samples (n, *event), evenly spaced, (64, 256) at most: enough to see them move."""
    flat = x.detach().flatten(1)
    rows, columns = (torch.linspace(0, size - 1, min(size, most)).long()
                     for size, most in zip(flat.shape, (POINTS, COORDINATES)))  # fmt: skip
    return flat.float().cpu()[rows][:, columns]


def moved(before: Tensor, now: Tensor, data: Tensor) -> float:
    """Root mean square way between two sketches of the same shape, in root mean square distances of data to their mean.

    Args:
        before: Sketch of the samples then, (n, k).
        now: Sketch of them now.
        data: Sketch of the data, (m, k).
    """
    spread = (data - data.mean(0)).square().mean().sqrt()
    return float((now - before).square().mean().sqrt() / spread.clamp(min=1e-12))


def ending(
    looks: Sequence[Look], best: Any, floor: Callable[[], float | None], advice: Mapping[str, str], *, over: bool
) -> tuple[str, ...]:
    """What is to be said of a run at its end, in sentences; nothing of most.

    Args:
        looks: Its looks at samples, in order.
        best: What it knows of its best checkpoint, {"step", "score"}; None if there is none.
        floor: The score of held-out rows; None where there are none. Asked for where it decides.
        advice: What helps, by "lost", "frozen" and "worse".
        over: Whether its last step is done: before that, what was never reached may still come.
    """
    if not looks:
        return ()
    said = [_modes(looks, best, over), _frozen(looks, floor), ""]
    if not said[0]:
        said[2] = _worse(looks, best, floor)
    helps = (advice.get(name, "") for name in ("lost", "frozen", "worse"))
    return tuple(f"{words}; {more}" if more else words for words, more in zip(said, helps) if words)


def _modes(looks: Sequence[Look], best: Any, over: bool) -> str:
    counted = [look for look in looks if look.modes is not None and look.of is not None and look.of > 1]
    if not counted or counted[-1].step != looks[-1].step:
        return ""
    last, most = counted[-1], max(counted, key=lambda look: (look.modes or 0, -look.step))
    have, top = last.modes or 0, most.modes or 0
    if have == last.of or (have >= top and not over):
        return ""
    if have >= top:
        return f"missing modes: {have} of {last.of} at the end, step {last.step:,}, and never more"
    at = best.get("step") if isinstance(best, dict) else None
    kept = next((look.modes for look in counted if look.step == at), None)
    words = f"lost modes: {have} of {last.of} at the end, {top} at step {most.step:,}"
    return f"{words}; checkpoints/best, of step {at:,}, has {kept}" if kept and kept > have else words


def _frozen(looks: Sequence[Look], floor: Callable[[], float | None]) -> str:
    still = 0
    for look in reversed(looks):
        if look.moved is None or look.moved >= STILL:
            break
        still += 1
    if still < LOOKS or (least := floor()) is None or looks[-1].score <= FAR * least:
        return ""
    far, since = looks[-1].score / least if least > 0 else float("inf"), looks[len(looks) - still - 1].step
    return (
        f"frozen: since step {since:,} samples have moved by less than {100 * STILL:g} % of the data's spread from "
        f"look to look, with a score of {looks[-1].score:.3g}, {far:.3g} times that of held-out rows"
    )


def _worse(looks: Sequence[Look], best: Any, floor: Callable[[], float | None]) -> str:
    last, top = looks[-1], min(looks, key=lambda look: look.score)
    if last.score <= WORSE * top.score or (least := floor()) is None or last.score <= WORSE * least:
        return ""
    words = f"worse than its best: a score of {last.score:.3g} at the end, {top.score:.3g} at step {top.step:,} and "
    words += f"{least:.3g} of held-out rows"
    kept = isinstance(best, dict) and best.get("step") == top.step
    return f"{words}; checkpoints/best is of that step" if kept else words
