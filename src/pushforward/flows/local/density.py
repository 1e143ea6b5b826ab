r"""The flow of KL(q‖p) between kernel estimates of both densities: no critic, and true to the width of a mode.

.. math::
    q_h(x) = \frac1n \sum_i e^{-\|x - x_i\|^2 / 2h^2}, \qquad
    v(x) = h^2\, \nabla \log \frac{p_h}{q_h}(x) = m_p(x) - m_q(x), \qquad
    m_p(x) = \frac{\sum_j y_j\, e^{-\|x - y_j\|^2 / 2h^2}}{\sum_j e^{-\|x - y_j\|^2 / 2h^2}}

It vanishes where both smoothed laws are equal, whatever h: smoothing slows it and does not bias it. For that a sample
must not count itself, which would make it rest in modes that are too narrow: neither mean sees what is nearer to x than
r h, the sample itself or where it was a moment ago. In its place x has a small weight a in m_q: one that is alone has
m_q(x) = x and goes to the data near it, to the mode whose border it has left. What both do not see makes them
faster, by the share of a kernel that lies within r h: 1 % in the plane, 13 % on the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.parallel.sharing import all_rows
from pushforward.types import LabelPair, Labels, Samples

__all__ = ["DensityFlow", "Shift", "nearby"]

_BLOCK = 2**20  # numbers of a block of weights
_LEAST = -60.0  # exponent, from the largest of a row, below which a weight is as good as 0 and costs time
_HOLE, _OWN = 0.15, 0.05  # r, in lengths of the fine field, and a


@dataclass(frozen=True)
class Pair:
    """Both clouds that a field is made of, at one length.

    Attributes:
        q: Model samples, (n, d).
        p: Data samples, (m, d).
        length: h, in data units.
        hole: Distance from x within which points are not seen.
        share: Factor on the field.
        labels: Classes of q (n,) and of p (m,); None for one law.
    """

    q: Tensor
    p: Tensor
    length: float
    hole: float
    share: float
    labels: LabelPair | None = None


@dataclass(frozen=True)
class Shift:
    """The field: a sum over pairs of clouds, each from the mean of the model's samples near x to that of the data.

    Attributes:
        pairs: The clouds.
        labels: Classes of the points that it is asked at; None where there is one law.
    """

    pairs: tuple[Pair, ...]
    labels: Labels | None = None

    @torch.no_grad()
    def __call__(self, x: Samples, t: float = 0.0) -> Samples:
        """Velocity (n, *event) at x; the same at every time. 0 where either cloud has no point of a point's class."""
        rows, total = x.flatten(1), torch.zeros_like(x.flatten(1))
        for pair in self.pairs:
            theirs = (None, None) if pair.labels is None else pair.labels
            near_p, some_p = _near(rows, pair.p, pair, 0.0, self.labels, theirs[1])
            near_q, some_q = _near(rows, pair.q, pair, _OWN, self.labels, theirs[0])
            moved = near_p.sub_(near_q).mul_(pair.share)
            total += moved if some_p is None or some_q is None else moved * (some_p & some_q)
        return total.view_as(x)

    def given(self, labels: Labels | None) -> Shift:
        """The same field for points of other classes."""
        return replace(self, labels=labels)


@dataclass
class DensityFlow:
    """Kernel estimates over the last few batches, and a weaker field of another length that sees from mode to mode.

    To ask the field at k points takes time like k (memory + 1) (n + m), in blocks of rows. Densities cannot be
    estimated so in more than a few dimensions: there every point is alone, and the field pulls samples onto the data.

    Attributes:
        length: h of the fine field, in data units; None for the median distance from a row of the data to the one that
            is `neighbours` places near it, among the first 4,096 that are kept.
        neighbours: How many.
        wide: Length of the other field, which keeps the weights of the modes: a good part of the data's spread.
        share: Its factor; 0 for none. It sees one batch.
        memory: Batches before this one that the fine field sees too.
        kept: These batches: {"q", "p"}, and {"classes_q", "classes_p"} where there are classes.
        found: The length in use; 0 until it is known.

    Raises:
        UsageError: If a length is not positive, or there are no neighbours, or fewer batches than none.

    References:
        Mean shift: a robust approach toward feature space analysis (Comaniciu & Meer, 2002), for one of the means.
    """

    length: float | None = None
    neighbours: int = 10
    wide: float = 0.4
    share: float = 0.1
    memory: int = 3
    kept: list[dict[str, Tensor]] = field(default_factory=list, repr=False)
    found: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def __post_init__(self) -> None:
        if not self.wide > 0 or (self.length is not None and not self.length > 0):
            raise UsageError(f"lengths are {self.length} and {self.wide}: give positive ones, or None for the first")
        if self.neighbours < 1 or self.memory < 0:
            raise UsageError(f"neighbours {self.neighbours}, memory {self.memory}: give 1 and 0 at the least")

    @property
    def classes(self) -> int:
        """0: it has no net that knows classes, and takes any."""
        return 0

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Shift:
        """The field on all of space.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for one law of each class.
        """
        own = labels
        q, p = (all_rows(x.detach()).flatten(1) for x in (q, p))
        entry = {"q": q, "p": p}
        if labels is not None:
            labels = (all_rows(labels[0]).clone(), all_rows(labels[1]).clone())  # one call may be told those of another
            entry |= {"classes_q": labels[0], "classes_p": labels[1]}
        learning = not self.found > 0 or len(self.kept) <= self.memory
        self.kept[:] = [*self.kept, entry][-self.memory - 1 :]
        whole = {name: torch.cat([one[name] for one in self.kept]) for name in entry}
        if self.length is not None:
            self.found.fill_(self.length)
        elif learning:
            self.found.fill_(nearby(whole["p"], self.neighbours) or self.wide)
        length, classes = float(self.found), labels and (whole["classes_q"], whole["classes_p"])
        fine = Pair(whole["q"], whole["p"], length, _HOLE * length, 1.0, classes)
        broad = (Pair(q, p, self.wide, fine.hole, self.share, labels),) if self.share else ()
        return Shift((fine, *broad), None if own is None else own[0])


def nearby(x: Tensor, neighbours: int) -> float:
    """Median distance from a row of x, (n, d), to its neighbour of that rank; of the positive ones, 0 without any.

    The first 4,096 rows count; those with so many that are equal to them, as categories make them, do not.
    """
    x = x[:4096]
    rank = min(neighbours, len(x) - 1)
    if rank < 1:
        return 0.0
    far = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").kthvalue(rank + 1, 1).values
    far = far[far > 0]
    return float(far.median()) if len(far) else 0.0


def _near(
    x: Tensor, points: Tensor, pair: Pair, own: float, labels: Labels | None, theirs: Labels | None
) -> tuple[Tensor, Tensor | None]:
    """Means of the points about each x, (n, d), with x of weight `own` among them.

    Where classes count, also whether there is a point of its class, (n, 1).
    """
    centre = points.mean(0)  # large coordinates stay out of the squares
    x, points, scale = x - centre, points - centre, -0.5 / pair.length**2
    halves, squares = (points.square().sum(1) * scale)[None], x.square().sum(1)[:, None] * scale
    turned, ones = (points * (-2 * scale)).T, points.new_ones(len(points), 1)
    beside, sums = torch.cat([points, ones], 1).T.contiguous(), x.new_empty(points.shape[1] + 1, len(x))
    for rows in _blocks(len(x), len(points)):
        weights = torch.addmm(halves, x[rows], turned).add_(squares[rows])
        weights.masked_fill_(weights > scale * pair.hole**2, -torch.inf)
        if labels is not None and theirs is not None:
            weights.masked_fill_(labels[rows, None] != theirs, -torch.inf)
        if not own:  # the nearest counts 1, however far it is
            weights.sub_(weights.amax(1, keepdim=True).clamp_min(-1e30))
        weights.clamp_min_(_LEAST).exp_()
        if labels is not None and theirs is not None:
            weights.masked_fill_(labels[rows, None] != theirs, 0.0)
        sums[:, rows] = beside @ weights.T  # several times as fast as the other way round
    some = None if labels is None or theirs is None else sums[-1:].T > 0
    total = sums[-1] + own
    if some is not None:
        total = torch.where(some.T, total, 1.0)
    return (sums[:-1].add_(x.T, alpha=own) / total).T + centre, some


def _blocks(n: int, m: int) -> Iterator[slice]:
    height = max(1, _BLOCK // max(1, m))
    return (slice(start, min(start + height, n)) for start in range(0, n, height))
