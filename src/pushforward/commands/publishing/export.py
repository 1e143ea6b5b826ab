"""export: a run's generator as one file, with its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward import files
from pushforward.commands.rebuilding import rebuild, standing
from pushforward.data import outputs
from pushforward.errors import UsageError
from pushforward.exporting import writing
from pushforward.exporting.loading import ENDINGS
from pushforward.exporting.of_run import card_of, graph_and_interface
from pushforward.exporting.page import MARK
from pushforward.files import layout

__all__ = ["export", "of_run"]

LONGEST = 2000  # characters of a licence


def export(
    folder: Path,
    out: Path,
    wanted: str | None = None,
    *,
    licence: str | None = None,
    which: str = "last",
    trust: Sequence[str] = (),
) -> dict[str, Any]:
    """Write a run's generator and the page of its card, or nothing.

    Args:
        folder: The run.
        out: F.onnx, F.pt or F.safetensors.
        wanted: "onnx", "torchscript" or "safetensors"; None for what the ending says.
        licence: Licence of the data, in words.
        which: "last" or "best".
        trust: Guests that may be imported.

    Raises:
        UsageError: If the run's samples are no pass of nets, a layer cannot be written so, packages are missing, or
            `out` must not be written there.
        DataError: If the run is missing, damaged or unfit.
        TrainingError: If the file's samples differ from the run's own.
    """
    kind = writing.format_of(out, wanted)
    beside = writing.page_beside(out)
    outputs.claim("--out", out, ENDINGS[kind], outputs.read_by(folder))
    outputs.claim("the card of --out", beside, (".md",), outputs.read_by(folder))
    if beside.exists() and not beside.read_text("utf-8", "replace").startswith(MARK):
        raise UsageError(
            f"--out {out}: its card goes to {beside}, which is there and is none; move it, or name another"
        )
    done = of_run(folder, kind, licence=licence, which=which, trust=trust)
    writing.write(out, done)
    return {
        "out": str(out),
        "format": kind,
        "bytes": len(done.content),
        "largest_difference": done.difference,
        "card": str(beside),
        "notes": list(done.notes),
    }


def of_run(
    folder: Path, kind: writing.Format, *, licence: str | None, which: str, trust: Sequence[str]
) -> writing.Written:
    """A run's generator in a format, checked, in memory; arguments and errors as of `export`."""
    if licence is not None and not 0 < len(licence.strip()) <= LONGEST:
        raise UsageError(f"--licence {licence!r:.40}: give 1 to {LONGEST} characters, for example 'CC BY 4.0'")
    experiment, run = rebuild(folder, which, trust)
    graph, interface = graph_and_interface(experiment, str(run["recipe"]))
    try:
        metrics = files.read_object(folder / layout.METRICS)
    except FileNotFoundError:
        metrics = None
    card = card_of(experiment, run, interface, graph, metrics=metrics, licence=licence)
    return replace(writing.packed(experiment, graph, interface, card, kind), notes=standing(run, which))
