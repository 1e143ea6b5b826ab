"""Two-sample tests that keep their level."""
