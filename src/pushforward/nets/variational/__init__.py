"""Nets of variational autoencoders."""
