"""Benchmark runs: methods beside each other on references, cell by cell, from a run file to records.

A cell is one model, one method with its settings, one reference, one prompt and one seed: the motion is lifted and cast, the video
is kept, and what can be measured of it is measured. Every cell becomes one JSON line as soon as it is done, so that a run that was
stopped goes on where it was. :mod:`motionlift.bench.report` makes a page and tables of the records.
"""
