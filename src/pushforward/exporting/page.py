"""The card of an exported generator as a page in Markdown, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.errors import printable
from pushforward.plain.kinds import DATES
from pushforward.plain.lists import listed

__all__ = ["MARK", "page"]

MARK = "<!-- card of a generator, written by pushforward -->"
SHOWN = 50  # columns and classes named; the JSON has all of them


def page(card: Mapping[str, Any], file: str) -> str:
    """The card in words.

    Args:
        card: What `exporting.of_run.card_of` gives, with its check.
        file: Name of the file that it describes.
    """
    run, data, interface, check = card["run"], card["data"], card["interface"], card.get("check") or {}
    latents, samples = interface["latents"], interface["samples"]
    lines = [MARK, "", f"# {_said(run['recipe'])} on {_said(data['name'])}", ""]
    lines += [f"A generator in `{_code(file)}`, written by pushforward.", ""]
    lines += _section(
        "How to draw",
        [
            "```python",
            "import pushforward",
            "",
            f'generator = pushforward.load_generator("{_code(file)}"{_trusted(file)})',
            f"samples = generator(64, seed=0{_labelled(interface)})  # {samples['type']}, {_shape(interface, samples)}",
            "```",
        ],
    )
    law = "uniform on [-1, 1]"
    if latents["law"] == "normal":
        law = f"normal, mean {latents.get('mean', 0):g} and standard deviation {latents.get('deviation', 1):g}"
    rows = [
        ("latents", f"{latents['shape']}, {law}"),
        ("classes", listed(interface["classes"], SHOWN) if interface["classes"] else "none"),
        ("samples", f"{samples['type']}, {samples['unit']}"),
        ("rounded", _rounded(samples)),
        ("parameters", f"{card['parameters']:,}"),
    ]
    if check:
        found, allowed = f"{check['largest_difference']:.2g}", f"{check['tolerance']:g}"
        rows.append(("checked", f"{check['samples']} samples against the run's own with {check['with']}: largest "
                                f"difference {found} in model units, allowed {allowed}"))  # fmt: skip
    lines += _section("What goes in and out", _table(rows))
    held = data["rows"]
    rows = [
        ("data", data["name"]),
        ("rows", f"{held['learned_from']} to learn from, {held['held_out']} held out"),
        ("digest", f"sha256 {data['sha256']}…"),
        ("event", f"{data['event']}, {data['kind']}"),
        ("columns", listed(data["columns"], SHOWN) if data["columns"] else "no names"),
        ("classes", listed(data["classes"], SHOWN) if data["classes"] else "none"),
        ("licence of the data", data["licence"]),
    ]
    lines += _section("What it learned from", _table(rows))
    versions = ", ".join(f"{name} {value}" for name, value in run["versions"].items())
    rows = [
        ("command", run["command"] or "not known"),
        ("seed", run["seed"]),
        ("steps", f"{run['step']} of {run['steps']}"),
        ("changed on the way", _legs(run.get("legs") or [])),
        ("versions", versions or "not known"),
    ]
    lines += _section("How it was made", _table(rows))
    lines += _section("How good it is", _numbers(card["metrics"]))
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, body: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *body, ""]


def _table(rows: Sequence[tuple[str, object]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {_said(value)} |" for name, value in rows)]


def _numbers(metrics: object) -> list[str]:
    """A table of values beside what the best possible samples would have."""
    if not isinstance(metrics, dict):
        said = str(metrics or "not evaluated")
        return [f"{_said(said[:1].upper() + said[1:])}: no claim is made."]
    lines = [f"{_said(metrics.get('verdict', ''))} (checkpoint {_said(metrics.get('checkpoint', 'last'))}, step "
             f"{_said(metrics.get('step', '?'))})", ""]  # fmt: skip
    lines += ["| metric | value | floor | p | better | in |", "|---|---|---|---|---|---|"]
    for name, measure in metrics["values"].items():
        cells = [name, *(_number(measure.get(key)) for key in ("value", "floor", "p"))]
        cells += [measure.get("better", ""), measure.get("features", "")]
        lines.append(f"| {' | '.join(_said(cell) for cell in cells)} |")
    return [*lines, "", "A floor is what as many fresh data score against the same held-out rows."]


def _rounded(samples: Mapping[str, Any]) -> str:
    """Which samples are rounded, and how."""
    if not isinstance(samples["rounded"], list):
        return "yes, to whole levels" if samples["rounded"] else "no"
    kinds = dict(zip(samples["columns"] or map(str, range(len(samples["kinds"]))), samples["kinds"], strict=True))
    how = {"truth": "to 0 or 1"} | {date: f"days since 1970-01-01, to the {date}" for date in DATES}
    return listed([f"{name} ({how.get(kinds[name], 'to whole numbers')})" for name in samples["rounded"]], SHOWN)


def _legs(legs: Sequence[Any]) -> str:
    """What was changed where a run was resumed, in order."""
    later = [leg for leg in legs if isinstance(leg, dict) and leg.get("changed")]
    if not later:
        return "none"
    said = (
        f"from step {leg.get('from')}: " + ", ".join(f"{name} {old} -> {new}" for name, old, new in _changes(leg))
        for leg in later
    )
    return "; ".join(said)


def _changes(leg: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    changed = leg["changed"] if isinstance(leg["changed"], dict) else {}
    return [(name, *pair) for name, pair in changed.items() if isinstance(pair, list) and len(pair) == 2]


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _said(value: object) -> str:
    """A word of a run in a cell: one line, in which nothing is markup."""
    words = printable(" ".join(str(value).split()))
    return "".join(f"\\{c}" if c in "\\|*_`<>[]#" else c for c in words)


def _code(name: str) -> str:
    """A name between backticks or quotation marks."""
    return "".join(c for c in printable(name) if c not in '`"\\')


def _trusted(file: str) -> str:
    return "" if file.endswith((".safetensors", ".onnx")) else ", trust=True"


def _labelled(interface: Mapping[str, Any]) -> str:
    return f', labels=["{_code(interface["classes"][0])}"]' if interface["classes"] else ""


def _shape(interface: Mapping[str, Any], samples: Mapping[str, Any]) -> str:
    images = samples["rounded"] is True  # a table names its columns that are
    return "images" if images else f"(64, {', '.join(map(str, interface['event']))})"
