"""A recipe for particles under flows that train nothing: kernels, transport, Stein, Langevin."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from pushforward.recipes.parts.checks import recipe
from pushforward.settings.groups import FIELDS, Cloud, Loop, Rows
from pushforward.settings.options import Count, Factor, Length, Only, Weight

if TYPE_CHECKING:
    from pushforward.data.dataset import Dataset
    from pushforward.training.experiment import Experiment
    from pushforward.types import Flow, Randomness, Samples, Scores

__all__ = ["flow_particles"]

Name = Literal["sinkhorn", "sliced", "mmd", "energy", "kale", "kernel_gpa", "drift", "svgd", "ksd", "langevin",
               "metropolis"]  # fmt: skip

STEPS = {"sinkhorn": 0.2, "sliced": 0.2, "mmd": 2.0, "energy": 0.5, "kale": 0.1, "kernel_gpa": 0.1, "drift": 1.0,
         "svgd": 0.2, "ksd": 0.1, "langevin": 0.005, "metropolis": 0.02}  # fmt: skip
"""Time of a step that suits a flow on standardised data."""


@recipe
def flow_particles(
    *,
    rows: Rows = Rows("toy:gaussians2"),
    flow: Name = "sinkhorn",
    divergence: Annotated[str, Only("flow", ("kernel_gpa",))] = "KL",
    penalty: Annotated[Weight, Only("flow", ("kale", "kernel_gpa"))] = 0.1,
    loop: Loop = Loop(200, 500),
    cloud: Cloud = Cloud(500),
    step: Length | None = None,
    step_end: Factor = 0.2,
    record: Count = 0,
    fields: Annotated[Count, Only("record")] = FIELDS,
) -> Experiment:
    """Particles under a flow that needs no critic. Expect the data's shape at the floor of fresh samples, in seconds.

    Args:
        data: digits, toy:NAME or PATH[:key]; svgd, ksd, langevin and metropolis need a toy with a density.
        flow: sinkhorn, sliced, mmd (Gaussian kernels of several lengths), energy, kale, kernel_gpa (a divergence over a
            kernel's critics), drift (kernel estimates of both laws, ever sharper), svgd, ksd, langevin or metropolis.
        divergence: Of kernel_gpa: KL, JS, alpha(2), ...
        penalty: Cost of the critic's norm, of kale and kernel_gpa.
        step: Time of a step, in standardised data units per unit velocity; what suits the flow if not given.
        step_end: Factor on it at the end, reached over the second half.
        record: Keep every so many-th field, so that new points can be carried along; 0 keeps none.
        fields: Most fields that are kept; twice as many steps share one where there would be more. 0 keeps all.
    """
    from pushforward.dynamics.integrate import Integrator, euler
    from pushforward.dynamics.langevin import Langevin, Metropolis
    from pushforward.methods.particles.driver import Particles
    from pushforward.methods.sources import Gaussian
    from pushforward.randomness import stream
    from pushforward.recipes.parts import wiring
    from pushforward.training.schedule import linear

    points = wiring.load(rows, seed=loop.seed, kind="points")
    rng, source = stream(loop.seed, "train"), Gaussian(points.event, cloud.start, cloud.spread)
    field = (
        _drift(points, loop.steps, cloud.particles)
        if flow == "drift"
        else _flow(flow, divergence, penalty, points, rng)
    )
    schemes: dict[str, Integrator] = {}
    if flow in ("langevin", "metropolis"):
        schemes = {"langevin": Langevin(rng), "metropolis": Metropolis(lambda x: _log_density(points, x), rng)}
    held = points.test[:1000]
    method = Particles(
        field,
        source(stream(loop.seed, "init", part="particles"), cloud.particles),
        STEPS[flow] if step is None else step,
        rng,
        scheme=schemes.get(flow, euler),
        source=source if record else None,
        record=record,
        fields=fields,
        schedule=linear(loop.steps, step_end, 0.5),
        held=lambda: held,
        diagnose=max(1, loop.steps // 20),
        steps=loop.steps,
    )
    return wiring.experiment(method, points, loop, threads=1)


def _drift(points: Dataset, steps: int, particles: int) -> Flow:
    """Windows from the data's spread down to what ten of as many data fill, over four fifths of the steps."""
    from pushforward.flows.drift.flow import DriftFlow
    from pushforward.flows.local.density import nearby
    from pushforward.geometry.kernels import rbf

    near = 1.0 if points.hollow else nearby(points.train[:particles].flatten(1), 10)
    few = math.prod(points.event) < 4  # beyond, every sample is alone, and its own weight would leave it on the data

    def length(calls: int) -> float:
        return near ** min(1.0, calls / (0.8 * steps)) if 0 < near < 1 else 1.0

    return DriftFlow(rbf, (1.0,), "split", unit=1.0, rms=False, anneal=length, own=0.05 if few else 0.0)


def _flow(name: str, divergence: str, penalty: float, points: Dataset, rng: Randomness) -> Flow:
    import torch

    from pushforward.divergences import locate
    from pushforward.errors import UsageError
    from pushforward.flows.kernel_gpa import KernelGPA, kale
    from pushforward.flows.mmd import MMDFlow
    from pushforward.flows.sinkhorn import SinkhornFlow
    from pushforward.flows.sliced import SlicedFlow
    from pushforward.flows.stein import KSDFlow, ScoreFlow, SteinFlow
    from pushforward.geometry.kernels import OfLength, energy, median_bandwidth, multiscale, rbf

    def score(x: Samples) -> Samples:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(_log_density(points, x).sum(), x)
        return slope

    if name in ("svgd", "ksd", "langevin", "metropolis") and points.mixture is None:
        raise UsageError(f"--flow {name}: needs a density and {points.name} has none; use sinkhorn, or toy:gaussians2")
    if name == "sinkhorn":
        return SinkhornFlow(tolerance=0.03, iterations=50, watch=False)
    if name == "sliced":
        return SlicedFlow(rng)
    if name == "mmd":
        length = 1.0 if points.hollow else median_bandwidth(points.train[:1000])  # a checkpoint has that of the rows
        return MMDFlow(OfLength(partial(multiscale, rbf), torch.tensor(length, dtype=torch.float64)))
    if name == "energy":
        return MMDFlow(energy())
    if name == "kale":
        return kale(penalty=penalty)
    if name == "kernel_gpa":
        return KernelGPA(locate(divergence), penalty=penalty)
    if name == "svgd":
        return SteinFlow(score)
    return KSDFlow(_differentiable(points)) if name == "ksd" else ScoreFlow(score)


def _differentiable(points: Dataset):
    """The score as a function that can be differentiated once more."""
    import torch

    def score(x: Samples) -> Samples:
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(_log_density(points, x).sum(), x, create_graph=True)
        return slope

    return score


def _log_density(points: Dataset, x: Samples) -> Scores:
    """log p at x (n, d) in model units, up to a constant."""
    import torch

    assert points.mixture is not None
    corner = torch.zeros(2, x.shape[1])
    corner[1] = 1.0
    low, high = torch.from_numpy(points.decode(corner)).to(x)
    return points.mixture.log_prob(low + (high - low) * x).to(x)
