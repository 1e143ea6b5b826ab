"""Whether a model copies what it learned from."""
