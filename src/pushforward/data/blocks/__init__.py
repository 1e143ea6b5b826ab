"""Rows that do not fit into memory: how much there is, where the rest goes, and what is computed a block at a time."""
