"""Benchmarks of learned codecs."""
