"""Kernels and distances between sets of points."""

from pushforward.geometry.features import (
    Linear,
    RandomFeatures,
    SlicedEnergy,
    directions,
    random_features,
    sliced_energy,
)
from pushforward.geometry.kernels import (
    Kernel,
    KernelSums,
    column_blocks,
    energy,
    gram,
    imq,
    median_bandwidth,
    multiscale,
    rbf,
    row_blocks,
    squared_distances,
)

__all__ = [
    "Kernel",
    "KernelSums",
    "Linear",
    "RandomFeatures",
    "SlicedEnergy",
    "column_blocks",
    "directions",
    "energy",
    "gram",
    "imq",
    "median_bandwidth",
    "multiscale",
    "random_features",
    "rbf",
    "row_blocks",
    "sliced_energy",
    "squared_distances",
]
