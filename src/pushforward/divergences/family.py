r"""f-divergences as data: :math:`D_f(q\|p) = \mathbb{E}_p f(r)`, with r = q/p and d = log p/q = -log r.

The first variation of D_f at q is f'(r). As a function of the log-ratio it is psi(d) = f'(e^{-d}) up to a constant, and
minus its gradient is the velocity w(d) grad d with the weight w(d) = -psi'(d) = r f''(r) >= 0: every f-divergence
moves samples up the log-ratio, they differ only in how fast each sample goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward.errors import UsageError
from pushforward.types import Contrast

__all__ = [
    "HELLINGER",
    "JEFFREYS",
    "JS",
    "KL",
    "LIN",
    "LOGD",
    "NEYMAN",
    "PEARSON",
    "REVERSE_KL",
    "TV",
    "Divergence",
    "Function",
    "alpha",
    "softplus",
]

Function = Callable[[Tensor], Tensor]
LOG2 = math.log(2.0)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), without torch's threshold at 20, where its value and slope are off by 2e-9."""
    return -logsigmoid(-x)


@dataclass(frozen=True)
class Divergence:
    """One f-divergence D_f(q‖p). The first three fields are all a flow or a generator loss needs.

    The functions of the ratio are normalised, f(1) = f'(1) = 0: then f >= 0, and a Monte-Carlo estimate is never
    negative. They are None where a divergence has no density form; the dual critic needs the last two.

    Attributes:
        name: What logs and reports call it.
        variation: psi(d), the generator loss as a function of critic scores, up to a constant.
        log_weight: log w(d) with w = -psi'; evaluated instead of w, so that a cap is exact and nothing overflows.
        f: f(r) for r > 0.
        df: f'(r).
        d2f: f''(r).
        conjugate: f*(t) = sup_r rt - f(r); +inf outside its domain.
        domain: Supremum of the t where f*(t) is finite.
        critic_map: phi(V) = f'(e^{-V}), from a log-ratio V to the dual critic T; lies in the domain for every V.
        dual_value: f*(phi(V)), in closed form.
        conjugate_slope: (f*)'(t), the ratio r at which f' is t; 0 below the range of f', +inf past the domain.
        contrast: The critic's loss where it is not the logistic one; then minus its least value is the divergence.

    References:
        Deep generative learning via variational gradient flow (Gao et al., 2019), arXiv:1901.08469.
        f-GAN (Nowozin et al., 2016), arXiv:1606.00709, with the arguments of D in the other order.
    """

    name: str
    variation: Function
    log_weight: Function
    f: Function | None = None
    df: Function | None = None
    d2f: Function | None = None
    conjugate: Function | None = None
    domain: float = math.inf
    critic_map: Function | None = None
    dual_value: Function | None = None
    conjugate_slope: Function | None = None
    contrast: Contrast | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def unweighted(self) -> bool:
        """Whether w = 1 whatever the score, so that samples move with the slope of the critic."""
        return not bool(self.log_weight(torch.linspace(-20.0, 20.0, 81)).any())


def _below(bound: float, function: Function, closed: bool = False) -> Function:
    """The function left of a bound (or up to it), +inf from there on, without a NaN in the value or the gradient."""

    def guarded(t: Tensor) -> Tensor:
        fine = t <= bound if closed else t < bound
        return torch.where(fine, function(torch.where(fine, t, t.new_tensor(bound - 1.0))), math.inf)

    return guarded


def _positive(f: Tensor) -> Tensor:
    """f >= 0 whatever its rounding, which near r = 1 is larger than f, of the size of (r - 1)^2."""
    return f.clamp(min=0)


def _lambert(y: Tensor) -> Tensor:
    """log W(e^y), the root u of e^u + u = y, by Newton steps from the right, where they fall monotonically."""
    u = torch.where(y > 1, y.clamp(min=1).log(), y)
    for _ in range(40):
        e = u.exp()
        u = u - (e + u - y) / (e + 1)
    return u


def _jeffreys_conjugate(t: Tensor) -> Tensor:
    u = _lambert(1 - t)
    return u.exp() + (-u).exp() + t - 2


KL = Divergence(
    "KL",
    variation=lambda d: -d,
    log_weight=torch.zeros_like,
    f=lambda r: _positive(torch.xlogy(r, r) - (r - 1)),
    df=torch.log,
    d2f=torch.reciprocal,
    conjugate=torch.expm1,
    critic_map=lambda v: -v,
    dual_value=lambda v: torch.expm1(-v),
    conjugate_slope=torch.exp,
)
REVERSE_KL = Divergence(
    "reverse KL",
    variation=lambda d: -d.exp(),
    log_weight=lambda d: d,
    f=lambda r: _positive((r - 1) - r.log()),
    df=lambda r: 1 - 1 / r,
    d2f=lambda r: 1 / r.square(),
    conjugate=_below(1.0, lambda t: -torch.log1p(-t)),
    domain=1.0,
    critic_map=lambda v: -torch.expm1(v),
    dual_value=lambda v: -v,
    conjugate_slope=_below(1.0, lambda t: 1 / (1 - t)),
)
JS = Divergence(
    "JS",
    variation=lambda d: -softplus(d),
    log_weight=logsigmoid,
    f=lambda r: _positive(-torch.special.xlog1py(r, (1 - r) / r / 2) - torch.log1p((r - 1) / 2)),
    df=lambda r: -torch.log1p((1 - r) / r / 2),
    d2f=lambda r: 1 / (r * (r + 1)),
    conjugate=_below(LOG2, lambda t: -torch.log1p(-t.expm1())),
    domain=LOG2,
    critic_map=lambda v: LOG2 - softplus(v),
    dual_value=lambda v: softplus(-v) - LOG2,
    conjugate_slope=_below(LOG2, lambda t: t.exp() / (2 - t.exp())),
)
LOGD = Divergence(
    "logD",
    variation=lambda d: softplus(-d),
    log_weight=lambda d: logsigmoid(-d),
    f=lambda r: _positive((r + 1) * torch.log1p((r - 1) / 2) - (r - 1)),
    df=lambda r: torch.log1p((r - 1) / 2),
    d2f=lambda r: 1 / (r + 1),
    conjugate=lambda t: torch.where(t >= -LOG2, 2 * t.clamp(min=-LOG2).expm1() - t, LOG2 - 1),
    critic_map=lambda v: softplus(-v) - LOG2,
    dual_value=lambda v: torch.expm1(-v) - softplus(-v) + LOG2,
    conjugate_slope=lambda t: (2 * t.exp() - 1).clamp(min=0),
)
JEFFREYS = Divergence(
    "Jeffreys",
    variation=lambda d: -d - d.exp(),
    log_weight=softplus,
    f=lambda r: (r - 1) * r.log(),
    df=lambda r: r.log() + 1 - 1 / r,
    d2f=lambda r: (r + 1) / r.square(),
    conjugate=_jeffreys_conjugate,
    critic_map=lambda v: -v - torch.expm1(v),
    dual_value=lambda v: torch.expm1(-v) - v,
    conjugate_slope=lambda t: (-_lambert(1 - t)).exp(),
)
PEARSON = Divergence(
    "Pearson",
    variation=lambda d: 2 * (-d).exp(),
    log_weight=lambda d: LOG2 - d,
    f=lambda r: (r - 1).square(),
    df=lambda r: 2 * (r - 1),
    d2f=lambda r: torch.full_like(r, 2.0),
    conjugate=lambda t: torch.where(t >= -2, t + t.square() / 4, -1.0),
    critic_map=lambda v: 2 * torch.expm1(-v),
    dual_value=lambda v: torch.expm1(-2 * v),
    conjugate_slope=lambda t: (1 + t / 2).clamp(min=0),
)
NEYMAN = Divergence(
    "Neyman",
    variation=lambda d: -(2 * d).exp(),
    log_weight=lambda d: LOG2 + 2 * d,
    f=lambda r: (1 - r).square() / r,
    df=lambda r: 1 - 1 / r.square(),
    d2f=lambda r: 2 / r.pow(3),
    conjugate=_below(1.0, lambda t: 2 * t / (1 + (1 - t).sqrt()), closed=True),
    domain=1.0,
    critic_map=lambda v: -torch.expm1(2 * v),
    dual_value=lambda v: -2 * torch.expm1(v),
    conjugate_slope=_below(1.0, lambda t: (1 - t).rsqrt(), closed=True),
)
HELLINGER = Divergence(
    "squared Hellinger",
    variation=lambda d: -(d / 2).exp(),
    log_weight=lambda d: d / 2 - LOG2,
    f=lambda r: (r.sqrt() - 1).square(),
    df=lambda r: 1 - r.rsqrt(),
    d2f=lambda r: r.pow(-1.5) / 2,
    conjugate=_below(1.0, lambda t: t / (1 - t)),
    domain=1.0,
    critic_map=lambda v: -torch.expm1(v / 2),
    dual_value=lambda v: torch.expm1(-v / 2),
    conjugate_slope=_below(1.0, lambda t: (1 - t).pow(-2)),
)
LIN = Divergence(
    "Lin",  # KL(p‖(p + q)/2), Divergence measures based on the Shannon entropy (Lin, 1991)
    variation=lambda d: torch.where(d > 0, torch.sigmoid(-d) - 1, -torch.sigmoid(d)),  # keeps the digits of its slope
    log_weight=lambda d: logsigmoid(d) + logsigmoid(-d),
    f=lambda r: _positive((r - 1) / 2 - torch.log1p((r - 1) / 2)),
    df=lambda r: (r - 1) / (2 * (r + 1)),
    d2f=lambda r: (1 + r).pow(-2),
    conjugate=_below(0.5, lambda t: torch.where(t >= -0.5, -t - torch.log1p(-2 * t.clamp(min=-0.5)), 0.5 - LOG2)),
    domain=0.5,
    critic_map=lambda v: -torch.tanh(v / 2) / 2,
    dual_value=lambda v: torch.tanh(v / 2) / 2 - LOG2 - logsigmoid(v),
    conjugate_slope=_below(0.5, lambda t: (1 + 2 * t.clamp(min=-0.5)) / (1 - 2 * t)),
)


def _no_flow(d: Tensor) -> Tensor:
    raise UsageError(
        "total variation has no flow: its weight w(d) is zero almost everywhere, so nothing would move; "
        "use JS or HELLINGER, which are bounded as well (as a critic's loss there is dual(TV), in Python)"
    )


TV = Divergence(
    "total variation",
    variation=lambda d: -d.sign() / 2,
    log_weight=_no_flow,
    f=lambda r: (r - 1).abs() / 2,
    df=lambda r: (r - 1).sign() / 2,
    d2f=lambda r: torch.where(r == 1, math.inf, torch.zeros_like(r)),
    conjugate=lambda t: torch.where(t <= 0.5, t.clamp(min=-0.5), math.inf),
    domain=0.5,
    critic_map=lambda v: -torch.tanh(v / 2) / 2,
    dual_value=lambda v: -torch.tanh(v / 2) / 2,
    conjugate_slope=lambda t: torch.where(t <= 0.5, (t >= -0.5).to(t.dtype), math.inf),
)


def alpha(a: float) -> Divergence:
    r"""The alpha-divergence :math:`f(r) = (r^a - 1 - a(r-1)) / (a(a-1))`, w(d) = e^{(1-a)d}.

    a -> 1 is KL and a -> 0 reverse KL (those constants are returned, and orders close by lose no digits); a = 2 is half
    of Pearson, a = 1/2 twice the squared Hellinger distance, a = -1 half of Neyman.

    Args:
        a: Order. Below 1 samples hurry where data outnumber them, above 1 where they outnumber data.
    """
    if not math.isfinite(a):
        raise UsageError(f"alpha({a}) is no divergence: give a finite order, for example alpha(1.5)")
    return _alpha(float(a))


@cache
def _alpha(a: float) -> Divergence:
    if a in (0.0, 1.0):
        return KL if a == 1.0 else REVERSE_KL
    b = a - 1.0

    def f(r: Tensor) -> Tensor:
        log_r = r.clamp(min=torch.finfo(r.dtype).tiny).log()
        if abs(a) < abs(b):  # the smaller of a and b divides a difference that is computed as one
            power = torch.where(r > 0, torch.expm1(a * log_r) / a, -1 / a if a > 0 else -math.inf)
            return _positive((power - (r - 1)) / b)
        return _positive((r * (torch.expm1(b * log_r) / b) - (r - 1)) / a)

    def conjugate(t: Tensor) -> Tensor:
        inside = b * t > -1
        value = torch.expm1(a / b * torch.log1p(torch.where(inside, b * t, 0.0))) / a
        return torch.where(inside, value, -1 / a if a / b > 0 else math.inf)

    def conjugate_slope(t: Tensor) -> Tensor:
        return (torch.log1p((b * t).clamp(min=-1)) / b).exp()

    bound = -1 / b if b < 0 else math.inf
    return Divergence(
        f"alpha({a:g})" if float(f"{a:g}") == a else f"alpha({a!r})",
        variation=lambda d: (-b * d).exp() / b,
        log_weight=lambda d: -b * d,
        f=f,
        df=lambda r: torch.expm1(b * r.log()) / b,
        d2f=lambda r: r.pow(a - 2),
        conjugate=_below(bound, conjugate, closed=a < 0) if b < 0 else conjugate,  # only a < 0 ends finite, at -1/a
        domain=bound,
        critic_map=lambda v: torch.expm1(-b * v) / b,
        dual_value=lambda v: torch.expm1(-a * v) / a,
        conjugate_slope=_below(bound, conjugate_slope) if b < 0 else conjugate_slope,
    )
