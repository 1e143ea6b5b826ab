"""Densities: laws that answer log_prob and sample."""
