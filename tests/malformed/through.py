"""Lead malformed inputs through every loader and every command, and report each call in one line of JSON.

    python -m tests.malformed.through FOLDER FIRST STEP

It takes the inputs FIRST, FIRST + STEP, ... of FOLDER/inputs.json. A line before each call says what is begun, so that
who watches knows what hangs; what has a line of its end already is not begun again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

__all__ = ["digest", "main", "prepare"]

TINY = ["--steps", "3", "--batch", "20", "--width", "8"]
OWN = {"toy_particles": [*TINY, "--particles", "20"], "toy_vgrow": TINY}
WRITES = ("evaluate", "resume")  # what changes files of the run that it is given, and may lose none


def prepare(folder: Path, count: int, seed: int = 0) -> int:
    """Write inputs, good runs and their list into a folder; how many inputs there are."""
    import numpy as np

    from tests.malformed import inputs
    from tests.malformed.runs import pushed, runs

    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(seed).normal(size=(60, 3))
    np.savez(folder / "good.npz", x=x)
    np.savez(folder / "points.npz", x=x[:9])
    good = []
    for recipe, own in OWN.items():
        run = folder / "good" / recipe
        words = [
            "train",
            recipe,
            "--data",
            str(folder / "good.npz"),
            "--run",
            str(run),
            *own,
            "--minutes",
            "1e-9",
        ]  # one step, then more to do
        for stage in (words, ["evaluate", str(run), "-n", "20", "--metrics", "sliced_w2"]):  # no minute was left for it
            assert _called(stage)["code"] == 0, stage
        good.append(run)
    assert _called(["push", str(good[1]), str(folder / "good" / "pushed")])["code"] == 0
    parts = {
        "data": inputs(folder / "data", count * 11 // 20, seed),
        "run": runs(folder / "runs", good, count * 8 // 20, seed),
        "pushed": pushed(
            folder / "pushed", folder / "good" / "pushed", count - count * 11 // 20 - count * 8 // 20, seed
        ),
    }
    found = [(what, kind, str(path)) for what, part in parts.items() for kind, path in part]
    (folder / "inputs.json").write_text(json.dumps(found))
    return len(found)


def main(folder: Path, first: int, step: int) -> None:
    """Lead one part of the inputs through everything."""
    warnings.simplefilter("ignore")
    log = folder / f"done-{first}.jsonl"
    done = (
        {(line["input"], line["call"]) for line in map(json.loads, log.read_text().splitlines())}
        if log.exists()
        else set()
    )
    found = json.loads((folder / "inputs.json").read_text())
    with log.open("a") as out:
        for i in range(first, len(found), step):
            what, kind, path = found[i]
            calls = {"data": _of_data, "run": _of_run, "pushed": _of_pushed}[what]
            for name, call in calls(folder, Path(path), folder / "out" / str(i)):
                if (i, name) in done:
                    continue
                print(json.dumps({"input": i, "call": name, "begun": True}), file=out, flush=True)
                before, began = digest(Path(path)), time.monotonic()
                told = call()
                kept = digest(Path(path))
                lost = (
                    sorted(k for k in before if kept.get(k) != before[k])
                    if not name.startswith(WRITES)
                    else sorted(before.keys() - kept.keys())
                )
                told |= {
                    "input": i,
                    "call": name,
                    "kind": kind,
                    "path": path,
                    "lost": lost,
                    "seconds": round(time.monotonic() - began, 2),
                }
                print(json.dumps(told), file=out, flush=True)


def digest(path: Path) -> dict[str, str]:
    """Every file of the folder that holds an input, by its name: of a plain one the digest, of others what they are."""
    found = {}
    for place in sorted(path.parent.rglob("*")):
        mode = place.lstat().st_mode
        plain = stat.S_ISREG(mode)
        found[str(place)] = hashlib.sha256(place.read_bytes()).hexdigest() if plain else str(stat.S_IFMT(mode))
    return found


def _called(words: list[str]) -> dict[str, Any]:
    """What came of a command: its exit code, or the traceback of what it raised; and what is wrong with its words."""
    from pushforward import cli

    out, err = io.StringIO(), io.StringIO()
    code, raised = None, ""
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main(words)
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            raised = traceback.format_exc()[-1500:]
    shown = out.getvalue() + err.getvalue()
    odd = sorted({c for c in shown if not (c.isprintable() or c == "\n")})
    errors = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    wrong = raised or ("" if "Traceback" not in shown else shown[-1500:])
    wrong = wrong or (f"control characters {odd!r} in {shown[-500:]!r}" if odd else "")
    wrong = wrong or (
        "" if code in (0, 1, 2, 3) and len(errors) == bool(code) else f"exit {code!r}, said {err.getvalue()[-500:]!r}"
    )
    return {"code": code, "wrong": wrong, "said": (errors or [""])[0][:300]}


def _loaded(read: Callable[[], object]) -> dict[str, Any]:
    """The same of a loader, which may raise what has an exit code."""
    from pushforward.errors import DataError, UsageError

    try:
        read()
    except (DataError, UsageError) as error:
        return {
            "code": error.exit_code,
            "wrong": "" if "\n" not in str(error) else f"lines: {error}",
            "said": str(error)[:300],
        }
    except BaseException:
        return {"code": None, "wrong": traceback.format_exc()[-1500:], "said": ""}
    return {"code": 0, "wrong": "", "said": ""}


def _of_data(folder: Path, path: Path, out: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    from pushforward.data.source import load, read_array
    from pushforward.merging import files

    spec, good, run = str(path), str(folder / "good.npz"), str(folder / "good" / "toy_particles")
    yield "load", lambda: _loaded(lambda: load(spec))
    yield "read", lambda: _loaded(lambda: read_array(spec))
    yield "cells", lambda: _loaded(lambda: files.read(spec, "batch"))
    yield "labels", lambda: _loaded(lambda: load(good, labels=f"{spec}:batch"))
    if path.is_dir():
        net = ["--steps", "1", "--batch", "4", "--width", "8", "--side", "16"]
        yield "train", lambda: _called(["train", "gan_images", "--data", spec, "--run", f"{out}/run", *net])
    else:
        yield (
            "train",
            lambda: _called(["train", "toy_particles", "--data", spec, "--run", f"{out}/run", *OWN["toy_particles"]]),
        )
    ending = path.suffix if path.suffix in (".csv", ".tsv", ".npz", ".h5ad") else ".csv"
    words = ["--batch", "batch", "--target", "a", "--steps", "1"]
    yield "merge", lambda: _called(["merge", spec, *words, "--out", f"{out}/m{ending}", "--page", f"{out}/m.html"])
    yield "transport", lambda: _called(["transport", run, spec, "--out", f"{out}/t.npz"])
    cheap = ["--metrics", "sliced_w2", "--page", f"{out}/e.html"]
    yield "evaluate", lambda: _called(["evaluate", "--fake", spec, "--real", good, *cheap])
    yield (
        "real",
        lambda: _called(
            ["evaluate", "--fake", spec, "--real", spec, "--train", spec, "--metrics", "sliced_w2", "--json"]
        ),
    )
    shutil.rmtree(out, ignore_errors=True)


def _of_run(folder: Path, run: Path, out: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    points, good = str(folder / "points.npz"), str(folder / "good.npz")
    yield "sample", lambda: _called(["sample", str(run), "-n", "4", "--out", f"{out}/s.npz"])
    yield (
        "table",
        lambda: _called(["sample", str(run), "-n", "4", "--out", f"{out}/s.csv", "--checkpoint", "best", "--json"]),
    )
    yield "transport", lambda: _called(["transport", str(run), points, "--out", f"{out}/t.npz"])
    yield "export", lambda: _called(["export", str(run), "--out", f"{out}/e.safetensors"])
    yield "push", lambda: _called(["push", str(run), f"{out}/pushed"])
    yield "report", lambda: _called(["report", str(run), "--out", f"{out}/r.html"])
    yield "compare", lambda: _called(["report", str(run), str(folder / "good" / "toy_vgrow"), "--out", f"{out}/c.html"])
    yield (
        "evaluate",
        lambda: _called(["evaluate", str(run), "-n", "20", "--metrics", "sliced_w2", "--page", f"{out}/e.html"]),
    )
    for recipe, own in OWN.items():
        words = ["train", recipe, "--data", good, "--run", str(run), *own, "--resume"]
        yield f"resume {recipe}", lambda words=words: _called(words)
    shutil.rmtree(out, ignore_errors=True)


def _of_pushed(folder: Path, pushed: Path, out: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    from pushforward.exporting.loading import load_generator

    yield "pull", lambda: _called(["pull", str(pushed), f"{out}/pulled"])
    yield "push", lambda: _called(["push", str(pushed / "model.safetensors"), f"{out}/pushed"])
    yield "generator", lambda: _loaded(lambda: load_generator(pushed)(5))
    shutil.rmtree(out, ignore_errors=True)


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
