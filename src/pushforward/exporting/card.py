"""What an exported generator says of itself: the parts of its card that reading it depends on, checked word by word.

The card is one JSON object: `format`, `interface` (latents, classes, samples), `architecture` where the file holds
tensors and no program, and, for readers, what the generator was made from: `run`, `data`, `metrics`, `check`. It is in
the file itself (the header of safetensors, the metadata of ONNX, `card.json` of TorchScript), and as a page beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from pushforward.densities.latents import Gaussian, Uniform, law_of
from pushforward.errors import DataError
from pushforward.plain.kinds import ColumnKind
from pushforward.plain.words import Words
from pushforward.randomness import Noise

__all__ = ["FORMAT", "VERSION", "Interface", "interface_of", "parsed"]

FORMAT, VERSION = "pushforward generator", 1
LONGEST = 2**24  # characters of a card
MOST_CLASSES, MOST_ROWS = 2**16, 2**53 - 1


@dataclass(frozen=True)
class Interface:
    """What goes in and what comes out.

    Attributes:
        law: Of the latents, (rng, n) -> z.
        classes: Names of the classes, in the order of their numbers; None where there are none.
        shares: Rows of each class that the generator learned from.
        event: Shape of a sample in model units.
        columns: Names of the columns of a table, or empty.
        kinds: What each of them holds, or empty for numbers all.
        label: Name of the column of classes, or None.
    """

    law: Uniform | Gaussian
    classes: tuple[str, ...] | None
    shares: tuple[int, ...]
    event: tuple[int, ...]
    columns: tuple[str, ...] = ()
    kinds: tuple[ColumnKind, ...] = ()
    label: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one latent."""
        return tuple(self.law.as_dict()["shape"])

    def drawn(self, n: int, rng: Noise) -> Tensor | None:
        """Classes by number, (n,), as often as the data have them; None where there are none."""
        if self.classes is None:
            return None
        ends = torch.tensor(self.shares).cumsum(0)
        return torch.searchsorted(ends, rng.integers(int(ends[-1]), n), right=True)


def parsed(text: object, place: str) -> dict[str, Any]:
    """A card out of its JSON.

    Raises:
        DataError: If there is none, or one of another format.
    """
    if not isinstance(text, str | bytes) or not text:
        raise DataError(f"{place}: holds no card of a generator; write it with pushforward export")
    try:
        card = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: its card is no JSON ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise DataError(f"{place}: its card is not one of a {FORMAT}; write it with pushforward export")
    if card.get("format_version") != VERSION:
        raise DataError(f"{place}: a card of version {card.get('format_version')!r:.40}, and this one reads {VERSION}")
    return card


def interface_of(card: Mapping[str, Any], place: str) -> Interface:
    """What a card says of latents, classes and samples.

    Raises:
        DataError: If a word of it is missing, of another type, or out of range.
    """
    said = Words.of(card, place).inside("interface")
    law, event = law_of(said.inside("latents")), said.shape("event")
    classes, shares = (), ()
    if said.given("classes"):
        classes = said.names("classes")
        if not 1 <= len(set(classes)) == len(classes) <= MOST_CLASSES:
            raise said.unlike("classes", f"a list of 1 to {MOST_CLASSES} names")
        shares = said.wholes("shares", high=MOST_ROWS, count=len(classes))
        if not 0 < sum(shares) <= MOST_ROWS:
            raise said.unlike("shares", "a number of rows for each class")
    names, kinds, label = _table(said.inside("samples"), event) if said.given("samples") else ((), (), None)
    return Interface(law, classes or None, shares, event, names, kinds, label)


def _table(said: Words, event: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[ColumnKind, ...], str | None]:
    """Names and kinds of columns and the name of the classes, where samples are rows of a table."""
    many = event[0] if len(event) == 1 else 0
    names = said.names("columns") if said.given("columns") else ()
    kinds = said.names("kinds", among=get_args(ColumnKind)) if said.given("kinds") else ()
    for name, found in (("columns", names), ("kinds", kinds)):
        if found and len(found) != many:
            raise said.unlike(name, f"a word for each of {many} columns")
    if len(set(names)) < len(names):
        raise said.unlike("columns", "names of which none is there twice")
    return names, kinds, said.word("label") if said.given("label") else None
