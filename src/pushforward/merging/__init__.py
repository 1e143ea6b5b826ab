"""Merging data sets: the cells of other batches flow onto those of a reference, which stays as it is."""

from pushforward.merging.arrays import Merged, merge_arrays
from pushforward.merging.cells import merge
from pushforward.merging.flow.how import How

__all__ = ["How", "Merged", "merge", "merge_arrays"]
