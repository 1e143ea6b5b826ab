"""Several processes: where a run lives, and how rows and sums are shared out."""
