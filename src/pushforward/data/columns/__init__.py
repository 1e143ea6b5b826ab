"""Columns of tables as quantities: which cells are numbers, truth values or dates, and what is said where none are."""
