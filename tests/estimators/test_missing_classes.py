"""A class that is missing is no class: every estimator that takes classes names the row and the remedy."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward import BridgeSampler, FlowDensityEstimator, FlowGenerator, ParticleFlow
from pushforward.errors import DataError

pandas = pytest.importorskip("pandas")

X = np.random.default_rng(0).normal(size=(8, 2))
MISSING = {
    "None": ["a", None] * 4,
    "objects": np.array(["a", None] * 4, dtype=object),
    "nan": [0, np.nan] * 4,
    "nan among text": ["a", np.nan] * 4,
    "NA": pandas.Series([1, None] * 4, dtype="Int64"),
    "categories": pandas.Categorical(["a", None] * 4),
}
FITS = {
    "particles": lambda y: ParticleFlow(steps=1).fit(X, labels=y),
    "source": lambda y: ParticleFlow(steps=1).fit(X, X, labels=["a"] * 8, source_labels=y),
    "bridges": lambda y: BridgeSampler().fit(X, y),
    "density": lambda y: FlowDensityEstimator().fit(X, y),
    "generator": lambda y: FlowGenerator().fit(X, y),
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_class_is_refused_by_row_with_the_remedy(fit, kind):
    with pytest.raises(DataError, match=r"(labels|y): row 1, counted from 0, has no class \(4 of 8 .*leave these"):
        FITS[fit](MISSING[kind])


def test_words_are_classes_whatever_they_say():
    found = ParticleFlow(steps=1, warmup=0, random_state=0).fit(X, labels=["nan", "unknown"] * 4)
    assert found.classes_ is not None
    assert found.classes_.tolist() == ["nan", "unknown"]
    whole = ParticleFlow(steps=1, warmup=0, random_state=0).fit(X, labels=pandas.Series([1, 2] * 4, dtype="Int64"))
    assert whole.classes_ is not None
    assert whole.classes_.tolist() == [1, 2]
