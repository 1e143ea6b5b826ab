"""Densities: laws that answer log_prob and sample; laws of latents, as data."""
