"""The page of an evaluation: the verdict, samples beside data, numbers beside their floors, and what is behind them."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from pushforward import files
from pushforward.metrics.core.result import COPYING, Measure
from pushforward.metrics.verdict.report import Report
from pushforward.pictures import grid, scatter
from pushforward.randomness import generator
from pushforward.report.figures.plots import bars, histogram, quantiles
from pushforward.report.numbers.metrics import ARROWS, FLOOR, MARKS, rows
from pushforward.report.numbers.worst import worst
from pushforward.report.skeleton import command, fill, png_uri
from pushforward.report.values import short, text

__all__ = ["Shown", "write_evaluation"]

SIDE = 512


@dataclass(frozen=True)
class Shown:
    """What the page shows of the samples.

    Attributes:
        fake: Model samples: points (n, d), or images (n, c, h, w) in [-1, 1].
        real: Data, likewise.
        train: The training set, for the panel of nearest neighbours, or None.
        names: Names of the columns, or ().
        title: What was compared, in words.
        command: The command that made the page, or "".
        failed: Gates that failed, in words.
    """

    fake: Tensor
    real: Tensor
    train: Tensor | None = None
    names: tuple[str, ...] = ()
    title: str = "Evaluation"
    command: str = ""
    failed: tuple[str, ...] = field(default_factory=tuple)


def write_evaluation(report: Report, shown: Shown, out: Path) -> Path:
    """Write the page of an evaluation: one HTML file that loads nothing.

    Args:
        report: What was found.
        shown: What was compared.
        out: The page; folders are made.
    """
    grade = "bad" if shown.failed else MARKS[report.grade]
    said = [*(f"Gate failed: {words}" for words in shown.failed), *report.warnings, *report.notes]
    notes = "".join(f"<li>{text(words)}</li>" for words in said)
    head = (
        f'<p class="eyebrow">pushforward · evaluation</p><h1>{text(shown.title)}</h1>'
        f'<p class="status {grade}"><span>{text(report.verdict)}</span></p>'
        + (f'<aside class="notes" aria-label="Notes"><ul>{notes}</ul></aside>' if notes else "")
    )
    records = report.as_dict()["metrics"]
    body = f'<section><h2 id="metrics">Metrics</h2><p class="lead">{FLOOR} {ARROWS}</p>{rows(records)}</section>'
    again = f"<section><h2>Command</h2>{command({'command': shown.command})}</section>" if shown.command else ""
    page = fill(
        f"Evaluation: {shown.title}", head + _samples(shown) + body + worst(records) + _pictures(report, shown) + again
    )
    files.write(out, page.encode("utf-8", "replace"), parents=True)
    return out


def _samples(shown: Shown) -> str:
    """Samples and data: grids of images side by side, or one cloud over the other."""
    if shown.fake.ndim == 4:
        stages = [_stage(_png(_levels(part[:64])), words) for part, words in _both(shown)]
    else:
        fake, real = _plane(shown)
        stages = [_stage(scatter(fake, real, SIDE), "<b>Samples</b> over data, drawn in grey")]
        if shown.fake.shape[1] > 2:
            stages[0] = stages[0].replace("drawn in grey", "drawn in grey; the data's first two principal axes")
    return f'<section><h2>Samples and data</h2><div class="stages">{"".join(stages)}</div></section>'


def _both(shown: Shown) -> Iterable[tuple[Tensor, str]]:
    return (shown.fake, "<b>Samples</b>"), (shown.real, "<b>Data</b>, held out")


def _stage(png: bytes, words: str) -> str:
    return (
        f'<figure class="stage"><div class="pane"><img alt="" src="{png_uri(png)}"></div>'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _levels(x: Tensor) -> np.ndarray:
    """Images in [-1, 1] as uint8, channels last; rounded, not truncated."""
    return ((x.detach().cpu() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def _png(images: np.ndarray, columns: int = 8) -> bytes:
    if images.shape[-1] == 2:
        images = images[..., :1]
    buffer = io.BytesIO()
    grid(images, columns).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _plane(shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    """At most 2,000 of each in the plane: as they are, or along the data's first two principal axes."""
    fake, real = (np.asarray(x[:: max(1, len(x) // 2000)][:2000], np.float64) for x in (shown.fake, shown.real))
    if real.shape[1] == 1:
        rng, width = generator(0, "show", part="line"), 0.1 * float(np.ptp(real))
        fake, real = (np.column_stack([x, rng.uniform(-width, width, len(x))]) for x in (fake, real))
    elif real.shape[1] > 2:
        mean, spread = real.mean(0), real.std(0)
        scale = np.where(spread > 0, spread, 1.0)
        axes = np.linalg.svd((real - mean) / scale, full_matrices=False)[2][:2].T
        fake, real = ((x - mean) / scale @ axes for x in (fake, real))
    return fake, real


def _pictures(report: Report, shown: Shown) -> str:
    """Everything that measures left for a picture."""
    drawn = [picture for name, measure in report.items() for picture in _drawn(name, measure, shown)]
    if not drawn:
        return ""
    return (
        '<section><h2>Behind the numbers</h2><p class="lead">What the tests and scores looked at.</p>'
        f'<div class="curves">{"".join(drawn)}</div></section>'
    )


def _drawn(name: str, measure: Measure, shown: Shown) -> Iterable[str]:
    parts = {key: np.asarray(x, np.float64) for key, x in measure.detail.items()}
    if "null" in parts and len(parts["null"]):
        seen = parts["statistic"].item() if "statistic" in parts else measure.value
        law = (
            "the model knew the law alone"
            if measure.protocol.get("hypothesis") == COPYING
            else "samples and data followed one law"
        )
        words = f"Where {measure.protocol.get('statistic', 'the value')} would fall if {law} (p {short(measure.p, 2)})"
        yield _figure(name, histogram({"relabelled": parts["null"]}, name.split("@")[0], seen), words)
    if {"fake", "real", "suspects"} <= parts.keys():
        groups = {"samples": parts["fake"], "held-out data": parts["real"]}
        words = "Distances to the nearest training row; copies pile up on the left"
        yield _figure(name, histogram(groups, "distance to the nearest training row", log=True), words)
    if {"held", "seen"} <= parts.keys():
        words = "How likely the model finds single rows; far to the left lie those that it did not expect"
        groups = {"held-out data": parts["held"], "rows it learned from": parts["seen"]}
        yield _figure(name, histogram(groups, "log density of a row, nats"), words)
    if {"fake_shares", "real_shares"} <= parts.keys():
        names = [str(k) for k in range(len(parts["fake_shares"]))]
        kind = "mode" if name.startswith("mode") else "class"
        words = f"Where the samples are, {kind} by {kind}"
        yield _figure(name, bars(parts["fake_shares"], parts["real_shares"], names, kind), words)
    if {"levels", "fake", "real"} <= parts.keys():
        columns = [*shown.names, *(f"column {k}" for k in range(parts["fake"].shape[1]))][: parts["fake"].shape[1]]
        words = "On the dotted line samples and data have equal tails"
        yield _figure(name, quantiles(parts["fake"], parts["real"], columns), words)
    if {"suspects", "nearest"} <= parts.keys() and shown.fake.ndim == 4 and shown.train is not None:
        suspects, nearest = parts["suspects"].astype(int)[:8], parts["nearest"].astype(int)[:8]
        pairs = np.concatenate([_levels(shown.fake[suspects]), _levels(shown.train[nearest])])
        words = "Above, the samples closest to the training set; below, their nearest training images"
        yield _figure(name, _png(pairs), words, kind="png")


def _figure(name: str, picture: bytes, words: str, kind: str = "svg+xml") -> str:
    uri = f"data:image/{kind};base64,{b64encode(picture).decode()}"
    said = f"<figcaption><b>{text(name)}</b>: {words}</figcaption>"
    return f'<figure class="stage"><img alt="{text(name)}" src="{uri}">{said}</figure>'
