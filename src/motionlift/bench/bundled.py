"""Bundled run files, and the text of any, before what it names is looked up: PyTorch is not needed."""

from pathlib import Path

import yaml

from motionlift.errors import InputError
from motionlift.jobs.page import Page

RUNS = Path(__file__).parent / "runs"
"""Their folder."""
MOST_BYTES = 2**18
"""Largest run file that is read (ours: the bundled ones take some kB)."""
NEEDED = ("models", "methods", "references", "output")
"""Keys that a run must have."""
OPTIONAL = ("seeds", "metrics", "tracker", "clip_model")
"""Keys that a run need not have."""


def bundled_runs() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in RUNS.glob("*.yaml"))


def run_text(name: str) -> str:
    """What a run file holds, or a bundled one of a bare name.

    Raises:
        InputError: it is not there, too large, or no text.
    """
    path = RUNS / f"{name}.yaml" if name in bundled_runs() else Path(name)
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no file"
            raise InputError(f"{name} is {kind}; give a run file, or one of {', '.join(bundled_runs())}")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{name} is larger than {MOST_BYTES} bytes; give a run file")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"run file {name[:200]!r} cannot be read ({reason}); give one, or one of {', '.join(bundled_runs())}"
        ) from error


def run_parts(page: Page, text: str) -> dict[str, yaml.Node]:
    """The nodes of a run by their keys.

    Raises:
        InputError: it is no YAML, or a key is unknown or lacking; the line is named.
    """
    root = page.root(text, "name at least models, methods, references and output")
    return page.mapping(root, "the run", NEEDED, OPTIONAL)
