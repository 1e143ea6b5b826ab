"""What an evaluation compares, and what each look at it will cost in floating-point operations, to first order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from pushforward.densities.rows import RowDensities
from pushforward.densities.support import Support
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.neighbours import FLAT
from pushforward.plain.fields import Field

__all__ = [
    "Comparison",
    "assignment_cost",
    "ball_cost",
    "boosting_cost",
    "copy_cost",
    "forest_cost",
    "half",
    "kid_cost",
    "limit_cost",
    "linear_cost",
    "moment_cost",
    "network_cost",
    "regression_cost",
    "relabelled_sort_cost",
    "rows",
    "sinkhorn_cost",
    "sort_cost",
    "subset_cost",
    "test_cost",
    "training_cost",
    "vote_cost",
]


@dataclass(frozen=True)
class Comparison:
    """Two sets of samples, ready to be measured.

    Attributes:
        fake: Model samples, (draws * n, *event).
        real: Held-out data, (m, *event).
        train: A second, independent sample of the data, or None; what the model learned from.
        q: Features of fake; fake itself for raw values.
        p: Features of real.
        t: Features of train.
        space: The feature space; its identity belongs in the names.
        known: The space of q, p and t: `space`, already computed.
        draws: Sets of n that fake holds, one after the other; most parts look at the first.
        centres: Means of a mixture's components (k, d), their `sigma` and `weights`, where they are known.
        sigma: See centres.
        weights: See centres.
        names: Names of the columns of points, (d,), or ().
        seed: Seed of every subset, direction and relabelling.
        permutations: Relabellings behind a p-value.
        max_n: Rows used where the cost is quadratic.
        budget: Bytes that temporaries may take.
        tick: Told the fraction done of a part.
        densities: The model's log densities at rows of the data, where it answers for them.
        fields: What each coordinate of points is, where their columns have names; else ().
        support: Sets that are known to hold all data, in their units; or None.
    """

    fake: Tensor
    real: Tensor
    train: Tensor | None
    q: Tensor
    p: Tensor
    t: Tensor | None
    space: Features = RAW
    known: Features = RAW
    draws: int = 1
    centres: Tensor | None = None
    sigma: float | None = None
    weights: Tensor | Sequence[float] | None = None
    names: tuple[str, ...] = ()
    seed: int = 0
    permutations: int = 200
    max_n: int = 2000
    budget: int = 2**26
    tick: Callable[[float], None] | None = None
    densities: RowDensities | None = None
    fields: tuple[Field, ...] = ()
    support: Support | None = None

    @property
    def images(self) -> bool:
        """Whether samples are images, (n, c, h, w)."""
        return self.fake.ndim == 4

    @property
    def one(self) -> Tensor:
        """Features of the first set of fakes."""
        return self.q[: len(self.q) // self.draws]

    @property
    def first(self) -> Tensor:
        """The first set of fakes, as they are."""
        return self.fake[: len(self.fake) // self.draws]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """n, m and the number of features, for an estimate of cost."""
        return len(self.q) // self.draws, len(self.p), self.known.dim or self.p[0].numel()


def rows(c: Comparison) -> tuple[int, int, int]:
    """Rows that a part of quadratic cost uses of each, and the number of features."""
    n, m, d = c.sizes
    return min(n, c.max_n), min(m, c.max_n), d


def test_cost(c: Comparison) -> float:
    """A kernel matrix, and its products with all labellings."""
    n, m, d = rows(c)
    return 5e8 + (n + m) ** 2 * (2.0 * d + 0.8 * c.permutations)


def moment_cost(c: Comparison) -> float:
    """Covariances and their roots; with fewer rows than features, of the rows."""
    n, m, d = c.sizes
    rank = min(d, max(n, m))
    return 5e8 + (n * c.draws + m) * (4.0 * d * rank + 2e5) + 30.0 * c.draws * rank**3


def training_cost(c: Comparison) -> float:
    """Steps of a kernel that is learned on batches, and its test on the other half of the rows."""
    n, m, d = rows(c)
    batch = min(n, m, 512)
    return 200.0 * (350.0 * batch**2 + 300.0 * batch * d) + ((n + m) / 2) ** 2 * (
        100.0 + 2.0 * d + 2.0 * c.permutations
    )


def sort_cost(c: Comparison) -> float:
    """Projections, and sorting them."""
    n, m, d = c.sizes
    return 128.0 * (min(n, 5 * c.max_n) + min(m, 10 * c.max_n)) * (2.0 * d + 7e3)


def relabelled_sort_cost(c: Comparison) -> float:
    """Projections, sorted once, and running counts of all labellings."""
    n, m, d = rows(c)
    return 128.0 * (n + m) * (2.0 * d + 55.0 * (c.permutations + 1))


def assignment_cost(c: Comparison) -> float:
    """Exact transport, with three pairs of real samples for the floor."""
    n, m, _ = c.sizes
    return 1e8 + 4 * 2.0 * min(n, half(c)) * min(m, half(c)) * max(min(n, half(c)), min(m, half(c)))


def copy_cost(c: Comparison) -> float:
    """Nearest rows within samples and across, by trees up to 8 dimensions and by products beyond, and relabellings."""
    n, m, d = c.sizes
    n, m, train = min(n, 5 * c.max_n), min(m, 5 * c.max_n), 0 if c.train is None else len(c.train)
    if not train:
        return 0.0

    def search(x: int, y: int) -> float:
        return x * (5e4 + 35.0 * min(y, 30 * 2**d) if d < FLAT else 2e4 + (30.0 + 2 * d) * y)

    searches = search(n + m + min(n + m, train), train) + search(n, m) + search(n, n) + search(m, m)
    return 2e8 + 400.0 * n * c.permutations + searches


def network_cost(c: Comparison) -> float:
    """Steps of a small network on batches."""
    n, m, d = c.sizes
    return 5e8 + 200.0 * min(n, m, 5 * c.max_n, 1024) * (1.2e4 + 200.0 * d)


def boosting_cost(c: Comparison) -> float:
    """A hundred trees on binned columns."""
    n, m, d = c.sizes
    return 1.5e9 + 2e4 * min(n, m, 5 * c.max_n) * d


def forest_cost(c: Comparison) -> float:
    """Trees whose cuts are drawn among some columns, on rows as where the cost is quadratic."""
    n, m, d = rows(c)
    return 3e8 + 1e5 * min(n, m) * (1.0 + 0.2 * min(d, 32))


def vote_cost(c: Comparison) -> float:
    """Neighbours of one half of the rows in the other."""
    n, m, d = c.sizes
    both = 2 * min(n, m, 5 * c.max_n)
    return 3e5 * both + 2.5 * both**2 * d


def regression_cost(c: Comparison) -> float:
    """A linear classifier, and permutations of what it was not fitted to."""
    n, m, d = c.sizes
    return 1e8 + min(n, m, 5 * c.max_n) * (8e3 * d + 200.0 * c.permutations)


def ball_cost(c: Comparison) -> float:
    """Neighbours within both samples and across, for the samples and for their floors."""
    return 3 * kid_cost(c)


def limit_cost(c: Comparison) -> float:
    """Fifteen Fréchet distances of nested subsets."""
    return moment_cost(c) + 15 * 60.0 * c.sizes[2] ** 3


def kid_cost(c: Comparison) -> float:
    """All inner products."""
    n, m, d = c.sizes
    return (min(n, 5 * c.max_n) + min(m, 5 * c.max_n)) ** 2 * (2.0 * d + 20.0)


def subset_cost(c: Comparison) -> float:
    """Inner products of a hundred subsets."""
    n, m, d = c.sizes
    return 100 * (3.0 * min(n, m, 1000) ** 2) * (2.0 * d + 20.0)


def sinkhorn_cost(c: Comparison) -> float:
    """Updates of the potentials."""
    n, m, _ = c.sizes
    return 1e4 * min(n, half(c)) * min(m, half(c))


def linear_cost(c: Comparison) -> float:
    """One look at each row."""
    n, m, d = c.sizes
    return 100.0 * (n + m) * d


def half(c: Comparison) -> int:
    """Rows where the cost is cubic."""
    return max(2, c.max_n // 2)
