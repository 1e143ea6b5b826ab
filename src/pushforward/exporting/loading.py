"""Exported generators, read back: by torch alone, by TorchScript, or by onnxruntime. No recipe is imported."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as unpack
from torch import Tensor

from pushforward.errors import DataError, UsageError, needs
from pushforward.exporting.architecture import graph_of
from pushforward.exporting.card import Interface, interface_of, parsed
from pushforward.exporting.wanted import Wanted, places_of
from pushforward.plain.kinds import class_names, columns
from pushforward.plain.words import Words
from pushforward.randomness import blocks, filled, stream
from pushforward.training.checkpoint import digest_of

__all__ = ["CARD", "CARD_FILE", "ENDINGS", "Generator", "load_generator", "model_file", "of_bytes", "quietly"]

ENDINGS = {"safetensors": (".safetensors",), "onnx": (".onnx",), "torchscript": (".pt", ".ts", ".torchscript")}
CARD = "pushforward"  # key of the card in a header or in metadata
CARD_FILE = "card.json"  # its name in a TorchScript archive
Answers = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""(latents, classes or None) -> samples in data units, and in model units."""


@dataclass(frozen=True, eq=False)
class Generator:
    """A generator out of a file: `generator(n, seed=0, labels=None)` gives samples in data units.

    The same seed gives the samples of `pushforward sample RUN --seed SEED`, rounded where these are, up to the
    arithmetic of another machine, and of two numbers of samples the fewer are the first of the more.

    Attributes:
        card: Everything that the file says of itself.
        interface: Latents, classes, columns and shape of a sample.
        answers: The nets.
    """

    card: Mapping[str, Any]
    interface: Interface
    answers: Answers

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a table; empty where the data name none."""
        return self.interface.columns

    def __call__(self, n: int, *, seed: int = 0, labels: Wanted = None) -> Tensor:
        """New samples.

        Args:
            n: How many, at least 1.
            seed: Seed of the latents, and of the classes where none are wanted.
            labels: The class wanted, or classes, repeated in turn: by name, by the number that is the name, or, where
                no name is a number, by their place, from 0; None draws them as often as the data have them.

        Returns:
            Samples in data units: float64 (n, *event) of points, in which whole numbers are whole, truth values 0 or 1
            and dates, in days since 1970-01-01, as fine as those of the data; uint8 (n, height, width[, channels]) of
            images.

        Raises:
            UsageError: If n is below 1, or there are no such classes.
        """
        return self.drawn(n, seed, self.classes(n, seed, labels))[0]

    def table(self, n: int, *, seed: int = 0, labels: Wanted = None) -> dict[str, np.ndarray]:
        """The same as columns of the types that the data have, as `pushforward sample --out F.csv` writes them.

        Args:
            n: How many, at least 1.
            seed: As of a call.
            labels: As of a call.

        Returns:
            float64, int64, bool or datetime64 (n,) by name, and the class of each sample last, where there are some;
            `pandas.DataFrame` takes it as it is.

        Raises:
            UsageError: As calling does, or if samples are images.
        """
        classes = self.classes(n, seed, labels)
        x = self.drawn(n, seed, classes)[0].numpy()
        if x.dtype == np.uint8 or x.ndim != 2:
            raise UsageError("table: the samples of this generator are images, and no rows of columns; call it")
        known = self.interface
        named = None if classes is None else class_names(known.classes or ())[classes.numpy()]
        return columns(x, known.columns, known.kinds, known.label, named)

    def of(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Samples of given latents, (n, *latent), and classes by place, (n,), where there are some."""
        return self.answers(z, classes)[0]

    def classes(self, n: int, seed: int = 0, labels: Wanted = None) -> Tensor | None:
        """The classes that a call with these arguments gives samples of, by place, (n,); None where there are none.

        Raises:
            UsageError: As calling does.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UsageError(f"n {n!r}: give a whole number of samples, at least 1")
        known = self.interface.classes
        if labels is None:
            return self.interface.drawn(n, stream(seed, "sample", part="labels"))
        if known is None:
            raise UsageError("labels given, but this generator has no classes: leave them out")
        places = torch.tensor(places_of(labels, known))
        return places.repeat(n // len(places) + 1)[:n]

    def drawn(self, n: int, seed: int, classes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Samples of a seed's latents and given classes, in data units and in model units."""
        rng, parts = stream(seed, "sample"), list[tuple[Tensor, Tensor]]()
        for start, size in blocks(n):
            given = None if classes is None else filled(classes, start, size)
            parts.append(self.answers(self.interface.law(rng, size), given))
        data, model = (torch.cat(part)[:n] for part in zip(*parts, strict=True))
        return data, model


def load_generator(path: str | os.PathLike[str], *, trust: bool = False) -> Generator:
    """A generator from a file that `pushforward export` wrote, or a folder of `pushforward push`.

    Args:
        path: F.safetensors, of which nothing is executed; F.onnx, for onnxruntime; F.pt, TorchScript, a program; or a
            folder with one of them as its `model`.
        trust: Whether a program may run.

    Raises:
        DataError: If the file is missing, damaged, or its card tells what it must not.
        UsageError: If it is a program and `trust` is False, or onnxruntime is not installed.
    """
    place, kind = model_file(path, trust=trust)
    return of_bytes(kind, place.read_bytes(), str(place))


def model_file(path: str | os.PathLike[str], *, trust: bool) -> tuple[Path, str]:
    """The file of a generator and its kind, a key of `ENDINGS`; arguments and errors as of `load_generator`."""
    place = Path(path)
    if place.is_dir():
        models = [place / f"model{ending}" for endings in ENDINGS.values() for ending in endings]
        inside = [file for file in models if file.is_file() and not file.is_symlink()]
        if not inside:
            raise DataError(f"{place}: holds no model.safetensors, model.onnx or model.pt; name the folder of a push")
        place = inside[0]
    kinds = [kind for kind, endings in ENDINGS.items() if place.suffix.lower() in endings]
    if not kinds:
        raise DataError(f"{place}: name a file that ends in .safetensors, .onnx or .pt")
    if not place.is_file():
        raise DataError(f"{place}: no such file; write it with pushforward export")
    if kinds[0] == "torchscript" and not trust:
        raise UsageError(f"{place} is a TorchScript file, a program; if you trust it, load it with trust=True")
    return place, kinds[0]


def of_bytes(kind: str, content: bytes, place: str) -> Generator:
    """The same from the content of a file.

    Args:
        kind: A key of `ENDINGS`. A TorchScript file is executed.
        content: What the file holds.
        place: Its name, for messages.
    """
    load = {"safetensors": _of_tensors, "onnx": _of_onnx, "torchscript": _of_script}[kind]
    card, answers = load(content, place)
    return Generator(card, interface_of(card, place), answers)


def _of_tensors(content: bytes, place: str) -> tuple[dict[str, Any], Answers]:
    header, tensors = _opened(content, place)
    card = parsed(header.get(CARD), place)
    if header.get("digest") != digest_of(tensors, {CARD: header[CARD]}):
        raise DataError(f"{place}: the contents do not match their digest, so nothing was loaded; export the run again")
    graph = graph_of(Words.of(card, place).inside("architecture", place), interface_of(card, place))
    wanted = graph.state_dict()
    try:
        if strange := [name for name in wanted if name in tensors and wanted[name].dtype != tensors[name].dtype]:
            raise RuntimeError(f"{strange[0]} is of {tensors[strange[0]].dtype}, not {wanted[strange[0]].dtype}")
        graph.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{place}: tensors and card disagree ({said}); export the run again") from error
    graph.requires_grad_(False).eval()

    @torch.no_grad()
    def answers(z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        x = graph.model_units(z, labels)
        return graph.unit(x), x

    return card, answers


def _opened(content: bytes, place: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The words in the header of a safetensors file, and its tensors."""
    try:
        tensors = unpack(content)  # also checks that the header is whole
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
        return {str(key): str(value) for key, value in header.items()}, tensors
    except (SafetensorError, ValueError, AttributeError, RecursionError, KeyError, TypeError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(f"{place}: no readable safetensors file ({said}); export the run again") from error


def _of_script(content: bytes, place: str) -> tuple[dict[str, Any], Answers]:
    extra: dict[str, Any] = {CARD_FILE: ""}
    try:
        with quietly():
            program = torch.jit.load(io.BytesIO(content), map_location="cpu", _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:120]
        raise DataError(f"{place}: no readable TorchScript file ({said}); export the run again") from error
    card = parsed(extra[CARD_FILE], place)
    program.eval()

    @torch.no_grad()
    def answers(z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        given = (z,) if labels is None else (z, labels)
        return program(*given), program.model_units(*given)

    return card, answers


def _of_onnx(content: bytes, place: str) -> tuple[dict[str, Any], Answers]:
    with needs("onnxruntime", f"{place}: reading ONNX"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # errors of its own, without a common class
        said = " ".join(str(error).split())[:120]
        raise DataError(f"{place}: no readable ONNX file ({said}); export the run again") from error
    card = parsed(session.get_modelmeta().custom_metadata_map.get(CARD), place)
    names = [put.name for put in session.get_inputs()]

    def answers(z: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        given = [z.numpy()] if labels is None else [z.numpy(), labels.numpy()]
        if len(given) != len(names):
            raise DataError(f"{place}: takes {', '.join(names)}, which its card does not say; export the run again")
        found = session.run(["samples", "model_units"], dict(zip(names, given, strict=True)))
        data, model = (torch.from_numpy(part) for part in found)
        return data, model

    return card, answers


@contextmanager
def quietly() -> Iterator[None]:
    """Within: nothing is said of what torch means to replace one day, or of converters that are not installed."""
    log = logging.getLogger("torch.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(before)
