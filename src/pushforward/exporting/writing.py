"""Generators written as files: graphs in three formats, each with its card, and none that differs from the run."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from safetensors.torch import save as pack
from torch import Tensor

from pushforward import files
from pushforward.errors import TrainingError, UsageError, needs
from pushforward.exporting.architecture import in_words
from pushforward.exporting.card import Interface
from pushforward.exporting.graph import Both, Graph
from pushforward.exporting.loading import CARD, CARD_FILE, ENDINGS, Generator, of_bytes, quietly
from pushforward.exporting.page import page
from pushforward.plain.kinds import ColumnKind, grid, rounded, rounds
from pushforward.randomness import stream
from pushforward.training.asking import first_of
from pushforward.training.checkpoint import digest_of
from pushforward.training.experiment import Experiment

__all__ = ["TOLERANCE", "Format", "Written", "format_of", "packed", "page_beside", "write"]

Format: TypeAlias = Literal["onnx", "torchscript", "safetensors"]

TOLERANCE = 1e-5  # in model units
CHECKED = 100  # samples that a file is held against the run's own: two blocks, the second not full
Pack: TypeAlias = Callable[[dict[str, Any]], bytes]
"""A card -> the content of a file."""


@dataclass(frozen=True)
class Written:
    """An export in memory, checked.

    Attributes:
        content: The file.
        card: What it says of itself.
        generator: The file, read back.
        notes: What has to be said of the run.
    """

    content: bytes
    card: dict[str, Any]
    generator: Generator
    notes: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """The largest between its samples and the run's own, in model units."""
        return float(self.card["check"]["largest_difference"])


def format_of(out: Path, wanted: str | None) -> Format:
    """The format of a file, by its ending or by name.

    Raises:
        UsageError: If there is no such format, or name and ending differ.
    """
    for kind in get_args(Format):
        if wanted == kind or (wanted is None and out.suffix.lower() in ENDINGS[kind]):
            if out.suffix.lower() not in ENDINGS[kind]:
                raise UsageError(f"--out {out}: a {kind} file ends in {' or '.join(ENDINGS[kind])}")
            return kind
    if wanted is None:
        raise UsageError(f"--out {out}: name a file that ends in .onnx, .pt or .safetensors, or give --format")
    raise UsageError(f"--format {wanted}: use {', '.join(get_args(Format))}")


def page_beside(out: Path) -> Path:
    """Where the page of a file's card stands: model.onnx has model.onnx.md."""
    return out.with_name(f"{out.name}.md")


def packed(experiment: Experiment, graph: Graph, interface: Interface, card: dict[str, Any], kind: Format) -> Written:
    """The content of a file, read back and held against the run's own samples.

    Args:
        experiment: The run.
        graph: Its nets as one module.
        interface: What goes in and comes out.
        card: What is known of it, without its check.
        kind: Format of the file.

    Raises:
        UsageError: If a layer cannot be written so, or packages are missing.
        TrainingError: If the file's samples are not the run's own.
    """
    making: dict[Format, Callable[[Graph, Interface], Pack]] = {
        "safetensors": _tensors, "torchscript": _script, "onnx": _onnx,
    }  # fmt: skip
    pack_with = making[kind](graph, interface)
    difference = _difference(experiment, of_bytes(kind, pack_with(card), "the export"), kind)
    used = {"onnx": "onnxruntime", "torchscript": "torch", "safetensors": "torch"}[kind]
    check = {"samples": CHECKED, "largest_difference": difference, "tolerance": TOLERANCE,
             "with": f"{used} {version(used)}"}  # fmt: skip
    final = pack_with(card | {"check": check})
    found = of_bytes(kind, final, "the export")
    if _difference(experiment, found, kind) != difference:
        raise TrainingError(f"--format {kind}: the file gave other samples when it was read again; nothing was written")
    return Written(final, dict(found.card), found)


def write(out: Path, done: Written) -> Path:
    """Write a file and the page of its card beside it, or neither; gives the page.

    Raises:
        OSError: If one of them cannot be written; it names that one.
    """
    beside = page_beside(out)
    with ExitStack() as both:
        both.enter_context(files.whole_file(out, parents=True)).write_bytes(done.content)
        both.enter_context(files.whole_file(beside)).write_text(page(done.card, out.name), "utf-8")
    return beside


def _difference(experiment: Experiment, found: Generator, kind: str) -> float:
    """The largest difference from the run's own samples of the same latents and classes, in model units.

    Raises:
        TrainingError: If it is above the tolerance, or data units are not those that the run gives.
    """
    known = found.interface.classes
    classes = None if known is None else torch.arange(CHECKED) % len(known)
    own = first_of(experiment, CHECKED, stream(0, "sample"), classes).cpu()
    data, model = found.drawn(CHECKED, 0, classes)
    if model.shape != own.shape:
        raise TrainingError(
            f"--format {kind}: gives samples of shape {tuple(model.shape[1:])}, the run {tuple(own.shape[1:])}; "
            "nothing was written"
        )
    difference = float((model.double() - own.double()).abs().max())
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"--format {kind}: its samples differ from the run's own by {difference:.3g} in model units, more than "
            f"{TOLERANCE:g}; nothing was written: use another format, and pushforward sample until then"
        )
    wanted = np.asarray(experiment.data.decode(model))
    if not _alike(data, wanted, found.interface.kinds):
        raise TrainingError(
            f"--format {kind}: in data units its samples are not those of the run, whose unit is no affine one; "
            "nothing was written: use pushforward sample"
        )
    return difference


def _alike(data: Tensor, wanted: np.ndarray, kinds: Sequence[ColumnKind]) -> bool:
    """Whether samples in data units are those that a unit gives: levels to the last one, numbers up to the arithmetic.

    What is rounded lies between the roundings of numbers a little below and a little above, as rounding keeps order.
    """
    found = data.numpy()
    if found.shape != wanted.shape:
        return False
    if found.dtype == np.uint8:
        return bool((found == wanted).all())
    slack = 1e-5 * (np.ptp(wanted, axis=0) + np.abs(wanted).max() * 1e-7)
    low, high = torch.from_numpy(wanted - slack), torch.from_numpy(wanted + slack)
    if any(map(rounds, kinds)):
        low, high = (rounded(end, grid(kinds)) for end in (low, high))
    return bool(((low <= data) & (data <= high)).all())


def _examples(graph: Graph, interface: Interface) -> tuple[Tensor, ...]:
    """Three latents, and classes where there are some: more than one row, so that no number of them is built in."""
    z = interface.law(stream(0, "show"), 3)
    return (z, torch.arange(3) % len(interface.classes or ())) if graph.conditional else (z,)


def _tensors(graph: Graph, interface: Interface) -> Pack:
    words, tensors = in_words(graph)

    def made(card: dict[str, Any]) -> bytes:
        header = {CARD: json.dumps(card | {"architecture": words})}
        header["digest"] = digest_of(tensors, header)
        return pack(tensors, header)

    return made


def _script(graph: Graph, interface: Interface) -> Pack:
    given = _examples(graph, interface)
    with quietly(), torch.no_grad():
        program = torch.jit.trace_module(graph, {"forward": given, "model_units": given}, check_trace=False)

    def made(card: dict[str, Any]) -> bytes:
        content = io.BytesIO()
        with quietly():
            torch.jit.save(program, content, _extra_files={CARD_FILE: json.dumps(card)})
        return content.getvalue()

    return made


def _onnx(graph: Graph, interface: Interface) -> Pack:
    with needs("onnx onnxruntime onnxscript", "--format onnx:", ", or use --format safetensors"):
        import onnx
        import onnxruntime
        import onnxscript
    del onnxruntime, onnxscript  # used by torch, and by the check
    given, rows = _examples(graph, interface), torch.export.Dim("rows")
    with quietly(), torch.no_grad():
        program = torch.onnx.export(
            Both(graph).eval(),
            given,
            input_names=["latents", "labels"][: len(given)],
            output_names=["samples", "model_units"],
            dynamo=True,
            dynamic_shapes=({0: rows},) * len(given),
            verbose=False,
        )
    assert program is not None
    model = onnx.ModelProto()
    model.CopyFrom(program.model_proto)
    for node in model.graph.node:  # where each came from, in paths of this machine
        del node.metadata_props[:]
        node.doc_string = ""

    def made(card: dict[str, Any]) -> bytes:
        del model.metadata_props[:]
        entry = model.metadata_props.add()
        entry.key, entry.value = CARD, json.dumps(card)
        return model.SerializeToString()

    return made
