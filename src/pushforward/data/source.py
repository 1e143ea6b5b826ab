"""One grammar for data, digits | toy:NAME | PATH[:key], and the checks that come before any training."""

import difflib
from pathlib import Path

import numpy as np

from pushforward.data.assemble import assemble
from pushforward.data.dataset import Dataset, Kind
from pushforward.data.formats import arrays, expression, images, tables
from pushforward.data.pixels import inner_side, model_side, recognise, squared, with_channels
from pushforward.data.raw import Raw, chosen, enough, finite, numeric
from pushforward.data.toys import plane as toy
from pushforward.errors import DataError, UsageError

__all__ = ["load", "parse", "read_array", "read_labelled"]

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
FILES = (".npz", ".npy", ".h5ad", *TEXT, *PARQUET)  # endings that no folder has
READABLE = "a folder of images, .npz, .npy, .csv, .tsv, .txt, .parquet, .h5ad or IDX (ubyte)"


def load(
    spec: str,
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    labels: str | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    heavy: bool = False,
) -> Dataset:
    """Load, check, split and scale a data set.

    Args:
        spec: 'digits'; 'toy:NAME'; or a path. After a colon, the path is followed by the name of an array (.npz) or by
            the names of columns, 'a,b,c' (.csv, .parquet), or by a layer or an embedding (.h5ad). Arrays of one or two
            dimensions are points, of three or four images. 'x_train' brings 'y_train', 'x_test' and 'y_test' of the
            same file along.
        seed: Seed of the split and of the rows that a limit keeps.
        test_fraction: Share to hold out; by default a third for digits, a tenth for others, and the source's own test
            set where it brings one.
        labels: Name of an array or column of the same file, or PATH[:key] of another.
        side: Side of images, a power of two; chosen by their size when None.
        channels: Channels of images, 1, 3 or 4; chosen by their content when None.
        limit: Use at most so many rows.
        heavy: Centre and scale a file's points by their quartiles, not by mean and standard deviation: for heavy tails.

    Raises:
        DataError: If the data are missing, damaged or unfit; the message names file, place and remedy.
        UsageError: If an option is out of range or does not apply.

    Example:
        >>> load("toy:ring8").event
        (2,)
    """
    name = spec.strip()
    if name == "digits":
        _no_labels(labels, "digits")
        return images.digits(seed=seed, test_fraction=test_fraction, side=side, channels=channels, limit=limit)
    if name.lower().startswith("toy:"):
        _no_labels(labels, name)
        if side is not None or channels is not None:
            raise UsageError(f"{name}: these are points, not images: leave out the side and the channels")
        return _toy(name, seed, test_fraction, limit)
    path, key = parse(name)
    raw = _limited(read(path, key, labels, side, channels, limit, seed), limit, seed)
    return assemble(raw, name, seed=seed, test_fraction=test_fraction, side=side, channels=channels, heavy=heavy)


def read_array(spec: str, *, side: int | None = None, channels: int | None = None) -> tuple[np.ndarray, Kind]:
    """Read samples in data units, as `Dataset.decode` returns them, for example to compare two files.

    Args:
        spec: PATH[:key], as for `load`; labels and test sets beside the array are left alone.
        side: Side of images, chosen by their size when None.
        channels: Channels of images, chosen by their content when None.

    Returns:
        Points (n, d) float64, or square images (n, s, s) or (n, s, s, c) uint8, without padding; and the kind.

    Raises:
        DataError: If the data are missing, damaged or unfit.
        UsageError: If an option is out of range or does not apply.
    """
    path, key = parse(spec.strip())
    raw = read(path, key, side=side, channels=channels)
    return _in_units(raw, side, channels), raw.kind


def read_labelled(spec: str, labels: str | None = None) -> tuple[np.ndarray, Kind, np.ndarray | None]:
    """Read samples in data units, as `read_array` does, with the labels of the rows.

    Args:
        spec: PATH[:key], as for `load`.
        labels: Name of an array or column of the same file, or PATH[:key] of another; what the source brings if None.

    Raises:
        DataError: If the data or the labels are missing, damaged or unfit.
        UsageError: If an option does not apply.
    """
    path, key = parse(spec.strip())
    raw = read(path, key, labels)
    return _in_units(raw, None, None), raw.kind, raw.labels


def _in_units(raw: Raw, side: int | None, channels: int | None) -> np.ndarray:
    enough(len(raw.x), raw.place, 2)
    if raw.kind == "points":
        if side is not None or channels is not None:
            raise UsageError(f"{raw.place}: these are points, not images: leave out the side and the channels")
        return raw.x
    x = raw.x if channels is None else with_channels(raw.x, channels)
    short = min(x.shape[1:3])
    levels = np.rint(squared(x, inner_side(short, model_side(short, side, raw.place)))).astype(np.uint8)
    return levels[..., 0] if levels.shape[-1] == 1 else levels


def parse(spec: str) -> tuple[Path, str | None]:
    """Divide PATH[:key] at its last colon, unless the whole is a path that exists or the head is a drive letter.

    Raises:
        UsageError: If nothing, or nothing before or after the colon, is given.
        DataError: If the path does not exist or cannot be opened.
    """
    if not spec:
        raise UsageError("no data given: use digits, toy:NAME or PATH[:key], for example toy:ring8")
    head, colon, tail = spec.rpartition(":")
    if not colon or _exists(spec) or (len(head) == 1 and head.isalpha()):
        path, key = Path(spec), None
    else:
        path, key = Path(head), tail
        if not head or not tail:
            raise UsageError(f"{spec!r}: give PATH:key, with a path before and a name after the colon")
    path = path.expanduser()
    if not _exists(str(path)):
        words = {"digits": "digits"} | {name: f"toy:{name}" for name in toy.NAMES}
        close = difflib.get_close_matches(spec.lower().replace("-", "_"), words, n=1, cutoff=0.7)
        hint = f"did you mean {words[close[0]]}? else " if close else ""
        raise DataError(f"{path}: no such file or folder: {hint}check the path, or use digits or toy:NAME")
    if path.is_file():
        try:
            with path.open("rb") as file:
                empty = not file.read(1)
        except OSError as error:
            raise DataError(f"{path}: the file cannot be opened ({error.strerror}): check its permissions") from error
        if empty:
            raise DataError(f"{path}: the file is empty, 0 bytes: write or download it again")
    return path, key


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _no_labels(labels: str | None, name: str) -> None:
    if labels not in (None, name):
        raise UsageError(f"labels {labels!r}: {name} brings its own labels, if any: leave the option out")


def _toy(name: str, seed: int, test_fraction: float | None, limit: int | None) -> Dataset:
    if limit is None and test_fraction is None:
        return toy.load(name[4:], seed=seed)
    n, fraction = 110_000 if limit is None else limit, 1 / 11 if test_fraction is None else test_fraction
    if n < 10 or not 0 < fraction < 1:
        raise UsageError(f"{name}: limit {n}, test fraction {fraction:g}: need 10 points and a share between 0 and 1")
    n_test = min(max(1, round(n * fraction)), n - 5)
    return toy.load(name[4:], seed=seed, n_train=n - n_test, n_test=n_test)


def read(
    path: Path,
    key: str | None,
    labels: str | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Raw:
    """Rows in data units, with the limit applied only where reading all would be slow."""
    suffix = path.suffix.lower()
    if path.is_dir():
        if suffix in FILES:
            raise DataError(f"{path}: this is a folder, not a {suffix} file: check the path")
        _no_key(path, key)
        raw = images.folder(path, side=side, channels=channels, limit=limit, seed=seed)
        if labels is not None:
            raise UsageError(f"{path}: labels {labels!r}: a folder's labels are the names of its subfolders")
        return raw
    if suffix in TEXT or suffix in PARQUET:
        table = tables.csv(path) if suffix in TEXT else tables.parquet(path)
        columns = None if key is None else tuple(column.strip() for column in key.split(","))
        beside = labels is not None and labels not in table.names and _other(labels) is not None
        raw = tables.points(table, columns, None if beside else labels)
        return raw if not beside or labels is None else _with(raw, _other_labels(labels))
    if suffix == ".npz":
        return _npz(path, key, labels)
    if suffix == ".h5ad":
        cells = expression.read(path, key)
        raw = Raw(cells.place, "points", np.asarray(cells.take(None), np.float64), columns=cells.names)
        return raw if labels is None else _with(raw, _other_labels(labels))
    if suffix == ".npy":
        _no_key(path, key)
        raw = _classify(arrays.npy(path), str(path))
        return raw if labels is None else _with(raw, _other_labels(labels))
    if images.is_idx(path):
        _no_key(path, key)
        raw = images.idx(path)
        return raw if labels is None else _with(raw, _other_labels(labels))
    if suffix in images.SUFFIXES:
        raise DataError(f"{path}: one image is not a data set: give the folder that holds the images")
    ending = f"files ending in {suffix!r}" if suffix else "files without an ending"
    raise DataError(f"{path}: {ending} are not known: give {READABLE}")


def _no_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise DataError(f"{path}: there is nothing to choose by {key!r} here: leave out ':{key}'")


def _npz(path: Path, key: str | None, labels: str | None) -> Raw:
    key = arrays.pick(path) if key is None else key
    place, known = f"{path}:{key}", arrays.names(path)
    raw = _classify(arrays.npz(path, key), place)
    target = labels or arrays.partner(key)
    found = None
    if target in known:
        found = arrays.npz(path, target)
        if labels is None and found.dtype.kind not in "biuU":
            found = None  # measurements to predict, not classes
    elif labels is not None:
        found = _other_labels(labels) if _other(labels) else arrays.npz(path, labels)
    if found is not None:
        raw = _with(raw, found)
    test = key.removesuffix("train") + "test"
    if not key.endswith("train") or test not in known:
        return raw
    held = _classify(arrays.npz(path, test), f"{path}:{test}")
    enough(len(held.x), held.place, 1)
    if held.x.shape[1:] != raw.x.shape[1:] or held.x.dtype != raw.x.dtype:
        raise DataError(
            f"{held.place}: rows of shape {held.x.shape[1:]} and type {held.x.dtype}, those of {key} have "
            f"{raw.x.shape[1:]} and {raw.x.dtype}: save both alike"
        )
    target_test = None if target is None else target.removesuffix("train") + "test"
    test_labels = arrays.npz(path, target_test) if found is not None and target_test in known else None
    if test_labels is not None and len(test_labels) != len(held.x):
        raise DataError(f"{path}:{target_test}: {len(test_labels)} labels for {len(held.x)} rows: give one label a row")
    return Raw(place, raw.kind, raw.x, raw.labels, held.x, test_labels)


def _classify(x: np.ndarray, place: str) -> Raw:
    """Points if the array has one or two dimensions, images if it has three or four."""
    numeric(x.dtype, place)
    if not 1 <= x.ndim <= 4:
        raise DataError(
            f"{place}: {x.ndim} dimensions: points have (n, d), images (n, h, w) or (n, h, w, c): reshape it"
        )
    if not x.size:
        raise DataError(f"{place}: the shape {x.shape} holds no numbers: add rows")
    finite(x, place)
    if x.ndim > 2:
        return Raw(place, "images", recognise(x, place))
    return Raw(place, "points", (x[:, None] if x.ndim == 1 else x).astype(np.float64))


def _other(labels: str) -> tuple[Path, str | None] | None:
    """The path and key of a file with labels, or None if there is none."""
    head = labels.rpartition(":")[0]
    return parse(labels) if _exists(labels) or (head and _exists(head)) else None


def _other_labels(labels: str) -> np.ndarray:
    other = _other(labels)
    if other is None:
        raise DataError(f"labels {labels!r}: no such file: give PATH[:key] of an .npy, .npz or .csv file")
    path, key = other
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return arrays.npy(path)
    if suffix == ".npz":
        return arrays.npz(path, key or arrays.pick(path))
    if suffix in TEXT or suffix in PARQUET:
        table = tables.csv(path) if suffix in TEXT else tables.parquet(path)
        wanted = table.names if key is None else (key,)
        if len(wanted) != 1:
            raise DataError(f"{path}: {len(wanted)} columns: choose the one with the labels, {path}:NAME")
        return tables.labels(table, wanted[0])
    if images.is_idx(path):
        return images.idx_array(path)
    raise DataError(f"{path}: labels cannot be read from files ending in {suffix!r}: give .npy, .npz or .csv")


def _with(raw: Raw, labels: np.ndarray) -> Raw:
    count = len(labels) if labels.ndim else 1
    if count != len(raw.x):
        raise DataError(f"{raw.place}: {count} labels for {len(raw.x)} rows: give one label a row")
    return Raw(raw.place, raw.kind, raw.x, labels, raw.x_test, None, raw.columns)


def _limited(raw: Raw, limit: int | None, seed: int) -> Raw:
    if limit is None:
        return raw
    keep = chosen(len(raw.x), limit, seed)
    return Raw(
        raw.place,
        raw.kind,
        raw.x[keep],
        None if raw.labels is None else raw.labels[keep],
        None if raw.x_test is None else raw.x_test[:limit],
        None if raw.labels_test is None else raw.labels_test[:limit],
        raw.columns,
    )
