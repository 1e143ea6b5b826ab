r"""The gradient of the log-ratio by a line fitted about each point: no net, and exact where covariances are equal.

Under the weights :math:`k_i = k(|y_i - x| / h)`, with :math:`z = (y - x)/h` and :math:`s = w \cdot z + b`, it lowers

.. math::
    \text{logistic} &: \mathbb{E}_p\, k \log(1 + e^{-s}) + \mathbb{E}_q\, k \log(1 + e^{s}) \\
    \text{kliep} &: \mathbb{E}_q\, k\, e^{s} - \mathbb{E}_p\, k\, s \\
    \text{squares} &: \tfrac12 \mathbb{E}_q\, k\, s^2 - \mathbb{E}_p\, k\, s

each plus a ridge on w. Of the first two s is d = log p/q, so that w/h is its slope at x and b its value; of the last s
is the ratio p/q. Where both laws are Gaussians of one covariance d is a line, and the fit is right at every h, where
kernel estimates see both laws smoothed.

References:
    Minimizing f-divergences by interpolating velocity fields (Liu et al., 2023), arXiv:2305.15577.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.divergences import KL, Divergence
from pushforward.errors import UsageError
from pushforward.flows.drift.field import Clouds
from pushforward.geometry.kernels import median_bandwidth, squared_distances
from pushforward.parallel.sharing import all_rows
from pushforward.types import LabelPair, Labels, Logs, Samples

__all__ = ["Fit", "Lines", "LocalFlow"]

Fit: TypeAlias = Literal["logistic", "kliep", "squares"]

MOST = 20  # dimensions: a fit has a matrix of so many rows for every point
BLOCK = 2**22  # numbers of a block of differences
ROUNDS = 30  # Newton steps at the most
ENOUGH = 1e-6  # length of a Newton step, in units of w, at which all have arrived
LEAST = 1e-6  # least ratio that a line of squares is taken for


@dataclass(frozen=True)
class Lines:
    """The velocity, a fit about every point that it is asked at.

    Attributes:
        clouds: Data and samples.
        length: Length h of the weights, in data units.
        fit: What is lowered.
        ridge: Factor on half the squared length of w.
        divergence: Its weight w(d) multiplies the slope of d.
        labels: Classes of the points that it is asked at; None where there is one law.
    """

    clouds: Clouds
    length: float
    fit: Fit
    ridge: float
    divergence: Divergence
    labels: Labels | None = None

    @torch.no_grad()
    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time. 0 where data or samples have no point of its class."""
        slope, value, seen = self.lines(x)
        if self.fit == "squares":
            ratio = value.clamp_min(LEAST)
            slope, value = slope / ratio[:, None], ratio.log()
        weight = self.divergence.log_weight(value).exp()
        return torch.where(seen[:, None], weight[:, None] * slope, 0.0).view_as(x)

    def given(self, labels: Labels | None) -> Lines:
        """The same field for points of other classes."""
        return replace(self, labels=labels)

    @torch.no_grad()
    def lines(self, x: Samples) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes (n, d) in data units and values (n,) of the lines at x, and whether a point sees both clouds, (n,)."""
        rows = x.detach().flatten(1)
        slope, value = torch.empty_like(rows), rows.new_empty(len(rows))
        seen = torch.empty(len(rows), dtype=torch.bool, device=rows.device)
        for part, z, weights in self._blocks(rows):
            found = _fitted(z, *weights, self.fit, self.ridge)
            slope[part], value[part] = found[:, :-1] / self.length, found[:, -1]
            seen[part] = (weights[0].sum(1) > 0) & (weights[1].sum(1) > 0)
        return slope, value, seen

    def _blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, tuple[Tensor, Tensor]]]:
        """Differences (r, m + k, d + 1) in units of h with a column of ones, and the weights of data and of samples."""
        points, m, own = torch.cat([self.clouds.p, self.clouds.q]), len(self.clouds.p), self.clouds.own(x)
        step = max(1, BLOCK // (len(points) * (x.shape[1] + 1)))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            k = torch.exp(-squared_distances(x[part], points) / (2 * self.length**2))
            counts = torch.ones_like(k)
            mine = torch.nonzero(own[part] >= 0)[:, 0]
            counts[mine, m + own[part][mine]] = 0.0
            if self.labels is not None and self.clouds.labels is not None:
                counts *= torch.cat(self.clouds.labels) == self.labels[part, None]
            z = (points - x[part, None]) / self.length
            one, other = (
                (k * counts)[:, side] / counts[:, side].sum(1, keepdim=True).clamp_min(1.0)
                for side in (slice(None, m), slice(m, None))
            )
            total = (one.sum(1, keepdim=True) + other.sum(1, keepdim=True)).clamp_min(torch.finfo(x.dtype).tiny)
            yield part, torch.cat([z, torch.ones_like(z[..., :1])], 2), (one / total, other / total)


@dataclass
class LocalFlow:
    """Samples that go up log-ratios fitted about each of them, by one small convex problem a sample.

    Nothing is trained. Time is O(n (n + m) d²) for each Newton step, memory O(n + m) beyond blocks. It needs enough
    points within h of a sample to fit d + 1 numbers: at most 20 dimensions, and h near the data's spread there.

    Attributes:
        fit: "logistic", whose fits are bounded; "kliep"; "squares", a linear problem, of p/q itself.
        length: Length h of the Gaussian weights, in data units; None for the median distance of the first samples.
        ridge: Factor on half the squared length of w, in units of h.
        divergence: Its weight w(d) multiplies the slope.
        bandwidth: The length in use; 0 until it is known.

    Raises:
        UsageError: If a number is out of range.
    """

    fit: Fit = "logistic"
    length: float | None = None
    ridge: float = 1e-3
    divergence: Divergence = KL
    bandwidth: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    logs: Logs = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.fit not in ("logistic", "kliep", "squares"):
            raise UsageError(f"fit is {self.fit!r}: use logistic, kliep or squares")
        if not self.ridge >= 0 or (self.length is not None and not self.length > 0):
            raise UsageError(
                f"ridge is {self.ridge}, length {self.length}: give 0 or more, and a positive length or None"
            )
        self._field: Lines | None = None

    @property
    def classes(self) -> int:
        """0: it has no net that knows classes, and takes any."""
        return 0

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Lines:
        """The field on all of space.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for one law of each class.

        Raises:
            UsageError: If points have too many dimensions.
        """
        if (size := q[0].numel()) > MOST:
            raise UsageError(f"points of {size} numbers: a line fitted about each takes at most {MOST}; use features")
        mine = labels and labels[0]
        q, p = (all_rows(x.detach()).flatten(1) for x in (q, p))
        if not self.bandwidth > 0:
            self.bandwidth.fill_(median_bandwidth(q, p) if self.length is None else self.length)
        classes = labels and (all_rows(labels[1]), all_rows(labels[0]))
        clouds = Clouds(p, q, len(q), q.new_zeros(len(q)), classes or None)
        self._field = Lines(clouds, float(self.bandwidth), self.fit, self.ridge, self.divergence, mine)
        return self._field

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        if self._field is None:
            raise UsageError("no field was found yet: call velocity(q, p) before snapshot()")
        clouds = self._field.clouds
        state = {"p": clouds.p, "q": clouds.q, "bandwidth": self.bandwidth}
        if clouds.labels is not None:
            state["classes_p"], state["classes_q"] = clouds.labels
        return {name: tensor.clone() for name, tensor in state.items()}

    def replay(self, state: dict[str, Tensor]) -> Lines:
        """The velocity at the time of a snapshot."""
        labels = (state["classes_p"], state["classes_q"]) if "classes_p" in state else None
        q = state["q"]
        clouds = Clouds(state["p"], q, len(q), q.new_zeros(len(q)), labels)
        return Lines(clouds, float(state["bandwidth"]), self.fit, self.ridge, self.divergence)


def _fitted(z: Tensor, one: Tensor, other: Tensor, fit: Fit, ridge: float) -> Tensor:
    """Slopes in units of h and values, (r, d + 1), of points z (r, m + k, d + 1) under weights (r, m) and (r, k).

    Newton steps, each halved until it lowers its own loss.
    """
    m, d = one.shape[1], z.shape[2] - 1
    zp, zq = z[:, :m], z[:, m:]
    cost = torch.full((d + 1,), ridge, dtype=z.dtype, device=z.device)
    cost[d] = torch.finfo(z.dtype).eps  # the value is free, and still 0 where nothing is seen
    pull = torch.einsum("rm,rmd->rd", one, zp)

    def loss(theta: Tensor) -> Tensor:
        s, own = torch.einsum("rkd,rd->rk", zq, theta), (cost * theta.square()).sum(1) / 2
        if fit == "logistic":
            there = torch.einsum("rmd,rd->rm", zp, theta)
            return (one * softplus(-there)).sum(1) + (other * softplus(s)).sum(1) + own
        return (other * (s.exp() if fit == "kliep" else s.square() / 2)).sum(1) - (pull * theta).sum(1) + own

    def step(theta: Tensor) -> Tensor:
        s = torch.einsum("rkd,rd->rk", zq, theta)
        if fit == "logistic":
            at, there = torch.sigmoid(s), torch.sigmoid(torch.einsum("rmd,rd->rm", zp, theta))
            slope = torch.einsum("rk,rkd->rd", other * at, zq) - torch.einsum("rm,rmd->rd", one * (1 - there), zp)
            bend = _second(other * at * (1 - at), zq) + _second(one * there * (1 - there), zp)
        else:
            at = s.exp() if fit == "kliep" else s
            slope = torch.einsum("rk,rkd->rd", other * at, zq) - pull
            bend = _second(other * (at if fit == "kliep" else 1.0), zq)
        return torch.linalg.solve(bend + torch.diag(cost), slope + cost * theta)

    theta = z.new_zeros(len(z), d + 1)
    now = loss(theta)
    for _ in range(1 if fit == "squares" else ROUNDS):
        way, share, new = step(theta), z.new_ones(len(z), 1), now
        for _ in range(12):
            new = loss(theta - share * way)
            worse = ~(new <= now)
            if not bool(worse.any()):
                break
            share = torch.where(worse[:, None], share / 2, share)
        better = new <= now
        theta = torch.where(better[:, None], theta - share * way, theta)
        now = torch.where(better, new, now)
        if float((share * way)[better].abs().max() if bool(better.any()) else 0.0) < ENOUGH:
            break
    return theta


def _second(weights: Tensor, z: Tensor) -> Tensor:
    """Weighted sums of outer products, (r, d, d)."""
    return torch.einsum("rk,rki,rkj->rij", weights, z, z)
