"""Benches that anyone can run: many short runs of several methods, at equal cost, kept line by line and summed up."""
