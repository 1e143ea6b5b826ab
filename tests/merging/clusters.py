"""Cells of known kinds, whose batches are pushed as a whole."""

import numpy as np


def clusters(seed: int, sizes: dict[int, int], shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Round clusters in 12 dimensions, some 12 standard deviations apart from one another, all pushed the same way."""
    rng = np.random.default_rng(seed)
    middles = 2.5 * np.random.default_rng(99).standard_normal((6, 12))
    names = np.repeat(list(sizes), list(sizes.values()))
    return rng.standard_normal((len(names), 12)) + middles[names] + shift / np.sqrt(12), names
