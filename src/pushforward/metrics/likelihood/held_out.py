r"""How likely a model finds new data: the mean over held-out rows x of

.. math::
    -\log q(x) \text{ nats}, \qquad -\frac{\log q(x)}{D \log 2} \text{ bits per dimension of } D

with respect to the units of the data. Its expectation is the entropy of the data's law plus KL(p‖q), so that only
differences mean something; they are stated against the law of the data where that is known, else against the rows that
the model learned from, where an overfitted model does better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from pushforward.densities.rows import RowDensities
from pushforward.metrics.core.comparison import Comparison, linear_cost
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.result import OVERFITTING, Measure
from pushforward.metrics.likelihood.density import bits_per_dim, likelihood_gap

__all__ = ["PARTS", "held_out_likelihood"]


def held_out_likelihood(densities: RowDensities) -> Mapping[str, Measure]:
    """Held-out negative log-likelihood in nats and bits per dimension, and by how much training rows are more likely.

    Args:
        densities: Log densities at held-out and at training rows.

    Returns:
        `nll`, nats a row, with its standard error over the held-out rows. Its floor is what the data's law scores on
        the same rows; where that is not known, what the model scores on rows that it learned from. `bits_per_dim`, the
        same number for images. `likelihood_gap`, `nll` less that of the training rows, in nats.

    Raises:
        DataError: If there are fewer than two rows of either kind, or a density is not finite.
    """
    held, seen, dim = densities.held.double(), densities.seen.double(), densities.dim
    gap = likelihood_gap(seen, held)  # it checks both
    known = densities.law is not None
    best = seen if densities.law is None else densities.law.double()
    protocol: dict[str, str | float | int] = {
        "unit": f"nats a row, in {densities.unit}",
        "dim": dim,
        "train": -_mean(seen),
        "floor": "the law of the data, on the same rows" if known else "rows that the model learned from",
        "se": "over the held-out rows",
        "scale": "interval",
    } | ({"by": densities.by} if densities.by else {})
    se = float((held.var() / len(held)).sqrt())
    nll = Measure(-_mean(held), -_mean(best), se, None, 0, len(held), "log-likelihood", "lower", protocol,
                  {"held": held, "seen": seen})  # fmt: skip
    in_bits = {"unit": f"bits a dimension, in {densities.unit}", "train": -bits_per_dim(_mean(seen), dim)}
    bits = replace(
        nll, value=bits_per_dim(nll.value, dim), floor=bits_per_dim(-_mean(best), dim), se=bits_per_dim(se, dim),
        protocol=protocol | in_bits, detail={},
    )  # fmt: skip
    gap = replace(gap, protocol=gap.protocol | {"hypothesis": OVERFITTING, "scale": "interval"})
    return {"nll": nll, "bits_per_dim": bits, "likelihood_gap": gap}


def _mean(x: Tensor) -> float:
    return float(x.mean())


def _part(c: Comparison) -> Found:
    assert c.densities is not None
    return held_out_likelihood(c.densities)


PARTS = (
    Part(
        "likelihood", "log-likelihood of held-out data", _part, linear_cost,
        {"nll": "How unlikely the model finds held-out data, in nats a row: −E log q",
         "bits_per_dim": "The same in bits for each number of a row",
         "likelihood_gap": "How much likelier the model finds the rows it learned from, in nats; "
                           "0 without overfitting"},
        frozenset(("density",)), usual=frozenset(("densities",)), place=240,
    ),
)  # fmt: skip
