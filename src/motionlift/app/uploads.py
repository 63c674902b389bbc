"""What visitors bring: looked at before it is taken in, and given a plain name."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from motionlift.app.grey import drawn_on_grey
from motionlift.app.workspace import DRAWN, MOTION, Workspace, full, plain_name
from motionlift.errors import InputError, MotionliftError
from motionlift.motion.file import Motion
from motionlift.video.marks import DRAWING
from motionlift.video.reading import check_moves

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


def taken_clip(upload: Path, workspace: Workspace) -> str:
    """Take a clip, or a zip of pictures, into the workspace.

    Returns:
        Its name there.

    Raises:
        InputError: it is too large, too long, no video, a zip with anything but pictures, or more than the visitor may have.
        OutputError: there is no room.
    """
    _check_bytes(upload, workspace)
    if zipfile.is_zipfile(upload):
        return _unpacked(upload, workspace)
    with named_plainly(upload):
        check_moves(upload)
    _check_length(upload)
    place = workspace.new(upload.stem, upload.suffix.lower() or ".mp4")
    shutil.copyfile(upload, place)
    return place.name


def taken_motion(upload: Path, workspace: Workspace) -> str:
    """Take a motion file into the workspace.

    Returns:
        Its name there.

    Raises:
        MotionliftError: it is too large, no motion, or more than the visitor may have.
    """
    _check_bytes(upload, workspace)
    with named_plainly(upload):
        motion = Motion.load(upload)
    place = workspace.new(upload.stem, MOTION)
    picture = drawn_on_grey(motion)
    if picture is not None:
        picture.save(place.with_name(place.stem + DRAWN), DRAWING)
    shutil.copyfile(upload, place)
    return place.name


@contextmanager
def named_plainly(place: Path) -> Iterator[None]:
    """Refusals name a file as the visitor knows it, and not where it lies."""
    try:
        yield
    except MotionliftError as error:
        raise type(error)(str(error).replace(str(place), plain_name(place.name))) from error


def _check_bytes(upload: Path, workspace: Workspace) -> None:
    size = upload.stat().st_size
    if size > MOST_BYTES:
        raise InputError(f"{plain_name(upload.name)} has {size >> 20} MB; allowed are {MOST_BYTES >> 20}: cut it first")
    workspace.check_room(size)


def _check_length(upload: Path) -> None:
    """Refuse a clip that is too long."""
    try:
        seconds = _seconds(upload)
    except (OSError, ValueError, av.FFmpegError):
        return  # an animated picture, which was read before
    if seconds > MOST_SECONDS:
        raise InputError(
            f"{plain_name(upload.name)} lasts {seconds:.0f} seconds; allowed are {MOST_SECONDS:.0f}: cut out the part that moves"
        )


def _seconds(upload: Path) -> float:
    """How long a clip is, as far as it matters: what it says may be a lie, and browsers say nothing of what they record."""
    with av.open(str(upload)) as container:
        last = (container.duration or 0) / av.time_base
        packets = container.demux(video=0)
        while last <= MOST_SECONDS and (packet := next(packets, None)) is not None:
            if packet.pts is not None and packet.time_base is not None:
                last = max(last, float(packet.pts * packet.time_base))
        return last


def _unpacked(upload: Path, workspace: Workspace) -> str:
    """The pictures of a zip as a folder; nothing is left of one that is refused."""
    folder = workspace.new(upload.stem, "")
    folder.mkdir()
    try:
        with zipfile.ZipFile(upload) as archive:
            _unpack(archive, folder, workspace.room())
        with named_plainly(folder):
            check_moves(folder)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(f"{plain_name(upload.name)} cannot be unpacked ({error}); pack the pictures again") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder.name


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
        place = folder / plain_name(entry.filename)
        if place.exists():
            raise InputError(f"the zip holds {place.name} twice, in several folders; pack one folder")
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


def _is_of_system(name: str) -> bool:
    """Whether a system put an entry beside the pictures, as the Finder of macOS does."""
    *folders, last = name.replace("\\", "/").split("/")
    return "__MACOSX" in folders or last.startswith("._") or last.lower() in SYSTEM_FILES
