r"""A critic of bounded slope, :math:`|\nabla d| \le L`, and its flow: no point is faster than L, but for weights.

The slope is bounded by the net's layers, or softly by a penalty beside a limit on the speed.
"""

from __future__ import annotations

import math
from functools import partial

from torch import nn

from pushforward.divergences import Divergence
from pushforward.flows.critic import CriticFlow
from pushforward.nets import lipschitz
from pushforward.objectives.penalties import excess
from pushforward.settings.groups import Bound, Critic
from pushforward.training.learner import Learner, MakeOptimiser
from pushforward.training.schedule import constant
from pushforward.types import Contrast, Randomness, Schedule

__all__ = ["bounded_critic", "bounded_flow"]


def bounded_critic(
    event: int | tuple[int, ...], critic: Critic, bound: Bound = Bound(), *, classes: int = 0
) -> lipschitz.LipschitzNet:
    """The net x -> d(x), (n, *event) -> (n,); under a penalty a smooth perceptron, whose slope is another one's care.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        critic: Its slope and sizes.
        bound: How its slope is bounded.
        classes: Number of classes; 0 for none.
    """
    mode, smooth = bound.critic, None
    if mode == "penalty":
        mode, smooth = "none", nn.Softplus
    return lipschitz.critic(
        event, width=critic.width, depth=critic.depth, slope=critic.slope, mode=mode, classes=classes, activation=smooth
    )


def bounded_flow(
    net: nn.Module,
    critic: Critic,
    divergence: Divergence,
    optimiser: MakeOptimiser,
    *,
    bound: Bound = Bound(),
    rng: Randomness | None = None,
    schedule: Schedule = constant,
    contrast: Contrast | None = None,
) -> CriticFlow:
    """The flow of such a net.

    Args:
        net: What `bounded_critic` built, or another net that bounds its slope.
        critic: Its slope, and its updates in a call.
        divergence: What the velocity lowers.
        optimiser: Parameters -> optimiser, at the rate of the start.
        bound: How its slope is bounded; under a penalty of weight 0 nothing bounds it.
        rng: Where a penalty draws points between samples.
        schedule: Updates done -> factor on the learning rate.
        contrast: The critic's loss; that of the divergence, or else logistic regression, if None.
    """
    soft = bound.critic == "penalty" and bound.penalty > 0
    return CriticFlow(
        Learner(net, optimiser, schedule=schedule),
        divergence,
        contrast,
        (partial(excess, slope=critic.slope, weight=bound.penalty, rng=rng),) if soft else (),
        steps=critic.critic_steps,
        cap=bound.cap,
        limit=critic.slope if soft else math.inf,
    )
