"""push and pull: a generator in a folder on disk, laid out as model hubs know it. Nothing is sent or fetched.

    README.md  config.json  model.safetensors (or .onnx, .pt)  samples/samples.npz [samples/samples.png]  SHA256SUMS

README.md is the card as a page, under a header in YAML; config.json is the card; SHA256SUMS lists every other file with
its digest, as `sha256sum --check` reads it. Who pulls a folder gets the files that it lists, as listed, or none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pushforward import files
from pushforward.commands.publishing.export import of_run
from pushforward.data import outputs
from pushforward.errors import DataError, UsageError, printable
from pushforward.exporting.loading import ENDINGS, Generator, model_file, of_bytes
from pushforward.exporting.page import page
from pushforward.pictures import grid

__all__ = ["pull", "push"]

SUMS = "SHA256SUMS"
SAMPLES = 64
LARGEST_LIST = 2**20  # bytes of SHA256SUMS
MOST = 10_000  # files
PORTION = 2**20  # bytes copied at a time
GUARDED = os.O_NOFOLLOW | os.O_NONBLOCK  # through no link, and no wait for a pipe
KEPT_OUT = (".git", ".cache", ".gitattributes", ".gitignore", ".huggingface")  # what hubs and git put beside


def push(
    source: Path, dest: Path, *, licence: str | None = None, which: str = "last", trust: Sequence[str] = ()
) -> dict[str, Any]:
    """Lay a run or an exported file out as a folder.

    Args:
        source: Folder of a run, or a file that `export` wrote.
        dest: The folder; new, or empty.
        licence: Licence of the data, for the card of a run.
        which: "last" or "best" checkpoint of a run.
        trust: Guests that a run may import; the name of a TorchScript file that may run.

    Raises:
        UsageError: If `dest` is there, or lies in the run; or as `export` does.
        DataError: If the source is missing or damaged.
    """
    _new("DEST", dest, [source])
    if source.is_dir():
        done = of_run(source, "safetensors", licence=licence, which=which, trust=trust)
        name, content, found = "model.safetensors", done.content, done.generator
    else:
        if licence is not None:
            raise UsageError(f"--licence {licence!r:.40}: goes with a run; {source} has a card, export the run again")
        place, kind = model_file(source, trust=str(source) in trust)
        name, content = f"model{place.suffix.lower()}", place.read_bytes()  # once: what is laid out is what is read
        found = of_bytes(kind, content, str(source))
    laid = {name: content, "config.json": (json.dumps(dict(found.card), indent=1) + "\n").encode()}
    try:
        laid["README.md"] = (_yaml(found) + page(found.card, name)).encode()
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # a card may say anything
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise DataError(f"{source}: its card is not whole ({said}); export the run again") from error
    laid |= _samples(found)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(laid.items()))
    with _whole(dest) as fresh:
        for name, content in (laid | {SUMS: sums.encode()}).items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            files.write_synced(fresh / name, content)
    return {"dest": str(dest), "files": [*sorted(laid), SUMS]}


def pull(source: Path, dest: Path) -> dict[str, Any]:
    """Copy a folder of `push` to a new place; what is copied is what was checked.

    Args:
        source: The folder, from anywhere.
        dest: Where to; new, or empty.

    Raises:
        UsageError: If `dest` is there, or lies in the source.
        DataError: If a file is missing, altered or not listed, is a link or no file, or its name leads elsewhere.
    """
    _new("DEST", dest, [source])
    listed = _listed(source)
    left_out = _held_against(source, listed)
    with _whole(dest) as fresh:
        for name, wanted in listed.items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            if (digest := _copied(source, name, fresh / name)) != wanted:
                raise DataError(
                    f"{source}: {name} was altered (SHA-256 {digest[:12]}..., listed {wanted[:12]}...); nothing was "
                    "pulled; get the folder again"
                )
        files.write_synced(fresh / SUMS, "".join(f"{wanted}  {name}\n" for name, wanted in listed.items()).encode())
        _readable(fresh, source)
    return {"dest": str(dest), "files": [*listed, SUMS], "notes": left_out}


def _new(what: str, dest: Path, inputs: list[Path]) -> None:
    if not dest.name and str(dest) in ("", "."):
        raise UsageError(f"{what} {str(dest)!r}: name a new folder")
    outputs.claim_folder(what, dest, inputs)
    if os.path.lexists(dest) and (not dest.is_dir() or dest.is_symlink() or any(dest.iterdir())):
        raise UsageError(f"{what} {dest}: is there, and nothing is overwritten; name a new folder")


@contextmanager
def _whole(dest: Path) -> Iterator[Path]:
    """A folder to fill, which appears whole or not at all; folders above it that were made for it go with it."""
    made = files.new_folders(dest.parent)
    try:
        with files.whole_folder(dest) as fresh:
            yield fresh
    except BaseException:
        files.without(made)
        raise


def _yaml(found: Generator) -> str:
    """The header that hubs read, every text quoted as JSON, which YAML reads alike."""
    said = found.card.get("data")
    data: dict[str, Any] = said if isinstance(said, dict) else {}
    tags = ["pushforward", "generative-model", "gradient-flow"]
    lines = ["library_name: pushforward", f"tags: {json.dumps(tags)}"]
    if data.get("kind") == "images":
        lines.append("pipeline_tag: unconditional-image-generation")
    lines.append(f"data_licence: {json.dumps(printable(str(data.get('licence', 'not given'))))}")
    return "---\n" + "\n".join(lines) + "\n---\n"


def _samples(found: Generator) -> dict[str, bytes]:
    """The first samples of seed 0, and of images a grid."""
    classes = found.classes(SAMPLES)
    x = found.drawn(SAMPLES, 0, classes)[0].numpy()
    arrays = {"x": x}
    if classes is not None and found.interface.classes is not None:
        arrays["labels"] = np.array(found.interface.classes)[classes.numpy()]
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    laid = {"samples/samples.npz": content.getvalue()}
    if x.dtype == np.uint8:
        picture = io.BytesIO()
        grid(x).save(picture, "PNG")
        laid["samples/samples.png"] = picture.getvalue()
    return laid


def _listed(source: Path) -> dict[str, str]:
    """Names and digests that a folder lists; every name leads to a place in it."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; name one that pushforward push wrote")
    path = source / SUMS
    try:
        if path.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
            raise DataError(f"{source}: {SUMS} is a link or no file; get the folder again")
        if path.stat().st_size > LARGEST_LIST:
            raise DataError(f"{source}: {SUMS} is larger than {LARGEST_LIST >> 20} MiB; get the folder again")
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise DataError(f"{source}: has no {SUMS}, so it is no folder of pushforward push") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: {SUMS} is no text in UTF-8; get the folder again") from error
    listed = dict[str, str]()
    for k, line in enumerate(text.splitlines()):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None or match[2] in listed or len(listed) >= MOST:
            raise DataError(f"{source}: line {k + 1} of {SUMS} is {line!r:.80}, no digest and new name; get it again")
        name = PurePosixPath(match[2])
        strange = name.is_absolute() or str(name) != match[2] or ".." in name.parts or match[2] == SUMS
        if strange or re.search(r"[\\:\x00-\x1f]", match[2]) or name.parts[0] in KEPT_OUT:
            raise DataError(f"{source}: {SUMS} lists {match[2]!r:.80}, no place in the folder; nothing was pulled")
        listed[match[2]] = match[1]
    if not listed:
        raise DataError(f"{source}: {SUMS} lists nothing; get the folder again")
    return listed


def _held_against(source: Path, listed: dict[str, str]) -> list[str]:
    """Refuse links, devices, and files that are missing or not listed; says what of hubs and git is left out."""
    seen, left_out = set[str](), set[str]()
    for folder, folders, names in os.walk(source, onerror=_raised):
        if Path(folder) == source:
            left_out |= {name for name in (*folders, *names) if name in KEPT_OUT}
            folders[:] = [name for name in folders if name not in KEPT_OUT]
            names = [name for name in names if name not in KEPT_OUT]
        for name in (*folders, *names):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            place = path.relative_to(source).as_posix()
            if stat.S_ISLNK(mode):
                raise DataError(f"{source}: {place} is a link; nothing was pulled; get the files themselves")
            if name in folders:
                continue
            if not stat.S_ISREG(mode):
                raise DataError(f"{source}: {place} is no plain file; nothing was pulled")
            if place != SUMS and place not in listed:
                raise DataError(f"{source}: {place} is not listed in {SUMS}; nothing was pulled; remove it")
            seen.add(place)
    if missing := sorted(listed.keys() - seen):
        raise DataError(f"{source}: {missing[0]} is listed and missing; nothing was pulled; get the folder again")
    return [f"left out: {name}" for name in sorted(left_out)]


def _raised(error: OSError) -> None:
    raise error


def _copied(source: Path, name: str, target: Path) -> str:
    """Copy a file, never through a link, and give the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    try:
        handle = os.open(source / name, os.O_RDONLY | GUARDED)
    except OSError as error:
        raise DataError(f"{source}: {name} cannot be read ({error.strerror}); nothing was pulled") from error
    with open(handle, "rb") as file, target.open("xb") as copy:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise DataError(f"{source}: {name} is no plain file; nothing was pulled")
        while portion := file.read(PORTION):
            digest.update(portion)
            copy.write(portion)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _readable(folder: Path, source: Path) -> None:
    """Refuse what was pulled if its generator cannot be read; a TorchScript file is a program, and left alone."""
    for kind, endings in ENDINGS.items():
        for path in (folder / f"model{ending}" for ending in endings):
            if path.is_file() and kind == "safetensors":
                of_bytes(kind, path.read_bytes(), f"{source / path.name}")
                return
            if path.is_file():
                return
    raise DataError(f"{source}: holds no model.safetensors, model.onnx or model.pt, so it is none of pushforward push")
