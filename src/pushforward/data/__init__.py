"""Data: sources, their unit and split, endless seeded batches; pairs of samples to compare."""

from pushforward.data.batches import Batches
from pushforward.data.compare.pairs import Pair, as_pair, read_pair
from pushforward.data.dataset import Dataset, Split
from pushforward.data.source import load, read_array
from pushforward.densities.mixture import Mixture

__all__ = ["Batches", "Dataset", "Mixture", "Pair", "Split", "as_pair", "load", "read_array", "read_pair"]
