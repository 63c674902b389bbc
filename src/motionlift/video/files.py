"""What lies at a path, and what is said of it where it cannot be read."""

import hashlib
import re
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
EMPTY = b"PK\x05\x06"
"""First bytes of a zip in which nothing is."""
TAR = (257, b"ustar")
"""Where a tar archive says that it is one, and how."""

UNKNOWN = (
    "not a video file, damaged, or cut short; give an MP4, MOV, MKV, WebM, AVI, GIF, WebP, APNG or a folder of pictures"
)
"""What is said of a file that is nothing else that is known."""
LEAST_TEXT = 8
"""Fewest letters that are called a text (ours: a few bytes of anything may look like one)."""
READ = 1024
"""Bytes at the beginning of a file by which it is told what it is (ours)."""
PLAYLIST = "it is a playlist, which names other files: give one of those"
PAGE = "it is a web page, which was saved in the place of the video: download the video itself"
ANSWER = "it is JSON, with which servers answer in the place of a file: download the video again"
BEGINNINGS = {
    "version https://git-lfs.github.com/spec/": "it is a pointer of Git LFS: fetch the video that it stands for (git lfs pull)",
    "#extm3u": PLAYLIST,
    "[playlist]": PLAYLIST,
    "[reference]": PLAYLIST,
    "ffconcat version": PLAYLIST,
    "<mpd": PLAYLIST,
    "<asx": PLAYLIST,
    "<!doctype html": PAGE,
    "<html": PAGE,
    "<head": PAGE,
    "{": ANSWER,
    "[{": ANSWER,
    "%pdf-": "it is a PDF: give the video that is shown in it as a file of its own",
}
"""How files of text begin that lie where a video was meant, and what is said of each."""
XML = re.compile(r"<\?xml[^>]*>|<!--.*?-->", re.DOTALL)
"""What may stand before the first tag of a page or a playlist."""


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
    if head.startswith(EMPTY):
        raise InputError(f"{source} is an archive (zip) in which nothing is: give a video, or pack it again")
    if not kind and head[TAR[0] :] == TAR[1]:
        kind = "tar"
    if kind:
        raise InputError(
            f"{source} is an archive ({kind}): unpack it, and give the folder of pictures or the video that was in it"
        )


def no_video(source: Path) -> InputError:
    """What is said of a file that is no video, by what its first bytes are."""
    try:
        with source.open("rb") as file:
            head = file.read(READ)
    except OSError:
        head = b""
    return InputError(f"{source} is no video that can be read: {_kind(head) or UNKNOWN}")


def _kind(head: bytes) -> str:
    """What a file that begins so is, and what to do; nothing where it is not known."""
    if head and not head.strip(b"\0"):
        return "it begins with zeros alone, as what was not copied or downloaded to its end: copy it again"
    text = XML.sub("", head.decode("utf-8-sig", "replace")).lstrip().lower()
    found = next((told for start, told in BEGINNINGS.items() if text.startswith(start)), "")
    if found or not text:
        return found
    # A letter of several bytes may be cut at the end.
    plain = all(letter.isprintable() or letter.isspace() for letter in text[:-1]) and "\ufffd" not in text[:-3]
    return "it is text: give a video" if plain and len(text) > LEAST_TEXT else ""


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
