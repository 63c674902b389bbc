"""How the page shows videos: in the page itself where they are small, else as small copies that are made once."""

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from av.error import FFmpegError
from gradio.processing_utils import save_file_to_cache
from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder

from motionlift.app.workspace import small_copy
from motionlift.errors import MotionliftError
from motionlift.video.smaller import smaller

MOST_EMBEDDED = 3 * 2**20
"""Largest video that is put into the page, bytes (ours)."""
SHOWN_SIDE = 480
"""Longest side of the copy of a larger one, pixels (ours)."""
MOST_THUMBNAIL, THUMBNAIL_SIDE = 2**16, 160
"""The same of pictures in the library (ours: a hundred of them are in the page at once)."""
TOO_LARGE = "too large to show here; download it"
"""What stands in the place of a video of which no small copy can be made."""


def embedded(path: Path) -> str:
    """A video of a visitor's as a data address, a small copy of one that is large; nothing where there can be none."""
    return _address(path, MOST_EMBEDDED, SHOWN_SIDE)


def thumbnail(path: Path) -> str:
    """The same, as small as the library shows it."""
    return _address(path, MOST_THUMBNAIL, THUMBNAIL_SIDE)


def as_it_is(path: Path) -> str:
    """The address of a video's own bytes: in the page where they are few, else where Gradio serves a copy of the file.

    The copy lies, as those of downloads do, under a hash that nobody guesses, and behind the password; nothing else of
    the data folder is served.
    """
    if path.stat().st_size <= MOST_EMBEDDED:
        return _data(path.read_bytes())
    # Relative to the page, which may lie below the root of an address.
    return f"{API_PREFIX.lstrip('/')}/file={quote(save_file_to_cache(path, get_upload_folder()))}"


def _address(path: Path, most: int, side: int) -> str:
    content = path.read_bytes() if path.stat().st_size <= most else _small(path, most, side)
    return _data(content) if content or path.stat().st_size <= most else ""


def _data(content: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(content).decode()


def _small(path: Path, most: int, side: int) -> bytes:
    """The small copy, which is kept; where there can be none, nothing, which is kept too."""
    kept = small_copy(path, side)
    with suppress(OSError):
        return kept.read_bytes()
    made = b""
    with suppress(MotionliftError, FFmpegError, OSError, ValueError):
        made = smaller(path, side, most) or b""
    written = kept.with_suffix(f".{secrets.token_hex(4)}")
    with suppress(OSError):  # a disk that is full: it is made again
        kept.parent.mkdir(exist_ok=True)
        written.write_bytes(made)
        os.replace(written, kept)
    return made
