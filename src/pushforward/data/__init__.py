"""Data: sources, their unit and split, endless seeded batches and seeded noise."""

from pushforward.data.batches import Batches
from pushforward.data.dataset import Dataset, Split
from pushforward.data.mixture import Mixture
from pushforward.data.noise import Noise
from pushforward.data.source import load, read_array

__all__ = ["Batches", "Dataset", "Mixture", "Noise", "Split", "load", "read_array"]
