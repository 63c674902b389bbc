"""Scores of generated clips against known truth."""
