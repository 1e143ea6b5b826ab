"""A metric in words: its name, its value, and how that stands to its floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.report.values import count, digits, mapping, number, short, text

__all__ = ["FLOOR", "METRICS", "error", "heading", "protocols", "reading", "rows", "value"]

FLOOR = (
    "The floor is what real data of the same sizes score against real data; for a count or a share it is what a "
    "perfect sampler scores. A value means something only next to it."
)

METRICS = {
    "FD": "Fréchet distance: Gaussians fitted to features of samples and of data, compared",
    "FID": "Fréchet distance in the features of the Inception network of 2015",
    "FD_limit": "The same, extrapolated to infinitely many samples",
    "FID_limit": "The same, extrapolated to infinitely many samples",
    "kid": "Kernel distance with a cubic kernel; unbiased, so its floor is 0",
    "kid_subsets": "The same, as a mean over random subsets",
    "IS": "Inception-style score: sure of each sample's class, unsure of the next",
    "mmd": "Kernel distance (MMD²); its p-value asks whether samples and data follow one law",
    "mmd_deep": "Kernel distance with a kernel learned on one half, tested on the other",
    "energy": "Energy distance; its p-value asks whether samples and data follow one law",
    "c2st": "Accuracy of a classifier on held-out samples and data; a half is chance",
    "sliced_test": "Wasserstein distance over directions, as a test",
    "precision": "Share of samples that lie among data",
    "recall": "Share of data that lie among samples",
    "density": "How deep samples lie among data; 1 for a perfect sampler",
    "coverage": "Share of data with a sample nearby",
    "w1": "Exact Wasserstein-1 distance",
    "sinkhorn": "Sinkhorn divergence: transport cost with blur, without its bias",
    "authenticity": "Share of samples that are no near copy of a training row",
    "copying": "How much closer to the training set samples lie than held-out data do, in standard deviations",
    "train_gap": "Distance to the training set minus distance to held-out data; below 0 means copying",
    "near_copies": "Share of samples nearer to a training row than all but 1 % of held-out data are",
    "hill": "Hill's tail index: smaller means heavier tails; next to the data's",
    "tail_ratio": "Largest log-ratio of extreme quantiles; 0.7 means one sample reaches twice as far",
    "stacked_modes": "Modes of stacked digits captured, of 1,000",
    "stacked_kl": "How far the shares of these modes are off, in nats",
    "duplicates": "Share of samples that repeat another sample",
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
    "nll": "How unlikely the model finds held-out data, in nats a row: −E log q",
    "bits_per_dim": "The same in bits for each number of a row",
    "likelihood_gap": "How much likelier the model finds the rows it learned from, in nats; 0 without overfitting",
}


FOUND = {
    "does not copy": ("copies", "no sign of copying"),
    "does not overfit": ("overfits", "no sign of overfitting"),
}
"""What a rejected and a kept hypothesis say of a model, other than that samples and data follow one law."""


def rows(metrics: Mapping[str, dict[str, Any]]) -> str:
    """The metrics as a table, one row each, and how they were measured, to unfold."""
    heads = ("Metric", "Value", "Floor", "Reading", "± / p", "Samples", "Data", "Features")
    head = "".join(f"<th>{words}</th>" for words in heads)
    body = "".join(_row(name, record, heads) for name, record in metrics.items())
    return (
        f'<div class="scroll"><table class="metrics"><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"</table></div>{protocols(metrics)}"
    )


def _row(name: str, record: dict[str, Any], heads: Sequence[str]) -> str:
    grade, words = reading(record)
    p = [] if record.get("p") is None else [f"p {short(record['p'], 2)}"]
    contents = [
        f'<span class="big">{value(record)}</span>',
        short(record.get("floor")),
        f'<span class="mark {grade}">{words}</span>',
        " · ".join(error(record) + p),
        count(record.get("n_fake", 0)),
        count(record["n_real"]) if record.get("n_real") else "known law",
        text(record.get("features", "raw")),
    ]
    row = "".join(
        f'<td data-label="{head}"{" class=wide" if head in ("Reading", "Features") else ""}>{content}</td>'
        for head, content in zip(heads[1:], contents, strict=True)
    )
    return f'<tr><th scope="row">{heading(name, record)}</th>{row}</tr>'


def heading(name: str, record: dict[str, Any]) -> str:
    """A metric's name, which way is better, and what it measures."""
    arrow = {"lower": "\u00a0↓", "higher": "\u00a0↑"}.get(str(record.get("better", "lower")), "")
    short_name = name.removesuffix(f"@{record.get('features')}")  # a column of its own says it
    words = METRICS.get(name.split("@")[0].split("[")[0], "")
    return f"{text(short_name)}{arrow}{f'<small>{words}</small>' if words else ''}"


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
    protocol = mapping(record.get("protocol"))
    found = FOUND.get(str(protocol.get("hypothesis")))
    if record.get("better") == "none" and (p is None or found is None):
        return "", "for the record"
    grade, words = _against_floor(known, floor, number(record.get("se")) or 0.0, record.get("better") == "higher",
                                  protocol.get("scale") == "interval")  # fmt: skip
    if p is None:
        return grade, words
    if found is not None:
        return ("bad", f"{found[0]} (p {digits(p, 2)})") if p < 0.01 else ("good", f"{found[1]} (p {digits(p, 2)})")
    more = f", {words}" if floor and floor > 0 else ""
    if p < 0.05:
        return "", f"told apart from data (p {digits(p, 2)}){more}"
    return "good", f"not told apart from data (p {digits(p, 2)}){more}"


def _against_floor(known: float, floor: float | None, se: float, higher: bool, interval: bool) -> tuple[str, str]:
    """How a value stands to its floor; on an `interval` scale, that of log-likelihoods, by their difference."""
    if floor is None:
        return "", "no floor known"
    if interval:
        off = floor - known if higher else known - floor
        return ("good", "at the floor") if off <= 2 * se else ("", f"{digits(off, 2)} from the floor")
    if (known >= floor - 2 * se) if higher else (known <= floor + 2 * se or known <= 1.05 * floor):
        return "good", "as good as can be expected" if higher else "at the floor"
    if floor <= 0:
        return "", f"{digits(abs(known - floor), 2)} {'below' if higher else 'above'} the floor"
    return "", f"{100 * known / floor:.3g} % of the floor" if higher else f"{digits(known / floor, 2)} × the floor"


def protocols(metrics: Mapping[str, dict[str, Any]]) -> str:
    """How each metric was measured, to unfold."""
    items = ""
    for name, record in metrics.items():
        protocol = mapping(record.get("protocol"))
        words = ", ".join(f"{text(key)} {short(setting, 6)}" for key, setting in protocol.items()) or "not recorded"
        items += f"<dt>{text(name)}</dt><dd>{words}</dd>"
    return f"<details><summary>How they were measured</summary><dl>{items}</dl></details>"
