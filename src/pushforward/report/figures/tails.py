"""Pictures of heavy tails: survival functions on logarithmic axes with Hill's slopes, quantiles against quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.quality.tails import Quantiles, hill, quantile_band, survival, tail_rows, tail_values
from pushforward.pictures import Points
from pushforward.report.figures.plots import COLOURS, LINE, figure, legend, logarithmic, svg
from pushforward.report.reading import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SHARE", "draw_quantiles", "draw_survival", "heavy", "tail_columns", "tails"]

Array = NDArray[np.float64]

SHARE = 0.05  # of the rows, that the slopes are fitted to
HEAVY = 4.0  # index below which a tail is called heavy; five per cent of a normal's rows have about 6
DRAWN = 300  # points of a curve at most, evenly on the logarithmic axis
COLUMNS = 2  # columns shown, besides the lengths of rows


def draw_survival(axes: Axes, groups: Mapping[str, Array], share: float = SHARE) -> None:
    """Shares of samples beyond x, both logarithmic, with Hill's slope through the largest rows of each.

    Args:
        axes: Where to draw.
        groups: Name -> values (n,), at most three; only positive ones are shown, and none
            far below the median.
        share: Share of the rows that a slope is fitted to.
    """
    for (name, values), colour in zip(groups.items(), COLOURS):
        x, beyond = survival(values[np.isfinite(values)])
        thin = np.unique(np.geomspace(1, len(x), DRAWN).astype(int)) - 1
        x, beyond = x[thin], beyond[thin]
        shown = x > max(0.0, 0.05 * float(np.median(values)))
        label = name
        try:
            index, error = hill(_tensor(values), share)
        except DataError:
            index, error = np.inf, np.inf
        if np.isfinite(index):
            label = f"{name}, {index:.2f} ± {error:.2g}"
            k = tail_rows(share, len(values))
            ends = np.array([np.sort(values)[::-1][k], x[0]])
            axes.plot(ends, k / len(values) * (ends / ends[0]) ** -index, color=colour, linewidth=1, linestyle="--")
        axes.plot(x[shown], beyond[shown], ".", color=colour, markersize=3, label=label)
    _logarithmic(axes)
    axes.set_ylabel("share beyond")
    legend(axes)


def draw_quantiles(axes: Axes, found: Quantiles) -> None:
    """Quantiles of samples against those of data with their band; logarithmic where the values span decades.

    Args:
        axes: Where to draw.
        found: What `quantile_band` found.
    """
    seen = np.concatenate([found.fake, found.real])
    far = 10 * max(float(np.abs(seen).max()), 1e-300)  # outside of the picture, and finite
    low, high = (np.clip(edge, -far, far) for edge in (found.low, found.high))
    axes.fill_between(found.real, low, high, color=COLOURS[2], alpha=0.25, linewidth=0)
    axes.plot(found.real, found.real, color=LINE, linewidth=1, linestyle=":")
    axes.plot(found.real, found.fake, ".-", color=COLOURS[0], markersize=4, linewidth=1)
    inner = float(np.interp(0.25, found.levels, found.real) - np.interp(0.75, found.levels, found.real))
    if seen.min() > 0 and seen.max() > 30 * seen.min():
        _logarithmic(axes)
    elif inner > 0 and np.ptp(seen) > 100 * inner:
        axes.set_xscale("symlog", linthresh=inner)
        axes.set_yscale("symlog", linthresh=inner)
        top = int(np.log10(float(np.abs(seen).max()))) if np.abs(seen).max() > inner else 0
        far = 10.0 ** max(top, int(np.ceil(np.log10(inner))) + 1)
        axes.set_xticks([-far, 0.0, far], [f"{-far:.0e}", "0", f"{far:.0e}"])
        axes.set_yticks([-far, 0.0, far], [f"{-far:.0e}", "0", f"{far:.0e}"])
    else:
        room = 0.05 * float(np.ptp(seen)) or 1.0
        axes.set_ylim(seen.min() - room, seen.max() + room)
        return
    axes.set_ylim(*_room(float(seen.min()), float(seen.max()), inner))


def _logarithmic(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        logarithmic(axis)


def _room(low: float, high: float, inner: float) -> tuple[float, float]:
    """Limits a little beyond values on a logarithmic axis, on both sides of zero if need be."""
    return (low / 1.5 if low > 0 else min(1.5 * low, -inner)), (1.5 * high if high > 0 else inner)


def tail_columns(fake: Points, real: Points) -> dict[str, tuple[Array, Array]]:
    """What is looked at: columns whose upper tail is the tail wanted, and the lengths of rows of more than one column.

    Data that are never negative are taken as they are, others as distances from the medians of the data.

    Args:
        fake: Model samples, (n, d), in data units.
        real: Data, (m, d).
    """
    side, centre = "both" if (real < 0).any() else "upper", np.median(real, 0)
    pair = [tail_values(_tensor(x), side, _tensor(centre)).numpy() for x in (fake, real)]
    bars = "|x − median|" if side == "both" else "x"
    names = [bars if real.shape[1] == 1 else f"{bars}, column {k}" for k in range(min(COLUMNS, real.shape[1]))]
    shown = {name: (pair[0][:, k], pair[1][:, k]) for k, name in enumerate(names)}
    if real.shape[1] > 1:
        shown["length of a row"] = (np.linalg.norm(pair[0], axis=1), np.linalg.norm(pair[1], axis=1))
    return shown


def heavy(real: Points) -> bool:
    """Whether the tail index of some column, or of the rows' lengths, is below 4 by more than its error."""
    for _, values in tail_columns(real, real).values():
        try:
            index, error = hill(_tensor(values), SHARE)
        except DataError:
            continue
        if index + error < HEAVY:
            return True
    return False


def tails(run: Record) -> str:
    """The section with tails, where the recipe is for heavy ones or the held-out data have some; else nothing."""
    fake, real = (run.clouds.frames[-1] if run.clouds.frames else None), run.clouds.data
    if fake is None or real is None:
        return ""
    fake, real = (x[np.isfinite(x).all(1)] for x in (fake, real))
    if min(len(fake), len(real)) < 2 / SHARE or not (run.info.get("recipe") == "heavy_tails" or heavy(real)):
        return ""
    figures = []
    for name, (q, p) in tail_columns(fake, real).items():

        def beyond(axes: Axes, name: str = name, q: Array = q, p: Array = p) -> None:
            draw_survival(axes, {"samples": q, "data": p})
            axes.set_xlabel(name)

        def against(axes: Axes, name: str = name, q: Array = q, p: Array = p) -> None:
            draw_quantiles(axes, quantile_band(q, p))
            axes.set_xlabel(f"quantiles of data: {name}")
            axes.set_ylabel("of samples")

        figures += [figure(name, svg(beyond)), figure(f"Quantiles of {name}", svg(against))]
    return (
        '<section><h2 id="tails">Tails</h2><p class="lead">The last samples beside held-out data. Left, the share of '
        f"rows beyond x: a straight line is a power law, the dashed ones are Hill’s, through the largest {SHARE:.0%}, "
        "with index and standard error in the legend. Right, quantiles against quantiles: in the grey band, and each "
        "level with a chance of 95 %, they would lie if both were samples of one law.</p>"
        f'<div class="curves">{"".join(figures)}</div></section>'
    )


def _tensor(x: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))
