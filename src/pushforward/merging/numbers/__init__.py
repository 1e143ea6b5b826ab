"""The numbers of a merge: how far batches are from the target, how they mix, and what became of values."""
