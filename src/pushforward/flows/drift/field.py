r"""The field of drifting: attraction to the mean of the data near x, repulsion from that of the samples near x.

With a window k, :math:`P = \sum_j k(x, y_j)` over data and :math:`Q = \sum_i k(x, x_i)` over samples, means
:math:`m_+, m_-` of both under these weights, a sample leaving out itself, and :math:`P_\sharp, Q_\sharp` the sums of
the sharp kernel:

.. math::
    \text{split} &: m_+ - m_- \\
    \text{row} &: \tfrac{PQ}{(P + Q)^2} (m_+ - m_-) \\
    \text{joint} &: \tfrac{P'Q'}{P + Q} (m'_+ - m'_-), \quad
    \text{under } k\, c_j^{-1/2},\ c_j \text{ the sum of column } j \text{ over the samples} \\
    \text{sharp} &: \tfrac{P}{P_\sharp} (m_+ - x) - \tfrac{Q}{Q_\sharp} (m_- - x) \\
    \text{none} &: \tfrac{P}{m} (m_+ - x) - \tfrac{Q}{n} (m_- - x)

With a Gaussian of length h these are :math:`h^2` times the gradients of :math:`d = \log p_h / q_h` (split), of
:math:`\sigma(d)` (row: the flow of `divergences.LIN`) and of MMD (none); sharp is the gradient of d between laws
smoothed by the sharp kernel, for every window that has one; joint is the published one.

References:
    Generative modeling via drifting (2026), arXiv:2602.04770.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from pushforward.divergences import KL, Divergence
from pushforward.geometry.kernels import Kernel, squared_distances
from pushforward.geometry.windows import logarithm
from pushforward.geometry.windows import sharp as sharpened
from pushforward.parallel.sharing import place
from pushforward.types import Labels, Samples

__all__ = ["Clouds", "Drift", "Normalise", "Window", "columns"]

Normalise: TypeAlias = Literal["joint", "split", "row", "sharp", "none"]

BLOCK = 2**21  # numbers of a block of weights
LEAST = -60.0  # exponent, from the largest of a row, below which a weight is as good as 0 and costs time


@dataclass(frozen=True)
class Clouds:
    """What draws and what repels.

    Attributes:
        p: Data, (m, d).
        q: What repels, (k, d): samples, the last n of them those of the call, and before them what else there is.
        n: Samples of the call.
        log_mass: Logarithms of the masses of q, (k,); 0 for samples.
        labels: Classes of p (m,) and of q (k,), -1 for what is of every class; None for one law.
    """

    p: Tensor
    q: Tensor
    n: int
    log_mass: Tensor
    labels: tuple[Labels, Labels] | None = None

    def own(self, x: Tensor) -> Tensor:
        """Places in q of the rows of x (r, d) themselves, (r,); -1 of rows that are none of the samples of the call.

        Rows are looked for where a driver puts them: in the order of the samples, all or this process's share of them,
        once or several times over.
        """
        rank, world = place()
        rows, first = torch.arange(len(x), device=x.device), len(self.q) - self.n
        places = first + rows % self.n
        found = torch.where((x == self.q[places]).all(1), places, -1)
        if world > 1 and (share := len(range(rank, self.n, world))):
            places = first + rank + world * (rows % share)
            found = torch.where((x == self.q[places]).all(1), places, found)
        return found


@dataclass(frozen=True)
class Window:
    """A kernel at one length, and what its field is multiplied by.

    Attributes:
        kernel: The kernel.
        factor: The factor, a scalar.
        columns: Logarithms of the sums of the kernel over the samples at p and q, (m + k,); empty unless joint.
    """

    kernel: Kernel
    factor: Tensor
    columns: Tensor


@dataclass(frozen=True)
class _Near:
    """One cloud as a point sees it: log of the sum of the weights (r,), their mean point (r, d), and log sum of k#."""

    log: Tensor
    mean: Tensor
    log_sharp: Tensor


@dataclass(frozen=True)
class Drift:
    """The velocity, a sum over windows.

    Attributes:
        clouds: Data and samples.
        windows: Kernels and factors.
        normalise: See above.
        divergence: Its weight w(d) multiplies the field of every window, where there is a d (split, sharp).
        own: Weight of a sample in its own mean, beside 1 for the others.
        floor: Least entry of the joint matrix A, whose rows give the means.
        labels: Classes of the points that it is asked at; None where there is one law.
        known: The points of the last samples and their velocity, which is then not computed anew.
    """

    clouds: Clouds
    windows: tuple[Window, ...]
    normalise: Normalise
    divergence: Divergence
    own: float = 0.0
    floor: float = 0.0
    labels: Labels | None = None
    known: tuple[Samples, Samples] | None = None

    @torch.no_grad()
    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time. 0 where the data have no point of a point's class."""
        if self.known is not None and x.shape == self.known[0].shape and torch.equal(x, self.known[0]):
            return self.known[1]
        return torch.stack(self.parts(x)).sum(0).view_as(x)

    def given(self, labels: Labels | None) -> Drift:
        """The same field for points of other classes."""
        return replace(self, labels=labels, known=None)

    @torch.no_grad()
    def parts(self, x: Samples) -> list[Tensor]:
        """The fields of the windows one by one, factors included, (n, d) each."""
        rows = x.detach().flatten(1)
        fields = [torch.empty_like(rows) for _ in self.windows]
        for part, block in self._blocks(rows):
            for window, field in zip(self.windows, fields, strict=True):
                field[part] = window.factor * self._field(window, rows[part], block)
        return fields

    @torch.no_grad()
    def log_ratio(self, x: Samples, window: Window) -> Tensor:
        """d(x) of a window, (n,): the log ratio of the smoothed laws, in nats."""
        rows, d = x.detach().flatten(1), x.new_empty(len(x))
        for part, block in self._blocks(rows):
            d[part] = self._ratio(*self._sides(window, rows[part], block), block)
        return d

    def _blocks(self, x: Tensor) -> Iterator[tuple[slice, _Block]]:
        """Squared distances block by block, with what may not be seen."""
        points, own = torch.cat([self.clouds.p, self.clouds.q]), self.clouds.own(x)
        step = max(1, BLOCK // len(points))
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            squared = squared_distances(x[part], points)
            hidden = None
            if self.labels is not None and self.clouds.labels is not None:
                theirs = torch.cat(self.clouds.labels)
                hidden = (theirs != self.labels[part, None]) & (theirs >= 0)
            yield part, _Block(squared, own[part], hidden, len(self.clouds.p))

    def _field(self, window: Window, x: Tensor, block: _Block) -> Tensor:
        if self.floor and self.normalise == "joint":
            return self._floored(window, block)
        p, q = self._sides(window, x, block)
        if self.normalise in ("split", "row", "joint"):
            field = p.mean - q.mean
            if self.normalise == "row":
                log = p.log + q.log - 2 * torch.logaddexp(p.log, q.log)
                field = field * log.exp()[:, None]
            if self.normalise == "joint":
                log = p.log + q.log - torch.logaddexp(p.log_sharp, q.log_sharp)
                field = field * log.exp()[:, None]
        else:
            one, other = p.log - p.log_sharp, q.log - q.log_sharp
            field = one.exp()[:, None] * (p.mean - x) - other.exp()[:, None] * (q.mean - x)
        if not self.divergence.unweighted:
            field = field * self.divergence.log_weight(self._ratio(p, q, block)).exp()[:, None]
        return torch.where(block.seen, field, 0.0)

    def _ratio(self, p: _Near, q: _Near, block: _Block) -> Tensor:
        """d, of the sums of the sharp kernel, or of a Gaussian itself, which is as good."""
        one, other = (p.log_sharp, q.log_sharp) if self.normalise == "sharp" else (p.log, q.log)
        mine, theirs = block.masses(self.clouds.log_mass.exp(), self.own)
        return one - other - (mine.log() - theirs.log())

    def _sides(self, window: Window, x: Tensor, block: _Block) -> tuple[_Near, _Near]:
        """Both clouds as the points see them."""
        m, log = block.m, self._logits(logarithm(window.kernel), block)
        whole = log
        if self.normalise == "sharp":
            whole = self._logits(logarithm(sharpened(window.kernel)), block)
        if self.normalise == "joint":
            log = log - window.columns / 2
        near = list[_Near]()
        for part, points in ((slice(None, m), self.clouds.p), (slice(m, None), self.clouds.q)):
            total, mean = _softmax(log[:, part], points, x)
            beside = total if whole is log else whole[:, part].logsumexp(1)
            if self.normalise == "none":  # a sample counts in the number of its like, though not in their mean
                beside = block.masses(self.clouds.log_mass.exp(), 1.0)[part.start is not None].log()
            near.append(_Near(total, mean, beside))
        return near[0], near[1]

    def _logits(self, log: Callable[[Tensor], Tensor], block: _Block) -> Tensor:
        """Logarithms of the weights of all points, -inf for what is not seen, (r, m + k)."""
        found = log(block.squared)
        found[:, block.m :] += self.clouds.log_mass
        return block.hide(found, self.own)

    def _floored(self, window: Window, block: _Block) -> Tensor:
        """The joint field with A no less than the floor, as published also where a point is its own neighbour."""
        m, log = block.m, self._logits(logarithm(window.kernel), block)
        matrix = ((2 * log - log.logsumexp(1, keepdim=True) - window.columns) / 2).exp().clamp_min(self.floor)
        matrix = matrix if block.hidden is None else matrix.masked_fill(block.hidden, 0.0)
        a, b = matrix[:, :m], matrix[:, m:]
        return b.sum(1, keepdim=True) * (a @ self.clouds.p) - a.sum(1, keepdim=True) * (b @ self.clouds.q)


@dataclass(frozen=True)
class _Block:
    """Some points: squared distances to p and q, (r, m + k), own places in q (-1: none), and what they do not see."""

    squared: Tensor
    places: Tensor
    hidden: Tensor | None
    m: int

    @property
    def seen(self) -> Tensor:
        """Whether a point sees any data, (r, 1)."""
        if self.hidden is None:
            return torch.ones_like(self.places, dtype=torch.bool)[:, None]
        return ~self.hidden[:, : self.m].all(1, keepdim=True)

    def hide(self, log: Tensor, own: float) -> Tensor:
        """Logits without what is hidden, and with the weight of a point in its own mean, in place."""
        rows = torch.nonzero(self.places >= 0)[:, 0]
        log[rows, self.m + self.places[rows]] += math.log(own) if own else -math.inf
        return log if self.hidden is None else log.masked_fill_(self.hidden, -math.inf)

    def masses(self, mass: Tensor, own: float) -> tuple[Tensor, Tensor]:
        """Masses of the data and of the samples that each point sees, (r,) each, of masses (k,) of the latter."""
        beside = (1 - own) * (self.places >= 0).to(mass)
        if self.hidden is None:
            return torch.full_like(beside, self.m), mass.sum() - beside
        seen = (~self.hidden).to(mass)
        return seen[:, : self.m].sum(1), seen[:, self.m :] @ mass - beside


def columns(clouds: Clouds, kernel: Kernel, labels: Labels | None, own: float) -> Tensor:
    """Logarithms of the sums of a kernel over the samples of the call at all points, (m + k,)."""
    x = clouds.q[len(clouds.q) - clouds.n :]
    field = Drift(clouds, (), "none", KL, own, labels=labels)
    total = x.new_full((len(clouds.p) + len(clouds.q),), -math.inf)
    for _, block in field._blocks(x):
        total = torch.logaddexp(total, field._logits(logarithm(kernel), block).logsumexp(0))
    return total


def _softmax(log: Tensor, points: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of the sum of exponentials of a row, and the mean of the points under them; -inf and x of nothing.

    What is not seen has a weight of at most e^-60 of the largest, which no digit of the mean knows.
    """
    most = log.amax(1, keepdim=True)
    nothing = most == -math.inf
    most = most.masked_fill(nothing, 0.0)
    weights = (log - most).clamp_min_(LEAST).exp_()
    total = weights.sum(1, keepdim=True)
    mean = torch.where(nothing, x, weights @ points / total)
    return (total.log_() + most).masked_fill_(nothing, -math.inf)[:, 0], mean
