r"""Samples where there are no data: the share that lies outside nested sets which are known to hold all of them.

.. math:: h_l = Q(S_l^c), \qquad P(S_l) = 1, \qquad S_1 \supset S_2 \supset \dots

A solid square over a carpet with holes has the carpet's mean, its covariance and nearly its kernel means, and yet
:math:`h_l = 1 - (8/9)^l`, .30 at three levels.
"""

from __future__ import annotations

from scipy.stats import hypergeom

from pushforward.densities.support import Support
from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison, linear_cost
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_samples
from pushforward.metrics.core.result import Measure

__all__ = ["PARTS", "holes"]


def holes(fake: Given, real: Given, support: Support) -> dict[str, Measure]:
    """The share of samples outside each set of a known support, from the coarsest to the finest.

    The floor is what rows of the data have, 0 up to rounding. The finest set's share carries a p-value, Fisher's exact
    test of the number of samples against that of rows, one-sided: for one law it keeps its level at any sizes.

    Args:
        fake: Model samples, (n, d), in data units.
        real: Held-out data, (m, d).
        support: The sets.

    Returns:
        `holes[l]` for l from 1 to the number of sets; the lower the better.

    Raises:
        DataError: If the two are not points of one size.
    """
    fake, real = check_samples("fake", fake, least=1), check_samples("real", real, least=1)
    if fake.ndim != 2 or fake.shape[1:] != real.shape[1:]:
        shapes = f"fake has shape {tuple(fake.shape)}, real {tuple(real.shape)}"
        raise DataError(f"{shapes}: give (n, d) and (m, d) in the units of the support")
    deep, known, n, m = support.depth(fake), support.depth(real), len(fake), len(real)
    found: dict[str, Measure] = {}
    for level in range(1, support.levels + 1):
        out, seen = int((deep < level).sum()), int((known < level).sum())
        share = out / n
        p = float(hypergeom.sf(out - 1, n + m, out + seen, n)) if level == support.levels else None
        found[f"holes[{level}]"] = Measure(
            share, seen / m, (share * (1 - share) / n) ** 0.5, p, n, m, better="lower",
            protocol={"level": level, "levels": support.levels, "se": "binomial"}
            | ({} if p is None else {"p": "Fisher's exact test, one-sided"}),
        )  # fmt: skip
    return found


def _part(c: Comparison) -> Found:
    assert c.support is not None
    return holes(c.first, c.real, c.support)


PARTS = (
    Part(
        "holes", "samples where a known law has none", _part, linear_cost,
        {"holes": "Share of samples outside the data's support, to each level of its structure"},
        frozenset(("points", "support")), usual=frozenset(("points",)), place=195,
        counted=frozenset(("holes",)),
    ),
)  # fmt: skip
