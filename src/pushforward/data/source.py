"""One grammar for data, digits | toy:NAME | PATH[:key], and the checks that come before any training."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pushforward.data.assemble import assemble
from pushforward.data.blocks.scratch import Room, held, spans, spilled, written
from pushforward.data.dataset import MIN_ROWS, Dataset, Kind
from pushforward.data.formats.contents import Contents, Pictures, Table
from pushforward.data.formats.opening import divided, exists, opened
from pushforward.data.formats.table import wanted
from pushforward.data.kept.card import Card, Origin, read_card
from pushforward.data.kept.parts import Parts
from pushforward.data.matching import is_named, matched, otherwise
from pushforward.data.pixels import inner_side, model_side, squared, with_channels
from pushforward.data.raw import Raw, enough
from pushforward.data.rows import as_labels, limited, rows
from pushforward.data.toys import counts
from pushforward.data.toys import plane as toy
from pushforward.data.toys.digits import digits
from pushforward.data.units import Scaling
from pushforward.errors import DataError, UsageError, meant

__all__ = ["KEPT", "load", "made", "parse", "read_array", "read_within"]

KEPT = "kept:"  # before the folder of a run: what it keeps of its data


def made(spec: str) -> bool:
    """Whether a spec names data that come with the library, not a file."""
    return spec == "digits" or spec.lower().startswith("toy:")


def load(
    spec: str,
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    labels: str | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    scaling: Scaling = "deviation",
) -> Dataset:
    """Load, check, split and scale a data set.

    Args:
        spec: 'digits'; 'toy:NAME'; 'kept:RUN', what a run was given, without the rows; or a path. After a colon, the
            path is followed by the name of an array (.npz) or by the names of columns, 'a,b,c' (.csv, .parquet), or by
            a layer or an embedding (.h5ad). Arrays of one or two dimensions are points, of three or four images.
            'x_train' brings 'y_train', 'x_test' and 'y_test' of the same file along.
        seed: Seed of the split and of the rows that a limit keeps.
        test_fraction: Share to hold out; by default a third for digits, a tenth for others, and the source's own test
            set where it brings one.
        labels: Name of an array or column of the same file, or PATH[:key] of another.
        side: Side of images, a power of two; chosen by their size when None.
        channels: Channels of images, 1, 3 or 4; chosen by their content when None.
        limit: Use at most so many rows.
        scaling: What a file's points are centred and scaled by: mean and standard deviation; quartiles, for heavy
            tails; or nothing, as counts, which are refused where they are none.

    Raises:
        DataError: If the data are missing, damaged or unfit; the message names file, place and remedy.
        UsageError: If an option is out of range or does not apply.

    Example:
        >>> load("toy:ring8").event
        (2,)
    """
    name = spec.strip()
    if name.startswith(KEPT):
        return _kept(name)
    if made(name) and labels not in (None, name):
        raise UsageError(f"labels {labels!r}: {name} brings its own labels, if any: leave the option out")
    if name == "digits":
        return digits(seed=seed, test_fraction=test_fraction, side=side, channels=channels, limit=limit)
    if made(name):
        if side is not None or channels is not None:
            raise UsageError(f"{name}: these are points, not images: leave out the side and the channels")
        return _toy(name, seed, test_fraction, limit)
    path, key = parse(name)
    raw = _rows(opened(path, key, room=spilled), path, labels, side=side, channels=channels, limit=limit, seed=seed,
                room=spilled)  # fmt: skip
    raw = limited(raw, limit, seed)
    data = assemble(raw, name, seed=seed, test_fraction=test_fraction, side=side, channels=channels, scaling=scaling)
    card = Card.of(data)
    return data if card is None else replace(data, origin=Origin(card, Parts.of(raw), raw.files))


def _kept(name: str) -> Dataset:
    """What a run was given, as it was loaded; every row is a NaN."""
    folder = Path(name.removeprefix(KEPT))
    try:
        own, loaded, _ = read_card(folder)
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no run that keeps what its data are; name the folder of one") from error
    return (loaded or own).dataset()


def read_array(spec: str, *, side: int | None = None, channels: int | None = None) -> tuple[np.ndarray, Kind]:
    """Read samples in data units, as `Dataset.decode` returns them, for example to compare two files.

    Args:
        spec: PATH[:key], as for `load`; labels and test sets beside the array are left alone.
        side: Side of images, chosen by their size when None.
        channels: Channels of images, chosen by their content when None.

    Returns:
        Points (n, d) float64, or square images (n, s, s) or (n, s, s, c) uint8, without padding; and the kind. What is
        more than fits into memory is mapped from a file, points in the type that they are stored in.

    Raises:
        DataError: If the data are missing, damaged or unfit.
        UsageError: If an option is out of range or does not apply.
    """
    path, key = parse(spec.strip())
    raw = _rows(opened(path, key, room=spilled), path, None, side=side, channels=channels, room=spilled)
    return _in_units(raw, side, channels), raw.kind


def read_within(spec: str, data: Dataset, labels: str | None = None) -> tuple[Raw, Table | None]:
    """Read new samples of what a data set holds, in data units, as `read_array` does, with the labels of the rows.

    Columns with names are matched by these, in the order of the data set; see `matching.matched`.

    Args:
        spec: PATH[:key], as for `load`.
        data: What the samples should be like.
        labels: Name of an array or column of the same file, or PATH[:key] of another; what the source brings if None.

    Returns:
        One row or more, whose notes say what was done; and the table that they stand in, where it is one: its chosen
        columns are theirs, in order.

    Raises:
        DataError: If the data or the labels are missing, damaged or unfit.
        UsageError: If an option does not apply.
    """
    path, key = parse(spec.strip())
    expected = data.columns if is_named(data.columns) else ()
    contents = matched(opened(path, key, expected=expected), data, labels)
    raw = _rows(contents, path, labels, least=1)
    table = contents.body if isinstance(contents.body, Table) else None
    if table is not None:
        table = replace(table, chosen=wanted(table, labels))
    given = raw.kinds or ("number",) * len(data.kinds)
    note = otherwise(data.columns, data.kinds, given, "taken for what the run holds", exact=False)
    notes = (*raw.notes, note) if note else raw.notes
    return replace(raw, x=_in_units(raw, None, None, 1), notes=notes), table


def _in_units(raw: Raw, side: int | None, channels: int | None, least: int = 2) -> np.ndarray:
    enough(len(raw.x), raw.place, least)
    if raw.kind == "points":
        if side is not None or channels is not None:
            raise UsageError(f"{raw.place}: these are points, not images: leave out the side and the channels")
        return raw.x
    short, many = min(raw.x.shape[1:3]), raw.x.shape[3] if channels is None else channels
    inner = inner_side(short, model_side(short, side, raw.place))
    out = spilled((len(raw.x), inner, inner, many), np.dtype(np.uint8), raw.place)
    for part in spans(raw.x):
        out[part] = np.rint(squared(with_channels(raw.x[part], many), inner)).astype(np.uint8)
        written(out)
    return out[..., 0] if many == 1 else out


def parse(spec: str) -> tuple[Path, str | None]:
    """Divide PATH[:key] at its last colon, unless the whole is a path that exists or the head is a drive letter.

    Raises:
        UsageError: If nothing, or nothing before or after the colon, is given.
        DataError: If the path does not exist or cannot be opened.
    """
    if not spec:
        raise UsageError("no data given: use digits, toy:NAME or PATH[:key], for example toy:ring8")
    path, key = divided(spec)
    if not exists(str(path)):
        words = {"digits": "digits"} | {name: f"toy:{name}" for name in (*toy.NAMES, counts.NAME)}
        hint = meant(spec, words, words.__getitem__)
        remedy = f"{hint}{'else ' if hint else ''}check the path, or use digits or toy:NAME"
        raise DataError(f"{path}: no such file or folder: {remedy}")
    if path.is_file():
        try:
            with path.open("rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise DataError(f"{path}: the file cannot be opened ({error.strerror}): check its permissions") from error
        if empty:
            raise DataError(f"{path}: the file is empty, 0 bytes: write or download it again")
    return path, key


def _toy(name: str, seed: int, test_fraction: float | None, limit: int | None) -> Dataset:
    drawn, usual = (counts.load, counts.ROWS) if counts.is_named(name) else (partial(toy.load, name[4:]), 110_000)
    if limit is None and test_fraction is None:
        return drawn(seed=seed)
    n, fraction = usual if limit is None else limit, 1 / 11 if test_fraction is None else test_fraction
    if n < 10 or not 0 < fraction < 1:
        raise UsageError(f"{name}: limit {n}, test fraction {fraction:g}: need 10 points and a share between 0 and 1")
    n_test = min(max(1, round(n * fraction)), n - 5)
    return drawn(seed=seed, n_train=n - n_test, n_test=n_test)


def _rows(
    contents: Contents,
    path: Path,
    labels: str | None,
    *,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    least: int = MIN_ROWS,
    room: Room = held,
) -> Raw:
    """Rows of an opened file, with the labels that are asked for, wherever these stand."""
    given = None
    if labels is not None and labels not in contents.known:
        if isinstance(contents.body, Pictures):
            raise UsageError(f"{path}: labels {labels!r}: a folder's labels are the names of its subfolders")
        head = labels.rpartition(":")[0]
        if exists(labels) or (head and exists(head)):
            place, name = parse(labels)
            given = as_labels(opened(place, name, room=room), place.suffix.lower())
        elif not isinstance(contents.body, Table):
            contents.column(labels)  # says what the alternatives are
    return rows(contents, labels, given, side=side, channels=channels, limit=limit, seed=seed, least=least, room=room)
