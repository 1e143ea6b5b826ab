"""Data: sources, their unit and split, endless seeded batches and seeded noise; pairs of samples to compare."""

from pushforward.data.batches import Batches
from pushforward.data.compare.pairs import Pair, as_pair, read_pair
from pushforward.data.dataset import Dataset, Split
from pushforward.data.source import load, read_array
from pushforward.densities.mixture import Mixture
from pushforward.randomness import Noise

__all__ = ["Batches", "Dataset", "Mixture", "Noise", "Pair", "Split", "as_pair", "load", "read_array", "read_pair"]
