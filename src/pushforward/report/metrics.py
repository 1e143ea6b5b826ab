"""A metric in words: its name, its value, and how that stands to its floor."""

from __future__ import annotations

from typing import Any

from pushforward.report.values import digits, mapping, number, short, text

__all__ = ["FLOOR", "METRICS", "error", "heading", "protocols", "reading", "value"]

FLOOR = (
    "The floor is what real data of the same sizes score against real data; for a count or a share it is what a "
    "perfect sampler scores. A value means something only next to it."
)

METRICS = {
    "FD": "Fréchet distance: Gaussians fitted to features of samples and of data, compared",
    "mmd": "Kernel distance (MMD²); its p-value asks whether samples and data follow one law",
    "sliced_w2": "Wasserstein-2 distance, averaged over directions",
    "w2": "Exact Wasserstein-2 distance",
    "modes_captured": "Modes with at least one good sample",
    "modes_captured_20": "Modes with at least twenty good samples",
    "high_quality": "Share of samples close to a mode",
    "high_quality_4": "Share of samples within a wider radius of a mode",
    "mode_kl": "How far the shares of the modes are off, in nats",
    "classes_present": "Classes that a classifier sees in the samples",
    "smallest_class_share": "Share of the rarest class",
    "class_kl": "How far the shares of the classes are off, in nats",
}


def heading(name: str, record: dict[str, Any]) -> str:
    """A metric's name, which way is better, and what it measures."""
    arrow = {"lower": "\u00a0↓", "higher": "\u00a0↑"}.get(str(record.get("better", "lower")), "")
    words = METRICS.get(name.split("@")[0], "")
    return f"{text(name)}{arrow}{f'<small>{words}</small>' if words else ''}"


def value(record: dict[str, Any]) -> str:
    """The value, or that there is none."""
    known = record.get("value")
    return "not finite" if known is None else short(known)


def error(record: dict[str, Any]) -> list[str]:
    """The standard error, if there is one."""
    return [] if record.get("se") is None else [f"± {short(record['se'], 2)}"]


def reading(record: dict[str, Any]) -> tuple[str, str]:
    """A value relative to its floor: a grade (good, bad or none) and plain words."""
    known, floor, p = (number(record.get(key)) for key in ("value", "floor", "p"))
    if known is None:
        return "bad", "not finite: something went wrong"
    if record.get("better") == "none":
        return "", "for the record"
    grade, words = _against_floor(known, floor, number(record.get("se")) or 0.0, record.get("better") == "higher")
    if p is None:
        return grade, words
    more = f", {words}" if floor and floor > 0 else ""
    if p < 0.05:
        return "", f"told apart from data (p {digits(p, 2)}){more}"
    return "good", f"not told apart from data (p {digits(p, 2)}){more}"


def _against_floor(known: float, floor: float | None, se: float, higher: bool) -> tuple[str, str]:
    if floor is None:
        return "", "no floor known"
    if (known >= floor - 2 * se) if higher else (known <= floor + 2 * se or known <= 1.05 * floor):
        return "good", "as good as can be expected" if higher else "at the floor"
    if floor <= 0:
        return "", f"{digits(abs(known - floor), 2)} {'below' if higher else 'above'} the floor"
    return "", f"{100 * known / floor:.3g} % of the floor" if higher else f"{digits(known / floor, 2)} × the floor"


def protocols(metrics: dict[str, dict[str, Any]]) -> str:
    """How each metric was measured, to unfold."""
    items = ""
    for name, record in metrics.items():
        protocol = mapping(record.get("protocol"))
        words = ", ".join(f"{text(key)} {short(setting, 6)}" for key, setting in protocol.items()) or "not recorded"
        items += f"<dt>{text(name)}</dt><dd>{words}</dd>"
    return f"<details><summary>How they were measured</summary><dl>{items}</dl></details>"
