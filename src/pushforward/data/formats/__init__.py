"""File formats: one reader for each ending."""
