"""Tests, in the tree of the package they test."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Checks annotations while tests run; takes an ``int`` for a ``float``, as type checkers do."""
