"""A folder that is watched: clips and job files, each taken once it is whole."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from motionlift.errors import InputError
from motionlift.jobs.job_text import FORMS

STILL = 2.0
"""Seconds for which a file must not have changed to be whole (ours: far more than lies between two writes of a copy)."""
CLIPS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".mxf", ".ogv"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".gif", ".webp", ".apng"),
)
"""How names of clips end that are taken; what is being fetched, as ``x.mp4.part``, is left."""
MOST_FILES = 100_000
"""Most files of a folder that are looked at (ours)."""


@dataclass(frozen=True)
class Arrived:
    """What is whole in a watched folder, by name."""

    clips: tuple[Path, ...]
    """Clips."""
    job_files: tuple[Path, ...]
    """Job files."""
    unfinished: int
    """How many files are still being written, or were too short a time ago to know."""

    files: tuple[tuple[Path, tuple[int, int]], ...] = ()
    """All of them with size and time of change, by which a later look is compared."""


class Watch:
    """Looks at a folder again and again.

    A file is whole when it has had one size and time of change for :data:`STILL` seconds by this process's own clock, which no
    change of the day's time moves.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic):
        """Nothing is seen yet.

        Args:
            folder: what is watched.
            clock: tells seconds; it only runs forward.

        Raises:
            InputError: it is no folder.
        """
        if not folder.is_dir():
            raise InputError(f"--watch {str(folder)!r} is no folder; give one that is there")
        self._folder, self._clock = folder, clock
        self._seen: dict[Path, tuple[tuple[int, int], float]] = {}

    def look(self) -> Arrived:
        """What is there now.

        Raises:
            InputError: the folder is gone, or holds too many files.
        """
        now = self._clock()
        seen = {}
        for path, state in self._states():
            before = self._seen.get(path)
            seen[path] = before if before is not None and before[0] == state else (state, now)
        self._seen = seen
        whole = sorted(path for path, ((size, _), since) in seen.items() if size and now - since >= STILL)
        clips = tuple(path for path in whole if path.suffix.lower() in CLIPS)
        files = tuple(path for path in whole if path.suffix.lower() in FORMS)
        states = tuple((path, seen[path][0]) for path in whole)
        return Arrived(clips, files, len(seen) - len(whole), states)

    def _states(self) -> list[tuple[Path, tuple[int, int]]]:
        """Every file that may be taken, with its size and time of change."""
        found = []
        try:
            for path in self._folder.iterdir():
                if path.suffix.lower() not in (*CLIPS, *FORMS) or path.name.startswith("."):
                    continue
                try:
                    about = path.stat()
                except OSError:  # gone since
                    continue
                if path.is_file():
                    found.append((path, (about.st_size, about.st_mtime_ns)))
                if len(found) > MOST_FILES:
                    raise InputError(f"{self._folder} holds more than {MOST_FILES} files; watch a smaller folder")
        except OSError as error:
            raise InputError(f"{self._folder} cannot be looked at: {error.strerror}; give another folder") from error
        return found
