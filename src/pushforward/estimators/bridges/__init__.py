"""The two-stage bridge as an estimator: what it is built from, what it restores, and its face."""
