r"""transport: new points carried along the fields of a run, and how far from held-out data they end.

.. math::
    \text{ratio} = \frac{W_2(\text{carried}, \text{held out})}{W_2(\text{trained}, \text{held out})}

For new points of the law that the particles began at, a ratio near 1 says that the fields move them as well as those
that they were learned with; far above, that the fields fit the particles and not their law. The floor is what training
rows score in place of samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.commands import tables
from pushforward.commands.rebuilding import rebuild, rows_of, standing
from pushforward.commands.sampling import names_of, write_npz
from pushforward.data import Dataset, outputs, source
from pushforward.data.formats.contents import Table
from pushforward.data.labels import named
from pushforward.data.matching import is_named
from pushforward.data.raw import Raw
from pushforward.errors import DataError, UsageError, shortened
from pushforward.metrics.quality.sliced import directions, sliced_wasserstein
from pushforward.metrics.quality.transport import wasserstein
from pushforward.parallel.ordinary import ordinarily
from pushforward.parallel.placement import Placement
from pushforward.plain.lists import listed
from pushforward.randomness import Noise, stream
from pushforward.types import HasParticles, Labels, Method, Records, Samples, Transports, able

__all__ = ["distances", "transport", "words"]

LIMIT = 1000  # rows of each set that are compared
LINES = 256  # directions of the sliced distance
REPEATS = 3  # choices of rows that are averaged
LEFT = "comparison with held-out data left out: it needs at least 2 rows of each, of the same classes"

Labelled = tuple[Samples, Labels | None]


@ordinarily
def transport(
    folder: Path,
    points: str,
    out: Path,
    *,
    labels: str | None = None,
    which: str = "last",
    trust: tuple[str, ...] = (),
    device: str = "cpu",
) -> dict[str, Any]:
    """Carry new points along the fields that a run recorded.

    Args:
        folder: A run of particles that recorded their fields, or of anything else that carries points.
        points: File of points in data units, PATH[:key], or a folder of images; columns are matched by their names.
        out: F.npz; array `x` holds the points after, whole numbers and truth values as the data hold them, `start`
            before, `labels` their classes if they have some. Or F.csv or F.parquet, for points: of a table that table
            with its columns moved, in their types, as `sample` does; what was not moved stands as it stood.
        labels: Classes of the points where the run has some: one class for all, a column or array of the same file, or
            PATH[:key] of another; those that the points bring along if None.
        which: "last" or "best".
        trust: Outside divergences that may be imported.
        device: Where the fields are evaluated.

    Returns:
        Where the points are, how many, their shape, `notes` of how the file was read, and their `distances` to held-out
        data; where these are None, `left_out` says why.

    Raises:
        UsageError: If the run carries no points or recorded no fields, classes are missing, or
            `out` must not be written where it is named.
        DataError: If the points do not fit the run.
        OSError: If `out` cannot be written; it names the file.
    """
    outputs.claim("--out", out, (".npz", *tables.ENDINGS), (points, labels, *outputs.read_by(folder)))
    experiment, description = rebuild(folder, which, trust, device)
    method, data = experiment.method, experiment.data
    if not able(method, Transports):
        raise UsageError(
            f"{folder}: a run of {description['recipe']} carries no points; transport takes particles that recorded "
            "their fields, for example a run of toy_particles or latent_particles"
        )
    if able(method, Records) and not method.tape:
        raise UsageError(
            f"{folder}: this run recorded no fields to carry points along (--record 0, or no step was done); train it "
            "with --record 1"
        )
    if out.suffix.lower() in tables.ENDINGS and data.kind == "images":
        raise UsageError(f"--out {out}: this run's points are images; name a file that ends in .npz")
    trained = _particles(method)
    own = None if trained is None else trained[1]
    column = labels if labels is not None and labels.strip() not in (data.classes or ()) else None
    if own is None and labels is not None:
        raise UsageError(f"--labels {labels}: the points of this run have no classes; leave the option out")
    read, table = _read(points, column, data)
    start = read.x
    codes = None if own is None else _codes(points, labels, column, read.labels, len(start), data)
    before = data.encode(start)
    where = Placement.find(device).device
    after = method.transport(before.to(where), None if codes is None else codes.to(where)).cpu()
    if lost := (~torch.isfinite(after).flatten(1).all(1)).nonzero()[:, 0].tolist():
        raise DataError(
            f"{points}: the fields carry row {lost[0]} and {len(lost) - 1} others out of all bounds; give points like "
            "those that the particles began at"
        )
    x = data.decode(after)
    names = None if codes is None else names_of(data)[codes.numpy()]
    notes = (*standing(description, which), *read.notes)
    if out.suffix.lower() in tables.ENDINGS:
        there = table is not None and is_named(table.names) and column in table.names
        notes += _write_table(out, x, data, table, None if there else names)
    else:
        x = tables.held(x, data)
        notes += tables.notes(data)
        write_npz(out, {"x": x, "start": start} | ({} if names is None else {"labels": names}))
    compared, left = _compared(folder, which, trust, data, ((before, codes), (after, codes), trained))
    done = {"out": str(out), "n": len(x), "shape": list(x.shape), "notes": list(notes), "distances": compared}
    return done | left


def _write_table(
    out: Path, x: np.ndarray, data: Dataset, table: Table | None, names: np.ndarray | None
) -> tuple[str, ...]:
    """Write points as a table, within the one that they came in where it has names; notes of what stands in it.

    Args:
        out: The file.
        x: The points, (n, d).
        data: Gives kinds, and names where the points came without.
        table: What they came in, or None.
        names: Classes that do not stand in the table, (n,), or None.
    """
    columns, notes = tables.columns(x, data, names)
    if table is not None and is_named(table.names):
        own = table.chosen or ()
        moved = dict(zip(own, columns.values()))  # as they are called there
        for name, classes in list(columns.items())[len(own) :]:
            moved[name if name not in table.names else f"{name}_class"] = classes
        columns, still = tables.within(table, moved, out)
        notes += still
    tables.write(out, columns)
    return notes


def _compared(
    folder: Path, which: str, trust: tuple[str, ...], data: Dataset, sets: tuple[Labelled, Labelled, Labelled | None]
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Distances to held-out data, where these are at hand; or else why there are none, as `left_out`."""
    try:
        found = distances(*sets, rows_of(folder, which, trust) if data.hollow else data)
    except (DataError, UsageError) as error:
        return None, {"left_out": f"comparison with held-out data left out: {error}"}
    return found, {} if found is not None else {"left_out": LEFT}


def _read(points: str, column: str | None, data: Dataset) -> tuple[Raw, Table | None]:
    """Points in data units, of the kind and shape of the training data, with their labels, and their table."""
    read, table = source.read_within(points, data, column)
    given, shape = tuple(read.x.shape[1:]), tuple(data.decode(data.test[:1]).shape[1:])
    if read.kind != data.kind or given != shape:
        raise DataError(
            f"{points}: {read.kind} of shape {given}, and the run moves {data.kind} of shape {shape}; give "
            "points like the training data"
        )
    return read, table


def _particles(method: Method) -> Labelled | None:
    """The particles that the fields were learned with, and their classes, if there are any."""
    if not able(method, HasParticles):
        return None
    return method.particles.cpu(), None if method.labels is None else method.labels.cpu()


def _codes(points: str, wanted: str | None, column: str | None, found: Any, n: int, data: Dataset) -> Labels:
    """Numbers of the classes of new points, (n,)."""
    classes = data.classes or ()
    if wanted is not None and column is None:
        return torch.full((n,), classes.index(wanted.strip()))
    if found is None:
        raise UsageError(
            f"{points}: the points of this run have classes: add --labels with a column, an array or a file, or one of "
            f"{listed(classes, 20)}"
        )
    return torch.from_numpy(named(found, classes, points))


def distances(start: Labelled, carried: Labelled, trained: Labelled | None, data: Dataset) -> dict[str, Any] | None:
    """How far from held-out data points were, went, and could have come; exact W2 of points, sliced W2 of images.

    All sets are cut to equally many rows, at most 1,000, and where there are classes, to equally many of each class, in
    the shares of the carried points. Distances are means over three choices of rows.

    Args:
        start: New points before, (n, *event) in model units, and their classes.
        carried: The same after.
        trained: Particles that the fields were learned with, if there are any.
        data: Gives held-out rows, and training rows for the floor.

    Returns:
        `start`, `carried`, `trained` and `floor` in model units, the standard deviations of points; `ratio`, carried
        over trained; `n`, rows of each; `metric`. None where fewer than two rows can be compared.
    """
    sets = {"start": start, "carried": carried, "floor": (data.train, data.train_labels)}
    sets |= {} if trained is None else {"trained": trained}
    held, classes = (data.test, data.test_labels), carried[1]
    shares = _shares([held, *sets.values()], classes)
    if shares is None or sum(shares.values()) < 2:
        return None
    images, n = data.kind == "images", sum(shares.values())
    along = directions(data.test.flatten(1).shape[1], LINES, 0) if images else None

    def distance(cloud: Labelled, repeat: int) -> float:
        mine, theirs = (stream(0, "transport", repeat, part=part) for part in ("carried", "held out"))
        x, y = _pick(cloud, shares, mine), _pick(held, shares, theirs)
        return wasserstein(x, y) if along is None else sliced_wasserstein(x, y, along)[0]

    found: dict[str, Any] = {name: sum(distance(x, k) for k in range(REPEATS)) / REPEATS for name, x in sets.items()}
    if trained is not None:
        found["ratio"] = found["carried"] / found["trained"] if found["trained"] else None
    return {"metric": "sliced_w2" if images else "w2", "n": n} | found


def _shares(sets: list[Labelled], classes: Labels | None) -> dict[int, int] | None:
    """Rows to take of each class, the same of all sets; class -1 stands for everything."""
    if classes is None:
        return {-1: min(LIMIT, *(len(x) for x, _ in sets))}
    shares = {}
    for label in classes.unique().tolist():
        known = [0 if labels is None else int((labels == label).sum()) for _, labels in sets]
        most = round(LIMIT * float((classes == label).double().mean()))
        shares[label] = min(max(1, most), *known)
    return shares


def _pick(cloud: Labelled, shares: dict[int, int], rng: Noise) -> Samples:
    x, labels = cloud
    chosen: list[Tensor] = []
    for label, count in shares.items():
        rows = torch.arange(len(x)) if label < 0 or labels is None else torch.nonzero(labels == label)[:, 0]
        chosen.append(rows[torch.argsort(rng.uniform(len(rows)))[:count]])
    return x[torch.cat(chosen)]


def words(done: dict[str, Any]) -> str:
    """What `transport` found, for people."""
    head = "\n".join(
        [*(f"note: {shortened(note)}" for note in done["notes"]), f"{done['n']} points carried: {done['out']}"]
    )
    found = done["distances"]
    if found is None:
        return f"{head}\n{done['left_out']}"
    name = "exact W2 in standard units" if found["metric"] == "w2" else "sliced W2 in pixel units of -1 to 1"
    notes = {"start": "the points before", "carried": "the points after", "trained": "the particles of the run",
             "floor": "training rows"}  # fmt: skip
    lines = [f"{key:8} {found[key]:<9.4g} {note}" for key, note in notes.items() if key in found]
    ratio = found.get("ratio")
    last = (
        []
        if ratio is None
        else [f"ratio    {ratio:<9.4g} carried / trained; 1 if new points of the particles’ law move as well"]
    )
    return "\n".join([head, f"distance to held-out data ({name}, {found['n']} rows of each):", *lines, *last])
