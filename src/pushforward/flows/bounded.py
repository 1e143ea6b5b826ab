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
from pushforward.settings.groups import Bound, Constraint
from pushforward.training.learner import Learner
from pushforward.types import Contrast, Randomness

__all__ = ["bounded_critic", "bounded_flow"]


def bounded_critic(
    event: int | tuple[int, ...],
    slope: float,
    width: int,
    depth: int,
    constraint: Constraint = "bjorck",
    *,
    classes: int = 0,
    waves: int = 0,
) -> lipschitz.LipschitzNet:
    """The net x -> d(x), (n, *event) -> (n,); under a penalty a smooth perceptron, whose slope is another one's care.

    Args:
        event: Shape of one sample, or its size if it is a vector.
        slope: Its bound L, in score units per unit of a sample.
        width: Units of a hidden layer.
        depth: Hidden layers.
        constraint: How its slope is bounded.
        classes: Number of classes; 0 for none.
        waves: Octaves of sines and cosines that it sees beside x; 0 for none.
    """
    mode, smooth = constraint, None
    if mode == "penalty":
        mode, smooth = "none", nn.Softplus
    return lipschitz.critic(
        event, width=width, depth=depth, slope=slope, mode=mode, classes=classes, activation=smooth, waves=waves
    )


def bounded_flow(
    critic: Learner,
    divergence: Divergence,
    *,
    slope: float,
    steps: int,
    bound: Bound = Bound(),
    rng: Randomness | None = None,
    contrast: Contrast | None = None,
) -> CriticFlow:
    """The flow of such a net.

    Args:
        critic: Learns what `bounded_critic` built, or another net that bounds its slope.
        divergence: What the velocity lowers.
        slope: The bound L.
        steps: Updates of the critic in a call.
        bound: How its slope is bounded; under a penalty of weight 0 nothing bounds it.
        rng: Where a penalty draws points between samples.
        contrast: The critic's loss; that of the divergence, or else logistic regression, if None.
    """
    soft = bound.critic == "penalty" and bound.penalty > 0
    return CriticFlow(
        critic,
        divergence,
        contrast,
        (partial(excess, slope=slope, weight=bound.penalty, rng=rng),) if soft else (),
        steps=steps,
        cap=bound.cap,
        limit=slope if soft else math.inf,
    )
