r"""One cloud flows onto another along a critic of bounded slope, :math:`\dot x = \nabla d_t(x),\ |\nabla d_t| \le L`.

The critic learns first while nothing moves, then between moves. Cells go together, along a smooth field, which keeps
neighbours (`Together`). What the critic still tells apart is measured on cells that it never sees, by `sides.Judge`:
nothing moves where that is within two standard errors before the first move; once it is within one, on a mean of five,
steps shrink to nothing, so that what is left of the critic's noise averages out. Clouds larger than a batch are shown
to it in mini-batches.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.dynamics.velocity import Ascent
from pushforward.errors import TrainingError
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.flows.critic import CriticFlow
from pushforward.merging.flow.how import How, Pace
from pushforward.merging.flow.sides import FEWEST, Judge, Side, ratios
from pushforward.merging.flow.together import Together
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.nets import lipschitz as nets
from pushforward.randomness import Noise, seeded, stream
from pushforward.settings.groups import Bound
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Samples

__all__ = ["Way", "transport_cloud"]

STILL = 1e-3  # kinetic energy, with L = 1, below which all has arrived


@dataclass(frozen=True)
class Way:
    """Where a cloud came to, and how.

    Attributes:
        x: Where its points are, (n, d).
        length: Length of their ways, (n,).
        divergence: The critic's estimate before each move.
        kinetic: Kinetic energy of the cells in each move, half the mean square of their velocity, in L².
        held: The critic's gap g on held-out cells before each move; empty where there were none.
        held_error: Its standard error s.
        certificate: A bound of the critic's slope: by construction, or the largest seen where it has only a penalty.
        certified: Whether it is by construction.
        why: Why the cells settled.
        ended: Whether something ended the moves before they were used up.
    """

    x: Samples
    length: Tensor
    divergence: list[float]
    kinetic: list[float]
    held: list[float]
    held_error: list[float]
    certificate: float
    certified: bool
    why: str
    ended: bool


def transport_cloud(
    q: Samples,
    p: Samples,
    how: How,
    *,
    labels: tuple[Labels, Labels] | None = None,
    weights: Tensor | None = None,
    aside: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Way:
    """Move q onto p.

    Args:
        q: Cells to move, (n, d), in units of the scale.
        p: Cells of the reference, (m, d).
        how: Settings.
        labels: Classes (n,) and (m,) for one conditional critic: every cell then moves within its class.
        weights: Share that each cell of the reference has of the law that q goes to, (m,), of any sum; all the same if
            None, with classes as they are shared in q.
        aside: Masks (n,) and (m,) of cells that the critic never sees: those of q move with the others, and count in
            the means of those around them; with those of p they tell when there is nothing to do, or to do any more.
            None without any.
        seed: Seed of the critic's weights and of the mini-batches.
        tick: Told the fraction of the moves done.

    Raises:
        TrainingError: If the cloud flies off, which a smaller step or rate cures.
    """
    noise, classes = stream(seed, "train"), 0 if labels is None else int(torch.cat(labels).max()) + 1
    flow = _flow(q.shape[1], classes, how, noise, seed)
    mine, theirs = labels or (None, None)
    if labels is not None and weights is None:
        weights = ratios(*labels)
    held, away = aside or (torch.zeros(len(q), dtype=torch.bool), torch.zeros(len(p), dtype=torch.bool))
    here, goal = Side.of(q, held, mine), Side.of(p, away, theirs, weights)
    order = torch.cat([here.seen, here.held])
    scheme = Together.of(q[order], None if mine is None else mine[order], how.around)
    pace = Pace(how, how.steps, f"{how.steps} moves were done")
    (first, classes_seen), (tracers, classes_held) = here.rows(here.seen), here.rows(here.held)
    cloud = Particles(
        flow,
        first,
        how.step / how.lipschitz,
        noise,
        scheme,
        warmup=how.warmup,
        schedule=pace.factor,
        labels=classes_seen,
        tracers=tracers if len(tracers) else None,
        tracer_labels=classes_held if len(tracers) else None,
        batch=how.batch,
        diagnose=0,
    )
    judge = Judge(goal, min(len(here.held), len(goal.held)) >= FEWEST)
    data = goal.shown(how.batch, len(q), noise)
    divergence = _followed(cloud, data, pace, judge, tick)
    kinetic = (torch.stack(scheme.kinetic) / how.lipschitz**2).tolist()
    x, length = torch.empty_like(q), torch.empty(len(q))
    x[order] = cloud.particles if cloud.tracers is None else torch.cat([cloud.particles, cloud.tracers])
    length[order] = scheme.length
    if not bool(x.isfinite().all()):
        raise TrainingError(
            f"the cells flew off in {len(kinetic)} moves of step {how.step:g}: lower lipschitz, now "
            f"{how.lipschitz:g}, or step or rate of How"
        )
    certified = how.critic == "bjorck"
    slope = nets.certificate(flow.critic.net) if certified else float(_ascent(flow, x, mine).norm(dim=1).max())
    return Way(x, length, divergence, kinetic, *judge.curves, slope, certified, pace.why, pace.turn < how.steps)


def _followed(
    cloud: Particles, data: Iterator[Batch], pace: Pace, judge: Judge, tick: Callable[[float], None] | None
) -> list[float]:
    """Let a cloud go until all has settled: the divergence, move by move."""
    divergence, arrived, slope = list[Tensor](), Until(), pace.how.lipschitz
    for k, logs in enumerate(cloud.learn(data)):
        divergence.append(logs.get("divergence", -logs["critic"]))
        judge.look(cloud)
        if k == 0:  # small divergences are mostly noise, which a share of them would follow for ever
            share = pace.how.plateau * max(1.0, slope / max(float(divergence[0]), 1e-6))
            arrived = Until(plateau=share, kinetic=STILL * slope**2)
        reason = judge.reason() or (arrived.reason(cloud.accounts, k + 1, 0.0) if k else "")
        if reason:
            pace.settle(k, reason)
        if tick:
            tick(min(1.0, k / max(1.0, pace.moves)))
        if k >= pace.moves:
            break
    return torch.stack(divergence).tolist()


def _ascent(flow: CriticFlow, x: Samples, labels: Labels | None, block: int = 2**18) -> Samples:
    """The velocity of the critic as it is, block by block, before its speed is limited."""
    parts = []
    for k in range(0, len(x), block):
        rows = slice(k, k + block)
        parts.append(Ascent(flow.scores, flow.divergence, flow.cap, None if labels is None else labels[rows])(x[rows]))
    return torch.cat(parts)


def _flow(dim: int, classes: int, how: How, noise: Noise, seed: int) -> CriticFlow:
    with seeded(seed):
        net = bounded_critic(dim, how.lipschitz, how.width, 3, how.critic, classes=classes)
    critic = Learner(net, partial(Adam, lr=how.rate, betas=(0.5, 0.9)))
    bound = Bound(how.critic)
    return bounded_flow(critic, how.law(), slope=how.lipschitz, steps=how.updates, bound=bound, rng=noise)
