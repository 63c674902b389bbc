"""What lies at a path, and what is said of it where it cannot be read."""

import hashlib
from pathlib import Path

from motionlift.core.places import check_there
from motionlift.errors import InputError
from motionlift.video.limits import MOST_PIXELS, SIDES

ARCHIVES = {
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""First bytes of archives, and their kind."""
TAR = (257, b"ustar")
"""Where a tar archive says that it is one, and how."""


def existing(path: str | Path, allowed: str = "a video file, an animated picture, or a folder of pictures") -> Path:
    """The file or folder at ``path``, absolute: libav takes a relative name with a colon for an address.

    Raises:
        InputError: there is none, it is empty or an archive, or it cannot be read.
    """
    check_there(path, f"give {allowed}")
    source = Path(path)
    try:
        if source.is_dir():
            return source.absolute()
        if not source.is_file():
            raise InputError(f"{path} is not a regular file; give {allowed}")
        _refuse_archive(source)
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)[:200]!r} cannot be read ({error}); give {allowed}") from error
    return source.absolute()


def existing_file(path: str | Path, allowed: str = "a file") -> Path:
    """The file at ``path``, absolute.

    Raises:
        InputError: as :func:`existing` says, or it is a folder.
    """
    source = existing(path, allowed)
    if source.is_dir():
        raise InputError(f"{path} is a folder; give {allowed}")
    return source


def _refuse_archive(source: Path) -> None:
    with source.open("rb") as file:
        head = file.read(TAR[0] + len(TAR[1]))
    kind = next((kind for start, kind in ARCHIVES.items() if head.startswith(start)), "")
    if not kind and head[TAR[0] :] == TAR[1]:
        kind = "tar"
    if kind:
        raise InputError(
            f"{source} is an archive ({kind}): unpack it, and give the folder of pictures or the video that was in it"
        )


def hash_of_file(source: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_size(source: Path, width: int, height: int) -> None:
    """Refuse frames of a size out of :data:`motionlift.video.limits.SIDES`, or of too many pixels.

    Raises:
        InputError: so they are.
    """
    if not (SIDES[0] <= min(width, height) and max(width, height) <= SIDES[1]):
        raise InputError(f"{source} is {width}x{height} pixels; give a video of {SIDES[0]} to {SIDES[1]} pixels a side")
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{source} is {width}x{height} pixels; give a video of at most {MOST_PIXELS >> 20} million pixels a frame"
        )


def broken(source: Path, count: int, seconds: float) -> InputError:
    """What is said of a file that is damaged after so many frames and seconds."""
    if not count:
        return InputError(f"{source}: no frame can be decoded; the file is damaged: copy it again, or re-encode it")
    return InputError(
        f"{source} breaks off after {count} frames ({seconds:.2f} s): it is damaged or cut short; "
        "copy it again, or re-encode it"
    )


def edited(source: Path, count: int) -> InputError:
    """What is said of a file that is whole, and of which an edit list lets so many frames be seen."""
    shown = f"no more than {count} frames" if count else "no frame"
    return InputError(
        f"{source} is whole, but by its edit list {shown} can be shown of those that it holds; take the list out: "
        "ffmpeg -ignore_editlist 1 -i IN -c copy OUT"
    )
