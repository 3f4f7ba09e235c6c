"""Benchmarks: ratios taken in one run, never absolute times."""
