"""Methods that generate by a stochastic differential equation: score models, and Schrödinger bridges in two stages."""
