"""Groups of options of densities that learn by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pushforward.settings.groups import Classes, Loop, Rows, decay
from pushforward.settings.options import Between, Factor, Only, Rate, Rounds, Units

__all__ = ["PLANE", "TABLE", "Density", "Fitting", "Flow", "FlowName"]

FlowName = Literal["maf", "nsf", "realnvp"]


@dataclass(frozen=True)
class Flow:
    """A normalising flow.

    Attributes:
        flow: maf (autoregressive, affine), nsf (autoregressive splines) or realnvp (affine couplings).
        transforms: Transformations, one after another; every second one takes the columns in the opposite order.
        width: Units of a hidden layer of their nets.
        depth: Hidden layers of each.
        bins: Of a spline; a narrow mode, or a value that recurs, takes about three.
        whiten: Begin with the linear map that gives data mean 0 and covariance I, and a logarithm far out. Without it
            columns that go nearly together, and rows far from all others, are learned late or never.
    """

    flow: FlowName = "nsf"
    transforms: Rounds = 4
    width: Units = 64
    depth: Annotated[int, Between(1, 32)] = 2
    bins: Annotated[int, Between(2, 1000), Only("flow", ("nsf",))] = 32
    whiten: bool = True


@dataclass(frozen=True)
class Density:
    """How a density learns.

    Attributes:
        rate: Learning rate at the start; it falls along a cosine.
        rate_end: What is left of it at the end, as a factor.
        half_life: Rows in which the running average that answers for the model forgets half of what it was, in
            thousands; 0 for none.
        dequantise: Add uniform noise as wide as their steps to columns whose numbers are rounded, in learning and in
            likelihoods.
    """

    rate: Rate = 1e-2
    rate_end: Factor = 1e-3
    half_life: Annotated[float, Between(0, 1e6)] = 50.0
    dequantise: bool = True

    def average(self, batch: int) -> float:
        """The decay of the running average for so many rows a step."""
        return decay(self.half_life, batch)


@dataclass(frozen=True)
class Fitting:
    """Points, a flow, and how long it learns on how many of them at a time."""

    rows: Rows = field(default=Rows("toy:moons"))
    loop: Loop = field(default=Loop(2_000, 512))
    classes: Classes = field(default=Classes())
    net: Flow = field(default=Flow())
    learning: Density = field(default=Density())


PLANE = Fitting()
TABLE = Fitting(Rows("toy:grid25"))
