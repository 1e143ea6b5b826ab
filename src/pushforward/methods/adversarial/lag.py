r"""Whether a generator keeps up with its particles, and their critic with the generator.

A pool of samples x_0 = G(z) was moved to x, the flow was last shown a cloud q on the way, and the generator was fitted
to x. Two numbers say what is left between the three:

.. math:: \text{lag} = \frac{E\,|G_\theta(z) - x|^2}{E\,|x - x_0|^2}, \qquad
    \text{stale} = P(\text{the nearest other point of } G_\theta(z) \cup q \text{ is of the same cloud}).

A lag alone is no harm: where a move is shorter than the way from one particle to the next, as under a critic that does
not know yet, Adam's step, which is set by its rate, misses it by more than its length. Where the two clouds also lie
apart, the critic learns from a law that is not the generator's, and the next pool starts where it knows little.

References:
    On a multivariate two-sample test based on the number of nearest neighbor type coincidences (Henze, 1988).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.parallel import sharing
from pushforward.parallel.doubles import finest
from pushforward.types import Logs, Samples, Scalar

__all__ = ["APART", "EVERY", "LAGS", "WINDOW", "apart", "kept_up", "note", "remarks"]

EVERY = 10  # steps from one look to the next
WINDOW = 40  # looks that a mean is taken over before anything is said
LAGS = 0.5  # lag from which on less than a third of the way is made
APART = 0.9  # share from which on two clouds lie apart; it is 1/2 for two draws of one law, and below for pairs
ROWS = 256  # points of a cloud whose neighbours are looked for
MOST = 1000.0  # what a lag counts for at most: a pool that stands still has none

Ledger = list[dict[str, Tensor]]
"""Empty, or one entry: {"sums": what the looks of this window add up to, "told": step and value of what was said}."""


def kept_up(now: Samples, moved: Samples, start: Samples) -> tuple[Scalar, Scalar]:
    """E|now - moved|² and E|moved - start|², whose ratio is the lag.

    Args:
        now: Samples of the generator after the fits, (n, *event).
        moved: Where their particles went, (n, *event).
        start: Where these were drawn, (n, *event).
    """
    return (now - moved).square().sum() / len(now), (moved - start).square().sum() / len(now)


def apart(one: Samples, other: Samples) -> Scalar:
    """Share of the points of two clouds, (n, *event) and (m, *event), whose nearest other point is of their own cloud.

    1/2 on average for two draws of one law of the same size, 1 for two that lie apart; near 0 where each point has its
    partner of the other cloud close by. Of each cloud the first 256 points are looked at.
    """
    one, other = one[:ROWS].flatten(1), other[:ROWS].flatten(1)
    both = torch.cat([one, other])
    few = both.shape[1] <= 32  # there the exact differences are cheap
    mode = "donot_use_mm_for_euclid_dist" if few else "use_mm_for_euclid_dist_if_necessary"
    nearest = torch.cdist(both, both, compute_mode=mode).fill_diagonal_(torch.inf).argmin(1)
    first = torch.arange(len(both), device=both.device) < len(one)
    return (first[nearest] == first).to(both.dtype).mean()


@torch.no_grad()
def note(ledger: Ledger, step: int, now: Samples, moved: Samples, start: Samples, shown: Samples) -> Logs:
    """Enter a look: what a step came to, as numbers of the log; of all processes' samples, and all must enter it.

    Args:
        ledger: Where it is entered.
        step: Steps done with this one.
        now: Samples of the generator after the fits, (n, *event).
        moved: Where their particles went, (n, *event).
        start: Where these were drawn, (n, *event).
        shown: The cloud that the flow was shown last, (m, *event).
    """
    now, moved, start, shown = map(sharing.all_rows, (now, moved, start, shown))
    left, way = kept_up(now, moved, start)
    share = apart(now, shown)
    if not ledger:
        blank = torch.zeros(4, dtype=finest(now.device), device=now.device)
        ledger.append({"sums": blank, "told": blank.clone()})
    entry = ledger[0]
    sums = entry["sums"] + torch.stack([left, way, share, torch.ones_like(share)]).to(entry["sums"])
    if int(sums[3]) >= WINDOW:
        lags, stale = float(sums[0] / sums[1].clamp(min=1e-30)), float(sums[2] / sums[3])
        told = entry["told"].tolist()
        if stale > APART:
            told[2:] = told[2:] if told[2] else [step, stale]
            if lags > LAGS:
                told[:2] = told[:2] if told[0] else [step, min(lags, MOST)]
        entry["told"], sums = torch.tensor(told).to(entry["told"]), torch.zeros_like(sums)
    entry["sums"] = sums
    ratio = torch.where(left > MOST * way, MOST, left / way) if bool(left > 0) else torch.zeros_like(left)
    return {"lag": ratio, "stale": share}


def remarks(ledger: Ledger) -> tuple[str, ...]:
    """What a user should know: that the generator lagged, that its critic was stale, each as it was when first seen."""
    if not ledger:
        return ()
    lagged, lag, aged, stale = ledger[0]["told"].tolist()
    span, said = WINDOW * EVERY, list[str]()
    if lagged:
        said.append(
            f"step {lagged:,.0f}: the generator lags its particles: lag {lag:.2g} over {span} steps, where 0 is all of "
            "their way made and 1 none of it: more fits, a smaller radius or step, or moves 1"
        )
    if aged:
        said.append(
            f"step {aged:,.0f}: the critic is stale: it learns from particles that lie apart from the generator's "
            f"samples, stale {stale:.2f} over {span} steps, where 0.5 is one law and 1 none shared: a smaller "
            "radius or step, fewer moves, or more fits"
        )
    return tuple(said)
