"""Run folders of which one file says what it should not; checkpoints among them vouch for what they hold."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from pushforward.training import checkpoint
from tests.malformed.crafted import ESCAPE, NAMES
from tests.malformed.damaged import KINDS, changed

__all__ = ["pushed", "runs", "spoiled"]

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    2**70,
    1e308,
    float("nan"),
    "",
    "x",
    f"[bold]{ESCAPE}</b>",
    [],
    {},
    [1, "x"],
    {"x": {"y": []}},
    [[]] * 3,
    "9" * 5000,
    ["a"] * 50,
)
TENSORS: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda x: x[None],
    lambda x: x.flatten()[:1],
    lambda x: x.double(),
    lambda x: torch.zeros_like(x, dtype=torch.int64),
    lambda x: x.half(),
    lambda x: torch.zeros(0),
    lambda x: torch.zeros(3, 5, 7),
    lambda x: x.bool(),
    lambda x: x * 1e38,
    lambda x: torch.zeros(10_000_000, dtype=torch.uint8),
    lambda x: None,
)


def runs(folder: Path, good: list[Path], count: int = 200, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Copy good runs and spoil a file of each copy: kind and folder of each."""
    rng = np.random.default_rng(seed)
    ways = (_description, _weights, _state, _log, _description, _metrics, _weights, _state, _samples, _header, _pipe)
    for i in range(count):
        home = folder / f"{i:03}" / "run"
        shutil.copytree(good[int(rng.integers(len(good)))], home)
        way = ways[i % len(ways)]
        way(home, rng)
        yield way.__name__[1:], home


def pushed(folder: Path, good: Path, count: int = 40, seed: int = 0) -> Iterator[tuple[str, Path]]:
    """Copy a folder of push and spoil a file, or the card in the header of its model, whose digest then is right."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        home = folder / f"{i:03}" / "pushed"
        shutil.copytree(good, home)
        if i % 2:
            path = _one(rng, sorted(path for path in home.rglob("*") if path.is_file()))
            path.write_bytes(changed(_one(rng, KINDS[:4]), path.read_bytes(), rng))
        else:
            _carded(home / "model.safetensors", rng)
        yield "pushed", home


def _carded(path: Path, rng: np.random.Generator) -> None:
    with safe_open(path, "pt") as file:
        header, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["pushforward"] = json.dumps(spoiled(json.loads(header["pushforward"]), rng))
    header["digest"] = checkpoint.digest_of(tensors, {"pushforward": header["pushforward"]})
    path.write_bytes(save(tensors, header))


def _one(rng: np.random.Generator, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def spoiled(value: Any, rng: np.random.Generator) -> Any:
    """A copy of nested dictionaries and lists in which one value, or one key, is another."""
    value = copy.deepcopy(value)
    node, depth = value, int(rng.integers(1, 5))
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = _one(rng, keys)
        child = node[key]
        if depth > 1 and isinstance(child, dict | list) and child:
            node, depth = child, depth - 1
            continue
        if isinstance(node, dict) and rng.random() < 0.15:
            del node[key]
        elif isinstance(node, dict) and rng.random() < 0.1:
            node[_one(rng, NAMES)] = node.pop(key)
        else:
            node[key] = _one(rng, VALUES)
        return value


def _description(run: Path, rng: np.random.Generator) -> None:
    path = run / "run.json"
    if rng.random() < 0.15:
        wrong = (
            b"",
            b"[]",
            b"null",
            b"\xff\xfe",
            b"{" * 100_000,
            b'{"a": ' * 5000 + b"1" + b"}" * 5000,
            b'"' + b"x" * 10**6 + b'"',
            b"{}",
        )
        path.write_bytes(_one(rng, wrong))
    else:
        path.write_text(json.dumps(spoiled(json.loads(path.read_text()), rng)))


def _log(run: Path, rng: np.random.Generator) -> None:
    wrong = (
        b"1.5\n2\n[]\nnull\n",
        b"\xff\xfe\x00\n",
        b'{"step": 1, "x": "' + b"y" * 120_000 + b'"}\n',
        b'{"step": "1"}\n',
        b'{"step": 1e400}\n',
        b'{"step": {}}\n',
        b'{"step": ' + b"9" * 5000 + b"}\n",
        b'{"step": 1, "loss": {"x": 1}, "b": [1], "c": true}\n',
        b"{" * 50_000,
        b'{"step": 1, "' + NAMES[0].encode() + b'": 1, "' + NAMES[2].encode() + b'": 2, "$x^$": 3}\n',
        b"[" * 50_000 + b"\n",
        b"\n" * 1000,
        b'{"step": 1, "loss": 1e308}\n{"step": 1, "loss": -1e308}\n',
        b'{"step": -5, "score": NaN}\n',
        b'{"step": 1}' * 2000,
        b"\0" * 1000,
        b'{"step": 1, "stage": 3, "seconds": "x"}\n',
    )
    with (run / "log.jsonl").open("ab" if rng.random() < 0.5 else "wb") as file:
        file.write(_one(rng, wrong))


def _metrics(run: Path, rng: np.random.Generator) -> None:
    path = run / "metrics.json"
    path.write_text(json.dumps(spoiled(json.loads(path.read_text()), rng)))


def _samples(run: Path, rng: np.random.Generator) -> None:
    path = _one(rng, sorted((run / "samples").glob("*.npz")))
    content = path.read_bytes()
    at = int(rng.integers(len(content)))
    wrong = (b"", content[:at], content[:at] + b"\xff" * 9 + content[at + 9 :], b"PK\5\6" + bytes(18), b"text")
    path.write_bytes(_one(rng, wrong))
    if rng.random() < 0.3:
        shapes = (
            np.zeros((0, 2)),
            np.full((5, 2), np.nan),
            np.zeros((5, 2, 2)),
            np.full((5, 2), 1e308),
            np.zeros((5, 40)),
            np.array(NAMES),
        )
        np.savez(path, x=_one(rng, shapes), labels=np.array([2**40] * 5), names=np.array(NAMES))


def _stored(run: Path, rng: np.random.Generator) -> tuple[Path, checkpoint.Checkpoint]:
    folder = run / "checkpoints" / "last"
    return folder, checkpoint.load(folder)


def _weights(run: Path, rng: np.random.Generator) -> None:
    folder, saved = _stored(run, rng)
    weights = dict(saved.weights)
    name = _one(rng, sorted(weights))
    found = _one(rng, TENSORS)(weights.pop(name))
    if found is not None:
        odd = (name, name, name, f"{name}.more", f"tape.999999999.{name}", NAMES[0], "", "__class__.x", f"{name}.0")
        weights[_one(rng, odd)] = found.contiguous()
    checkpoint.save(folder, weights, saved.resume or {}, saved.run)


def _state(run: Path, rng: np.random.Generator) -> None:
    folder, saved = _stored(run, rng)
    state: Any = (
        spoiled(saved.resume, rng) if rng.random() < 0.85 else _one(rng, ([], 3, "x", None, torch.zeros(3), {}))
    )
    checkpoint.save(folder, saved.weights, state, saved.run)


def _header(run: Path, rng: np.random.Generator) -> None:
    folder, saved = _stored(run, rng)
    told: Any = spoiled(saved.run, rng) if rng.random() < 0.85 else _one(rng, ([], 3, "x", None, {}))
    checkpoint.save(folder, saved.weights, saved.resume or {}, told)


def _pipe(run: Path, rng: np.random.Generator) -> None:
    names = (
        "run.json",
        "log.jsonl",
        "metrics.json",
        "checkpoints/last/weights.safetensors",
        "checkpoints/last/resume.pt",
        "samples/data.npz",
        "samples/step-000000.npz",
        "report.html",
    )
    path = run / _one(rng, names)
    path.unlink(missing_ok=True)
    if rng.random() < 0.3:
        path.mkdir()
    elif rng.random() < 0.4:
        path.symlink_to(_one(rng, ("/dev/zero", "/dev/full", path.name, "/nowhere/at/all")))
    else:
        os.mkfifo(path)
