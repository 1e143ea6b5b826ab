"""Objectives: (nets, batch) -> scalar, without an optimiser."""
