"""Merging as an outsider would judge it: beside its peers, on real batches of which one side lacks types.

    situations   two data sets as they are, with a type withheld from either side, with no type in common, and one batch
                 cut in two; scored on cells of the target that our fit has not seen
    labels       methods that see the types beside those that do not, and a batch bent within its classes
    speed        CPU seconds and memory on many cells

`python -m benchmarks.merging` runs them and keeps every result as a line of a file. The representations are made once
of all cells, those withheld among them, and are the same for every method.
"""
