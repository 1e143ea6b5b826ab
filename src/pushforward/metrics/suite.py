"""The parts an evaluation is made of: each turns one comparison of samples into measures, at a cost told in advance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from pushforward.metrics.comparison import (
    Comparison,
    assignment_cost,
    copy_cost,
    fit_cost,
    half,
    kid_cost,
    limit_cost,
    linear_cost,
    moment_cost,
    pair_cost,
    sinkhorn_cost,
    sort_cost,
    subset_cost,
    test_cost,
    training_cost,
)
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.result import Measure
from pushforward.metrics.likelihood.held_out import held_out_likelihood
from pushforward.metrics.networks.inception import is_true_inception
from pushforward.metrics.quality.class_score import class_score
from pushforward.metrics.quality.frechet import frechet_distance
from pushforward.metrics.quality.frechet_limit import frechet_limit
from pushforward.metrics.quality.kid import kid, kid_subsets
from pushforward.metrics.quality.manifold import manifold
from pushforward.metrics.quality.modes import class_shares, classes, modes
from pushforward.metrics.quality.sinkhorn import sinkhorn
from pushforward.metrics.quality.stacked import stacked_modes
from pushforward.metrics.quality.tails import tails
from pushforward.metrics.quality.transport import sliced_w2, w1, w2
from pushforward.metrics.two_sample.classifier import Classifier, boosting, c2st, logistic, nearest, network
from pushforward.metrics.two_sample.deep_kernel import deep_kernel_test
from pushforward.metrics.two_sample.kernel import energy_distance, mmd
from pushforward.metrics.two_sample.sliced_test import sliced_test

__all__ = ["DEFAULT_DENSITIES", "DEFAULT_IMAGES", "DEFAULT_POINTS", "PARTS", "TESTS", "Comparison", "Part"]

Found = Mapping[str, Measure]


@dataclass(frozen=True)
class Part:
    """One part of an evaluation.

    Attributes:
        name: What it is asked for by.
        about: One line: what it says.
        run: Measures by name; a name from a feature space gets the space's identity behind an @.
        cost: Floating-point operations expected.
        gives: Names of the measures, without a feature space behind an @ or a column in brackets.
        needs: What must be there: "train", "classifier", "centres", "colours", "points", "density".
    """

    name: str
    about: str
    run: Callable[[Comparison], Found]
    cost: Callable[[Comparison], float]
    gives: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()

    def lacks(self, c: Comparison) -> str | None:
        """What is missing for this part, with the remedy, or None."""
        there = {
            "train": (c.train is not None, "the training set: give train"),
            "classifier": (c.space.classify is not None, f"a classifier: features {c.space.id} have none"),
            "centres": (c.centres is not None and c.sigma is not None, "the centres of a mixture and its sigma"),
            "points": (c.fake.ndim == 2, "points, (n, d)"),
            "colours": (c.images and c.fake.shape[1] == 3, "images of three channels"),
            "density": (c.densities is not None, "a model with log_prob: give the folder of its run"),
        }
        missing = [words for need, (given, words) in there.items() if need in self.needs and not given]
        return f"{self.name} needs {missing[0]}" if missing else None


def _named(found: Found) -> Found:
    """Names with the identity of the feature space behind an @, but for raw values."""
    return {name if m.features == RAW.id else f"{name}@{m.features}": m for name, m in found.items()}


def _first(c: Comparison) -> Tensor:
    """The first set of fakes, as they are."""
    return c.fake[: len(c.fake) // c.draws]


def _mmd(c: Comparison) -> Found:
    found = mmd(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed, budget=c.budget,
                tick=c.tick)  # fmt: skip
    return _named({"mmd": found})


def _energy(c: Comparison) -> Found:
    found = energy_distance(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                            budget=c.budget, tick=c.tick)  # fmt: skip
    return _named({"energy": found})


def _sliced_test(c: Comparison) -> Found:
    found = sliced_test(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                        budget=c.budget, tick=c.tick)  # fmt: skip
    return _named({"sliced_test": found})


def _c2st(classifier: Callable[[int], Classifier], name: str) -> Callable[[Comparison], Found]:
    def run(c: Comparison) -> Found:
        found = c2st(c.one, c.p, c.known, classifier=classifier, permutations=c.permutations,
                     max_n=5 * c.max_n, seed=c.seed)  # fmt: skip
        return _named({name: found})

    return run


def _deep(c: Comparison) -> Found:
    found = deep_kernel_test(c.one, c.p, c.known, permutations=c.permutations, max_n=c.max_n, seed=c.seed,
                             budget=c.budget, tick=c.tick)  # fmt: skip
    return _named({"mmd_deep": found})


def _frechet_name(c: Comparison) -> str:
    return "FID" if is_true_inception(c.space) else "FD"


def _fd(c: Comparison) -> Found:
    found = frechet_distance(c.q, c.p, c.known, train=c.t, small=True, draws=c.draws, seed=c.seed, tick=c.tick)
    return {f"{_frechet_name(c)}@{c.space.id}": found}


def _fd_limit(c: Comparison) -> Found:
    found = frechet_limit(c.q, c.p, c.known, seed=c.seed, tick=c.tick)
    return {f"{_frechet_name(c)}_limit@{c.space.id}": found}


def _kid(c: Comparison) -> Found:
    found = kid(c.one, c.p, c.known, max_n=5 * c.max_n, seed=c.seed, budget=c.budget, tick=c.tick)
    return {f"kid@{c.space.id}": found}


def _kid_subsets(c: Comparison) -> Found:
    size = min(1000, len(c.one), len(c.p))
    found = kid_subsets(c.one, c.p, c.known, size=size, seed=c.seed, budget=c.budget, tick=c.tick)
    return {f"kid_subsets@{c.space.id}": found}


def _score(c: Comparison) -> Found:
    return {f"IS@{c.space.id}": class_score(_first(c), c.space, real=c.real, seed=c.seed)}


def _manifold(c: Comparison) -> Found:
    return _named(manifold(c.one, c.p, c.known, train=c.t, max_n=5 * c.max_n, seed=c.seed, budget=c.budget,
                              tick=c.tick))  # fmt: skip


def _sliced(c: Comparison) -> Found:
    # Of images the pixels are compared: features have the other distances.
    if c.images:
        return {"sliced_w2": sliced_w2(_first(c), c.real, train=c.train, seed=c.seed, max_n=5 * c.max_n)}
    return _named({"sliced_w2": sliced_w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=5 * c.max_n)})


def _w1(c: Comparison) -> Found:
    return _named({"w1": w1(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


def _w2(c: Comparison) -> Found:
    return _named({"w2": w2(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), tick=c.tick)})


def _sinkhorn(c: Comparison) -> Found:
    found = sinkhorn(c.one, c.p, c.known, train=c.t, seed=c.seed, max_n=half(c), budget=c.budget, tick=c.tick)
    return _named({"sinkhorn": found})


def _modes(c: Comparison) -> Found:
    assert c.centres is not None
    assert c.sigma is not None
    return modes(_first(c), c.centres, c.sigma, c.weights)


def _classes(c: Comparison) -> Found:
    assert c.space.classify is not None
    shares = class_shares(c.real, c.space.classify)
    return classes(c.fake, c.space.classify, len(shares), shares, n_real=len(c.real), features=c.space.id)


def _stacked(c: Comparison) -> Found:
    assert c.space.classify is not None
    # No p-value: that of the uniform law says nothing of data whose digits are not equally frequent.
    return stacked_modes(c.fake, c.space.classify, features=c.space.id, draws=0)


def _tails(c: Comparison) -> Found:
    return tails(_first(c), c.real, names=c.names or None, permutations=c.permutations, seed=c.seed, budget=c.budget,
                 tick=c.tick)  # fmt: skip


def _memorisation(c: Comparison) -> Found:
    assert c.t is not None
    found = memorisation(c.one, c.p, c.t, c.known, max_n=5 * c.max_n, permutations=c.permutations, seed=c.seed,
                         budget=c.budget, tick=c.tick)  # fmt: skip
    # Their p-values ask whether the model copies, not whether it follows the law of the data.
    said = {k: replace(m, protocol=m.protocol | {"hypothesis": "does not copy"}) for k, m in found.items()}
    return _named(said)


def _likelihood(c: Comparison) -> Found:
    assert c.densities is not None
    return held_out_likelihood(c.densities)


def _part(
    name: str,
    about: str,
    run: Callable[[Comparison], Found],
    cost: Callable[[Comparison], float],
    *needs: str,
    gives: tuple[str, ...] = (),
) -> Part:
    return Part(name, about, run, cost, gives or (name,), frozenset(needs))


_LIKELY = ("nll", "bits_per_dim", "likelihood_gap")
_MODES = ("modes_captured", "modes_captured_20", "high_quality", "high_quality_4", "mode_kl")
_CLASSES = ("classes_present", "smallest_class_share", "class_kl")
_COPIES = ("authenticity", "copying", "near_copies", "train_gap", "duplicates")
_MANIFOLD = ("precision", "recall", "density", "coverage")
_STACKED = ("stacked_modes", "stacked_kl")

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        _part("mmd", "kernel two-sample test, Gaussian kernels at five lengths", _mmd, test_cost),
        _part("energy", "energy-distance test", _energy, test_cost),
        _part("sliced_test", "sliced Wasserstein test", _sliced_test, sort_cost),
        _part("c2st", "classifier test, logistic regression", _c2st(logistic, "c2st"), linear_cost),
        _part("c2st_knn", "classifier test, nearest neighbours", _c2st(nearest, "c2st_knn"), pair_cost),
        _part("c2st_net", "classifier test, small network", _c2st(network, "c2st_net"), fit_cost),
        _part("c2st_trees", "classifier test, boosted trees", _c2st(boosting, "c2st_trees"), fit_cost),
        _part("deep", "kernel test with a kernel learned on one half", _deep, training_cost, gives=("mmd_deep",)),
        _part("fd", "Fréchet distance of features", _fd, moment_cost, gives=("FD", "FID")),
        _part(
            "limit",
            "Fréchet distance extrapolated to infinitely many samples",
            _fd_limit,
            limit_cost,
            gives=("FD_limit", "FID_limit"),
        ),
        _part("kid", "unbiased kernel distance with a cubic kernel", _kid, kid_cost),
        _part("kid_subsets", "the same by the published convention, 100 subsets", _kid_subsets, subset_cost),
        _part("score", "Inception-style score of a classifier", _score, linear_cost, "classifier", gives=("IS",)),
        _part("manifold", "precision, recall, density, coverage", _manifold, kid_cost, gives=_MANIFOLD),
        _part("sliced_w2", "sliced Wasserstein-2 distance", _sliced, sort_cost),
        _part("w1", "exact Wasserstein-1 distance", _w1, assignment_cost),
        _part("w2", "exact Wasserstein-2 distance", _w2, assignment_cost),
        _part("sinkhorn", "Sinkhorn divergence", _sinkhorn, sinkhorn_cost),
        _part("modes", "modes of a known mixture", _modes, linear_cost, "centres", gives=_MODES),
        _part("classes", "shares of classes", _classes, linear_cost, "classifier", gives=_CLASSES),
        _part("stacked", "modes of stacked digits", _stacked, linear_cost, "classifier", "colours", gives=_STACKED),
        _part("tails", "tail index and extreme quantiles", _tails, linear_cost, "points", gives=("hill", "tail_ratio")),
        _part("memorisation", "copies of the training set", _memorisation, copy_cost, "train", gives=_COPIES),
        _part("likelihood", "log-likelihood of held-out data", _likelihood, linear_cost, "density", gives=_LIKELY),
    )
}
"""Every part, by what it is asked for."""

_TESTS = ("mmd", "energy", "sliced_test", "c2st", "c2st_knn", "c2st_net", "c2st_trees", "deep")

TESTS = tuple(PARTS[name] for name in _TESTS)
"""The two-sample tests, cheapest first."""

_COMMON = ("mmd", "c2st", "manifold", "sliced_w2")

DEFAULT_POINTS = tuple(PARTS[name] for name in (*_COMMON, "w2", "modes", "memorisation"))
"""What points are measured by where nothing else is asked for."""

DEFAULT_DENSITIES = (PARTS["likelihood"],)
"""What is measured besides where a model answers for its density."""

DEFAULT_IMAGES = tuple(PARTS[name] for name in ("fd", *_COMMON, "classes", "memorisation"))
"""What images are measured by where nothing else is asked for."""
