"""`python -m benchmarks.size`: files larger than a cap on memory, trained on and evaluated; and what a step costs.

Three questions, each alone with --only: `points`, a file of float32 larger than the cap; `images`, a folder of many
small pictures; `steps`, CPU time of a step on rows from the disk beside one on rows in memory, with the file in the
cache of the system, and then under the cap with a file that is larger, where nearly every row is read from the disk.

The cap is a control group of its own where one can be made, which counts every page, also those of files; else a limit
on the data of the process (RLIMIT_DATA), which counts what cannot be evicted. `peak` is the most of that, RssAnon, at a
look every 20 ms; `over base` is that less the peak of the same command on a file of 1 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # idle threads must not spin; read when torch is imported

GROUPS = Path("/sys/fs/cgroup")
COLUMNS = 64  # numbers a row of points: 256 bytes
SIDE = 16  # of a picture


@dataclass(frozen=True)
class Ran:
    """A command that ran under a cap.

    Attributes:
        what: The command's verb, and its data.
        code: Its exit status.
        seconds: Wall time.
        peak: Most megabytes of memory that cannot be evicted.
        over: The same, less that of the command on a small file; None of such a command itself.
        capped: What capped it.
    """

    what: str
    code: int
    seconds: float
    peak: float
    over: float | None
    capped: str


@dataclass(frozen=True)
class Cap:
    """A limit on the memory of commands: a control group, or a limit of the process where none can be made."""

    bytes: int
    group: Path | None

    @property
    def words(self) -> str:
        """What it is."""
        return "control group" if self.group else "RLIMIT_DATA"

    def begin(self) -> None:
        """In the child, before the command starts."""
        if self.group is not None:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
            return
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (self.bytes, self.bytes))


@contextmanager
def cap(size: int) -> Iterator[Cap]:
    """A cap of so many bytes, gone afterwards."""
    group = None
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            group, name = GROUPS / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        elif number == "0" and group is None:
            group, name = GROUPS / path.lstrip("/"), "memory.max"
        else:
            continue
        group = group / f"size-{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(size))
        except OSError:
            if group.is_dir():
                group.rmdir()
            group = None
    try:
        yield Cap(size, group)
    finally:
        if group is not None:
            _removed(group)


def _removed(group: Path, seconds: float = 5) -> None:
    """Remove a control group; a process that has ended may be counted in for a moment."""
    until = time.monotonic() + seconds
    while True:
        try:
            return group.rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def run(words: list[str], what: str, limit: Cap, base: float | None = None) -> Ran:
    """Run `pushforward` with these words under a cap, and look at its memory meanwhile."""
    start, peak = time.monotonic(), 0.0
    command = [sys.executable, "-c", "from pushforward.cli import main; raise SystemExit(main())", *words]
    with tempfile.TemporaryFile() as said:
        done = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, preexec_fn=limit.begin)
        try:
            while done.poll() is None:
                peak = max(peak, _anonymous(done.pid))
                time.sleep(0.02)
        finally:
            if done.poll() is None:  # its control group could not be removed while it runs
                done.kill()
                done.wait()
        if done.returncode:
            said.seek(0)
            print(said.read()[-2000:].decode("utf-8", "replace"), file=sys.stderr)
    over = None if base is None else round(peak - base)
    return Ran(what, done.returncode, round(time.monotonic() - start, 1), round(peak), over, limit.words)


def _anonymous(pid: int) -> float:
    """Megabytes of a process that belong to no file, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def points(path: Path, size: int) -> None:
    """An .npy file of so many bytes of float32: four clusters in a space of 64 numbers, on unlike scales."""
    n, rng = max(100, size // (4 * COLUMNS)), np.random.default_rng(0)
    centres, scales = rng.standard_normal((4, COLUMNS)) * 3, 10 ** rng.uniform(-2, 2, COLUMNS)
    out = np.lib.format.open_memmap(path, "w+", np.float32, (n, COLUMNS))
    for first in range(0, n, 1 << 16):
        k = min(1 << 16, n - first)
        x = rng.standard_normal((k, COLUMNS), np.float32) + centres[rng.integers(4, size=k)]
        out[first : first + k] = x * scales
    out.flush()
    if sys.platform == "linux":
        with path.open("rb") as file:  # else pages that are charged to this process, not to the one under the cap
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def pictures(folder: Path, count: int) -> None:
    """So many grey pictures of a bright spot, a thousand in a folder."""
    from PIL import Image

    rng, at = np.random.default_rng(0), np.arange(SIDE)
    for i in range(count):
        if i % 1000 == 0:
            (folder / f"{i // 1000:04d}").mkdir(parents=True)
        x, y = rng.uniform(3, SIDE - 4, 2)
        spot = np.exp(-((at[:, None] - y) ** 2 + (at - x) ** 2) / 6)
        Image.fromarray((255 * spot).astype(np.uint8)).save(
            folder / f"{i // 1000:04d}" / f"{i:06d}.png", compress_level=1
        )


def capped(kind: str, folder: Path, amount: int, limit: Cap, steps: int) -> Iterator[Ran]:
    """Train, sample and evaluate, first on a small file for the base, then on the large one."""
    recipe = "toy_vgrow" if kind == "points" else "vgrow_images"
    base: dict[str, float] = {}
    for size in ("small", "large"):
        data, home = folder / f"{size}.npy" if kind == "points" else folder / size, folder / f"run-{size}"
        if kind == "points":
            points(data, amount if size == "large" else 1 << 20)
        else:
            pictures(data, amount if size == "large" else 300)
        few = ["--steps", str(steps), "--seed", "0", "--run", str(home)]
        verbs = {
            "train": ["train", recipe, "--data", str(data), *few],
            "sample": ["sample", str(home), "-n", "1000", "--out", str(folder / f"{size}.npz")],
            "evaluate": ["evaluate", str(home), "-n", "1000"],
        }
        for verb, words in verbs.items():
            ran = run(words, f"{verb} {kind} {size}", limit, base.get(verb))
            base.setdefault(verb, ran.peak)
            yield ran
            if ran.code:
                return


def step_cost(held: Path, mapped: Path, steps: int = 100, turns: int = 12, rounds: int = 3) -> list[dict[str, float]]:
    """CPU milliseconds of a step of toy_vgrow on one file in memory and on another from the disk, in turn.

    Returns:
        For each round: user and system time of both, faults that waited for the disk, and the ratio of their sums.
    """
    import resource

    import torch

    from pushforward.data.blocks.limits import VARIABLE
    from pushforward.recipes import toys

    torch.set_num_threads(1)
    ways = {}
    for name, path, budget in (
        ("memory", held, 40 * held.stat().st_size),
        ("mapped", mapped, mapped.stat().st_size // 3),
    ):
        os.environ[VARIABLE] = str(budget)
        experiment = toys.toy_vgrow(data=str(path), steps=10**6, batch=256)
        if any("temporary file" in note for note in experiment.data.notes) != (name == "mapped"):
            raise SystemExit(f"{name}: the rows are not where they should be")
        ways[name] = iter(experiment.method.learn(experiment.batches))
        for _ in range(3):
            next(ways[name])
    found = []
    for _ in range(rounds):
        spent = {name: np.zeros(3) for name in ways}
        for turn in range(turns):
            for name in sorted(ways, reverse=bool(turn % 2)):
                start = resource.getrusage(resource.RUSAGE_SELF)
                for _ in range(steps):
                    next(ways[name])
                end = resource.getrusage(resource.RUSAGE_SELF)
                spent[name] += (
                    1000 * (end.ru_utime - start.ru_utime),
                    1000 * (end.ru_stime - start.ru_stime),
                    end.ru_majflt - start.ru_majflt,
                )
        one = {
            f"{name} {what}": round(float(value) / (steps * turns), 3)
            for name in ways
            for what, value in zip(("user", "system", "faults"), spent[name], strict=True)
        }
        found.append(one | {"ratio": round(float(spent["mapped"][:2].sum() / spent["memory"][:2].sum()), 4)})
    return found


def steps_both(folder: Path, size: int, limit: Cap) -> dict[str, list[dict[str, float]]]:
    """What a step costs on a file in the cache of the system, and on one of so many bytes under a smaller cap."""
    for name, many in (("held", 40 * 10**6), ("cached", 200 * 10**6), ("cold", size)):
        points(folder / f"{name}.npy", many)
    found = {}
    for name in ("cached", "cold"):
        words = [
            sys.executable,
            "-m",
            "benchmarks.size",
            "--pair",
            str(folder / "held.npy"),
            str(folder / f"{name}.npy"),
        ]
        begin = limit.begin if name == "cold" else None
        found[name] = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True, preexec_fn=begin).stdout)
    return found


def main() -> int:
    """Parse the command line, run, print; the exit status says whether every command ran to its end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--only", choices=("points", "images", "steps"), help="one of the questions")
    parser.add_argument("--gb", type=float, default=3, help="size of the file of points, GB (default 3)")
    parser.add_argument("--images", type=int, default=100_000, help="pictures in the folder (default 100000)")
    parser.add_argument("--cap", type=float, default=2, help="cap on memory, GB (default 2)")
    parser.add_argument("--steps", type=int, default=20, help="steps of training (default 20)")
    parser.add_argument("--folder", type=Path, help="where files go meanwhile; the system's folder by default")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--pair", type=Path, nargs=2, metavar=("HELD", "MAPPED"), help="what a step costs on two files")
    asked = parser.parse_args()
    if asked.pair:
        print(json.dumps(step_cost(*asked.pair)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that files and control group go then too
    found: dict[str, object] = {}
    where = asked.folder or Path(tempfile.gettempdir())
    need = int(3.2e9 * asked.gb / 3) * 2 if asked.only != "images" else 10**9
    if shutil.disk_usage(where).free < need:
        raise SystemExit(f"{where}: {need / 1e9:.0f} GB are needed: give a --folder with more room")
    codes = []
    with tempfile.TemporaryDirectory(dir=where, prefix="size-") as name, cap(int(asked.cap * 10**9)) as limit:
        folder = Path(name)
        for kind, amount in (("points", int(asked.gb * 10**9)), ("images", asked.images)):
            if asked.only in (None, kind):
                (folder / kind).mkdir()
                rows = []
                for ran in capped(kind, folder / kind, amount, limit, asked.steps):
                    rows.append(asdict(ran))
                    codes.append(ran.code)
                    if not asked.json:
                        print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)
                found[kind] = rows
                shutil.rmtree(folder / kind)
        if asked.only in (None, "steps"):
            found["steps"] = both = steps_both(folder, int(asked.gb * 10**9), limit)
            for name, rounds in ({} if asked.json else both).items():
                for one in rounds:
                    print(f"steps {name} " + " ".join(f"{key.replace(' ', '_')}={value}" for key, value in one.items()))
    if asked.json:
        print(json.dumps(found, indent=1))
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
