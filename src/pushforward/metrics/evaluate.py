"""The default evaluation: the few numbers that tell a good sample from a bad one, each with its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from pushforward.errors import UsageError
from pushforward.metrics.digits8 import digits8
from pushforward.metrics.features import RAW, Features
from pushforward.metrics.frechet import frechet_distance
from pushforward.metrics.kernel import mmd
from pushforward.metrics.modes import class_shares, classes, modes
from pushforward.metrics.reference import compare
from pushforward.metrics.result import Measure
from pushforward.metrics.transport import sliced_w2, w2

__all__ = ["Metric", "evaluate"]

Metric = Callable[[Tensor, Tensor], Measure | float]
"""(fake features (n, d), real features (m, d)) -> a number, with or without its reading."""


def evaluate(
    fake: Tensor,
    real: Tensor,
    *,
    train: Tensor | None = None,
    features: Features | None = None,
    centres: Tensor | None = None,
    sigma: float | None = None,
    weights: Tensor | Sequence[float] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    seed: int = 0,
    permutations: int = 200,
    max_n: int = 2000,
    draws: int = 1,
    split: str = "test",
) -> dict[str, Measure]:
    """Compare model samples with data.

    Points (n, d) get sliced W2, exact W2 and MMD, and the mode counts where centres are known. Images (n, c, s, s)
    get the Fréchet distance and MMD in a feature space, sliced W2 of the pixels, and the class shares where the
    feature space has a classifier. A number from a feature space is named after it: `FD@digits8-1a2b3c4d`.

    Args:
        fake: Model samples, (draws * n, *event), in the units of real.
        real: Held-out data, (m, *event).
        train: A second, independent sample of the data; the floors are measured with it.
        features: The feature space; where omitted, the bundled `digits8` for images and the raw values for the rest.
            Use your own for images that are not digits.
        centres: Means of a mixture's components, (k, d).
        sigma: Their standard deviation, in data units; needed with centres.
        weights: Their probabilities, (k,); equal where omitted.
        metrics: Your own set instead of the default one: name -> function of (fake features, real features).
        seed: Seed of every subset, direction and relabelling.
        permutations: Relabellings behind a p-value.
        max_n: Rows used where the cost is quadratic; exact W2, at cubic cost, uses half as many.
        draws: Sets of n that fake holds; the Fréchet distance is a mean over them and class shares count them all,
            the other numbers look at the first.
        split: What real is, for the record.

    Returns:
        Name -> measure, in a sensible order of reading.

    Raises:
        DataError: If the samples do not fit together, hold too few rows or are not finite.
        UsageError: If centres come without sigma.
    """
    if centres is not None and sigma is None:
        raise UsageError("centres given without sigma: pass the components' standard deviation too")
    images, everything = fake.ndim == 4, fake
    fake = fake[: len(fake) // draws]
    features = features or (digits8() if images else RAW)
    q, p, t, known = everything, real, train, features
    if metrics is not None or features.id != RAW.id:
        # Features are computed once for all that use them; raw values need no second copy.
        (q, p, t), known = compare(everything, real, train, features), features.computed
    if metrics is not None:
        found = {name: _measured(metric(q, p), q, p, known) for name, metric in metrics.items()}
        return {name: _recorded(measure, split, seed) for name, measure in found.items()}

    measures: dict[str, Measure] = {}
    if features.id != RAW.id:
        fitted = frechet_distance(q, p, known, train=t, small=True, draws=draws, seed=seed)
        measures[f"FD@{features.id}"] = fitted
    name = "mmd" if features.id == RAW.id else f"mmd@{features.id}"
    measures[name] = mmd(q[: len(fake)], p, known, permutations=permutations, max_n=max_n, seed=seed)
    measures["sliced_w2"] = sliced_w2(fake, real, train=train, seed=seed, max_n=5 * max_n)
    if not images:
        measures["w2"] = w2(fake, real, train=train, seed=seed, max_n=max(2, max_n // 2))
    if centres is not None and sigma is not None:
        measures |= modes(fake, centres, sigma, weights)
    if features.classify is not None:
        shares = class_shares(real, features.classify)
        measures |= classes(everything, features.classify, len(shares), shares, n_real=len(real), features=features.id)
    return {name: _recorded(measure, split, seed) for name, measure in measures.items()}


def _measured(value: Measure | float, q: Tensor, p: Tensor, features: Features) -> Measure:
    """A bare number with its sizes."""
    if isinstance(value, Measure):
        return value
    return Measure(float(value), n_fake=len(q), n_real=len(p), features=features.id, better="none")


def _recorded(measure: Measure, split: str, seed: int) -> Measure:
    return replace(measure, protocol={"split": split, "seed": seed} | measure.protocol)
