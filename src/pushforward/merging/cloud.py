r"""One cloud flows onto another along a critic of bounded slope, :math:`\dot x = \nabla d_t(x),\ |\nabla d_t| \le L`.

The critic learns first while nothing moves, then between moves; steps shrink towards the end, so that what is left of
the critic's noise averages out. Clouds larger than a batch are shown to it in mini-batches.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam

from pushforward.divergences import Divergence, locate
from pushforward.dynamics.velocity import Ascent, limited
from pushforward.errors import TrainingError, UsageError
from pushforward.flows.bounded import bounded_critic, bounded_flow
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.methods.particles.stopping import Until
from pushforward.nets import lipschitz as nets
from pushforward.randomness import Noise, seeded, stream
from pushforward.settings.groups import Bound
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Samples

__all__ = ["How", "Way", "transport_cloud"]

STILL = 1e-3  # kinetic energy, with L = 1, below which all has arrived


@dataclass(frozen=True)
class How:
    """How clouds are moved; lengths are in units of the representation's scale.

    Attributes:
        divergence: A Lipschitz-regularised divergence by its name without the ending, kl, js, alpha(2), w1, or any
            other constant of `pushforward.divergences`.
        lipschitz: Largest slope L of the critic, and so largest speed.
        critic: "bjorck", a slope bounded by construction, or "penalty", a softplus perceptron with a one-sided penalty
            beside a limit on the speed.
        width: Units of the critic's three hidden layers.
        rate: Learning rate of the critic.
        updates: Updates of the critic between two moves.
        warmup: Calls of the critic before the first move.
        steps: Most moves at full step.
        step: Length of a move at full speed: L times its time.
        settle: Moves in which steps then shrink to nothing, as a multiple of those before.
        batch: Cells of either side that the critic sees at a time.
        plateau: Change of the divergence within 20 moves below which cells settle, as a share of the first divergence,
            or of L where that is larger.

    Raises:
        UsageError: If a number is out of range.
    """

    divergence: str = "kl"
    lipschitz: float = 1.0
    critic: Literal["bjorck", "penalty"] = "bjorck"
    width: int = 64
    rate: float = 2e-3
    updates: int = 5
    warmup: int = 40
    steps: int = 200
    step: float = 0.1
    settle: float = 1.0
    batch: int = 1024
    plateau: float = 0.02

    def __post_init__(self) -> None:
        for name in ("lipschitz", "width", "rate", "updates", "steps", "step", "batch"):
            if not 0 < (value := getattr(self, name)) < float("inf"):
                raise UsageError(f"{name} {value}: give a positive number")
        if self.critic not in ("bjorck", "penalty"):
            raise UsageError(f"critic {self.critic!r}: use bjorck or penalty")
        for name in ("settle", "warmup", "plateau"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise UsageError(f"{name} {value}: give 0 or a positive number")
        self.law()

    def law(self) -> Divergence:
        """The divergence, Lipschitz-regularised where there is such a one of that name."""
        name = self.divergence.strip()
        for guess in (f"{name}_lip", name.replace("alpha(", "alpha_lip(")):
            try:
                found = locate(guess, outside=False)
            except UsageError:
                continue
            if found.contrast is not None:
                return found
        return locate(name)


@dataclass(frozen=True)
class Way:
    """Where a cloud came to, and how.

    Attributes:
        x: Where its points are, (n, d).
        length: Length of their ways, (n,).
        speed: Their last speed, (n,).
        divergence: The critic's estimate before each move.
        kinetic: Kinetic energy, half the mean square of the velocity, in L², in each move.
        certificate: A bound of the critic's slope: by construction, or the largest seen where it has only a penalty.
        certified: Whether it is by construction.
        why: Why the cells settled.
    """

    x: Samples
    length: Tensor
    speed: Tensor
    divergence: list[float]
    kinetic: list[float]
    certificate: float
    certified: bool
    why: str


def transport_cloud(
    q: Samples,
    p: Samples,
    how: How,
    *,
    labels: tuple[Labels, Labels] | None = None,
    seed: int = 0,
    tick: Callable[[float], None] | None = None,
) -> Way:
    """Move q onto p.

    Args:
        q: Cells to move, (n, d), in units of the scale.
        p: Cells of the reference, (m, d).
        how: Settings.
        labels: Classes (n,) and (m,) for one conditional critic: every cell then moves within its class. Data are shown
            in the shares of the classes of q, each of which must be in p.
        seed: Seed of the critic's weights and of the mini-batches.
        tick: Told the fraction of the moves done.

    Raises:
        TrainingError: If the cloud flies off, which a smaller step or rate cures.
    """
    noise, classes = stream(seed, "train"), 0 if labels is None else int(torch.cat(labels).max()) + 1
    flow = _flow(q.shape[1], classes, how, noise, seed)
    arrived = Until()
    turn, why = how.steps, f"{how.steps} moves were done"

    def factor(k: int) -> float:
        return 1.0 if k < turn else max(0.0, 1 - (k + 1 - turn) / (how.settle * turn + 1))

    cloud = Particles(
        flow,
        q,
        how.step / how.lipschitz,
        noise,
        warmup=how.warmup,
        schedule=factor,
        labels=None if labels is None else labels[0],
        batch=how.batch,
        diagnose=0,
    )
    divergence, kinetic = list[Tensor](), list[Tensor]()
    for k, logs in zip(count(1), cloud.learn(_shown(p, how.batch, noise, labels))):
        divergence.append(logs.get("divergence", -logs["critic"]))
        kinetic.append(logs["kinetic"] / how.lipschitz**2)
        if k == 1:  # small divergences are mostly noise, which a share of them would follow for ever
            share = how.plateau * max(1.0, how.lipschitz / max(float(divergence[0]), 1e-6))
            arrived = Until(plateau=share, kinetic=STILL * how.lipschitz**2)
        if turn == how.steps and k < turn and (reason := arrived.reason(cloud.accounts, k, 0.0)):
            turn, why = k, reason
        if tick:
            tick(k / (turn * (1 + how.settle)))
        if k >= turn * (1 + how.settle):
            break
    if not bool(cloud.particles.isfinite().all()):
        raise TrainingError(
            f"the cells flew off in {len(kinetic)} moves of step {how.step:g}: lower lipschitz, now "
            f"{how.lipschitz:g}, or step or rate of How"
        )
    ascent = _ascent(flow, cloud.particles, cloud.labels)
    certified = how.critic == "bjorck"
    bound = nets.certificate(flow.critic.net) if certified else float(ascent.norm(dim=1).max())
    return Way(
        cloud.particles,
        cloud.accounts.path,
        limited(ascent, flow.limit)[0].norm(dim=1),
        torch.stack(divergence).tolist(),
        torch.stack(kinetic).tolist(),
        bound,
        certified,
        why,
    )


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


def _shown(p: Samples, batch: int, noise: Noise, labels: tuple[Labels, Labels] | None) -> Iterator[Batch]:
    """Data for the critic: all of it where that is little, else a draw; by class, in the shares of the moving cells."""
    while labels is None:
        yield p if len(p) <= batch else p[noise.integers(len(p), batch)]
    mine, theirs = labels
    order = torch.argsort(theirs, stable=True)
    sizes = torch.bincount(theirs)
    starts = torch.cumsum(sizes, 0) - sizes
    count = min(batch, max(len(p), len(mine)))
    while True:
        drawn = mine[noise.integers(len(mine), count)]
        rows = order[starts[drawn] + (noise.uniform(count) * sizes[drawn]).long().minimum(sizes[drawn] - 1)]
        yield p[rows], drawn
