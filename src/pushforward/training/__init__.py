"""Training: the one room that knows devices, precision and ranks."""
