"""Experiments behind docs/results.md, one file each."""
