"""The two-stage bridge becomes exact, and how fast: the rates of `pushforward.demos.rates` as a table and a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pushforward.demos.drawing import BLUE, GREEN, INK, RED, SOFT, check_out, clean, save, sheet
from pushforward.demos.rates import Rate, rates

__all__ = ["HEAD", "consistency", "line"]

COLUMNS = "{:22} {:>10}  {:41} {:>7}  {:14} {:7} {:>7}"
HEAD = COLUMNS.format("what is made larger", "from .. to", "errors, W2", "value", "accepted", "verdict", "seconds")
COLOURS = (BLUE, RED, GREEN, SOFT, INK)


def consistency(
    out: Path, seed: int = 0, *, drifts: int = 40_000, sets: int = 64, told: Callable[[Rate], None] | None = None
) -> list[Rate]:
    """Measure how the error of the two-stage bridge falls, and draw it. Expect about two minutes on one core.

    Args:
        out: Picture to write, .png, .svg or .pdf.
        seed: Seed of data and chains.
        drifts: See `pushforward.demos.rates.rates`.
        sets: See there.
        told: Called with each measurement when it is done.

    Returns:
        Six measurements: steps of either stage, draws, data, all of them at once, and what stage 2 forgets.

    Raises:
        UsageError: If the file's format is unknown or matplotlib is missing.
    """
    check_out(out)
    found = list[Rate]()
    for rate in rates(seed, drifts=drifts, sets=sets):
        found.append(rate)
        if told is not None:
            told(rate)
    _draw(out, [rate for rate in found if rate.sizes])
    return found


def line(rate: Rate) -> str:
    """A measurement as a row of the table under `HEAD`."""
    span = f"{rate.sizes[0]:g} .. {rate.sizes[-1]:g}" if rate.sizes else ""
    errors = " ".join(f"{error:.3g}".removeprefix("0") for error in rate.errors)
    wanted, verdict = "{:.4g} to {:.4g}".format(*rate.accepted), "holds" if rate.holds else "fails"
    return COLUMNS.format(rate.name, span, errors, f"{rate.value:.3f}", wanted, verdict, f"{rate.seconds:.1f}")


def _draw(out: Path, found: Sequence[Rate]) -> None:
    figure = sheet(8, 5)
    axes = figure.subplots()
    for rate, colour in zip(found, COLOURS, strict=True):
        axes.plot(rate.sizes, rate.errors, "o-", color=colour, linewidth=1.8, markersize=4)
        steep = rate.accepted[1] <= 0
        words = f"{rate.name}, slope {rate.value:.2f}".replace("-", "−") if steep else rate.name
        last = rate.sizes[-1] > 100  # the short lines end within the others, and have their words in front
        k, shift, side = (-1, (7, 0), "left") if last else (0, (-7, -1), "right")
        axes.annotate(words, (rate.sizes[k], rate.errors[k]), shift, textcoords="offset points", color=colour,
                      fontsize=9, va="center", ha=side)  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([2**k for k in range(0, 13, 2)], [f"{2**k:,}" for k in range(0, 13, 2)])
    axes.set_yticks([0.3, 0.1, 0.03, 0.01, 0.003, 0.001], ["0.3", "0.1", "0.03", "0.01", "0.003", "0.001"])
    axes.minorticks_off()
    axes.set(xlim=(0.06, 2**15), ylim=(4e-4, 0.5))
    clean(axes, "The two-stage bridge becomes exact, each of its errors at a rate of its own",
          "how many (of all of them: times what it began with)", "W2 from the law that it should be")  # fmt: skip
    save(figure, out)
