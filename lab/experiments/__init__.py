"""Experiments behind docs/results.md, one file each.

An experiment is a file with ``NAME``, ``cells(count)``, ``measure(cell, model)`` and ``section(records)``. Every cell becomes one
JSON line in docs/results/NAME.jsonl, so that an experiment that was stopped goes on where it was; ``section`` makes its part of the
page of the records. Where it can tell, ``failed(records)`` says in sentences what did not work.
"""
