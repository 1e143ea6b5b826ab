"""Kernels and distances between sets of points."""

from pushforward.geometry.kernels import (
    Kernel,
    column_blocks,
    energy,
    gram,
    imq,
    median_bandwidth,
    multiscale,
    rbf,
    squared_distances,
)

__all__ = [
    "Kernel",
    "column_blocks",
    "energy",
    "gram",
    "imq",
    "median_bandwidth",
    "multiscale",
    "rbf",
    "squared_distances",
]
