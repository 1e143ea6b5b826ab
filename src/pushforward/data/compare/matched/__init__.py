"""Columns of sets held against each other: which is which, and in what notation each is written."""
