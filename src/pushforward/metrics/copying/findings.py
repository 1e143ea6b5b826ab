"""What distances to training rows mean, in words: copies, a split that is not one of a law, sizes without power."""

from __future__ import annotations

from collections.abc import Mapping

from pushforward.metrics.copying.copied import SPLIT
from pushforward.metrics.core.result import Measure
from pushforward.plain.findings import Finding

__all__ = ["copies", "found"]

OF_COPIES = ("copies", "split", "power")
"""What `found` looks for."""

NAMES = ("authenticity", "copying", "near_copies", "train_gap", "copied")

POOR = 0.25
"""Copies of fewer samples than this share ought to be seen, or it is said that they would not be."""

MANY = 0.25
"""Above this share of samples nearer to training rows than all but 1 % of held-out ones, words speak of copies."""


def found(measures: Mapping[str, Measure]) -> tuple[Finding, ...]:
    """What `memorisation` found beside numbers.

    `copies` counts against the samples where one of three looks says so: samples nearer to training rows than the rows
    around them allow; samples near training rather than held-out rows; or samples nearer on average to training than
    to held-out rows by four standard errors, while authenticity or near copies are off at the same level. The last two
    need training and held-out rows of one law; where these are not, `split` is found. A model that does not know the
    rows is accused about five times in a hundred thousand, whether it is good or bad. Fewer samples, even one, that
    equal a training row to the last of all digits are `copies` too, and doubt: continuous rows do not meet by chance,
    unless the law itself has rows that come again. `power` is found where many copies would go unseen.

    Args:
        measures: What `memorisation` answered with, names without a feature space; others may be among them.
    """
    if not all(name in measures for name in NAMES):
        return ()
    seen = {name: float(x) for name, x in measures["copied"].detail.items() if x.ndim == 0}
    one_law = seen["split"] >= SPLIT
    sure = min(seen["neighbours"], seen["labels"] if one_law else 1.0) < seen["level"]
    accused = sure or (one_law and _on_average(measures))
    few = not accused and seen.get("equal", 0.0) > 0
    findings = [_copies(measures, seen)] if accused else [_equal(measures, seen)] if few else []
    if not one_law:
        findings.append(_split(measures, seen))
    if not accused and not few and seen["seen_from"] > POOR:
        findings.append(_power(measures, seen))
    return tuple(findings)


def copies(measures: Mapping[str, Measure]) -> str | None:
    """A warning in plain words where a model copies its training data, else None; see `found`.

    Args:
        measures: What `memorisation` answered with; other measures may be among them.
    """
    return next((one.words for one in found(measures) if one.name == "copies"), None)


def _on_average(measures: Mapping[str, Measure]) -> bool:
    """Whether samples are nearer to training than to held-out rows as a whole, and there are copies to show."""
    authentic, close, gap = (measures[name] for name in ("authenticity", "near_copies", "train_gap"))
    nearer = gap.se is not None and gap.value < -4 * gap.se
    floor = authentic.floor or 0.0
    noise = (authentic.se or 0.0) ** 2 + floor * (1 - floor) / max(1, authentic.n_real)
    shown = authentic.value < floor - 4 * noise**0.5 or (close.p is not None and close.p < 3e-5)
    return nearer and shown


def _copies(measures: Mapping[str, Measure], seen: Mapping[str, float]) -> Finding:
    exact, close, authentic, ranks = (measures[k] for k in ("copied", "near_copies", "authenticity", "copying"))
    floor = authentic.floor or 0.0
    equal = (
        f"{exact.value:.1%} of its samples equal a training row ({exact.floor or 0.0:.1%} of held-out rows do), "
        if exact.value > (exact.floor or 0.0)
        else ""
    )
    nearer = (
        f"{seen['share']:.1%} lie nearer to one, {seen['rows']:.0f} rows in all, than the rows around it allow "
        f"({seen['known']:.1%} of data), "
        if seen["neighbours"] < seen["level"]
        else ""
    )
    beside = (
        f"its samples lie by training rows rather than by held-out ones (p {seen['labels']:.1g}), "
        if seen["labels"] < seen["level"]
        else ""
    )
    near = close.value > MANY
    # Blends of training rows are near few of them, and yet nearer to all of them than to rows that were held out.
    lead = "copies training data" if equal or nearer or near else "holds to its training rows, be it by blends of them"
    words = (
        f"The model {lead}: {equal}{nearer}{beside}{close.value:.1%} of its samples are nearer to a training row "
        f"than all but 1% of held-out data are, {authentic.value:.0%} are authentic against {floor:.0%} of held-out "
        f"data, z = {ranks.value:.1f}. Two-sample tests do not see this."
    )
    numbers = {
        "equal": exact.value, "equal_held_out": exact.floor, "near": seen["share"], "rows": int(seen["rows"]),
        "p_neighbours": seen["neighbours"], "p_labels": seen["labels"],
    }  # fmt: skip
    return Finding("copies", words, True, numbers)


def _equal(measures: Mapping[str, Measure], seen: Mapping[str, float]) -> Finding:
    copied, count = measures["copied"], int(seen["equal"])
    words = (
        f"{count:,} of {copied.n_fake:,} samples equal{'s' if count == 1 else ''} a training row in all digits, none "
        f"of {copied.n_real:,} held-out rows does: continuous numbers do not meet by chance, so that the model copies, "
        "if seldom, or the law itself has rows that come again."
    )
    return Finding("copies", words, False, {"equal": copied.value, "equal_held_out": copied.floor, "rows": count})


def _split(measures: Mapping[str, Measure], seen: Mapping[str, float]) -> Finding:
    copied = measures["copied"]
    words = (
        f"Training and held-out rows are not of one law (p {seen['split']:.1g}), so that being nearer to the former "
        "says nothing; only exact copies and those closer than chance allows are looked for: hold out rows at random."
    )
    return Finding("split", words, False, {"p": seen["split"], "n_real": copied.n_real})


def _power(measures: Mapping[str, Measure], seen: Mapping[str, float]) -> Finding:
    copied, least = measures["copied"], seen["seen_from"]
    known = least <= 1
    amount = f"copies of fewer than {least:.0%} of the samples" if known else "copies, be they all of the samples,"
    words = (
        f"No power at these sizes: with {copied.n_fake:,} samples, {copied.protocol.get('n_train', 0):,} training and "
        f"{copied.n_real:,} held-out rows {amount} would not be seen: give more samples and more held-out rows."
    )
    return Finding("power", words, False, {"seen_from": least if known else None, "n_real": copied.n_real})
