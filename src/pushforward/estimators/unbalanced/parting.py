"""A source of which those rows go that have a counterpart in the target; others stay or follow, and so do new points.

The flow moves the rows that `pushforward.metrics.integration.support` finds a counterpart for, onto the target in the
shares that these ask for. A new point fares as the nearest of the source's rows, of which 2,000 at most are kept: it
goes along the recorded fields, or stays bit for bit, or follows by the mean way of the ten nearest rows that went.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.batches import Batches
from pushforward.data.units import Array
from pushforward.errors import UsageError
from pushforward.metrics.core.neighbours import nearest
from pushforward.metrics.integration.support import MOST, support
from pushforward.randomness import derive, generator
from pushforward.types import Samples

__all__ = ["Counterparts", "Parted", "Parting", "Unmatched", "check_unmatched", "packed", "unpack"]

Unmatched: TypeAlias = Literal["move", "stay", "follow"]
"""What becomes of rows of a source that have no counterpart in the target."""
Mask: TypeAlias = NDArray[np.bool_]

LEADERS = 10  # rows that went, whose mean way one follows
FAINT = 0.05  # shares below which a row of the target is said to be asked for by nothing
BECOMES = {"stay": "they stay where they are", "follow": f"they follow the {LEADERS} nearest rows that move"}


def check_unmatched(unmatched: Unmatched, *, source: bool, labels: bool = False) -> None:
    """Check what is asked for, before any work.

    Args:
        unmatched: What is to become of rows without a counterpart.
        source: Whether there is a source.
        labels: Whether there are classes.

    Raises:
        ValueError: If it is none of the choices.
        UsageError: If there is no source, or classes say who goes where.
    """
    if unmatched not in get_args(Unmatched):
        raise ValueError(f"unmatched {unmatched!r}: use one of {', '.join(get_args(Unmatched))}")
    if unmatched != "move" and not source:
        raise UsageError(
            f"unmatched {unmatched!r}: noise is like no kind of rows, so none of it lacks a counterpart; give fit a "
            "source, or leave unmatched='move'"
        )
    if unmatched != "move" and labels:
        raise UsageError(
            f"unmatched {unmatched!r}: for clouds without labels; here classes say who goes where, and in which "
            "shares: leave out the labels, or the rows that are to stay, with unmatched='move'"
        )


@dataclass(frozen=True, eq=False)
class Counterparts:
    """Rows of a source as they were before anything moved, in the space that the flow moves them in.

    Attributes:
        rows: Where they were, (k, d), float32.
        matched: Whether each has a counterpart in the target, (k,).
        ways: How those that have one went, (k, d), and 0 for the others; None where the others stay.
    """

    rows: Samples
    matched: Tensor
    ways: Samples | None = None

    def moving(self, z: Samples) -> Tensor:
        """Which points (n, d) go, (n,): those whose nearest row has a counterpart."""
        return self.matched[torch.from_numpy(nearest(_plain(z), _plain(self.rows))[1][:, 0])]

    def carried(
        self,
        x: Array,
        z: Samples,
        move: Callable[[Samples], Samples],
        decode: Callable[[Samples], Array],
    ) -> tuple[Array, Samples]:
        """Where points end: in data units, those that stay bit for bit, and in the flow's space.

        Args:
            x: The points in data units, (n, *event).
            z: The same in the flow's space, (n, d).
            move: Carries those that go, (m, d) -> (m, d).
            decode: From the flow's space to data units.
        """
        z = z.detach().cpu()
        go, end, out = self.moving(z), z.clone(), x.copy()
        if go.any():
            end[go] = move(z[go]).detach().cpu()
        if self.ways is not None and not go.all():
            end[~go] += self._led(z[~go])
        moved = go if self.ways is None else torch.ones_like(go)
        if moved.any():
            out[moved.numpy()] = decode(end[moved])
        return out, end

    def _led(self, z: Samples) -> Samples:
        """Mean ways of the nearest rows that went, (n, d)."""
        assert self.ways is not None
        leaders, ways = self.rows[self.matched], self.ways[self.matched]
        places = nearest(_plain(z), _plain(leaders), min(LEADERS, len(leaders)))[1]
        return ways[torch.from_numpy(places)].mean(1)

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name, for a file."""
        found = {"counterparts.rows": self.rows, "counterparts.matched": self.matched}
        return found if self.ways is None else found | {"counterparts.ways": self.ways}

    @staticmethod
    def of_tensors(tensors: dict[str, Tensor], d: int) -> Counterparts | None:
        """The inverse of `tensors`, of d columns, which takes them out; None where there are none.

        Raises:
            ValueError: If they do not fit one another.
        """
        if "counterparts.rows" not in tensors:
            return None
        rows, matched = tensors.pop("counterparts.rows"), tensors.pop("counterparts.matched")
        ways = tensors.pop("counterparts.ways", None)
        alike = [rows] if ways is None else [rows, ways]
        fits = all(part.shape == (len(rows), d) and part.dtype == torch.float32 for part in alike)
        if not (fits and len(rows) and matched.shape == (len(rows),) and matched.dtype == torch.bool):
            raise ValueError(f"{tuple(rows.shape)} of {rows.dtype} are no rows of {d} numbers that have counterparts")
        return Counterparts(rows, matched, ways if matched.any() else None)


@dataclass(frozen=True, eq=False)
class Parting:
    """A source before the flow: who goes, and onto what.

    Attributes:
        z: Its rows in the flow's space, (n, d).
        unmatched: What becomes of those without a counterpart; where all move nobody looks, and the rest is None.
        here: Rows of it that tell who goes.
        places: Which of its rows these are, (k,).
        shares: How much of each row of the target is asked for, (m,), of mean 1.
    """

    z: Samples
    unmatched: Unmatched
    here: Counterparts | None = None
    places: NDArray[np.int64] | None = None
    shares: Array | None = None

    @staticmethod
    def of(unmatched: Unmatched, z: Samples, target: Samples, seed: int) -> Parting:
        """Look who has a counterpart.

        Args:
            unmatched: What becomes of rows that have none.
            z: The source, (n, d).
            target: The target, (m, d).
            seed: Seed of the choice of rows that are looked at, where there are many.
        """
        if unmatched == "move":
            return Parting(z, unmatched)
        places = np.arange(len(z))
        if len(z) > MOST:
            places = np.sort(generator(seed, "data", part="counterparts").choice(len(z), MOST, replace=False))
        rows = z.detach().cpu()[places].clone()
        found = support(_plain(rows), _plain(target), seed)
        here = Counterparts(rows, torch.from_numpy(found.matched))
        here = replace(here, matched=here.moving(rows))  # equal rows fare alike
        return Parting(z, unmatched, here, places, found.shares)

    @cached_property
    def matched(self) -> Mask | None:
        """Whether a row has a counterpart, (n,)."""
        return None if self.here is None else self.here.moving(self.z).numpy()

    @property
    def still(self) -> bool:
        """Whether none has."""
        return self.matched is not None and not self.matched.any()

    @property
    def goes(self) -> Tensor:
        """Numbers of the rows that the flow is to move, int64: of all where nothing moves, as no cloud is empty."""
        go = np.arange(len(self.z)) if self.matched is None or self.still else np.flatnonzero(self.matched)
        return torch.from_numpy(go)

    def asked(self, held: Samples, target: Samples, seed: int) -> Samples:
        """Held-out data (k, d) in the shares that are asked of the rows of the target (m, d) nearest to them."""
        if self.shares is None:
            return held
        weights = self.shares[nearest(_plain(held), _plain(target))[1][:, 0]]
        if not weights.any():
            return held
        return next(Batches(held, len(held), seed=derive(seed, "data", part="held"), weights=weights))

    def settled(self, moved: Samples) -> Counterparts | None:
        """What tells how new points fare, once it is known where the rows that go have come to, (len(goes), d)."""
        if self.here is None or self.places is None or self.unmatched == "stay" or self.still:
            return self.here
        ways = torch.zeros_like(self.z, device="cpu")
        ways[self.goes] = (moved - self.z[self.goes]).detach().cpu()
        return replace(self.here, ways=ways[self.places])

    def notes(self) -> tuple[str, ...]:
        """What is to be said of it, in plain words."""
        if self.matched is None or self.shares is None or self.places is None:
            return ()
        n, lost, faint = len(self.matched), int((~self.matched).sum()), int((self.shares < FAINT).sum())
        if lost == n:
            said = (
                f"none of the {n} rows of the source has a counterpart in the target, and nothing moves; if both hold "
                "the same kinds of rows, unmatched='move' moves them all"
            )
        elif lost:
            said = (
                f"{lost} of {n} rows of the source ({lost / n:.0%}) have no counterpart in the target (matched_): "
                f"{BECOMES[self.unmatched]}"
            )
        else:
            said = f"all {n} rows of the source have a counterpart in the target"
        looked = f"{len(self.places)} rows of the source were looked at, others fare as the nearest of these"
        left = f"{faint} of {len(self.shares)} rows of the target are like nothing that moves (shares_ below {FAINT:g})"
        return (said, *([looked] if len(self.places) < n else []), *([left] if faint else []))


class Parted(Protocol):
    """An estimator whose source may have parted.

    Attributes:
        matched_: Whether a row of the source has a counterpart, (n,), or None where nobody looked.
        shares_: How much of each row of the target is asked for, (m,), or None.
        counterparts_: What tells how new points fare, or None.
    """

    matched_: Mask | None
    shares_: Array | None
    counterparts_: Counterparts | None


def packed(estimator: Parted) -> dict[str, Tensor]:
    """What a file holds of it, by name; nothing where nobody looked."""
    if estimator.counterparts_ is None or estimator.matched_ is None or estimator.shares_ is None:
        return {}
    told = {"matched": torch.from_numpy(estimator.matched_), "shares": torch.from_numpy(estimator.shares_)}
    return told | estimator.counterparts_.tensors()


def unpack(estimator: Parted, tensors: dict[str, Tensor], d: int) -> None:
    """The inverse of `packed`, in a space of d numbers; takes its tensors out of the dictionary.

    Raises:
        ValueError: If they do not fit one another.
    """
    estimator.matched_ = estimator.shares_ = None
    estimator.counterparts_ = Counterparts.of_tensors(tensors, d)
    if estimator.counterparts_ is not None:
        matched, shares = tensors.pop("matched"), tensors.pop("shares")
        if matched.dim() != 1 or shares.dim() != 1 or matched.dtype != torch.bool:
            raise ValueError(f"matched {tuple(matched.shape)} of {matched.dtype}, shares {tuple(shares.shape)}")
        estimator.matched_, estimator.shares_ = matched.numpy(), shares.numpy()


def _plain(z: Samples) -> Array:
    return z.detach().cpu().double().numpy()
