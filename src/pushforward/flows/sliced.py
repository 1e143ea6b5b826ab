r"""The sliced Wasserstein flow: on each of many lines samples move to the data's quantiles.

.. math::
    F(q) = \tfrac{c}{2}\, \mathbb{E}_\theta W_2^2(\theta \cdot q, \theta \cdot p), \qquad
    v(x) = c\, \mathbb{E}_\theta \big(T_\theta(\theta \cdot x) - \theta \cdot x\big)\, \theta, \qquad
    \dot F = -\mathbb{E}_q \|v\|^2

with T the monotone map of a line. A shift in d dimensions decays at the rate c/d: c = d moves at the speed of W2.
Samples of q that share a place on a line share what their mass goes to: T is its mean, the barycentric projection of
the best plan. So equal samples stay equal; noise, as that of `Langevin`, parts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.geometry.features import directions
from pushforward.parallel.doubles import fine
from pushforward.parallel.sharing import all_rows
from pushforward.types import Logs, Randomness, Samples, Scalar

__all__ = ["SlicedField", "SlicedFlow"]


@dataclass(frozen=True)
class SlicedField:
    """The mean over lines of monotone maps less the identity.

    Attributes:
        along: Unit vectors, (L, d).
        levels: Sorted samples of q on each line, (L, n).
        targets: Where each goes: the mean of p's quantiles over its share 1/n of the mass, or over that of all samples
            of q at the same level, (L, n).
        factor: The factor c.
    """

    along: Tensor
    levels: Tensor
    targets: Tensor
    factor: float

    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x: linear between samples of q on a line, beyond them the move of the outermost."""
        points, which = _distinct(x.detach().flatten(1))
        at, last = self.along @ points.T, self.levels.shape[1] - 1
        left = (torch.searchsorted(self.levels, at, right=True) - 1).clamp_(0, last)
        right = (left + 1).clamp_max_(last)
        low, high = self.levels.gather(1, left), self.levels.gather(1, right)
        share = ((at - low) / (high - low).clamp_min(torch.finfo(at.dtype).tiny)).clamp_(0, 1)
        moves = self.targets - self.levels
        move = torch.lerp(moves.gather(1, left), moves.gather(1, right), share)
        v = (move.T @ self.along).mul_(self.factor / len(self.along))
        return (v if which is None else v[which]).view_as(x)


@dataclass
class SlicedFlow:
    """Samples that follow the monotone maps of random lines, drawn anew at each call.

    Nothing is trained, and nothing costs more than a sort: O(L (n + m) log(n + m)) time, O(L (n + m)) memory. For the
    flow with an entropy, whose samples spread instead of settling, follow it by
    `pushforward.dynamics.langevin.Langevin(rng, temperature)`.

    Attributes:
        rng: Where lines come from.
        count: Number L of lines; the velocity's error over them falls like 1/sqrt(L).
        full_speed: Take c = d, the speed of W2, instead of c = 1.
        along: Fixed unit vectors, (L, d), instead of random ones.

    References:
        Sliced-Wasserstein flows (Liutkus et al., 2019), arXiv:1806.08141; Sliced and Radon Wasserstein barycenters of
        measures (Bonneel et al., 2015).
    """

    rng: Randomness
    count: int = 64
    full_speed: bool = True
    along: Tensor | None = None
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._field: SlicedField | None = None

    def velocity(self, q: Samples, p: Samples) -> SlicedField:
        """The field on all of space, for q (n, *event) and p (m, *event); any n and m."""
        self._field, divergence = self._solve(q, p, self._lines(q))
        self.logs = {"divergence": divergence}
        return self._field

    def value(self, q: Samples, p: Samples) -> Scalar:
        """c/2 times the mean square of W2 over the present lines, in data units squared.

        Raises:
            UsageError: If there are no lines yet.
        """
        lines = self.along if self.along is not None or self._field is None else self._field.along
        if lines is None:
            raise UsageError("no lines were drawn yet: call velocity(q, p) before value(q, p), or give along")
        return self._solve(q, p, lines)[1]

    def snapshot(self) -> dict[str, Tensor]:
        """What the present velocity depends on, for `replay`."""
        if self._field is None:
            raise UsageError("no field was found yet: call velocity(q, p) before snapshot()")
        tensors = {"along": self._field.along, "levels": self._field.levels, "targets": self._field.targets}
        return {name: tensor.clone() for name, tensor in tensors.items()}

    def replay(self, state: dict[str, Tensor]) -> SlicedField:
        """The velocity at the time of a snapshot."""
        return SlicedField(state["along"], state["levels"], state["targets"], self._factor(state["along"]))

    def _lines(self, q: Samples) -> Tensor:
        return self.along if self.along is not None else all_rows(directions(q[0].numel(), self.count, self.rng))

    def _factor(self, along: Tensor) -> float:
        return float(along.shape[1]) if self.full_speed else 1.0

    def _solve(self, q: Samples, p: Samples, along: Tensor) -> tuple[SlicedField, Scalar]:
        """The field, and the divergence that it lowers."""
        if q.shape[1:] != p.shape[1:]:
            raise ValueError(f"q has event shape {tuple(q.shape[1:])} and p {tuple(p.shape[1:])}; they must be equal")
        along, q, p = along.to(q), all_rows(q), all_rows(p)
        levels, wanted = (_sorted(_projected(along, x.detach().flatten(1))) for x in (q, p))
        targets, spread = _coarsened(wanted, levels.shape[1])
        squares, factor = (targets - levels).square().mean(1) + spread, self._factor(along)
        return SlicedField(along, levels, _shared(levels, targets), factor), factor / 2 * squares.mean()


def _distinct(flat: Tensor) -> tuple[Tensor, Tensor | None]:
    """Points (n, d) without those that recur, and which of them each is; None where none does.

    A matrix product may round a row by where it stands, and equal samples would part. So they are looked at once.
    """
    key = (flat * torch.linspace(1, 2, flat.shape[1], dtype=flat.dtype, device=flat.device)).sum(1)
    if len(key.unique()) == len(key):
        return flat, None
    points, which = flat.unique(dim=0, return_inverse=True)
    return points, which


def _projected(along: Tensor, flat: Tensor) -> Tensor:
    """Places of points (n, d) on lines (L, d), (L, n): of equal points the same to the bit."""
    points, which = _distinct(flat)
    return along @ points.T if which is None else (along @ points.T)[:, which]


def _shared(levels: Tensor, targets: Tensor) -> Tensor:
    """Targets (L, n) of sorted levels (L, n), those of levels that are equal up to rounding replaced by their mean."""
    n = levels.shape[1]
    rounding = 16 * torch.finfo(levels.dtype).eps
    size = levels[:, 1:].abs() + (levels[:, 3 * n // 4, None] - levels[:, n // 4, None])
    fresh = levels.diff(dim=1) > rounding * size
    if bool(fresh.all()):
        return targets
    group = torch.nn.functional.pad(fresh.cumsum(1), (1, 0))
    centre = targets.mean(1, keepdim=True)
    sums = fine(torch.zeros_like(targets)).scatter_add_(1, group, fine(targets - centre))
    sizes = torch.zeros_like(sums).scatter_add_(1, group, torch.ones_like(sums))
    return (sums / sizes).gather(1, group).to(targets) + centre


def _sorted(rows: Tensor) -> Tensor:
    """Rows in ascending order; numpy is several times as fast on a processor."""
    if rows.device.type != "cpu":
        return rows.sort(1).values
    array = rows.numpy()
    array.sort(axis=1)
    return rows


def _coarsened(wanted: Tensor, n: int) -> tuple[Tensor, Tensor | float]:
    r"""Means of the quantile function over n equal shares of the mass, (L, n), and the variance lost by them, (L,).

    With X constant on each share :math:`\mathbb{E}(X - Q)^2 = \mathbb{E}(X - \bar Q)^2 + \mathbb{E}(\bar Q - Q)^2`.

    Args:
        wanted: Sorted points, (L, m), whose quantile function is a step function.
        n: Number of shares.
    """
    m = wanted.shape[1]
    if m == n:
        return wanted, 0.0
    # Integrals of the quantile function and of its square up to each i/n, about the middle, in doubles.
    centre = wanted.mean(1, keepdim=True)
    steps = fine(wanted - centre)
    whole = torch.arange(n + 1, device=wanted.device) * m
    index, part = whole // n, fine(whole % n) / n
    ends = torch.nn.functional.pad(steps, (1, 1))
    integral = ends[:, :-1].cumsum(1)[:, index] + part * ends[:, index + 1]
    means = integral.diff(dim=1) * (n / m)
    lost = steps.square().mean(1) - means.square().mean(1)
    return means.to(wanted) + centre, lost.clamp_min_(0).to(wanted)
