r"""A model's density at rows of data, in the units of the data.

A model answers for :math:`\log q(y)` of rows in its own units, :math:`y = (x - m)/s`. Of the data's rows it is

.. math::
    \log q(x) = \log q(y) + \log |\det \mathrm{d}y / \mathrm{d}x| = \log q(y) - \sum_j \log s_j

so that two models whose data were scaled differently compare.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["RowDensities"]


@dataclass(frozen=True, eq=False)
class RowDensities:
    """Log densities of a model at rows of data, in nats, with respect to the units of the data.

    Attributes:
        held: At held-out rows, (m,) float64.
        seen: At rows that the model learned from, (n,) float64.
        dim: Numbers in a row.
        law: The log density of the data's own law at the held-out rows, (m,) float64, where it is known.
        unit: What the units of the data are, in words.
        by: How the densities were found, in words, where that is not exact.
    """

    held: Tensor
    seen: Tensor
    dim: int
    law: Tensor | None = None
    unit: str = "data units"
    by: str = ""
