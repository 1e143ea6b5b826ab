"""The page of a run: samples beside data, numbers beside their floors, curves with how to read them, and the set-up.

A page is one HTML file that loads nothing. A run folder may come from somebody else, so all of its words are escaped,
its numbers are numbers, and the page's policy admits no script but its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward import files
from pushforward.errors import UsageError
from pushforward.files import layout
from pushforward.report.comparison import page_of_many
from pushforward.report.page import page_of_one
from pushforward.report.reading import labels, read_run

__all__ = ["page_for", "write_report"]


def page_for(folders: Sequence[Path]) -> Path:
    """Where the page of runs stands by default: DIR/report.html for one run, beside the first for several."""
    return folders[0] / layout.REPORT if len(folders) == 1 else folders[0].resolve().parent / "comparison.html"


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of a run, or one page that compares several.

    Args:
        folders: Run folders, each with a run.json; whatever else is missing, the page says so.
        out: The page; by default that of `page_for`.

    Returns:
        The page.

    Raises:
        UsageError: If no folder is given.
        DataError: If a run.json is missing or damaged.
    """
    if not folders:
        raise UsageError("no run to report on; name at least one run folder")
    paths = [Path(folder) for folder in folders]
    runs = [read_run(path, label) for path, label in zip(paths, labels(paths), strict=True)]
    out = page_for(paths) if out is None else out
    page = page_of_one(runs[0]) if len(runs) == 1 else page_of_many(runs)
    files.write(out, page.encode("utf-8", "replace"), parents=True)
    return out
