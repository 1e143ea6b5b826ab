"""Likelihoods: what the numbers that a decoder answers with say of a sample."""
