"""merge: the cells of other batches of a file onto those of a target batch."""

from __future__ import annotations

import math
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from pushforward import files
from pushforward.commands.coding import BY_RUN, codes_of_run
from pushforward.commands.watching import Watching
from pushforward.data import outputs
from pushforward.data.formats.opening import divided
from pushforward.errors import UsageError, printable
from pushforward.merging.cells import MergeWarning, by_batch, column_of, merge
from pushforward.merging.embedding import Embedded, coded, fitted_on
from pushforward.merging.files import ENDINGS, Matrix, default_rep, read, write
from pushforward.merging.flow.how import How
from pushforward.merging.merger import Merger
from pushforward.merging.plan import named
from pushforward.metrics.integration.table import ABOUT
from pushforward.parallel.ordinary import ordinarily
from pushforward.plain.lists import counted
from pushforward.report.merging import Embedding, write_merge
from pushforward.settings.asked import Merging

__all__ = ["Done", "merge_file"]

MAP = (".safetensors",)


@dataclass(frozen=True)
class Done:
    """A merge that was written.

    Attributes:
        found: What `uns["gpa"]` holds, distances by the batches as they are called.
        out: The file.
        page: The page, or None.
        notes: How the file was read.
        parts: Names of what `moved`, was `left` as asked, and `stayed`, of a plain matrix.
    """

    found: dict[str, Any]
    out: Path
    page: Path | None
    notes: tuple[str, ...] = ()
    parts: dict[str, list[str]] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """One JSON object."""
        pages = {} if self.page is None else {"page": str(self.page)}
        return (
            {"out": str(self.out), "notes": list(self.notes)}
            | self.parts
            | pages
            | {name: _json(value) for name, value in self.found.items()}
        )

    def tables(self) -> list[Table]:
        """Distances, and scores where there are some."""
        whens = {"before": "before", "after": "after", "split": "floor"}
        left = float(self.found.get("w2_reconstruction", math.nan))
        lost = (
            "reconstruction: no way back from this representation"
            if math.isnan(left)
            else f"reconstruction: {left:.3f}"
        )
        tables = list[Table]()
        if not self.found["distances"]:
            return tables
        for kind, caption in (("W2", None), ("energy", lost)):  # one beside the other is too wide for a terminal
            more = {"p_after": "p after"} if caption else {"moved": "moved, radii"}
            distances = Table("batch", *(f"{kind} {when}" for when in whens.values()), *more.values(), caption=caption)
            for name, numbers in self.found["distances"].items():
                row = (numbers[key] for key in (*(f"{kind.lower()}_{when}" for when in whens), *more))
                distances.add_row(Text(printable(name)), *(f"{value:.3f}" for value in row))
            tables.append(distances)
        scores = self.found["scores"]
        table = Table("score", *scores, "1 where")
        for name in ABOUT:
            if scores and name in scores["after"]:
                row = (f"{scores[when][name]:.3f}" if name in scores[when] else "" for when in scores)
                table.add_row(name, *row, ABOUT[name])
        return [*tables, table] if scores else tables


@ordinarily
def merge_file(asked: Merging, command: str = "") -> Done:
    """Merge the cells of a file and write them in its format.

    Args:
        asked: What the user asked.
        command: The command, for the page.

    Raises:
        UsageError: If an option is out of range, or `out` or the page must not be written where it is named.
        DataError: If the file is missing, damaged or unfit.
        OSError: If `out` or the page cannot be written; it names the file.
    """
    asked.check()
    given, _ = divided(asked.file)
    out, allowed = asked.out, ENDINGS.get(given.suffix.lower())
    if allowed is not None:
        outputs.claim("--out", out, allowed, (asked.file, asked.map))
    if asked.page is not None:
        outputs.claim("--page", asked.page, outputs.PAGE, (asked.file, out))
    if asked.save_map is not None:
        outputs.claim("--save-map", asked.save_map, MAP, (asked.file, out, asked.page))
    if asked.map is not None:
        return _mapped(asked, asked.map)
    assert asked.batch is not None
    cells = read(asked.file, asked.batch, asked.labels, asked.exclude, asked.columns)
    rep = default_rep(cells) if asked.use_rep == "auto" else asked.use_rep
    if isinstance(cells, Matrix) and rep != "X" and not rep.startswith("pca:"):
        raise UsageError(f"--use-rep {rep}: a plain matrix has no embeddings: use X or pca:50")
    names = column_of(cells, asked.batch, "batch_key")
    fit = fitted_on(names, asked.target, list(asked.source) or None, asked.fit_on)
    code = codes_of_run(cells, names, rep) if rep.startswith(BY_RUN) else coded(cells, rep, fit, asked.seed)
    _merge(cells, code, asked)
    found = {name: value for name, value in cells.uns["gpa"].items() if name != "map"}
    found |= {"distances": by_batch(found)}
    target = str(found["parameters"]["reference"])
    with ExitStack() as both:  # file and page take their names once both are whole, or neither does
        fresh = both.enter_context(files.whole_file(out, parents=True))
        if asked.page is not None:
            page = both.enter_context(files.whole_file(asked.page, parents=True))
            classes = None if asked.labels is None else named(cells.obs[asked.labels], asked.labels)
            matched = np.asarray(cells.obs["gpa_matched"], bool)
            shown = Embedding(code.z, np.asarray(cells.obsm["X_gpa"]), names, classes, target, matched)
            write_merge(found, shown, page, title=f"{given.name} onto {target}", again=command, seed=asked.seed)
        if asked.save_map is not None:
            Merger.of(cells).save(both.enter_context(files.whole_file(asked.save_map, parents=True)))
        write(cells, fresh, out.suffix.lower())
    plain = isinstance(cells, Matrix)
    more = {} if asked.save_map is None else {"map": str(asked.save_map)}
    return Done(found | more, out, asked.page, cells.notes if plain else (), cells.parts if plain else {})


def _mapped(asked: Merging, place: Path) -> Done:
    """Cells of a file the way of those that were merged before."""
    merger = Merger.load(place)
    batch, labels = asked.batch or merger.batch_key, asked.labels or merger.label_key or None
    merger = replace(merger, batch_key=batch, label_key=labels or "")
    plain = divided(asked.file)[0].suffix.lower() != ".h5ad"
    columns = asked.columns or (merger.names if plain and not asked.exclude else ())
    cells = read(asked.file, batch, labels if merger.by_class else None, asked.exclude, columns)
    names = column_of(cells, batch, "batch_key")
    code = codes_of_run(cells, names, merger.rep) if merger.rep.startswith(BY_RUN) else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MergeWarning)
        merger.transport(cells, use_rep=code)
    told = [str(one.message) for one in caught if issubclass(one.category, MergeWarning)]
    moved, matched = np.asarray(cells.obs["gpa_path_length"]) > 0, np.asarray(cells.obs["gpa_matched"], bool)
    with files.whole_file(asked.out, parents=True) as fresh:
        write(cells, fresh, asked.out.suffix.lower())
    staying = int((merger.batches(cells) == merger.map.reference).sum())
    numbers = {"cells": len(moved), "target_cells": staying, "moved_cells": int(moved.sum()),
               "unmatched": int((~matched).sum())}  # fmt: skip
    found = numbers | {"map": str(place), "distances": {}, "scores": {}, "warnings": told}
    done = (
        f"{counted(len(moved), 'cell')} by {place}: {moved.sum()} moved, {(~matched).sum()} without a counterpart, "
        f"{staying} of the target {merger.map.reference}, which stay"
    )
    return Done(found, asked.out, None, (*cells.notes, done) if plain else (done,), cells.parts if plain else {})


def _merge(cells: Any, code: Embedded, asked: Merging) -> None:
    """Merge under a bar that says what is being done."""
    assert asked.batch is not None
    with Watching() as watch, warnings.catch_warnings():
        warnings.simplefilter("ignore", MergeWarning)  # these are told in the end
        doing = ""

        def tick(words: str, fraction: float) -> None:
            nonlocal doing
            if words != doing:
                doing = words
                watch.begin(words, 0.0)
            watch.tick(fraction)

        merge(
            cells,
            asked.batch,
            list(asked.source) or None,
            asked.target,
            use_rep=code,
            label_key=asked.labels,
            mode=asked.mode,
            fit_on=asked.fit_on,
            keep=asked.keep,
            scarce=asked.scarce,
            unmatched=asked.unmatched,
            how=How(divergence=asked.divergence, lipschitz=asked.lipschitz, steps=asked.steps),
            n_boot=asked.n_boot,
            seed=asked.seed,
            threads=asked.threads or 1,
            tick=tick,
        )


def _json(value: Any) -> Any:
    """Arrays as lists, numbers that are none as null."""
    if isinstance(value, dict):
        return {name: _json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return [_json(part) for part in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
