"""The figures of a page: curves, clouds, tails."""
