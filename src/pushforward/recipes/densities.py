"""Recipes for densities: a normalising flow on points or a table, which answers for the likelihood of any row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.densities import PLANE, TABLE, Fitting

if TYPE_CHECKING:
    from torch import Tensor

    from pushforward.data import Dataset
    from pushforward.training.experiment import Experiment

__all__ = ["density_diamonds", "density_table", "density_toy"]


@recipe
def density_toy(*, points: Fitting = PLANE) -> Experiment:
    """A normalising flow on points of the plane. Expect grid25 within .1 nats of its own law.

    The loss is −E log q, and so is what is measured on held-out rows; `--flow maf` and `--flow realnvp` are for
    comparison.
    """
    return _density(points)


@recipe
def density_table(*, table: Fitting = TABLE) -> Experiment:
    """A normalising flow on a table of any numbers, `--data FILE[:columns]`: a likelihood of every row.

    Rounded columns are dequantised, which a note says; −log q tells rows that are like no others.
    """
    return _density(table)


@recipe
def density_diamonds(*, diamonds: Fitting = TABLE) -> Experiment:
    """A normalising flow on the seven numeric columns of the diamonds. Expect −1.5 nats a held-out row in 70 s of CPU.

    Their numbers are rounded and recur: uniform noise as wide as their steps makes densities of them.

    Args:
        data: The table as PATH[:key or columns]; a toy is there to try it.
    """
    return _density(diamonds)


def _density(fitting: Fitting) -> Experiment:
    """A flow on rows, and how it learns."""
    from dataclasses import replace

    import torch

    from pushforward.methods.density import MaximumLikelihood, flow_law
    from pushforward.randomness import seeded, stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.learner import Learner
    from pushforward.training.schedule import cosine

    loop, how = fitting.loop, fitting.learning
    points = wiring.load(fitting.rows, fitting.classes, loop.seed, kind="points")
    cells, told = _cells(points) if how.dequantise else (torch.zeros(points.event), ())
    points = points if points.hollow else replace(points, notes=(*points.notes, *told))
    prior = None
    if classes := wiring.counted(points, fitting.classes):
        assert points.train_labels is not None
        prior = torch.bincount(points.train_labels, minlength=classes) / len(points.train_labels)
    with seeded(loop.seed):
        net = flow_law(fitting.net, points.event[0], classes, None if points.hollow else points.train)
    learner = Learner(
        net, wiring.adam(how.rate, (0.9, 0.99)), ema=how.average(loop.batch),
        schedule=cosine(loop.steps, how.rate_end), clip=5.0,
    )  # fmt: skip
    method = MaximumLikelihood(learner, stream(loop.seed, "train"), cells, prior)
    return wiring.experiment(method, points, loop, conditional=fitting.classes.conditional, threads=1)


def _cells(points: Dataset) -> tuple[Tensor, tuple[str, ...]]:
    """Width of the cells that columns were rounded to, in model units, and what is said of them."""
    import numpy as np
    import torch

    from pushforward.data.columns.cells import ROWS, cells, told_of_cells
    from pushforward.data.units import Unit

    if points.hollow:  # a checkpoint has them
        return torch.zeros(points.event), ()
    rows = np.asarray(points.decode(points.train[:ROWS]), np.float64)
    widths = cells(rows)
    unit = points.known_unit
    assert isinstance(unit, Unit)
    return torch.from_numpy(widths / unit.columns(points.event)[1]).float(), told_of_cells(rows, widths, points.columns)
