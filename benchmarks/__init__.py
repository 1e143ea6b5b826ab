"""Side-by-side timings of the library and of what one would write by hand; run with `python -m benchmarks`."""
