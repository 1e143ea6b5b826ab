"""Codes of held-out rows beside those of the prior, what each number of a code costs, and where the bound goes."""

from __future__ import annotations

import io
import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pushforward.pictures import grid
from pushforward.report.figures.plots import COLOURS, drawable, figure, legend, svg
from pushforward.report.kept.codes import Account, Bound, Codes, Densities, Pictures
from pushforward.report.reading import Record
from pushforward.report.skeleton import png_uri
from pushforward.report.values import HUES, LIGHT, short, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["codes", "draw_classes", "draw_density", "draw_rates", "draw_the_prior", "plane_of"]

Array = NDArray[np.float64]

SIDE, WIDE = (3.0, 3.0), (6.2, 2.6)  # of figures, in inches
FULL = 0.9  # of log n: an information beyond that has met its ceiling
BARS, NAMED, LETTERS = 256, 32, 24  # bars of numbers of a code, those that are named, and letters of a class
GOLDEN = 0.6180339887498949  # heights of codes of one number: even, and out of order
SHADES = (0.02, 0.1, 0.25, 0.5, 0.75, 1.001)  # of the largest density of both


def codes(run: Record) -> str:
    """The section on codes, where an evaluation kept some; else nothing."""
    kept = run.codes
    if kept is None:
        return ""
    n, d = kept.middle.shape
    lead = (
        f"What {kept.account.rows:,} held-out rows are told by, after step {kept.step:,}: {d:,} "
        f"number{'s' * (d > 1)} of a code each. {_after(kept.flow)}"
    )
    figures = [
        figure(f"Where the middle of q(z|x) goes, of {n:,} held-out rows{_axes(d)}",
               svg(lambda axes: draw_classes(axes, kept), SIDE)),
        figure(f"A code drawn for each of these rows, over {len(kept.prior):,} from the prior{_axes(d)}",
               svg(lambda axes: draw_the_prior(axes, kept), SIDE)),
        figure(_of_rates(kept), svg(lambda axes: draw_rates(axes, kept), SIDE)),
    ]  # fmt: skip
    return (
        f'<section><h2 id="codes">Codes</h2><p class="lead">{lead}</p>{_collapse(kept)}'
        f"{_table(kept.account, kept.bound, kept.unit)}"
        f'<div class="curves">{"".join(figures + _plane(kept.densities))}</div>{_strips(kept.pictures)}</section>'
    )


def _after(flow: str) -> str:
    if flow == "none":
        return "q(z|x) is normal."
    told = " that is told of the row" if flow == "own" else ""
    return f"q(z|x) is normal z0 taken through a flow{told}; rates and active numbers are those of z0."


def _axes(d: int) -> str:
    return "" if d <= 2 else ", along the two principal axes of the middles"


def _collapse(kept: Codes) -> str:
    """Whether codes tell anything, in words."""
    active, d = int(kept.active.sum()), len(kept.active)
    if active:
        return (
            f'<p class="status good"><span><b>{active:,} of {d:,} numbers are active:</b> their middle varies from row '
            "to row by a variance above 0.01. Healthy: most of them; the others tell nothing and cost nothing.</span>"
            "</p>"
        )
    return (
        f'<p class="status bad"><span><b>The posterior has collapsed:</b> none of the {d:,} numbers of a code varies '
        "from row to row, so that p(x|z) alone models the data. Warm beta up, give free bits, or take a likelihood "
        "that says less by itself.</span></p>"
    )


def _table(account: Account, bound: Bound | None, unit: str) -> str:
    """Where the bound goes, a line for each part."""
    n = account.rows
    rows = [
        ("Reconstruction", account.reconstruction, math.nan,
         "Mean of log p(x|z): what is left unsaid of a row that its code is known of."),
        ("− information", account.information, math.nan, _of_information(account)),
        ("− marginal KL", account.marginal, account.error, _of_marginal(account)),
        ("= evidence lower bound", account.elbo, account.spread,
         "Reconstruction less both, which together are the rate" + (f", {short(account.divergence)}." if
         math.isfinite(account.divergence) else ".") + _of_coding(account)),
    ]  # fmt: skip
    if bound is not None:
        words = (
            f"Of the first {bound.rows:,} rows, {text(bound.protocol)}. Healthy: little above the bound; far above, "
            "q(z|x) is far from p(z|x)."
        )
        rows.append(("Bound by many codes", bound.value, bound.error, words))
    lines = "".join(
        f'<tr><th scope="row">{name}</th><td class="big">{short(_value(value))}{_error(error)}</td><td>{words}</td>'
        "</tr>" for name, value, error, words in rows
    )  # fmt: skip
    said = f", {text(unit)}" if unit else ""
    return (
        f'<div class="scroll"><table><caption>Where the bound goes: nats a row, means over {n:,} held-out rows'
        f'{said}</caption><thead><tr><th scope="col">Part</th><th scope="col">Nats</th><th scope="col">Reading</th>'
        f"</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _value(value: float) -> float | None:
    """A number, or None for what is not known."""
    return None if math.isnan(value) else value


def _error(error: float) -> str:
    return f"<small>± {short(error, 2)}</small>" if math.isfinite(error) else ""


def _of_coding(account: Account) -> str:
    if not math.isfinite(account.bits_back):
        return ""
    return f" Bits-back coding of a row takes {short(account.bits_back)} bits for each of its numbers."


def _of_information(account: Account) -> str:
    most = short(account.most)
    if math.isnan(account.information):
        return "Not known: a flow that sees the row leaves no mixture of all rows’ laws to compare with."
    if account.information > FULL * account.most:
        return (
            f"What codes tell of which row they came from. It has met its ceiling, log n = {most}: with more rows it "
            "would be larger, and the marginal smaller by as much."
        )
    return f"What codes tell of which row they came from; at most log n = {most}. Near 0 they tell nothing."


def _of_marginal(account: Account) -> str:
    if math.isnan(account.information):
        return "Not known, for the same reason; their sum is the rate."
    if math.isnan(account.marginal):
        return "Not known: the prior does not answer for its density, which another method learned."
    return (
        "KL of the aggregated posterior, the mixture of q(z|x) over these rows, from the prior: all that another "
        "prior could win. Healthy: near 0."
    )


def _of_rates(kept: Codes) -> str:
    d, which = len(kept.rates), " of z0" if kept.flow != "none" else ""
    few = f", the first {BARS}" if d > BARS else ""
    return (
        f"KL of each number{which} from N(0, 1), in nats, the largest first{few}: what it tells of its row, which no "
        "prior changes, and how far the law of all rows is from N(0, 1)"
    )


def _plane(densities: Densities | None) -> list[str]:
    """Densities side by side, of one scale."""
    if densities is None:
        return []
    both = (("Density of the prior", densities.prior), ("Density of the aggregated posterior", densities.aggregate))
    known = [(name, field) for name, field in both if field is not None]
    top = max((float(field.max()) for _, field in known), default=0.0)
    figures = list[str]()
    for name, field in known:
        picture = svg(partial(draw_density, densities=densities, field=field, top=top), SIDE)
        figures.append(figure(f"{name}; the darkest is {short(top, 3)}", picture))
    return figures


def plane_of(kept: Codes) -> tuple[Array, Array, Array]:
    """Middles, draws and the prior's draws in a plane, (n, 2), (n, 2) and (m, 2).

    Codes of two numbers as they are; of one, spread out vertically; of more, along the principal axes of the middles.
    """
    clouds = kept.middle, kept.drawn, kept.prior
    d = kept.middle.shape[1]
    if d == 1:
        one, two, three = (np.stack([x[:, 0], np.arange(len(x)) * GOLDEN % 1.0], 1, dtype=np.float64) for x in clouds)
        return one, two, three
    if d == 2:
        return clouds
    centre = kept.middle.mean(0)
    around = kept.middle - centre
    axes = np.linalg.eigh(around.T @ around)[1][:, [-1, -2]]
    axes = axes * np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1.0, 1.0)
    one, two, three = ((x - centre) @ axes.astype(np.float64) for x in clouds)
    return one, two, three


def draw_classes(axes: Axes, kept: Codes) -> None:
    """Where the middles go, a colour for each class where there are some.

    Args:
        axes: Where to draw.
        kept: Codes.
    """
    middle = plane_of(kept)[0]
    if kept.labels is None:
        axes.plot(*middle.T, ".", color=COLOURS[0], markersize=3)
    else:
        for k in sorted(set(kept.labels.tolist())):
            name = drawable(kept.names[k][:LETTERS])
            axes.plot(*middle[kept.labels == k].T, ".", color=LIGHT[k % HUES], markersize=3, label=name)
        if len(set(kept.labels.tolist())) <= HUES:
            legend(axes, beside=True, markers=2.0)
    _framed(axes, middle)


def draw_the_prior(axes: Axes, kept: Codes) -> None:
    """A draw of q for each row, over draws of the prior.

    Args:
        axes: Where to draw.
        kept: Codes.
    """
    _, drawn, prior = plane_of(kept)
    axes.plot(*prior.T, ".", color=COLOURS[1], markersize=3, alpha=0.5, label="prior")
    axes.plot(*drawn.T, ".", color=COLOURS[0], markersize=3, alpha=0.5, label="rows")
    legend(axes, markers=2.0)
    _framed(axes, np.concatenate([drawn, prior]))


def draw_rates(axes: Axes, kept: Codes) -> None:
    """What each number of a code tells, and what else it costs under N(0, 1), as bars on each other.

    Args:
        axes: Where to draw.
        kept: Codes.
    """
    order = np.argsort(-kept.rates, kind="stable")[:BARS]
    rates = np.clip(kept.rates[order], 0, 1e30)
    told = np.clip(kept.told[order], 0, rates)
    at = np.arange(len(order))
    axes.bar(at, told, color=COLOURS[0], label="tells of its row")
    axes.bar(at, rates - told, bottom=told, color=COLOURS[1], alpha=0.6, label="is off N(0, 1)")
    if len(order) <= NAMED:
        axes.set_xticks(at, [str(k + 1) for k in order.tolist()], fontsize=7)
    axes.set_xlabel("number of a code")
    legend(axes)


def draw_density(axes: Axes, densities: Densities, field: Array, top: float) -> None:
    """One density as filled contours, at shares of the largest density of all.

    Args:
        axes: Where to draw.
        densities: The plane.
        field: The density, (h, g).
        top: The largest density.
    """
    if top > 0:
        levels = [share * top for share in SHADES]
        shades = [(*_rgb(COLOURS[0]), 0.15 + 0.17 * k) for k in range(len(SHADES) - 1)]
        axes.contourf(densities.across, densities.up, field, levels=levels, colors=shades)
    axes.set_aspect("equal")
    axes.set_xlim(densities.across[0], densities.across[-1])
    axes.set_ylim(densities.up[0], densities.up[-1])


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


def _framed(axes: Axes, points: Array) -> None:
    """A field around all but the farthest of the points (n, 2), with one scale on both axes."""
    known = points[(np.abs(points) < 1e30).all(1)]
    ends = np.percentile(known, (0.5, 99.5), axis=0) if len(known) else np.array([[0.0, 0.0], [1.0, 1.0]])
    low, high = ends
    middle, half = (low + high) / 2, 0.6 * float((high - low).max()) or 1.0
    axes.set_aspect("equal")
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)


def _strips(pictures: Pictures | None) -> str:
    """Images over what becomes of them, walks along numbers of a code, and what the prior's codes look like."""
    if pictures is None:
        return ""
    k, steps = len(pictures.originals), pictures.traversals.shape[1]
    walked = ", ".join(str(number + 1) for number in pictures.walked.tolist())
    shown = (
        ("Held-out images over what their codes are decoded to",
         np.concatenate([pictures.originals, pictures.reconstructions]), k),
        (f"A row for each of numbers {walked} of a code, which goes from 2.5 deviations below its mean over rows to "
         "2.5 above, about the code of the first of these images",
         pictures.traversals.reshape(-1, *pictures.traversals.shape[2:]), steps),
        ("What codes from the prior are decoded to", pictures.samples, 8),
    )  # fmt: skip
    return "".join(_strip(words, images, columns) for words, images, columns in shown)


def _strip(words: str, images: NDArray[np.uint8], columns: int) -> str:
    buffer = io.BytesIO()
    grid(images, columns).save(buffer, "PNG")
    return (
        f'<figure class="strip"><div class="pane"><img alt="{words}" src="{png_uri(buffer.getvalue())}"></div>'
        f"<figcaption>{words}</figcaption></figure>"
    )
