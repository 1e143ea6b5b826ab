"""A data set without its rows: kind, shape, unit, columns, classes with their counts, kept in the folder of a run.

A run is wired from it where its data are not at hand. Every row is then a NaN, so that whatever is computed from rows
and not loaded from a checkpoint afterwards cannot pass for a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from pushforward import files
from pushforward.data.dataset import ColumnKind, Dataset, Kind, Network, Split
from pushforward.data.kept.parts import Parts
from pushforward.data.pixels import CHANNELS, SIDES, Pixels
from pushforward.data.units import Unit
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.plain.words import Words

__all__ = ["Card", "Origin", "card_file", "hollow", "read_card", "written"]

MOST = 10**10  # rows of a data set


@dataclass(frozen=True, eq=False)
class Card:
    """What a data set is, without a row of it.

    Attributes:
        name: Where it is from.
        kind: 'points' or 'images'.
        event: Shape of a sample in model units.
        unit: From model units to data units and back.
        split: How the rows were divided.
        counts: Training rows of each class; empty without classes.
        counts_test: Held-out rows of each class; None where these have none.
        columns: Names of the columns of a table, or empty.
        kinds: What each of them holds, or empty.
        classes: Names of the classes, or None.
        label: Name of the column of labels, or None.
        network: The bundled network that was made for these images, or None.
        one_unit: Whether all columns share one unit.
        notes: What was said in reading.
    """

    name: str
    kind: Kind
    event: tuple[int, ...]
    unit: Unit | Pixels
    split: Split
    counts: tuple[int, ...] = ()
    counts_test: tuple[int, ...] | None = None
    columns: tuple[str, ...] = ()
    kinds: tuple[ColumnKind, ...] = ()
    classes: tuple[str, ...] | None = None
    label: str | None = None
    network: Network | None = None
    one_unit: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: Dataset) -> Card | None:
        """The card of a data set; None where its unit is not known but as a function."""
        if data.unit is None:
            return None
        split = Split(data.split.seed, data.split.test_fraction, len(data.train), len(data.test), data.split.sha256)
        return cls(
            data.name, data.kind, data.event, data.unit, split,
            counts=() if data.train_labels is None else _counts(data.train_labels, data.n_classes),
            counts_test=None if data.test_labels is None else _counts(data.test_labels, data.n_classes),
            columns=data.columns, kinds=data.kinds, classes=data.classes, label=data.label, network=data.network,
            one_unit=data.one_unit, notes=data.notes,
        )  # fmt: skip

    def dataset(self) -> Dataset:
        """The data set with NaN for rows, which take no memory, and with the classes sorted."""
        unit = self.unit
        return Dataset(
            name=self.name,
            kind=self.kind,
            train=hollow(self.split.n_train, self.event),
            test=hollow(self.split.n_test, self.event),
            train_labels=_labels(self.counts) if self.classes is not None and self.counts else None,
            test_labels=None if self.counts_test is None else _labels(self.counts_test),
            decode=unit.decode,
            encode=unit.encode,
            mixture=None,
            split=self.split,
            columns=self.columns,
            classes=self.classes,
            one_unit=self.one_unit,
            network=self.network,
            notes=self.notes,
            kinds=self.kinds,
            label=self.label,
            unit=unit,
            hollow=True,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, from which the same numbers come back."""
        unit = self.unit
        if isinstance(unit, Pixels):
            how = {"side": unit.side, "inner": unit.inner, "channels": unit.channels}
        else:
            how = {"shift": unit.shift.tolist(), "scale": unit.scale.tolist()}
        plain = {name: value for name, value in vars(self).items() if name not in ("unit", "split")}
        return plain | {"unit": how, "split": asdict(self.split)}

    @classmethod
    def of_dict(cls, found: Mapping[str, Any], place: str) -> Card:
        """The inverse of `as_dict`, of what may come from anybody.

        Raises:
            DataError: If it is no card.
        """
        said = Words.of(dict(found), f"{place}: not a description of data", "restore it").exactly(*FIELDS, among=True)
        try:
            return _card(said)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{said.place} ({type(error).__name__}: {error}); restore it") from error


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a data set was loaded from, as it stood there.

    Attributes:
        card: What was loaded, before a recipe took a part of it or changed it.
        parts: Digests of the parts.
        files: The files, where each holds one picture.
    """

    card: Card
    parts: Parts
    files: tuple[Path, ...] = ()


FIELDS = tuple(part.name for part in fields(Card))


def hollow(n: int, event: tuple[int, ...]) -> Tensor:
    """n rows of NaN that share one number."""
    return torch.full((1,) * (1 + len(event)), float("nan")).expand(n, *event)


def written(data: Dataset) -> dict[str, Any] | None:
    """What the card of a run holds of a data set and of what it was loaded from; None where there is no card of it."""
    card = Card.of(data)
    if card is None:
        return None
    origin = None if data.origin is None else data.origin.card.as_dict()
    parts = None if data.origin is None else data.origin.parts.as_dict()
    return {"data": card.as_dict(), "loaded": origin, "parts": parts}


def card_file(folder: Path) -> Path:
    """Where the card of a run's data is: the file that run.json tells of, or that of a run of earlier days.

    Without a run.json that can be read it is the only card there is.
    """
    try:
        about = files.read_object(folder / layout.RUN).get("data")
    except (OSError, DataError):
        there = layout.cards(folder)
        return there[0] if len(there) == 1 else folder / layout.CARD
    named = folder / layout.card(about.get("card") if isinstance(about, dict) else None)
    return named if named.exists() else folder / layout.CARD


def read_card(folder: Path) -> tuple[Card, Card | None, Parts | None]:
    """The card of a run's data, that of what they were loaded from, and the digests of its parts.

    Raises:
        FileNotFoundError: If there is none.
        DataError: If it is damaged.
    """
    path = card_file(folder)
    found = files.read_object(path, "description of data")
    said = Words.of(found, f"{path}: not a description of data", "restore it")
    return (
        Card.of_dict(said.inside("data").values, str(path)),
        Card.of_dict(said.inside("loaded").values, str(path)) if said.given("loaded") else None,
        Parts.of_dict(said.inside("parts").values, str(path)) if said.given("parts") else None,
    )


def _counts(labels: Tensor, classes: int) -> tuple[int, ...]:
    return tuple(torch.bincount(labels, minlength=classes).tolist())


def _labels(counts: tuple[int, ...]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))


def _card(said: Words) -> Card:
    """A card of plain values; whatever is wrong raises."""
    event, told = said.wholes("event", high=MOST), said.inside("split")
    told.exactly(*(part.name for part in fields(Split)))
    n_train, n_test = (told.whole(name, low=0, high=MOST) for name in ("n_train", "n_test"))
    seed, share = told.whole("seed", low=0, high=2**63), told.number("test_fraction")
    split = Split(seed, share, n_train, n_test, told.word("sha256"))
    classes = said.names("classes") if said.given("classes") else None
    counts = said.wholes("counts", high=MOST)
    held = said.wholes("counts_test", high=MOST) if said.given("counts_test") else None
    for numbers, rows in ((counts, n_train), (held, n_test)):
        if numbers and (len(numbers) != len(classes or ()) or sum(numbers) != rows):
            raise ValueError(f"{rows} rows, of which {numbers!r:.60} are of the classes")
    columns, kinds = said.names("columns"), said.names("kinds", among=get_args(ColumnKind))
    for parts in (columns, kinds):  # one for each column of points, or none
        if parts and (len(event) != 1 or len(parts) != event[0]):
            raise ValueError(f"{len(parts)} columns for samples of shape {event}")
    return Card(
        name=said.word("name"),
        kind=said.one_of("kind", get_args(Kind)),
        event=event,
        unit=_unit(said.inside("unit"), event),
        split=split,
        counts=counts,
        counts_test=held,
        columns=columns,
        kinds=kinds,
        classes=classes,
        label=said.word("label") if said.given("label") else None,
        network=said.one_of("network", get_args(Network)) if said.given("network") else None,
        one_unit=said.flag("one_unit"),
        notes=said.names("notes"),
    )


def _unit(said: Words, event: tuple[int, ...]) -> Unit | Pixels:
    if said.given("side"):
        unit = Pixels(
            said.whole("side", low=SIDES[0], high=SIDES[1]), said.whole("inner"), said.whole("channels", high=4)
        )
        if unit.inner > unit.side or unit.channels not in CHANNELS or event != (unit.channels, unit.side, unit.side):
            raise ValueError(f"images of shape {event} in {unit}")
        return unit
    shift, scale = (np.asarray(said.values.get(name), np.float64) for name in ("shift", "scale"))
    for part in (shift, scale):
        if np.broadcast_shapes(part.shape, event) != event or not np.isfinite(part).all():
            raise ValueError(f"a unit of shape {part.shape} for samples of shape {event}")
    return Unit(shift, scale)
