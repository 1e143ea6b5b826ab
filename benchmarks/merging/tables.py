"""The kept results as tables in Markdown: mean ± standard error over the seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.merging.jobs import FLOOR
from benchmarks.merging.journal import Line
from benchmarks.merging.methods import LABELLED, METHODS
from pushforward.benches.statistics import mean

__all__ = ["markdown"]

LEVEL = 0.05
SITUATIONS = {"purity_sources": "purity, sources", "purity_target": "purity, target", "ilisi": "iLISI", "kbet": "kBET",
              "p": f"p (below {LEVEL:g})", "transfer": "transfer", "transfer_all": "transfer, all", "moved": "moved",
              "kept": "kept", "cpu_s": "CPU s"}  # fmt: skip
LABELS = {name: name for name in ("ilisi", "kbet", "kbet_label", "bras", "pcr", "clisi", "asw_label", "connectivity",
                                  "nmi", "ari", "transfer", "total", "w2", "held")} | {"cpu_s": "CPU s"}  # fmt: skip
SPEED = {"cpu_s": "CPU s", "wall_s": "wall s", "data_mb": "data MB", "beyond_mb": "MB beyond the data",
         "peak_mb": "peak MB"}  # fmt: skip
PARTS: dict[str, Mapping[str, str]] = {"situations": SITUATIONS, "labels": LABELS, "speed": SPEED}
"""Parts of the benchmark, and the numbers of each under the names that they have in its table."""

ORDER = [method.name for method in METHODS] + [method.name for method in LABELLED if method not in METHODS] + [FLOOR]


def markdown(lines: Sequence[Line]) -> Iterator[str]:
    """A table for each part and data set, and one of purities by type; what failed, and what computed it."""
    for part, columns in PARTS.items():
        for case in dict.fromkeys(line["case"] for line in lines if line["part"] == part):
            mine = [line for line in lines if (line["part"], line["case"]) == (part, case)]
            yield f"### {part}: {case}\n"
            yield from _table(mine, columns)
            if any(line.get("purity_by_type") for line in mine):
                yield "\nPurity by type, of those that one side lacks:\n"
                yield from _by_type(mine)
            yield f"\n{_said(mine)}\n"


def _table(lines: Sequence[Line], columns: Mapping[str, str]) -> Iterator[str]:
    """A row for each situation and method."""
    columns = {name: title for name, title in columns.items() if any(name in line for line in lines)}
    yield from _head(["situation", "method", "seeds", *columns.values()])
    for situation in dict.fromkeys(line["situation"] for line in lines):
        for method in _methods(lines):
            same = [line for line in lines if (line["situation"], line["method"]) == (situation, method)]
            if any(name in line for line in same for name in (*columns, "failed")):  # where nothing is shared, no floor
                marked = f"{method} (labels)" if same[0].get("labels") else method
                yield _row([situation, marked, str(len(same)), *(_cell(same, name) for name in columns)])


def _by_type(lines: Sequence[Line]) -> Iterator[str]:
    """A row for each situation and type, a column for each method."""
    methods = [name for name in _methods(lines) if name != FLOOR]
    found = dict[tuple[str, str, str], dict[str, list[float | None]]]()
    cells = dict[tuple[str, str, str], list[float | None]]()
    for line in lines:
        for one in line.get("purity_by_type", []):
            row = (line["situation"], one["side"], one["type"])
            found.setdefault(row, {}).setdefault(line["method"], []).append(one["purity"])
            cells.setdefault(row, []).append(one["cells"])
    yield from _head(["situation", "cells of the", "type", "cells", *methods])
    for row, by in found.items():
        yield _row([*row, f"{mean(cells[row]).value:,.0f}", *(_mean(by.get(name, [])) for name in methods)])


def _cell(lines: Sequence[Line], name: str) -> str:
    """A number's mean over the seeds; of a p-value also how often it is small."""
    values = [line.get(name) for line in lines]
    known = [x for x in values if x is not None]
    if not known:
        return "failed" if all("failed" in line for line in lines) else ""
    if name == "p":
        return f"{_mean(values)} ({sum(x < LEVEL for x in known)} of {len(known)})"
    if name.endswith(("_s", "_mb")):
        return _mean(values, ".1f" if name.endswith("_s") else ",.0f")
    return _mean(values)


def _mean(values: Sequence[float | None], form: str = ".3f") -> str:
    """Mean ± standard error, and of how many seeds, where some have none."""
    found = mean(values)
    if not found.n:
        return ""
    spread = "" if found.se is None else f" ± {found.se:{form}}"
    return f"{found.value:{form}}{spread}" + (f" ({found.n} seeds)" if found.n < len(values) else "")


def _methods(lines: Iterable[Line]) -> list[str]:
    """Methods in the order of the tables; others, which the benchmark no longer has, come last."""
    names = dict.fromkeys(line["method"] for line in lines)
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _said(lines: Sequence[Line]) -> str:
    """What failed, and what computed the results."""
    failed = [
        f"- failed: {line['situation']} / {line['method']} / seed {line['seed']}: {line['failed']}"
        for line in lines
        if "failed" in line
    ]
    packages = {method.needs for method in METHODS if method.needs}
    peers = {f"{name} {line[name]}" for line in lines for name in packages if name in line}
    return "\n".join([*failed, f"Computed by {'; '.join(sorted({line['code'] for line in lines} | peers))}."])


def _head(names: Sequence[str]) -> Iterator[str]:
    yield _row(names)
    yield "|---" * len(names) + "|"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
