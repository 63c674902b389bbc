"""A folder that is watched: clips and job files, each taken once it is whole."""

import time
from collections.abc import Callable, Iterable
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


State = tuple[int, int]
"""Size and time of change of a file; of a folder of pictures the sum and the latest."""


@dataclass(frozen=True)
class Arrived:
    """What is whole in a watched folder, by name."""

    clips: tuple[Path, ...]
    """Clips."""
    job_files: tuple[Path, ...]
    """Job files."""
    unfinished: int
    """How many files are still being written, or were too short a time ago to know."""

    files: tuple[tuple[Path, State | None], ...] = ()
    """All of them, and the references that were asked about, as far as they are whole, by which a later look is compared."""


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
        self._seen: dict[Path, tuple[State | None, float]] = {}
        self._asked: dict[Path, None] = {}

    def look(self) -> Arrived:
        """What is there now.

        Raises:
            InputError: the folder is gone, or holds too many files.
        """
        own = self._states()
        now, sizes = self._clock(), {path: size for path, (size, _) in own}
        states: dict[Path, State | None] = dict.fromkeys(self._asked) | dict(own)
        states |= {path: _state_of(path) for path in self._asked if path not in sizes}
        self._seen = {path: self._since(path, state, now) for path, state in states.items()}
        still = {path for path in states if now - self._seen[path][1] >= STILL}
        whole = sorted(path for path in still if sizes.get(path))
        clips = tuple(path for path in whole if path.suffix.lower() in CLIPS)
        files = tuple(path for path in whole if path.suffix.lower() in FORMS)
        others = [path for path in self._asked if path in still and path not in sizes]
        return Arrived(clips, files, len(own) - len(whole), tuple((path, states[path]) for path in (*whole, *others)))

    def is_still(self, reference: Path) -> bool:
        """Whether a clip or a folder of pictures, wherever it lies, is whole: it has not changed for long enough, or is gone.

        It is looked at together with the folder from now on.
        """
        self._asked[reference] = None
        now = self._clock()
        self._seen[reference] = self._since(reference, _state_of(reference), now)
        return now - self._seen[reference][1] >= STILL

    def keep(self, references: Iterable[Path]) -> None:
        """Look no longer at other references than these."""
        kept = {*references}
        self._asked = {path: None for path in self._asked if path in kept}

    def _since(self, path: Path, state: State | None, now: float) -> tuple[State | None, float]:
        """How something is now, and since when it has been seen so."""
        before = self._seen.get(path)
        return before if before is not None and before[0] == state else (state, now)

    def _states(self) -> list[tuple[Path, State]]:
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


def _state_of(path: Path) -> State | None:
    """How a file, or a folder of pictures, is now; None where nothing is there."""
    try:
        files = [path, *path.iterdir()] if path.is_dir() else [path]
        about = [file.stat() for file in files]
    except OSError:  # gone, or going
        return None
    return sum(each.st_size for each in about), max(each.st_mtime_ns for each in about)
