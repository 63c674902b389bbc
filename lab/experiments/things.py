"""Methods beside each other on things and grounds that have names, from the records of the bundled run ``things``."""

from lab.experiments.comparison import failed, section

__all__ = ["NAME", "failed", "section"]

NAME = "things"
"""Of the run, and of the folder of its records."""
