r"""What is done with scores under a divergence: the capped weight of a sample, the generator loss, the critic's losses.

.. math:: w(d) = -\psi'(d), \qquad D_f(q\|p) = \sup_V \mathbb{E}_q \phi(V) - \mathbb{E}_p f^*(\phi(V))
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import relu

from pushforward.divergences.family import TV, Divergence, Function, softplus
from pushforward.errors import UsageError
from pushforward.types import Contrast, Scalar, Scores

__all__ = ["dual", "logistic", "potential", "weight"]


def weight(divergence: Divergence, scores: Scores, cap: float = math.inf) -> tuple[Tensor, Scalar]:
    """The capped weight w(d) = exp(min(log w(d), log cap)) and the share of samples at the cap.

    Args:
        divergence: Supplies log w.
        scores: Log-ratios d, (n,).
        cap: Largest weight allowed.
    """
    log_w, log_cap = divergence.log_weight(scores), math.log(cap)
    if log_cap == math.inf:
        return log_w.exp(), scores.new_zeros(())
    return log_w.clamp(max=log_cap).exp(), (log_w > log_cap).to(scores.dtype).mean()


def potential(divergence: Divergence, scores: Scores, cap: float = math.inf) -> Scores:
    """psi(d) continued by straight lines where its slope would pass the cap, so that -d/dd equals the capped weight.

    Its mean over samples G(z) is the generator loss of the divergence: JS saturating, LOGD the log-D trick, KL linear.

    Args:
        divergence: Supplies psi.
        scores: Log-ratios d, (n,).
        cap: Largest slope allowed, the same number as in `weight`.
    """
    if cap == math.inf:
        return divergence.variation(scores)
    low, high = _where(divergence.log_weight, math.log(cap))
    return divergence.variation(scores.clamp(low, high)) - cap * _beyond(scores, low, high)


def logistic(q: Scores, p: Scores) -> Scalar:
    """Balanced logistic loss, least at the log-ratio d = log p/q; 2 log 2 - loss bounds JS(q‖p) = 2 JSD from below."""
    return softplus(q).mean() + softplus(-p).mean()


def dual(divergence: Divergence, cap: float = 1e4) -> Contrast:
    r"""The f-GAN critic loss :math:`\mathbb{E}_p f^*(\phi(V)) - \mathbb{E}_q \phi(V)`, least at V = log p/q for each f.

    Its slopes are w(V) at q and w(V) e^{-V} at p. Beyond the scores where one would pass the cap w goes on as a
    constant above, where the term of q is a straight line, and as w e^V below, where that of p is one. So no score
    overflows, the least loss stays at V = log p/q, however far that is, and the loss is that of another f-divergence,
    with :math:`f''(r)` cut off at cap / r and cap / r^2: minus the loss is bounded, and never passes D_f. A divergence
    with a contrast of its own is learned by that one.

    Args:
        divergence: Supplies phi and f* at phi, or the contrast.
        cap: Largest slope allowed.

    Raises:
        UsageError: If the divergence has no dual form.
    """
    if divergence.contrast is not None:
        return divergence.contrast
    phi, value = divergence.critic_map, divergence.dual_value
    if phi is None or value is None:
        raise UsageError(
            f"divergence {divergence.name} has no dual form: give it critic_map and dual_value, or use the "
            "logistic contrast"
        )

    if divergence is TV or cap == math.inf:
        return lambda q, p: value(p).mean() - phi(q).mean()

    def slopes(d: Tensor) -> Tensor:
        return divergence.log_weight(d) + (-d).clamp(min=0)

    low, high = _where(slopes, math.log(cap))

    def contrast(q: Scores, p: Scores) -> Scalar:
        q_in, p_in = q.clamp(low, high), p.clamp(low, high)
        q_slope = divergence.log_weight(q_in).exp().detach()
        p_slope = (divergence.log_weight(p_in) - p_in).exp().detach()
        on_p = value(p_in) + p_slope * (relu(low - p) + _levelling(p - high))
        on_q = phi(q_in) - q_slope * (relu(q - high) + _levelling(low - q))
        return on_p.mean() - on_q.mean()

    return contrast


def _levelling(beyond: Scores) -> Scores:
    """e^{-t} - 1 for t > 0 and 0 for t <= 0: it starts with slope -1 and comes to rest at -1.

    Not by expm1, whose slope would be its value plus one, never smaller than the rounding of that.
    """
    return (-relu(beyond)).exp() - 1


def _beyond(scores: Scores, low: float, high: float) -> Scores:
    """scores - scores.clamp(low, high), its slope inside exactly zero, so that it never drowns a small one."""
    return relu(scores - high) - relu(low - scores)


@cache
def _where(log_slope: Function, log_cap: float, reach: float = 1e5) -> tuple[float, float]:
    """The interval where a log-slope without an inner maximum stays under a cap, by bisection to float64.

    It is looked for around 0, else at the far ends; a slope that passes the cap everywhere answers with [0, 0].
    """

    def under(d: float) -> bool:
        return float(log_slope(torch.tensor(d, dtype=torch.float64))) <= log_cap

    def edge(end: float) -> float:
        if under(end):
            return math.copysign(math.inf, end)
        inside, outside = start, end
        for _ in range(100):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if under(middle) else (inside, middle)
        return inside

    start = next((d for d in (0.0, -reach, reach) if under(d)), 0.0)
    return edge(-reach), edge(reach)
