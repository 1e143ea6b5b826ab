r"""Maximum likelihood: a law that answers for its density learns the data by it, and is sampled from as it is.

    x + c (u - 1/2),  u uniform:  numbers that were rounded to cells of width c, spread over them
    theta <- theta + rate * grad E log q_theta(x | k)

In expectation that is the divergence KL(p‖q) and the entropy of the data: the loss is a likelihood, and on new rows an
honest one.

References:
    Masked autoregressive flow for density estimation (Papamakarios et al., 2017), arXiv:1705.07057.
    A note on the evaluation of generative models (Theis et al., 2016), arXiv:1511.01844: uniform noise on levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from pushforward.densities.flows import FlowDensity, NormalisingFlow, Whitened
from pushforward.densities.laws import Law
from pushforward.errors import UsageError
from pushforward.randomness import even, turned
from pushforward.settings.densities import Flow
from pushforward.terms import Scale, Term
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, Scores, unpack

__all__ = ["MaximumLikelihood", "flow_law"]

ROWS = 4096  # whose density is asked for at once
SEEN = 100_000  # rows whose mean and covariance are taken
SPREAD = 8  # places in a cell that a density is a mean over
FAR = 1e4  # model units from which numbers in a law may overflow

NLL = Term(
    "Negative log-likelihood",
    "−E log q of a batch, in nats a row and in model units; with uniform noise where numbers are rounded. Healthy: "
    "falling, then level, at any value: what is left is the entropy of the data in these units, which nobody knows, "
    "and the divergence KL(p‖q). Of training rows: an evaluation measures that of held-out ones.",
    live=True,
    scale=Scale(log=False),
)


@dataclass
class MaximumLikelihood:
    """A law that learns by the likelihood of data, and of their classes if it is conditional.

    Attributes:
        law: A module that is a `densities.laws.Law`, whose call is its `log_prob`, and how it learns; its context is
            the class, one-hot, where there are classes.
        rng: Where noise comes from.
        cells: Width of the cells that numbers were rounded to, (d,), in model units, 0 where they are a continuum;
            None where all are. Densities are learned, and taken, at numbers spread evenly over their cells.
        prior: Frequencies of the classes, (K,); None for one law of all rows.
    """

    law: Learner
    rng: Randomness
    cells: Tensor | None = None
    prior: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.law.net, Law):
            raise UsageError(
                f"a law learns by log_prob(z, context), and {type(self.law.net).__name__} has none: give one of "
                "pushforward.densities, or a module with log_prob and sample"
            )

    @property
    def terms(self) -> Mapping[str, Term]:
        """The loss."""
        return {"nll": NLL}

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One update of the law for each yield.

        Args:
            batches: Endless batches of data (n, d), or of (data, labels) for a conditional law.
            start: Number of steps done before.
        """
        for batch in batches:
            yield self.step(*unpack(batch))

    def step(self, x: Samples, labels: Labels | None = None) -> Logs:
        """One update of the law on a batch."""
        x = self._spread(x, self.rng)
        nll = -(self.law(x) if self.prior is None else self.law(x, self._context(labels, x))).mean()
        self.law.descend(nll)
        return {"nll": nll.detach()}

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        r"""Log density (n,) of the average of the law, in nats, with respect to model units.

        Rounded numbers are spread over their cells, and the answer is a mean over eight places that fill a cell evenly
        and are a function of the row, the same at every call and beside any other rows: on average a bound from below
        of the log probability of the cell, divided by its width. A row so far out that numbers overflow has -inf.

        Args:
            x: Points (n, d).
            labels: Classes (n,) of a conditional law; None for the mixture of all by their frequencies.
        """
        with self._answering() as law:
            if not self._rounded:
                return self._densities(law, x, labels)
            noise = turned(even(SPREAD, x.shape[1]), x).to(x)
            each = [self._densities(law, self._moved(x, own), labels) for own in noise]
            return torch.stack(each).mean(0)

    @torch.no_grad()
    def score(self, x: Samples, labels: Labels | None, rng: Randomness) -> float:
        """Mean log density, by noise that is drawn anew where numbers are rounded: nothing can be learned for it."""
        with self._answering() as law:
            return float(self._densities(law, self._spread(x, rng), labels).mean())

    def _densities(self, law: Law, x: Samples, labels: Labels | None) -> Scores:
        """Log densities (n,) at points as they are, given their classes, or of the mixture of all."""
        if self.prior is None:
            return _log_prob(law, x, None)
        if labels is not None:
            return _log_prob(law, x, self._context(labels, x))
        each = [
            _log_prob(law, x, self._context(torch.full((len(x),), k, device=x.device), x)) + share
            for k, share in enumerate(self.prior.log().tolist())
            if share > -torch.inf
        ]
        return torch.stack(each).logsumexp(0)

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, d) of the average of the law, of classes (n,) or, where None, drawn by frequency."""
        rng, context = rng or self.rng, None
        if self.prior is not None:
            if labels is None:
                labels = torch.searchsorted(self.prior.cumsum(0), rng.uniform(n).to(self.prior) * self.prior.sum())
            context = self._context(labels.to(self.prior.device), self.prior)
        with self._answering() as law:
            return law.sample(n, rng, context)

    @property
    def _rounded(self) -> bool:
        """Whether there are numbers to be spread over their cells."""
        return self.cells is not None and bool(self.cells.any())

    def _spread(self, x: Samples, rng: Randomness) -> Samples:
        """Numbers spread evenly over their cells."""
        return x if self.cells is None else self._moved(x, rng.uniform(*x.shape).to(x))

    def _moved(self, x: Samples, noise: Tensor) -> Samples:
        """Numbers at a place in their cells, from 0 to 1."""
        assert self.cells is not None
        return x + self.cells.to(x) * (noise - 0.5)

    def _context(self, labels: Labels | None, like: Tensor) -> Tensor:
        """Classes (n,), one-hot, (n, K)."""
        assert self.prior is not None
        if labels is None:
            raise UsageError("a conditional law learns rows with their classes: give batches of (rows, labels)")
        return nn.functional.one_hot(labels.long(), len(self.prior)).to(like)

    @contextmanager
    def _answering(self) -> Iterator[Law]:
        """The net that answers for the model, in evaluation mode within."""
        net = self.law.sampler
        learns = net.training
        net.eval()
        try:
            yield cast(Law, net)
        finally:
            net.train(learns)


def flow_law(shape: Flow, dim: int, classes: int = 0, rows: Tensor | None = None) -> nn.Module:
    """A flow with fresh weights: the normal law, or, whitened, about that with the mean and covariance of rows.

    Args:
        shape: Its transformations and nets.
        dim: Columns d.
        classes: Of which it is told one; 0 for none.
        rows: Data, (n, d), that are to be whitened; None where a file has the map.
    """
    hidden = (shape.width,) * shape.depth
    law = FlowDensity(
        NormalisingFlow(dim, shape.flow, steps=shape.transforms, hidden=hidden, context=classes, bins=shape.bins)
    )
    if not shape.whiten:
        return law
    if rows is None:
        return Whitened(law, torch.zeros(dim), torch.eye(dim))
    return Whitened.of(law, rows[:: -(-len(rows) // SEEN)])


def _log_prob(law: Law, x: Tensor, context: Tensor | None) -> Scores:
    """Log densities at rows (n, d), some at a time."""
    if not len(x):
        return x.new_zeros(0)
    parts = x.split(ROWS)
    given = [None] * len(parts) if context is None else list(context.split(ROWS))
    found = torch.cat([law.log_prob(part, c) for part, c in zip(parts, given, strict=True)])
    overflowed = found.isnan() & (x.abs() > FAR).any(1)
    return torch.where(overflowed, -torch.inf, found)
