"""Exact values of Lipschitz-regularised divergences: what an estimate of them is checked against."""

from pushforward.oracles.closed import Translation, dirac, dirac_gaussian, dudley_diracs, mmd_diracs, w1_line
from pushforward.oracles.solve import Bracket, cloud, line

__all__ = [
    "Bracket",
    "Translation",
    "cloud",
    "dirac",
    "dirac_gaussian",
    "dudley_diracs",
    "line",
    "mmd_diracs",
    "w1_line",
]
