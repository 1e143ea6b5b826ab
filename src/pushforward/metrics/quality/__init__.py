"""How good samples are: distances, precision and recall, modes, tails."""
