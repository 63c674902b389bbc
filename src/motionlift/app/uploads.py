"""What visitors bring: looked at before it is taken in, and given a plain name."""

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionlift.app.grey import drawn_on_grey
from motionlift.app.workspace import DRAWN, MOTION, Workspace, full, plain_name
from motionlift.errors import InputError, MotionliftError
from motionlift.motion.file import Motion
from motionlift.video.length import seconds_up_to
from motionlift.video.marks import DRAWING, Kind
from motionlift.video.reading import check_moves
from motionlift.video.writing import replacing

MOST_BYTES = 500 * 2**20
"""Largest upload, and most that a zip unpacks to, bytes (ours)."""
MOST_SECONDS = 600.0
"""Longest clip, seconds (ours: models make some seconds, and the part that is read can be chosen)."""
MOST_PICTURES = 2000
"""Most pictures of a zip (ours)."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Pictures that a zip is searched for."""
CLIPS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".asf", ".mxf", ".ogv", ".ogg"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".3gp", ".h264", ".264", ".hevc", ".265", ".av1", ".ivf", ".obu"),
    *(".gif", ".webp", ".apng", ".png", ".zip"),
)
"""Names of what is taken end so; what is in a file is seen when it is read."""
SYSTEM_FILES = ("thumbs.db", "desktop.ini", ".ds_store")
"""What systems put into folders, in small letters; beside these, all in ``__MACOSX`` and all that begins with ``._``."""
PIECE = 2**20
"""Bytes that are unpacked at once."""
MOST_NAMED = 240
"""Most bytes of a picture's name (ours: file systems allow 255)."""
UPLOAD = Kind("upload", (), lambda place: False)
"""What is copied to a free place, and takes that of nothing."""
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError, EOFError)
"""What is raised at archives that are damaged, locked by a password, or packed in an unknown way."""


def taken_clip(upload: Path, workspace: Workspace) -> str:
    """Take a clip, or a zip of pictures, into the workspace.

    Returns:
        Its name there.

    Raises:
        InputError: it is too large, too long, no video, a zip with anything but pictures, or more than the visitor may have.
        OutputError: there is no room.
    """
    check_bytes(upload, workspace)
    if zipfile.is_zipfile(upload):
        return _unpacked(upload, workspace)
    with named_plainly(upload):
        check_moves(upload)
    _check_length(upload)
    with workspace.placed(upload.stem, upload.suffix.lower() or ".mp4") as place, arriving(place) as part:
        shutil.copyfile(upload, part)
    return place.name


def taken_motion(upload: Path, workspace: Workspace) -> str:
    """Take a motion file into the workspace.

    Returns:
        Its name there.

    Raises:
        MotionliftError: it is too large, no motion, or more than the visitor may have.
        OutputError: there is no room.
    """
    check_bytes(upload, workspace)
    with named_plainly(upload):
        motion = Motion.load(upload)
    picture = drawn_on_grey(motion)
    with workspace.placed(upload.stem, MOTION) as place, arriving(place) as part:
        shutil.copyfile(upload, part)
        if picture is not None:
            picture.save(place.with_name(place.stem + DRAWN), DRAWING)
    return place.name


@contextmanager
def arriving(place: Path) -> Iterator[Path]:
    """Where a file or a folder is written that is then at its place, whole or not at all."""
    with named_plainly(place), replacing(place, UPLOAD) as part:
        yield part


@contextmanager
def named_plainly(place: Path, called: str = "") -> Iterator[None]:
    """Refusals name a file as the visitor knows it, and not where it lies.

    Args:
        place: where it lies.
        called: how it is called, where that is another name.
    """
    try:
        yield
    except MotionliftError as error:
        raise type(error)(str(error).replace(str(place), plain_name(called or place.name))) from error


def check_bytes(upload: Path, workspace: Workspace) -> None:
    """Refuse a file that is too large, or for which the visitor has no room.

    Raises:
        InputError: so it is.
    """
    size = upload.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{plain_name(upload.name)} has {size >> 20} MB; allowed are {MOST_BYTES >> 20}: cut it first")
    workspace.check_room(size)


def _check_length(upload: Path) -> None:
    """Refuse a clip that is too long."""
    seconds = seconds_up_to(upload, MOST_SECONDS)
    if seconds > MOST_SECONDS:
        raise InputError(
            f"{plain_name(upload.name)} lasts longer than the {MOST_SECONDS:.0f} seconds that are allowed; "
            "cut out the part that moves"
        )


def _unpacked(upload: Path, workspace: Workspace) -> str:
    """The pictures of a zip as a folder; nothing is left of one that is refused."""
    with workspace.placed(upload.stem, "") as place, arriving(place) as folder:
        folder.mkdir()
        try:
            with zipfile.ZipFile(upload) as archive:
                _unpack(archive, folder, workspace.room())
        except (*BROKEN, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # it is the disk's; bzip2 names no number
                raise
            raise InputError(
                f"{plain_name(upload.name)} cannot be unpacked ({error}); pack the pictures again"
            ) from error
        with named_plainly(folder, place.name):
            check_moves(folder)
    return place.name


def _unpack(archive: zipfile.ZipFile, folder: Path, room: int) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_of_system(entry.filename)]
    wrong = [entry.filename for entry in entries if Path(entry.filename).suffix.lower() not in PICTURES]
    if wrong or not entries:
        found = f"{plain_name(wrong[0])!r}" if wrong else "nothing"
        raise InputError(f"the zip holds {found}; allowed are pictures alone: {', '.join(PICTURES)}")
    if len(entries) > MOST_PICTURES:
        raise InputError(f"the zip holds {len(entries)} pictures; allowed are {MOST_PICTURES}")
    left = min(MOST_BYTES, room)
    for entry in entries:
        place = folder / _picture_name(entry.filename)
        if place.exists():
            raise InputError(
                f"the zip holds {place.name} twice, in several folders or but for special signs; pack one folder of plain names"
            )
        # What an entry says of its size may be a lie: what comes out is counted.
        with archive.open(entry) as packed, place.open("wb") as unpacked:
            while piece := packed.read(PIECE):
                left -= len(piece)
                if left < 0 and room < MOST_BYTES:
                    raise full(0)
                if left < 0:
                    raise InputError(
                        f"the zip unpacks to more than {MOST_BYTES >> 20} MB; give fewer or smaller pictures"
                    )
                unpacked.write(piece)


def _picture_name(name: str) -> str:
    """The plain name of a picture of a zip: its numbers, which order the pictures, and its suffix stay, however long it is."""
    stem, _, suffix = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    plain = f"{plain_name(stem, most=MOST_NAMED)}.{suffix.lower()}"
    if len(plain.encode()) > MOST_NAMED:
        raise InputError(
            f"the zip holds a name of more than {MOST_NAMED} bytes, {plain_name(plain)} ...: give shorter ones"
        )
    return plain


def _is_of_system(name: str) -> bool:
    """Whether a system put an entry beside the pictures, as the Finder of macOS does."""
    *folders, last = name.replace("\\", "/").split("/")
    return "__MACOSX" in folders or last.startswith("._") or last.lower() in SYSTEM_FILES
