"""Where the files of a visitor lie: a folder of their own, which nothing leaves and nobody else sees."""

import hashlib
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from motionlift.errors import InputError, OutputError

TOKEN = re.compile(r"[0-9a-f]{32}")
"""What a visitor's token looks like: 128 bits that nobody guesses."""
MOST_NAME = 60
"""Most letters of a name (ours)."""
MOTION = ".safetensors"
"""How the names of motion files end."""
DRAWN, REFERENCE = " drawn.mp4", " reference.mp4"
"""What the pictures of a motion are called, after its stem: what was lifted over its clip, and the clip."""
MOST_KEPT = 5 * 2**30
"""Most that the files of one visitor may have, bytes (ours: some hundred motions and videos, and ten of the largest uploads)."""
SMALL = ".small"
"""Folder of small copies beside the videos of a visitor; no plain name begins so."""
FORBIDDEN = re.compile(r"[^\w .-]+")
"""What no name of a file has here: separators of folders, signs of HTML, and what Windows forbids."""
_GIVEN, _GIVING = set[Path](), Lock()
"""Places that are given to somebody who has written nothing there yet: one program serves a folder, so that it knows them all."""


def new_token() -> str:
    """A token for a new visitor; who has it sees the visitor's files."""
    return secrets.token_hex(16)


def plain_name(given: str, otherwise: str = "unnamed", most: int = MOST_NAME) -> str:
    """A name of letters, digits, blanks, dots and hyphens, without folders, made of any text.

    Args:
        given: what came, such as the name of an upload.
        otherwise: the name where nothing of it is left.
        most: letters that it may have.
    """
    text = unicodedata.normalize("NFC", given.replace("\\", "/").rpartition("/")[2])
    text = FORBIDDEN.sub("-", text).strip(" .-")[:most].strip(" .-")
    return text or otherwise


def small_copy(video: Path, side: int) -> Path:
    """Where a small copy of a video is kept: another place once the file is another, and the same when it is called otherwise."""
    found = video.stat()
    return video.parent / SMALL / f"{found.st_mtime_ns:x}-{found.st_size:x}-{side}.mp4"


@dataclass(frozen=True)
class Workspace:
    """The folder of one visitor."""

    folder: Path
    """The folder; made when something is put there."""

    @classmethod
    def of(cls, data: Path, token: str) -> "Workspace":
        """That of a visitor, below the folder of all data; its name does not tell the token.

        Raises:
            InputError: the token is none.
        """
        if not isinstance(token, str) or TOKEN.fullmatch(token) is None:
            raise InputError("this page has no visitor; load it again")
        return cls(data / "visitors" / hashlib.sha256(token.encode()).hexdigest()[:24])

    @property
    def owner(self) -> str:
        """By what the history knows the visitor."""
        return self.folder.name

    @contextmanager
    def placed(self, name: str, suffix: str) -> Iterator[Path]:
        """A free place for a file, which nobody else is given until the block ends: by then the file is there.

        Args:
            name: how it is to be called; made plain. Where that is taken, it gets a number.
            suffix: of the file, with its dot. Of a motion, the places of its pictures are given with it.

        Raises:
            OutputError: the folder cannot be made.
        """
        with _GIVING:
            place = self.new(name, suffix)
            given = set(_places(place))
            _GIVEN.update(given)
        try:
            yield place
        finally:
            with _GIVING:
                _GIVEN.difference_update(given)

    def new(self, name: str, suffix: str) -> Path:
        """The same, for who writes there at once and alone."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {self.folder} ({error.strerror}); free space, or --data"
            ) from error
        stem = plain_name(name)
        numbers = (f"{stem}{(number and f'-{number + 1}') or ''}" for number in range(10_000))
        places = (self.folder / f"{each}{suffix}" for each in numbers)
        return next(place for place in places if not any(each in _GIVEN or each.exists() for each in _places(place)))

    def kept(self, name: str) -> Path:
        """A file of the visitor's, or a folder of pictures.

        Raises:
            InputError: it is none, or lies elsewhere.
        """
        try:
            place = (self.folder / name).resolve()
            is_kept = place.parent == self.folder.resolve() and place.exists()
        except (OSError, ValueError):  # a name that is too long, or that no file can have
            is_kept = False
        if not is_kept:
            raise InputError(f"{plain_name(name)} is no file of yours; it may have been deleted in another window")
        return place

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(_bytes(Path(folder, name)) for folder, _, names in os.walk(self.folder) for name in names)

    def room(self) -> int:
        """Bytes that may come.

        Raises:
            InputError: none.
        """
        left = MOST_KEPT - self.size
        if left <= 0:
            raise full(0)
        return left

    def check_room(self, more: int) -> None:
        """Refuse what there is no room for.

        Args:
            more: bytes that are to come.

        Raises:
            InputError: so it is.
        """
        if more > self.room():
            raise full(more)

    def motions(self) -> list[str]:
        """Names of the motion files, newest first."""
        found = [(place.stat().st_mtime, place.name) for place in self.folder.glob(f"*{MOTION}")]
        return [name for _, name in sorted(found, reverse=True)]

    def rename(self, name: str, new: str) -> dict[str, str]:
        """Call a motion of the visitor's otherwise, and its pictures with it; gives by each old name the new one.

        Raises:
            InputError: it is no file of the visitor's.
        """
        place = self.kept(name)
        with self.placed(new, place.suffix) as other:
            moved = {place: other, **{own: own.with_name(other.stem + kind) for own, kind in self._pictures(place)}}
            for old, now in moved.items():
                old.replace(now)
        return {old.name: now.name for old, now in moved.items()}

    def remove(self, name: str) -> None:
        """Delete a motion of the visitor's, and its pictures.

        Raises:
            InputError: it is none, or not any more.
        """
        place = self.kept(name)
        for each in (place, *(own for own, _ in self._pictures(place))):
            each.unlink(missing_ok=True)

    def entries(self) -> list[Path]:
        """All files and folders of pictures, but for small copies and what is being written."""
        return [place for place in self.folder.glob("*") if not place.name.startswith(".")]

    def discard(self, names: Iterable[str]) -> None:
        """Delete files and folders of pictures, and small copies of what is there no more."""
        for name in names:
            place = self.folder / name
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):
                place.unlink(missing_ok=True)
        videos = [place for place in self.entries() if place.suffix == ".mp4" and place.is_file()]
        used = {small_copy(place, 0).stem.rpartition("-")[0] for place in videos}
        for copy in (self.folder / SMALL).glob("*"):
            if copy.stem.rpartition("-")[0] not in used:
                copy.unlink(missing_ok=True)

    def _pictures(self, motion: Path) -> list[tuple[Path, str]]:
        """Of a motion, those that there are, each with how its name ends."""
        named = [(motion.with_name(motion.stem + kind), kind) for kind in (DRAWN, REFERENCE)]
        return [(place, kind) for place, kind in named if place.is_file()]


def _places(place: Path) -> list[Path]:
    """That of a file and, of a motion, those of its pictures."""
    kinds = (DRAWN, REFERENCE) if place.suffix == MOTION else ()
    return [place, *(place.with_name(place.stem + kind) for kind in kinds)]


def full(more: int) -> InputError:
    """That there is no room for so many bytes."""
    coming = f", and {_told(more)} are to come" if more else ""
    return InputError(
        f"your files may have {_told(MOST_KEPT)}{coming}: delete motions in the library, or forget lines of the history, first"
    )


def _told(count: int) -> str:
    return f"{count / 2**30:.3g} GB" if count >= 2**30 else f"{count / 2**20:.3g} MB"


def _bytes(place: Path) -> int:
    try:
        return place.stat().st_size if place.is_file() else 0
    except OSError:  # it was just deleted
        return 0
