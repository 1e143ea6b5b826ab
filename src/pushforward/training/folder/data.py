"""What a run keeps of its data: a description in run.json, and a card, from which it is wired without a row of them.

run.json["data"]    name, shape, split, digests of what is trained on and what is held out, that of the card
data-DIGEST.json    unit, columns, classes with counts; digests of the parts as they were read
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward import files
from pushforward.data.dataset import Dataset
from pushforward.data.formats.opening import columns, divided
from pushforward.data.kept.card import Card, Origin, card_file, read_card, written
from pushforward.data.kept.parts import exchanged, told, told_of_files
from pushforward.errors import DataError
from pushforward.files import layout

__all__ = ["Change", "change", "described", "forget_cards", "kept", "same_data", "write_card"]

BLOCK = 1 << 24  # numbers that are hashed at a time
EXCHANGED = "names of the run stand over numbers of others: put the names right, or start a new run"
LARGEST = 1 << 30  # bytes of picture files that are read for their digests; of more their sizes must do


@dataclass(frozen=True)
class Change:
    """How data differ from those that a run began with.

    Attributes:
        words: What changed.
        training: Whether rows to learn from did, or what they are taken for.
        remedy: What puts it right, where that is known; or "".
    """

    words: tuple[str, ...]
    training: bool
    remedy: str = ""

    def __str__(self) -> str:
        return "; ".join(self.words)


def described(data: Dataset) -> dict[str, Any]:
    """What run.json says of data."""
    split, text = data.split, _text(data)
    return {
        "name": data.name,
        "kind": data.kind,
        "event": list(data.event),
        "n_train": split.n_train,
        "n_test": split.n_test,
        "seed": split.seed,
        "test_fraction": split.test_fraction,
        "sha256": split.sha256,
        "parts": _parts(data),
        "card": None if text is None else _sha256(text),
        "notes": list(data.notes),
    }


def write_card(folder: Path, data: Dataset) -> None:
    """Write the card of data whose unit can be written down, beside the one that run.json tells of."""
    if (text := _text(data)) is not None:
        files.write(folder / layout.card(_sha256(text)), text)


def forget_cards(folder: Path, about: dict[str, Any]) -> None:
    """Remove the cards of other data, which were the run's before, or would have become so but for a kill.

    Args:
        folder: Folder of the run.
        about: What run.json says of its data.
    """
    named = folder / layout.card(about.get("card"))
    for path in layout.cards(folder):
        if path != (named if named.exists() else folder / layout.CARD):
            path.unlink(missing_ok=True)


def kept(folder: Path, run: dict[str, Any]) -> tuple[Card, Card | None] | None:
    """The card of a run's data and that of what they were loaded from; None where a run of earlier days has none.

    Raises:
        DataError: If the card is not the one that the run speaks of.
    """
    with suppress(OSError, DataError):  # of later word than a checkpoint, where data have moved meanwhile
        run = files.read_object(folder / layout.RUN)
    about = run.get("data")
    digest = about.get("card") if isinstance(about, dict) else None
    path = card_file(folder)
    if digest is None or not path.is_file():
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise DataError(f"{path}: not the one that the run was trained with; restore it, or remove it to use the data")
    own, loaded, _ = read_card(folder)
    return own, loaded


def same_data(run: dict[str, Any], data: Dataset, folder: Path, remedy: str) -> Change | None:
    """Hold data against those that a run began with.

    Args:
        run: The description of the run.
        data: The data that were read now.
        folder: Folder of the run.
        remedy: What to do where rows to learn from are others.

    Returns:
        What changed where learning can go on all the same, as it touches held-out rows or names alone, or None.

    Raises:
        DataError: If rows to learn from changed; it says what.
    """
    about = run.get("data")
    about = about if isinstance(about, dict) else {}
    found = change(about, data, folder)
    if found is None or not found.training:
        return found
    before, now = about.get("sha256"), data.split.sha256
    digests = f"digest {before}, now {now}" if before != now else f"digest {now} as before"
    said = f"the data changed since the run began ({digests}): {found}"
    raise DataError(f"{data.name}: {said}; {found.remedy or remedy}")


def change(stored: dict[str, Any], data: Dataset, folder: Path) -> Change | None:
    """What changed in data, in words; None where it is nothing."""
    try:
        own, loaded, parts = read_card(folder)
    except FileNotFoundError:
        own, loaded, parts = None, None, None
    known, origin = stored.get("parts"), data.origin
    if stored.get("sha256") == data.split.sha256:
        return None if own is None else _renamed((loaded or own).columns, (origin.card if origin else data).columns)
    if own is None or not isinstance(known, dict):
        return Change(("an earlier version chose their rows, or parts of them are others",), True)
    words, remedy = list[str](), ""
    if parts is not None and origin is not None:
        words, remedy = told(parts, origin.parts), _by_contents(parts.columns, origin.parts.columns, data.name)
    if origin is not None and origin.files:
        words = told_of_files(_stored_files(folder), _files(origin)) or words
    now, card = _parts(data), Card.of(data)
    other = [name for name in ("train", "train_labels") if known.get(name) != now[name]]
    training = (
        bool(other) or card is None or card.as_dict()["unit"] != own.as_dict()["unit"] or card.classes != own.classes
    )
    if not training:
        words.append("only held-out rows are others")
    return Change(tuple(words) or ("rows are others",), training, remedy)


def _renamed(before: tuple[str, ...], now: tuple[str, ...]) -> Change | None:
    """How the names over the same numbers changed; one that stood over other numbers before is no new name."""
    if before == now:
        return None
    if not before or not now:
        what = f"without names are called {', '.join(now)}" if now else f"{', '.join(before)} have no names"
        return Change((f"columns {what}",), False)
    words = tuple(f"column {a} is called {b}" for a, b in zip(before, now) if a != b)
    taken = any(a != b and b in before for a, b in zip(before, now))
    return Change(words, taken, EXCHANGED if taken else "")


def _by_contents(before: Mapping[str, str], now: Mapping[str, str], spec: str) -> str:
    """What puts columns right that have their numbers under other names; "" where that is not all there is to it.

    Args:
        before: Digests of the columns of the run, by name.
        now: The same of those that were read.
        spec: What was read, PATH[:a,b].
    """
    if exchanged(before, now):
        return EXCHANGED
    at = {digest: name for name, digest in now.items()}
    if not before or list(before) == list(now) or len(at) < len(now) or not set(before.values()) <= at.keys():
        return ""
    names = [at[digest] for digest in before.values()]
    path = divided(spec)[0]
    if not set(names) <= set(columns(path, every=True)) or any(set(",:") & set(name) for name in names):
        return "write the columns in the order of the run"
    return f"choose them in the order of the run, {path}:{','.join(names)}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _text(data: Dataset) -> str | None:
    found = written(data)
    if found is None:
        return None
    if data.origin is not None and data.origin.files:
        found["files"] = _files(data.origin)
    return json.dumps(found) + "\n"


def _files(origin: Origin) -> dict[str, str]:
    """Size and digest of each file with a picture, by its name within the folder."""
    sizes = {path: path.stat().st_size for path in origin.files}
    whole = sum(sizes.values()) <= LARGEST
    top = os.path.commonpath([path.parent for path in origin.files])
    return {
        Path(os.path.relpath(path, top)).as_posix(): f"{size}"
        + (f" {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}" if whole else "")
        for path, size in sizes.items()
    }


def _stored_files(folder: Path) -> dict[str, str]:
    found = files.read_object(card_file(folder)).get("files")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _parts(data: Dataset) -> dict[str, str | None]:
    """Digests of what is learned from and of what is held out, in model units."""
    parts = {name: getattr(data, name) for name in ("train", "test", "train_labels", "test_labels")}
    return {name: None if part is None else _digest(part) for name, part in parts.items()}


def _digest(x: Tensor) -> str:
    sha, rows = hashlib.sha256(f"{x.dtype}{tuple(x.shape)}".encode()), max(1, BLOCK // max(1, x[:1].numel()))
    for block in x.split(rows):
        sha.update(block.contiguous().view(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()[:16]
