"""Nets: generators z -> x and critics x -> score. They know no loss."""
