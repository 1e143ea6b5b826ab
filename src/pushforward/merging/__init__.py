"""Merging data sets: the cells of other batches flow onto those of a reference, which stays as it is."""

from pushforward.merging.arrays import Merged, merge_arrays
from pushforward.merging.cells import merge
from pushforward.merging.flow.how import How
from pushforward.merging.flow.mapping import MergeMap
from pushforward.merging.merger import Merger

__all__ = ["How", "MergeMap", "Merged", "Merger", "merge", "merge_arrays"]
