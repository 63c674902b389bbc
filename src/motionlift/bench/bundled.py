"""Bundled run files."""

from pathlib import Path

RUNS = Path(__file__).parent / "runs"
"""Their folder."""


def bundled_runs() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in RUNS.glob("*.yaml"))
