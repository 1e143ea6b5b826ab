"""export, push and pull as the command line takes them; nothing heavy is imported before one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from pushforward.errors import shortened
from pushforward.faces.answers import answer
from pushforward.settings.asked import Which

__all__ = ["export", "pull", "push"]


def export(
    run: Positional[Path],
    /,
    *,
    out: Path,
    format: Literal["onnx", "torchscript", "safetensors"] | None = None,
    licence: str | None = None,
    checkpoint: Which = "last",
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Write a run's generator as one file for elsewhere, with a card, after a check against the run's own samples.

    Args:
        run: Folder of the run.
        out: F.onnx, F.pt or F.safetensors; the page of its card is written beside it, as F.onnx.md.
        format: onnx, torchscript or safetensors; by default what the ending of --out says.
        licence: Licence of the data, in words, for the card.
        checkpoint: Which checkpoint.
        trust: What from outside may be imported, package.module:NAME or package.module: a recipe or a divergence.
        json: Print one JSON object.
    """
    from pushforward.commands.publishing import export as exporting

    done = exporting.export(run, out, format, licence=licence, which=checkpoint, trust=trust)
    notes = "".join(f"note: {shortened(note)}\n" for note in done["notes"])
    differs = f"differs from the run's own samples by {done['largest_difference']:.2g} at most"
    size = f"{done['bytes']:,} bytes"
    answer(done, json, f"{notes}{done['format']}: {out} ({size}), {differs}\ncard: {done['card']}")
    return 0


def push(
    source: Positional[Path],
    dest: Positional[Path],
    /,
    *,
    licence: str | None = None,
    checkpoint: Which = "last",
    trust: tuple[str, ...] = (),
    json: bool = False,
) -> int:
    """Lay a run, or a file of export, out as a new folder that model hubs know; nothing is sent anywhere.

    Args:
        source: Folder of a run, or a file that export wrote.
        dest: The new folder: README.md, config.json, model.safetensors, samples, and a digest of each.
        licence: Licence of the data, in words, for the card of a run.
        checkpoint: Which checkpoint of a run.
        trust: A recipe or divergence from outside that the run names, or a TorchScript file, which is a program.
        json: Print one JSON object.
    """
    from pushforward.commands.publishing import hub

    done = hub.push(source, dest, licence=licence, which=checkpoint, trust=trust)
    answer(done, json, f"{len(done['files'])} files: {dest}")
    return 0


def pull(source: Positional[Path], dest: Positional[Path], /, *, json: bool = False) -> int:
    """Copy a folder of push, wherever it comes from, to a new place, after a check of every file's digest.

    Args:
        source: The folder.
        dest: The new folder.
        json: Print one JSON object.
    """
    from pushforward.commands.publishing import hub

    done = hub.pull(source, dest)
    notes = "".join(f"note: {shortened(note)}\n" for note in done["notes"])
    answer(done, json, f"{notes}{len(done['files'])} files, digests as listed: {dest}")
    return 0
