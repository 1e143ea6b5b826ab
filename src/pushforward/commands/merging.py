"""merge: the cells of other batches of a file onto those of a target batch."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from pushforward.commands.watching import Watching
from pushforward.data.formats.opening import divided
from pushforward.errors import UsageError
from pushforward.merging.cells import coded, merge
from pushforward.merging.cloud import How
from pushforward.merging.files import ENDINGS, Matrix, default_rep, read, write
from pushforward.merging.plan import named
from pushforward.metrics.integration.table import ABOUT
from pushforward.report.merging import Embedding, write_merge

__all__ = ["Done", "merge_file"]


@dataclass(frozen=True)
class Done:
    """A merge that was written.

    Attributes:
        found: What `uns["gpa"]` holds.
        out: The file.
        page: The page, or None.
    """

    found: dict[str, Any]
    out: Path
    page: Path | None

    def summary(self) -> dict[str, Any]:
        """One JSON object."""
        pages = {} if self.page is None else {"page": str(self.page)}
        return {"out": str(self.out)} | pages | {name: _json(value) for name, value in self.found.items()}

    def tables(self) -> list[Table]:
        """Distances, and scores where there are some."""
        whens = ("before", "after", "split")
        left = float(self.found.get("w2_reconstruction", math.nan))
        lost = (
            "reconstruction: no way back from this representation"
            if math.isnan(left)
            else f"reconstruction: {left:.3f}"
        )
        distances = Table("batch", *(f"{kind} {when}" for kind in ("W2", "energy") for when in whens), caption=lost)
        for name, numbers in self.found["distances"].items():
            row = (numbers[f"{kind}_{when}"] for kind in ("w2", "energy") for when in whens)
            distances.add_row(name, *(f"{value:.3f}" for value in row))
        scores = self.found["scores"]
        table = Table("score", *scores, "1 where")
        for name in ABOUT:
            if scores and name in scores["after"]:
                row = (f"{scores[when][name]:.3f}" if name in scores[when] else "" for when in scores)
                table.add_row(name, *row, ABOUT[name])
        return [distances, table] if scores else [distances]


def merge_file(
    file: str,
    *,
    batch: str,
    target: str,
    out: Path,
    sources: tuple[str, ...] = (),
    labels: str | None = None,
    mode: Any = None,
    use_rep: str = "auto",
    how: How | None = None,
    fit_on: Any = "pooled",
    scarce: Any = "error",
    n_boot: int = 0,
    seed: int = 0,
    page: Path | None = None,
    command: str = "",
) -> Done:
    """Merge the cells of a file and write them in its format.

    Args:
        file: FILE.h5ad, FILE.csv, FILE.tsv or FILE.npz[:key].
        batch: Column or array of batches.
        target: The batch that stays.
        out: Where to write, with the ending of the file.
        sources: Batches that move; all others if none is named.
        labels: Column or array of classes, or None.
        mode: See `merge_arrays`.
        use_rep: An embedding of obsm, X, pca:K, or auto.
        how: Settings of the flow.
        fit_on: pooled or target, for pca:K.
        scarce: error or carry.
        n_boot: Refits.
        seed: Seed of everything.
        page: Where to write a page.
        command: The command, for the page.
    """
    given, _ = divided(file)
    allowed = ENDINGS.get(given.suffix.lower())
    if allowed is not None and out.suffix.lower() not in allowed:
        raise UsageError(f"--out {out}: {given} is written in its own format: use {out.with_suffix(allowed[0])}")
    if page is not None and page.suffix not in (".html", ".htm"):
        raise UsageError(f"--page {page}: a page is one HTML file; use {page.with_suffix('.html')}")
    cells = read(file, batch, labels)
    rep = default_rep(cells) if use_rep == "auto" else use_rep
    if isinstance(cells, Matrix) and rep != "X" and not rep.startswith("pca:"):
        raise UsageError(f"--use-rep {rep}: a plain matrix has no embeddings: use X or pca:50")
    with Watching() as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        doing = ""

        def tick(words: str, fraction: float) -> None:
            nonlocal doing
            if words != doing:
                doing = words
                watch.begin(words, 0.0)
            watch.tick(fraction)

        merge(
            cells,
            batch,
            list(sources) or None,
            target,
            use_rep=rep,
            label_key=labels,
            mode=mode,
            fit_on=fit_on,
            scarce=scarce,
            how=how,
            n_boot=n_boot,
            seed=seed,
            tick=tick,
        )
    found = dict(cells.uns["gpa"])
    if page is not None:
        names = named(cells.obs[batch], batch)
        fit = (names == target) | ((fit_on == "pooled") & (np.isin(names, list(sources)) if sources else True))
        before = coded(cells, rep, fit, seed).z
        classes = None if labels is None else named(cells.obs[labels], labels)
        shown = Embedding(before, np.asarray(cells.obsm["X_gpa"]), names, classes, target)
        write_merge(found, shown, page, title=f"{given.name} onto {target}", again=command, seed=seed)
    write(cells, out)
    return Done(found, out, page)


def _json(value: Any) -> Any:
    """Arrays as lists, numbers that are none as null."""
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return [_json(part) for part in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
