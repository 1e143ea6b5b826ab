"""`python -m benchmarks.readers`: the most memory of training, evaluating and carrying with a file of each kind.

Rows of 64 numbers, or pictures, that take so many gigabytes as float32 in model units, with a small budget
(`PUSHFORWARD_MEMORY`). `peak` is the most memory of the command that belongs to no file (RssAnon), at a look every 20
ms; `over base` is that less the peak of the same command on 1 MB. Training is for three steps and evaluates itself; it
may take 1.3 times the budget and 300 MB over the base, and so may the others. The exit status says whether all do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.size import COLUMNS, Cap, Ran, points, run

BUDGET = 100  # megabytes
MARGIN = 300  # megabytes beside 1.3 times the budget
SIDE = 64  # of a picture
PART = 1 << 14  # rows written at a time

Maker = Callable[[Path, int], Path]
"""(folder, bytes of the rows as float32) -> the file."""


def _rows(folder: Path, size: int) -> np.ndarray:
    """The same rows for every kind, mapped."""
    path = folder / "rows.npy"
    points(path, size)
    return np.load(path, mmap_mode="r")


def npy(folder: Path, size: int) -> Path:
    """A NumPy file."""
    _rows(folder, size)
    return folder / "rows.npy"


def npz(folder: Path, size: int) -> Path:
    """An archive of one compressed array."""
    np.savez_compressed(folder / "x.npz", x=_rows(folder, size))
    return folder / "x.npz"


def csv(folder: Path, size: int) -> Path:
    """Text with seven digits, about 2.5 times as long as the rows."""
    x = _rows(folder, size)
    with (folder / "x.csv").open("w") as file:
        file.write(",".join(f"c{j}" for j in range(COLUMNS)) + "\n")
        for start in range(0, len(x), PART):
            line = ",".join(["%.7g"] * COLUMNS)
            file.writelines(line % tuple(row) + "\n" for row in x[start : start + PART].tolist())
    return folder / "x.csv"


def parquet(folder: Path, size: int) -> Path:
    """A table of float32, a column each."""
    import pyarrow
    import pyarrow.parquet

    x = _rows(folder, size)
    names = [f"c{j}" for j in range(COLUMNS)]
    schema = pyarrow.schema([(name, pyarrow.float32()) for name in names])
    with pyarrow.parquet.ParquetWriter(folder / "x.parquet", schema) as writer:
        for start in range(0, len(x), PART):
            part = np.ascontiguousarray(x[start : start + PART].T)
            writer.write_table(pyarrow.table(dict(zip(names, part, strict=True)), schema=schema))
    return folder / "x.parquet"


def h5ad(folder: Path, size: int) -> Path:
    """Cells by genes, a dense matrix."""
    import h5py

    x = _rows(folder, size)
    with h5py.File(folder / "x.h5ad", "w") as file:
        out = file.create_dataset("X", x.shape, np.float32, chunks=(1024, COLUMNS))
        for start in range(0, len(x), PART):
            out[start : start + PART] = x[start : start + PART]
        _genes(file)
    return folder / "x.h5ad"


def h5ad_sparse(folder: Path, size: int) -> Path:
    """Cells by genes, compressed rows of which every second number is zero."""
    import h5py
    from scipy import sparse

    x = _rows(folder, size)
    with h5py.File(folder / "x.h5ad", "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = "csr_matrix", x.shape
        data, places = (group.create_dataset(name, (0,), kind, maxshape=(None,), chunks=(1 << 16,))
                        for name, kind in (("data", np.float32), ("indices", np.int32)))  # fmt: skip
        starts, rng = [np.zeros(1, np.int64)], np.random.default_rng(0)
        for start in range(0, len(x), PART):
            part = x[start : start + PART]
            found = sparse.csr_matrix(part * rng.integers(0, 2, part.shape))
            done = len(data)
            for out, more in ((data, found.data), (places, found.indices)):
                out.resize((done + len(more),))
                out[done:] = more
            starts.append(done + found.indptr[1:].astype(np.int64))
        group["indptr"] = np.concatenate(starts)
        _genes(file)
    return folder / "x.h5ad"


def _genes(file) -> None:
    import h5py

    var = file.create_group("var")
    var.attrs["_index"] = "_index"
    names = np.array([f"G{j}" for j in range(COLUMNS)], dtype=object)
    var.create_dataset("_index", data=names, dtype=h5py.string_dtype())


def images(folder: Path, size: int) -> Path:
    """Pictures in colour, a thousand in a folder."""
    from PIL import Image

    rng, at = np.random.default_rng(0), np.arange(SIDE)
    for i in range(max(100, size // (12 * SIDE**2))):
        place = folder / "pictures" / f"{i // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        x, y, *colour = rng.uniform(3, SIDE - 4, 5)
        spot = np.exp(-((at[:, None] - y) ** 2 + (at - x) ** 2) / 60)[..., None] * np.array(colour) * 4
        Image.fromarray(spot.clip(0, 255).astype(np.uint8)).save(place / f"{i:06d}.jpg")
    return folder / "pictures"


KINDS: dict[str, Maker] = {"npy": npy, "npz": npz, "csv": csv, "parquet": parquet, "h5ad": h5ad,
                           "h5ad_sparse": h5ad_sparse, "images": images}  # fmt: skip


def measured(kind: str, place: Path, size: int, only: tuple[str, ...]) -> list[Ran]:
    """Each command on a small file and on the large one; the latter, with what it took over the former."""
    found, base = [], dict[str, float]()
    for name, many in (("small", 1 << 20), ("large", size)):
        folder = place / name
        folder.mkdir()
        data, home = KINDS[kind](folder, many), folder / "run"
        few = folder / "few"
        few.mkdir()
        other = KINDS[kind](few, 1 << 20)
        train = ["vgrow_images" if kind == "images" else "toy_particles" if "transport" in only else "toy_vgrow"]
        verbs = {
            "train": ["train", *train, "--data", str(data), "--steps", "3", "--seed", "0", "--run", str(home)],
            "transport": ["transport", str(home), str(data), "--out", str(folder / "out.npz")],
            "evaluate": ["evaluate", "--fake", str(data), "--real", str(data if kind == "images" else other)],
        }
        for verb in only:
            if verb == "transport" and kind == "images":
                continue
            ran = run(verbs[verb], f"{verb} {kind} {name}", Cap(1 << 50, None), base.get(verb))
            base.setdefault(verb, ran.peak)
            if name == "large" or ran.code:
                found.append(ran)
        shutil.rmtree(folder)
    return found


def main() -> int:
    """Parse the command line, run, print; the exit status says whether every command kept to its bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS), help="kinds of files")
    parser.add_argument("--verbs", nargs="*", choices=("train", "transport", "evaluate"), default=["train"],
                        help="commands (default train)")  # fmt: skip
    parser.add_argument("--gb", type=float, default=1, help="size of the rows as float32, GB (default 1)")
    parser.add_argument("--budget", type=int, default=BUDGET, help=f"MB that rows may take (default {BUDGET})")
    parser.add_argument("--folder", type=Path, help="where files go meanwhile; the system's folder by default")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    asked = parser.parse_args()
    os.environ["PUSHFORWARD_MEMORY"] = f"{asked.budget}M"
    bound, found, fine = 1.3 * asked.budget + MARGIN, [], True
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory(dir=asked.folder, prefix="readers-") as name:
            for ran in measured(kind, Path(name), int(asked.gb * 10**9), tuple(asked.verbs)):
                fine &= not ran.code and ran.over is not None and ran.over <= bound
                found.append(asdict(ran))
                if not asked.json:
                    print(f"{ran.what}: code {ran.code}, {ran.seconds:.0f} s, peak {ran.peak:.0f} MB, over base "
                          f"{ran.over} MB of {bound:.0f}", flush=True)  # fmt: skip
    if asked.json:
        print(json.dumps(found, indent=1))
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
