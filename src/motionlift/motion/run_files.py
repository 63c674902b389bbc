"""What the folder of a tuning run holds, and how it is told from all other folders: by a file that says so."""

import os
import re
from contextlib import suppress
from pathlib import Path

from motionlift.errors import OutputError
from motionlift.motion.lock import LOCK, check_lock
from motionlift.video.marks import CHECKPOINT as CHECKPOINT_KIND
from motionlift.video.marks import FOREIGN, SHEET, header_of, opened_by, table_of
from motionlift.video.writing import TEMPORARY, check_local, remove_leftovers, replacing

CHECKPOINT, LOSSES, PREVIEWS = "checkpoint.safetensors", "loss.csv", "previews"
"""Names in the folder of a run."""
HEAD = ("step", "loss", "seconds")
"""Columns of the log of losses."""
LOSS_TABLE = table_of("log of losses", HEAD)
"""The log of losses, where it lies in a folder that is marked."""
MARKER = ".motionlift-run"
"""Name of the file that marks the folder of a run."""
MARKER_TEXT = "A tuning run of motionlift, which goes on with what lies here, and replaces it."
"""What it says."""
MARKED = opened_by("marker of a run", "", MARKER_TEXT)
"""The marker."""
PREVIEW = re.compile(r"[0-9]{6,}\.png")
"""Names of previews."""
EARLIER_LEFTOVER = "checkpoint.partial"
"""What versions without a marker left of a checkpoint when they were killed."""


def check_folder(path: Path) -> None:
    """Refuse a folder in which something lies that a run would replace and that no run wrote.

    A folder of a version without markers is told by its checkpoint. What else lies in the folder is left alone.

    Raises:
        OutputError: such a file, which is named; an address; or the folder cannot be read.
    """
    check_local(path)
    try:
        check_lock(path)
        is_ours = is_marked(path)
        for name in (MARKER, CHECKPOINT, LOSSES, PREVIEWS, EARLIER_LEFTOVER):
            if os.path.lexists(path / name) and not (is_ours and _fits(path / name)):
                raise OutputError(
                    f"{path / name} is not what a tuning run of motionlift wrote in this folder; give another folder, or remove it"
                )
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}; give another folder") from error


def claim(path: Path) -> None:
    """Mark a folder as that of a run.

    Raises:
        OutputError: as :func:`check_folder`; or the folder cannot be written.
    """
    check_folder(path)
    if not (path / MARKER).exists():
        with replacing(path / MARKER, MARKED) as partial:
            partial.write_text(f"{MARKER_TEXT}\n", encoding="utf-8")


def _fits(path: Path) -> bool:
    """Whether what lies in the folder of a run may be its own; a damaged checkpoint may, and is refused by its reader."""
    if path.name == PREVIEWS:
        return path.is_dir() and not path.is_symlink()
    kind = {MARKER: MARKED, LOSSES: LOSS_TABLE}.get(path.name)
    return path.is_file() if kind is None else kind.wrote(path)


def is_marked(path: Path) -> bool:
    """Whether a folder is that of a run: it is marked, or holds a checkpoint of a version without markers."""
    return MARKED.wrote(path / MARKER) or CHECKPOINT_KIND.wrote(path / CHECKPOINT)


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, or what is left of one that was killed before it had a checkpoint."""
    if path.is_symlink() or not path.is_dir():
        return False
    return is_marked(path) or all(
        own.name in (LOCK, ".lock") or TEMPORARY.fullmatch(own.name) for own in path.iterdir()
    )


def remove(path: Path) -> None:
    """Remove what a run wrote from a folder of the cache that this process holds, but for the lock; all else stays."""
    if not is_run(path):
        return
    if MARKED.wrote(path / MARKER) and _is_broken(path / CHECKPOINT):
        _unlink(path / CHECKPOINT)
    remove_leftovers(path, all_of_them=True)
    previews = path / PREVIEWS
    if previews.is_dir() and not previews.is_symlink():
        remove_leftovers(previews, all_of_them=True)
        for own in previews.iterdir():
            if PREVIEW.fullmatch(own.name) and SHEET.wrote(own):
                _unlink(own)
        with suppress(OSError):
            previews.rmdir()
    for name, kind in ((CHECKPOINT, CHECKPOINT_KIND), (LOSSES, LOSS_TABLE), (MARKER, MARKED)):
        if kind.wrote(path / name):
            _unlink(path / name)
    _unlink(path / EARLIER_LEFTOVER)
    if (path / ".lock").is_file() and not (path / ".lock").stat().st_size:
        _unlink(path / ".lock")


def _is_broken(path: Path) -> bool:
    """Whether a checkpoint can no longer be read."""
    try:
        header_of(path)
    except FOREIGN:
        return True
    return False


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
