"""Benchmarks: what the fleet does in a second, on one core, beside its peers (see README.md)."""
