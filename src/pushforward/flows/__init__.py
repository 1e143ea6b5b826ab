"""Flows: samples of q and of p in, a velocity out."""
