"""Which column, and in what way: every column's law and every pair's association, fake against real, worst first."""
