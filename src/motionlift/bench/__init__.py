"""What the documents claim, measured: ``python -m motionlift.bench`` runs the experiments and writes ``docs/results.md``.

An experiment is a file with ``NAME``, ``cells(count)``, ``measure(cell, model)`` and ``section(records)``. Every cell becomes one
JSON line, so that a run that was stopped goes on where it was.
"""
