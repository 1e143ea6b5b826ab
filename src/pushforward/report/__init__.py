"""The page of a run: samples beside data, numbers beside their floors, curves with how to read them, and the set-up.

A page is one HTML file that loads nothing. A run folder may come from somebody else, so all of its words are escaped,
its numbers are numbers, and the page's policy admits no script but its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward import files
from pushforward.errors import UsageError
from pushforward.report.comparison import page_of_many
from pushforward.report.page import page_of_one
from pushforward.report.reading import labels, read_run

__all__ = ["write_report"]


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the page of a run, or one page that compares several.

    Args:
        folders: Run folders, each with a run.json; whatever else is missing, the page says so.
        out: The page; by default DIR/report.html for one run, comparison.html beside the first for several.

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
    if out is None:
        out = paths[0] / "report.html" if len(paths) == 1 else paths[0].resolve().parent / "comparison.html"
    page = page_of_one(runs[0]) if len(runs) == 1 else page_of_many(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write(out, page.encode("utf-8", "replace"))
    return out
