"""Two sets of samples that nobody prepared, brought to one form."""
