"""What an exported generator says of itself: the parts of its card that reading it depends on, checked word by word.

The card is one JSON object: `format`, `interface` (latents, classes, samples), `architecture` where the file holds
tensors and no program, and, for readers, what the generator was made from: `run`, `data`, `metrics`, `check`. It is in
the file itself (the header of safetensors, the metadata of ONNX, `card.json` of TorchScript), and as a page beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward.errors import DataError
from pushforward.exporting.layers import number, shape_of
from pushforward.randomness import Noise

__all__ = ["FORMAT", "VERSION", "Interface", "Law", "interface_of", "parsed"]

FORMAT, VERSION = "pushforward generator", 1
LONGEST = 2**24  # characters of a card
MOST_CLASSES = 2**16


@dataclass(frozen=True)
class Law:
    """The law of latents: normal, or uniform on [-1, 1], in every number alike.

    Attributes:
        name: Which.
        shape: Shape of one.
        mean: Of the normal one.
        deviation: Its standard deviation.
    """

    name: Literal["normal", "uniform"]
    shape: tuple[int, ...]
    mean: float = 0.0
    deviation: float = 1.0

    def __call__(self, rng: Noise, n: int) -> Tensor:
        """z, (n, *shape)."""
        if self.name == "uniform":
            return 2 * rng.uniform(n, *self.shape) - 1
        z = rng.normal(n, *self.shape)
        return z if (self.mean, self.deviation) == (0.0, 1.0) else self.mean + self.deviation * z

    def as_dict(self) -> dict[str, Any]:
        """The same for a card."""
        spread = {"mean": self.mean, "deviation": self.deviation} if self.name == "normal" else {}
        return {"law": self.name, "shape": list(self.shape)} | spread


@dataclass(frozen=True)
class Interface:
    """What goes in and what comes out.

    Attributes:
        law: Of the latents.
        classes: Names of the classes, in the order of their numbers; None where there are none.
        shares: Rows of each class that the generator learned from.
        event: Shape of a sample in model units.
    """

    law: Law
    classes: tuple[str, ...] | None
    shares: tuple[int, ...]
    event: tuple[int, ...]

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
    said = _object(card, "interface", place)
    latents = _object(said, "latents", f"{place}, interface")
    name = latents.get("law")
    if name not in ("normal", "uniform"):
        raise DataError(f"{place}: latents of the law {name!r:.40}, not normal or uniform")
    law = Law(name, shape_of(latents.get("shape"), f"{place}, latents"), *_spread(latents, place))
    classes, shares = said.get("classes"), said.get("shares")
    if classes is not None and not _names(classes):
        raise DataError(f"{place}: classes is {classes!r:.60}, not a list of names")
    if classes is not None and not _counts(shares, len(classes)):
        raise DataError(f"{place}: shares is {shares!r:.60}, not a number of rows for each class")
    event = shape_of(said.get("event"), f"{place}, event")
    return Interface(law, None if classes is None else tuple(classes), tuple(shares or ()) if classes else (), event)


def _object(words: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    found = words.get(name)
    if not isinstance(found, dict):
        raise DataError(f"{place}: {name} is {found!r:.40}, not an object; export the run again")
    return found


def _spread(latents: Mapping[str, Any], place: str) -> tuple[float, float]:
    ends = (number(latents.get(name, usual), f"{place}, {name}") for name, usual in (("mean", 0.0), ("deviation", 1.0)))
    mean, deviation = ends
    return mean, deviation


def _names(classes: object) -> bool:
    if not isinstance(classes, list) or not 1 <= len(classes) <= MOST_CLASSES:
        return False
    return all(isinstance(name, str) for name in classes) and len(set(classes)) == len(classes)


def _counts(shares: object, classes: int) -> bool:
    if not isinstance(shares, list) or len(shares) != classes or any(type(k) is not int or k < 0 for k in shares):
        return False
    return 0 < sum(shares) < 2**53
