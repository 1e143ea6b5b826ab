"""The page of a run, or one that compares several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward.data import outputs
from pushforward.errors import DataError
from pushforward.files import layout
from pushforward.report import page_for, write_report

__all__ = ["report"]


def report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of one run, or one page that compares several.

    Raises:
        DataError: If a folder holds no run.
        UsageError: If the page is none by its ending, or would replace a file of a run.
        OSError: If it cannot be written; it names the file.
    """
    for folder in folders:
        if not layout.begun(folder):
            raise DataError(f"{folder}: no run.json here; name the folder of a run, as given to train --run")
        outputs.plain(folder, (folder / layout.REPORT,))
    page, read = page_for(folders) if out is None else out, [path for one in folders for path in outputs.read_by(one)]
    outputs.claim("--out", page, outputs.PAGE, read, report_of=folders[0] if len(folders) == 1 else None)
    return write_report(folders, page)
