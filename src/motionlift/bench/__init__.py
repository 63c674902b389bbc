"""Benchmark runs: methods beside each other on references, cell by cell, from a run file to records.

An experiment is a file with ``NAME``, ``cells(count)``, ``measure(cell, model)`` and ``section(records)``. Every cell becomes one
JSON line, so that a run that was stopped goes on where it was.
"""
