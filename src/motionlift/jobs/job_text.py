"""Job files as text, before anything of them is read: PyTorch is not needed."""

from pathlib import Path

from motionlift.core.places import check_there
from motionlift.errors import InputError

YAML = (".yaml", ".yml")
"""How names of those in YAML end."""
FORMS = (*YAML, ".csv", ".jsonl")
"""How names of job files end."""
YAML_BYTES = 2**20
"""Largest job file in YAML that is read (ours: PyYAML takes some seconds for it)."""
MOST_BYTES = 2**26
"""Largest table, or file of JSON lines (ours: a hundred thousand jobs of 600 bytes)."""
NEEDED = "name at least a reference and a prompt"
"""What is to be done to an empty one."""


def job_text(name: str | Path) -> tuple[str, str]:
    """The text of a job file, and its form, one of :data:`FORMS`.

    Raises:
        InputError: it is not there, too large, or no such file.
    """
    place = Path(name)
    check_there(place, f"give a job file, which ends in {', '.join(FORMS)}")
    form = place.suffix.lower()
    if form not in FORMS or not place.is_file():
        raise InputError(f"{name} is no job file; its name ends in {', '.join(FORMS)}")
    most = YAML_BYTES if form in YAML else MOST_BYTES
    try:
        if place.stat().st_size > most:
            advice = "; write so many jobs as .csv or .jsonl" if most == YAML_BYTES else "; split it"
            raise InputError(f"{name} is larger than {most} bytes{advice}")
        return place.read_text(encoding="utf-8-sig"), form
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"job file {str(name)[:200]!r} cannot be read ({reason}); give another") from error
