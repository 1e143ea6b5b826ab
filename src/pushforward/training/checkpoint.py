"""Checkpoints: two files that vouch for each other, written so that a crash leaves the old pair or the new one.

    weights.safetensors   tensors of the model; its header holds the run, a digest of everything in the file, and the
                          digest of its partner
    resume.pt             optimisers, random states, position of the stream; read with `weights_only=True`

A checkpoint is a folder. It is written beside its place, synced, and renamed into it.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as pack
from torch import Tensor

from pushforward import files
from pushforward.errors import DataError, NotFinite, of_memory

__all__ = ["Checkpoint", "digest_of", "exists", "load", "repair", "save"]

WEIGHTS, RESUME = "weights.safetensors", "resume.pt"
TRIES = 3  # readings of a checkpoint that is replaced meanwhile


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        weights: Tensors by name.
        resume: State of training; None if it was not asked for.
        run: The run's description, as in run.json.
    """

    weights: dict[str, Tensor]
    resume: dict[str, Any] | None
    run: dict[str, Any]


def save(folder: Path, weights: dict[str, Tensor], resume: dict[str, Any], run: dict[str, Any]) -> None:
    """Write a checkpoint in place of the one that may be there.

    Args:
        folder: The checkpoint's folder, for example DIR/checkpoints/last.
        weights: Contiguous tensors on the CPU, no two sharing memory.
        resume: Tensors, numbers, strings, and lists and dictionaries of them.
        run: JSON-able description of the run.

    Raises:
        NotFinite: If a weight is not finite; the checkpoint that was there stays.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NotFinite(
                f"tensor {name} is not finite, so no checkpoint was written; the one before is intact",
                "continue from it with a smaller learning rate or step",
            )
    buffer = io.BytesIO()
    torch.save(resume, buffer)
    header = {"run": json.dumps(run, sort_keys=True), "resume": hashlib.sha256(buffer.getvalue()).hexdigest()}
    header["digest"] = digest_of(weights, header)
    with files.whole_folder(folder) as fresh:
        files.write_synced(fresh / RESUME, buffer.getvalue())
        files.write_synced(fresh / WEIGHTS, pack(weights, header))


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint."""
    return (folder / WEIGHTS).exists()


def repair(folder: Path) -> None:
    """Complete a replacement that a crash cut short; the process that trains the run, and no other, may do this."""
    files.complete(folder)


def load(folder: Path, *, resume: bool = True) -> Checkpoint:
    """Read and verify a checkpoint, also beside a process that replaces it; nothing is renamed.

    Args:
        folder: The checkpoint's folder.
        resume: Whether to read the state of training too.

    Raises:
        DataError: If a file is missing, damaged, or not the partner of the other.
    """
    for _ in range(TRIES):
        place = files.present(folder)
        seen = _identity(place)
        try:
            return _load(place, resume)
        except DataError:
            if _identity(files.present(folder)) == seen:  # nobody replaced it meanwhile
                raise
    return _load(files.present(folder), resume)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from the one that takes its place; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _load(folder: Path, resume: bool) -> Checkpoint:
    if not exists(folder):
        raise DataError(f"{folder}: no checkpoint here; train a run first, or name its folder (the one with run.json)")
    path = folder / WEIGHTS
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _unread(path, error, resume=resume) from error
    claimed = header.pop("digest", None)
    if not {"run", "resume"} <= header.keys() or claimed != digest_of(weights, header):
        raise _damaged(path, "its contents do not match its digest", resume=resume)
    try:
        run = json.loads(header["run"])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its run is no JSON ({error})", resume=resume) from error
    if not isinstance(run, dict):
        raise _damaged(path, f"its run is a {type(run).__name__}, not an object", resume=resume)
    return Checkpoint(weights, _load_resume(folder / RESUME, header["resume"]) if resume else None, run)


def _load_resume(path: Path, digest: str) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unread(path, error, resume=True) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, "it is not the partner of weights.safetensors", resume=True)
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what is no pickle of tensors is told by errors of many kinds
        if of_memory(error):
            raise
        raise _damaged(path, str(error).partition("\n")[0][:200], resume=True) from error
    if not isinstance(state, dict):
        raise _damaged(path, f"it holds a {type(state).__name__}, not a dictionary", resume=True)
    return state


def _unread(path: Path, error: Exception, *, resume: bool) -> DataError:
    """The error for a file that could not be read, which may be whole where the system refused to give it."""
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError | IsADirectoryError):
        return _damaged(path, str(error), resume=resume)
    said = f"cannot be read ({error.strerror or error}); nothing was loaded from it, and it may be whole"
    return DataError(f"{path}: {said}: see to its permissions and the disk, then try again")


def _damaged(path: Path, why: str, *, resume: bool) -> DataError:
    """The error for a damaged file. To train on there is no other checkpoint; to sample there may be."""
    if resume:
        remedy = "a run continues from its last checkpoint alone: restore it, or start a new run in another folder"
    else:
        other = "--checkpoint best" if "last" in path.parent.name else "--checkpoint last"
        remedy = f"use {other}, or train again"
    return DataError(f"{path}: damaged ({' '.join(why.split())}); nothing was loaded from it; {remedy}")


def digest_of(weights: dict[str, Tensor], header: dict[str, str]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, and over the rest of the header."""
    sha = hashlib.sha256(json.dumps({key: header[key] for key in header if key != "digest"}, sort_keys=True).encode())
    for name in sorted(weights):
        tensor = weights[name].contiguous()
        sha.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        sha.update(tensor.view(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return sha.hexdigest()
