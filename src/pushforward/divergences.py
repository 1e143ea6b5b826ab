r"""f-divergences as data: :math:`D_f(q\|p) = \mathbb{E}_p f(r)`, with r = q/p and d = log p/q = -log r.

The first variation of D_f at q is f'(r). As a function of the log-ratio it is psi(d) = f'(e^{-d}) up to a constant, and
minus its gradient is the velocity w(d) grad d with the weight w(d) = -psi'(d) = r f''(r) >= 0: every f-divergence
moves samples up the log-ratio, they differ only in how fast each sample goes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from pushforward.errors import UsageError
from pushforward.types import Contrast, Scalar, Scores

__all__ = [
    "HELLINGER",
    "JEFFREYS",
    "JS",
    "KL",
    "LOGD",
    "NEYMAN",
    "PEARSON",
    "REVERSE_KL",
    "TV",
    "Divergence",
    "alpha",
    "dual",
    "locate",
    "logistic",
    "names",
    "potential",
    "weight",
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

    def __str__(self) -> str:
        return self.name


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

    Beyond the scores where a slope would pass the cap both terms go on as straight lines, so no score overflows.

    Args:
        divergence: Supplies phi and f* at phi.
        cap: Largest slope allowed.

    Raises:
        UsageError: If the divergence has no dual form.
    """
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
        on_p, on_q = value(p_in) - p_slope * _beyond(p, low, high), phi(q_in) - q_slope * _beyond(q, low, high)
        return on_p.mean() - on_q.mean()

    return contrast


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


def _below(bound: float, function: Function, closed: bool = False) -> Function:
    """The function left of a bound (or up to it), +inf from there on, without a NaN in the value or the gradient."""

    def guarded(t: Tensor) -> Tensor:
        fine = t <= bound if closed else t < bound
        return torch.where(fine, function(torch.where(fine, t, t.new_tensor(bound - 1.0))), math.inf)

    return guarded


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
    f=lambda r: torch.xlogy(r, r) - r + 1,
    df=torch.log,
    d2f=torch.reciprocal,
    conjugate=torch.expm1,
    critic_map=lambda v: -v,
    dual_value=lambda v: torch.expm1(-v),
)
REVERSE_KL = Divergence(
    "reverse KL",
    variation=lambda d: -d.exp(),
    log_weight=lambda d: d,
    f=lambda r: r - 1 - r.log(),
    df=lambda r: 1 - 1 / r,
    d2f=lambda r: 1 / r.square(),
    conjugate=_below(1.0, lambda t: -torch.log1p(-t)),
    domain=1.0,
    critic_map=lambda v: -torch.expm1(v),
    dual_value=lambda v: -v,
)
JS = Divergence(
    "JS",
    variation=lambda d: -softplus(d),
    log_weight=logsigmoid,
    f=lambda r: torch.xlogy(r, r) - (r + 1) * torch.log((r + 1) / 2),
    df=lambda r: torch.log(2 * r / (1 + r)),
    d2f=lambda r: 1 / (r * (r + 1)),
    conjugate=_below(LOG2, lambda t: -torch.log(2 - t.exp())),
    domain=LOG2,
    critic_map=lambda v: LOG2 - softplus(v),
    dual_value=lambda v: softplus(-v) - LOG2,
)
LOGD = Divergence(
    "logD",
    variation=lambda d: softplus(-d),
    log_weight=lambda d: logsigmoid(-d),
    f=lambda r: (r + 1) * torch.log((r + 1) / 2) - (r - 1),
    df=lambda r: torch.log((r + 1) / 2),
    d2f=lambda r: 1 / (r + 1),
    conjugate=lambda t: torch.where(t >= -LOG2, 2 * t.clamp(min=-LOG2).exp() - 2 - t, LOG2 - 1),
    critic_map=lambda v: softplus(-v) - LOG2,
    dual_value=lambda v: torch.expm1(-v) - softplus(-v) + LOG2,
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
)
NEYMAN = Divergence(
    "Neyman",
    variation=lambda d: -(2 * d).exp(),
    log_weight=lambda d: LOG2 + 2 * d,
    f=lambda r: (1 - r).square() / r,
    df=lambda r: 1 - 1 / r.square(),
    d2f=lambda r: 2 / r.pow(3),
    conjugate=_below(1.0, lambda t: 2 - 2 * (1 - t).sqrt(), closed=True),
    domain=1.0,
    critic_map=lambda v: -torch.expm1(2 * v),
    dual_value=lambda v: -2 * torch.expm1(v),
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
)


def alpha(a: float) -> Divergence:
    r"""The alpha-divergence :math:`f(r) = (r^a - 1 - a(r-1)) / (a(a-1))`, w(d) = e^{(1-a)d}.

    a -> 1 is KL and a -> 0 reverse KL (those constants are returned); a = 2 is half of Pearson, a = 1/2 twice the
    squared Hellinger distance, a = -1 half of Neyman.

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

    def conjugate(t: Tensor) -> Tensor:
        base = (1 + b * t).clamp(min=0)
        return (base.pow(a / b) - 1) / a

    bound = -1 / b if b < 0 else math.inf
    return Divergence(
        f"alpha({a:g})" if float(f"{a:g}") == a else f"alpha({a!r})",
        variation=lambda d: (-b * d).exp() / b,
        log_weight=lambda d: -b * d,
        f=lambda r: (r.pow(a) - 1 - a * (r - 1)) / (a * b),
        df=lambda r: (r.pow(b) - 1) / b,
        d2f=lambda r: r.pow(a - 2),
        conjugate=_below(bound, conjugate, closed=a < 0) if b < 0 else conjugate,  # only a < 0 ends finite, at -1/a
        domain=bound,
        critic_map=lambda v: torch.expm1(-b * v) / b,
        dual_value=lambda v: torch.expm1(-a * v) / a,
    )


ALIASES = {"SATURATING": JS, "LOG_D": LOGD, "LINEAR": KL, "RKL": REVERSE_KL, "H2": HELLINGER}


def names() -> list[str]:
    """The constants of this module, as `locate` and the command line take them."""
    return [name for name, value in globals().items() if isinstance(value, Divergence)]


def locate(name: str | Divergence, outside: bool = True) -> Divergence:
    """Find a divergence by name: a constant of this module, `alpha(1.5)`, or `package.module:NAME`.

    Args:
        name: What to look for; upper or lower case for the constants. A Divergence is returned as it is.
        outside: Whether `package.module:NAME` may be imported; False when the name came out of a file.

    Raises:
        UsageError: If there is no such divergence, or it lives outside and that is not allowed.
    """
    if isinstance(name, Divergence):
        return name
    if match := re.fullmatch(r"alpha\((.+)\)", name.strip(), re.IGNORECASE):
        try:
            return alpha(float(match[1]))
        except ValueError as error:
            raise UsageError(f"divergence {name!r}: the order must be a number, for example alpha(1.5)") from error
    if ":" in name:
        return _imported(name, outside)
    key = name.strip().upper().replace("-", "_").replace(" ", "_")
    found = ALIASES.get(key, globals().get(key))
    if not isinstance(found, Divergence):
        raise UsageError(f"no divergence {name!r}; use one of {', '.join(names())}, alpha(A), or package.module:NAME")
    return found


def _imported(name: str, outside: bool) -> Divergence:
    if not outside:
        raise UsageError(
            f"divergence {name!r} lives outside this package and a file must not make us import code; "
            f"name it yourself with --divergence {name}"
        )
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"divergence {name!r}: {error}; expected package.module:NAME on the Python path") from error
    if not isinstance(found, Divergence):
        raise UsageError(f"divergence {name!r} is a {type(found).__name__}, not a pushforward.divergences.Divergence")
    return found
