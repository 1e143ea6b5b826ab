"""Who has a counterpart in the reference, what of the reference each batch asks for, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.data.labels import coded
from pushforward.merging.flow.sides import ratios
from pushforward.merging.plan import Plan, Unmatched
from pushforward.metrics.integration.support import support

__all__ = ["Counterparts", "counterparts"]

Array = NDArray[np.float64]

FEWEST = 30  # cells of a side below which nothing can be told

BECOMES = {
    "move": "moved with the others, they take the place of cells of another kind",
    "stay": "they stay where they are",
    "follow": "they follow the cells around them that move",
}


@dataclass(frozen=True)
class Counterparts:
    """What support says of all batches that move.

    Attributes:
        matched: Whether a cell has a counterpart in the reference, (n,); all do that do not move.
        shares: Batch -> weight of each cell of the reference under which it is what the batch's moving cells go to,
            (n,), of mean 1 over the reference and 0 elsewhere.
        said: A line for each batch in which some have none.
    """

    matched: NDArray[np.bool_]
    shares: Mapping[str, Array]
    said: tuple[str, ...]


def counterparts(
    z: Array,
    batches: NDArray[np.str_],
    classes: NDArray[np.str_] | None,
    wanted: Plan,
    unmatched: Unmatched,
    aside: NDArray[np.bool_],
    far: NDArray[np.bool_],
    seed: int = 0,
) -> Counterparts:
    """Look at each batch that moves beside the reference.

    Args:
        z: All cells, (n, d).
        batches: Batch of each, (n,).
        classes: Class of each, (n,), or None.
        wanted: Who is to move onto whom.
        unmatched: What becomes of cells without a counterpart, where classes do not say where they go.
        aside: Cells that are held out, (n,): those of the reference are not looked at and take the nearest's weight.
        far: Rows that lie far from all others, (n,), which have no counterpart and are none.
        seed: As of `support`.
    """
    matched, shares, said = ~far | (batches == wanted.reference), dict[str, Array](), list[str]()
    staying = batches == wanted.reference
    onto, held = np.flatnonzero(staying & ~aside & ~far), np.flatnonzero(staying & aside & ~far)
    free = wanted.mode == "unconditional"
    for name in wanted.sources:
        mine = np.flatnonzero((batches == name) & ~far)
        weights = shares[name] = np.where(staying, 1.0, 0.0)
        if not free and classes is not None:
            weights[staying] = _by_class(wanted, name, classes, classes[staying])
        if min(len(mine), len(onto)) < FEWEST:
            said += [
                f"{name}: {len(mine)} cells and {len(onto)} of the target that are not held out, of which {FEWEST} are "
                "needed to tell who has a counterpart: all move"
            ] * (free and unmatched != "move")
            continue
        found = support(z[mine], z[onto], seed)
        matched[mine] = found.matched
        if free and unmatched != "move":
            weights[onto] = found.shares
            weights[held] = found.of(z[held], z[onto])
        missing = int((~found.matched).sum())
        if missing == len(mine) and free and unmatched != "move":
            said.append(
                f"{name}: none of its {len(mine)} cells has a counterpart in the target, and nothing of it moves; if "
                "you know that both hold the same kinds of cells, labels of these say so, and the batch moves by them "
                "(unmatched='move' moves all, whatever they are)"
            )
        elif missing:
            said.append(
                f"{name}: {missing} of {len(mine)} cells ({missing / len(mine):.0%}) have no counterpart in the "
                f"target (gpa_matched): {BECOMES[unmatched] if free else _in_classes(mine[~found.matched], wanted)}"
            )
    return Counterparts(matched, shares, tuple(said))


def _in_classes(rows: NDArray[np.int64], wanted: Plan) -> str:
    """What becomes of cells without a counterpart where classes say who moves."""
    if not (still := int(np.isin(rows, wanted.still).sum())):
        return "their classes move all the same"
    if still == len(rows):
        return BECOMES["stay"]
    return f"{still} stay where they are, and the classes of the others move all the same"


def _by_class(wanted: Plan, name: str, classes: NDArray[np.str_], theirs: NDArray[np.str_]) -> Array:
    """Weights of the reference's cells under which classes are shared as in what moves of a batch, (m,)."""
    legs = [leg.rows for leg in wanted.legs if leg.batch == name]
    ours = classes[np.concatenate([np.empty(0, np.int64), *legs])]
    codes = torch.from_numpy(coded(np.concatenate([ours, theirs]))[1])
    return ratios(codes[: len(ours)], codes[len(ours) :]).numpy()
