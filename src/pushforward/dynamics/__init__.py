"""Velocities and how to follow them."""
