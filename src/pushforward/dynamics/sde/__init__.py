"""Stochastic differential equations as data, and the samplers and time grids that act on any of them."""
