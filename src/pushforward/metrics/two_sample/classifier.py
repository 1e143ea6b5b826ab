r"""Two-sample test by a classifier: fitted on some rows, tested on the others.

.. math::
    T = \frac{1}{t} \sum_{i \le t} s(x_i) - \frac{1}{t} \sum_{i \le t} s(y_i), \qquad s = \hat P(\text{fake} \mid \cdot)

The classifier is fixed before it meets the 2 t held-out rows, so a permutation of their labels alone is exact.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.comparison import (
    Comparison,
    boosting_cost,
    forest_cost,
    network_cost,
    regression_cost,
    vote_cost,
)
from pushforward.metrics.core.features import RAW, Features
from pushforward.metrics.core.part import Found, Part, named
from pushforward.metrics.core.permutation import halves, label_sums, out_of_reach, p_value, relabellings
from pushforward.metrics.core.reference import Given, compare, subset
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.core.scale import fit_scale
from pushforward.metrics.two_sample.classifiers import Classifier, boosting, forest, logistic, nearest, network
from pushforward.randomness import generator

__all__ = ["PARTS", "c2st", "c2st_score"]


def c2st(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    classifier: Callable[[int], Classifier] = logistic,
    test_fraction: float = 0.5,
    permutations: int = 1000,
    max_n: int = 10_000,
    seed: int = 0,
    budget: int = 2**26,
    tick: Callable[[float], None] | None = None,
) -> Measure:
    r"""Held-out accuracy of a classifier that tells fake from real, with an exact p-value; the floor is 1/2.

    Both samples are cut to one size and split alike. Columns are brought to widths about the median (`core.scale`) of
    the rows fitted on. The p-value is that of the difference T of mean scores over permutations of the held-out labels,
    which sees more than the accuracy does. `protocol["binomial_p"]` is the one-sided p-value of the accuracy itself, k
    right answers against Binomial(2 t, 1/2); with t rows of each class it is exact or too large wherever the accuracy
    is above 1/2 (Hoeffding, 1956). An accuracy below 1/2 is chance and is left as it is, with a p-value above 1/2.
    `detail` holds the relabelled values of T, "null", T itself, "statistic", and the held-out scores.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        classifier: Seed -> a classifier to fit: `logistic`, `nearest`, `network`, `boosting`, `forest`, or your own.
        test_fraction: Share of the rows held out.
        permutations: Permutations B of the held-out labels; they cost next to nothing.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets, split, classifier and permutations.
        budget: Bytes that the temporaries of one block of permutations may take.
        tick: Told the fraction done.

    Raises:
        DataError: If the samples do not fit together or are too few, or the classifier's scores are no probabilities.
        UsageError: If the share held out is not between 0 and 1.

    References:
        Revisiting classifier two-sample tests (Lopez-Paz & Oquab, 2017), arXiv:1610.06545; Classification accuracy as
        a proxy for two-sample testing (Kim et al., 2021), arXiv:1602.02210.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"test_fraction is {test_fraction}: give a share between 0 and 1, such as 0.5")
    q, p = _balanced(fake, real, features, max_n, seed)
    rng, report = generator(seed, "evaluate", part="c2st"), tick or (lambda _: None)
    (q_fit, q), (p_fit, p) = halves(q, rng, 1 - test_fraction), halves(p, rng, 1 - test_fraction)
    fitted, scores = _scores(classifier(seed), (q_fit, p_fit), (q, p))
    report(0.9)
    t, right = len(q), _right(*scores.chunk(2))
    differences = _differences(scores, relabellings(t, t, permutations, seed=seed), rng, budget)
    fitted_on = f"{len(q_fit)} and {len(p_fit)} other rows"
    protocol: Words = {"classifier": _name(classifier, fitted), "fitted_on": fitted_on}
    protocol |= {"statistic": "difference of mean held-out scores", "binomial_p": _binomial_p(right, 2 * t)}
    protocol |= {"permutations": permutations, "se": "binomial, over held-out rows", "seed": seed, "max_n": max_n}
    protocol, accuracy = protocol | out_of_reach(math.comb(2 * t, t), permutations), right / (2 * t)
    error = (accuracy * (1 - accuracy) / (2 * t)) ** 0.5
    detail = {"null": differences[1:], "statistic": differences[:1], "fake": scores[:t], "real": scores[t:]}
    report(1.0)
    return Measure(accuracy, 0.5, error, p_value(differences, 1e-12), t, t, features.id, "lower", protocol, detail)


def _differences(scores: Tensor, labels: Tensor, rng: np.random.Generator, budget: int) -> Tensor:
    """Mean score of the first kind less that of the other under each labelling, the true one first.

    Votes of neighbours tie. A lot for each row, drawn without a look at its label, breaks the ties and keeps p uniform.
    Where all rows score alike they stay alike: then there is no difference at all.
    """
    lots = torch.from_numpy(rng.random(len(scores))) * (1e-9 if bool((scores != scores[0]).any()) else 0.0)
    return 4 * label_sums(labels, scores - scores.mean() + lots - lots.mean(), budget=budget) / len(scores)


def c2st_score(
    fake: Given,
    real: Given,
    features: Features = RAW,
    *,
    classifier: Callable[[int], Classifier] = logistic,
    folds: int = 5,
    max_n: int = 10_000,
    seed: int = 0,
) -> Measure:
    """Cross-validated accuracy of a classifier that tells fake from real: a score, without p-value or error.

    Every row is scored by a classifier fitted on the other folds, so that all rows count. But those classifiers share
    most of their rows: the folds are correlated, the accuracy spreads more than a binomial of as many rows, and a
    p-value read off that binomial rejects equal laws in 9 % of all cases at level 5 %. For a test take `c2st`.

    Args:
        fake: Model samples, (n, *event).
        real: Data samples, (m, *event).
        features: The feature space.
        classifier: Seed -> a classifier to fit; see `c2st`.
        folds: Parts that each sample is cut into.
        max_n: Rows used of each; more are subsampled.
        seed: Seed of subsets, folds and classifier.

    Raises:
        DataError: If the samples do not fit together, or have fewer rows than there are folds.
        UsageError: If there are fewer than two folds.
    """
    if folds < 2:
        raise UsageError(f"folds is {folds}: give at least 2, so that every row is scored by a fit without it")
    q, p = _balanced(fake, real, features, max_n, seed)
    if len(q) < folds:
        raise DataError(f"{len(q)} rows of each do not make {folds} folds: give more rows or fewer folds")
    rng = generator(seed, "evaluate", part="folds")
    part_q, part_p = (torch.from_numpy(rng.permutation(len(q)) % folds) for _ in range(2))
    right, name = 0, ""
    for fold in range(folds):
        a, b = part_q == fold, part_p == fold
        fitted, scores = _scores(classifier(seed), (q[~a], p[~b]), (q[a], p[b]))
        right += _right(scores[: int(a.sum())], scores[int(a.sum()) :])
        name = _name(classifier, fitted)
    protocol: Words = {"classifier": name, "folds": folds, "seed": seed, "max_n": max_n}
    protocol["note"] = "no p-value: the folds share the rows they were fitted on; c2st is the test"
    return Measure(right / (2 * len(q)), 0.5, None, None, len(q), len(q), features.id, "lower", protocol)


def _balanced(fake: Given, real: Given, features: Features, max_n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Equally many features of both."""
    q, p, _ = compare(fake, real, None, features, max_n=max_n, seed=seed)
    n, rng = min(len(q), len(p), max_n), generator(seed, "evaluate", part="balance")
    return subset(q, n, rng), subset(p, n, rng)


def _scores(
    classifier: Classifier, fit: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> tuple[Classifier, Tensor]:
    """The fitted classifier, and its P(fake) of the test rows, fakes first."""
    rows = torch.cat(fit)
    scale = fit_scale(rows)
    classes = np.repeat([1.0, 0.0], [len(part) for part in fit])
    with warnings.catch_warnings():  # a fit cut short is a weaker test, not a wrong one
        warnings.simplefilter("ignore")
        classifier.fit(scale.standard(rows).numpy(), classes)
    held_out = scale.standard(torch.cat(test)).numpy()
    found = torch.from_numpy(np.ascontiguousarray(classifier.predict_proba(held_out)))
    wanted = (sum(len(part) for part in test), 2)
    if tuple(found.shape) != wanted or not found.isfinite().all():
        raise DataError(
            f"predict_proba gave shape {tuple(found.shape)} or NaN, wanted finite {wanted}: check the classifier"
        )
    return classifier, found[:, 1].double()


def _right(fake: Tensor, real: Tensor) -> int:
    return int((fake > 0.5).sum() + (real <= 0.5).sum())


def _binomial_p(right: int, rows: int) -> float:
    """P(X >= right) of X ~ Binomial(rows, 1/2)."""
    from scipy.stats import binom

    return float(binom.sf(right - 1, rows, 0.5))


def _name(classifier: Callable[[int], Classifier], fitted: Classifier) -> str:
    return getattr(classifier, "__name__", type(fitted).__name__)


def _part(classifier: Callable[[int], Classifier], name: str, most: int = 5) -> Callable[[Comparison], Found]:
    """A test of up to `most` times the rows that are used where the cost is quadratic."""

    def run(c: Comparison) -> Found:
        found = c2st(c.one, c.p, c.known, classifier=classifier, permutations=c.permutations,
                     max_n=most * c.max_n, seed=c.seed)  # fmt: skip
        return named({name: found})

    return run


PARTS = (
    Part(
        "c2st", "classifier test, logistic regression", _part(logistic, "c2st"), regression_cost,
        {"c2st": "Accuracy of a classifier on held-out samples and data; a half is chance"},
        test=True, usual=frozenset(("points", "images")), place=40,
    ),
    Part(
        "c2st_forest", "classifier test, random trees", _part(forest, "c2st_forest", 1), forest_cost,
        {"c2st_forest": "Accuracy of a few random trees on held-out samples and data; a half is chance"},
        test=True, usual=frozenset(("points",)), place=45,
    ),
    Part(
        "c2st_knn", "classifier test, nearest neighbours", _part(nearest, "c2st_knn"), vote_cost,
        {"c2st_knn": "Accuracy of nearest neighbours on held-out samples and data; a half is chance"},
        test=True, place=50,
    ),
    Part(
        "c2st_net", "classifier test, small network", _part(network, "c2st_net"), network_cost,
        {"c2st_net": "Accuracy of a small network on held-out samples and data; a half is chance"},
        test=True, place=60,
    ),
    Part(
        "c2st_trees", "classifier test, boosted trees", _part(boosting, "c2st_trees"), boosting_cost,
        {"c2st_trees": "Accuracy of boosted trees on held-out samples and data; a half is chance"},
        test=True, place=70,
    ),
)  # fmt: skip
