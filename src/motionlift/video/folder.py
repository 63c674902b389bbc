"""Folders of pictures as videos: a picture a frame, in the order of their numbers."""

import hashlib
import itertools
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE
from motionlift.video.files import check_size, hash_of_file
from motionlift.video.flattening import frame_of, quiet
from motionlift.video.moment import Moment
from motionlift.video.series import NUMBERLESS, SUFFIXES, Series, missing, series_of

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "TGA", "JPEG2000", "AVIF", "DIB")
"""Formats of pictures, as Pillow names them."""
OTHER_PICTURES = (
    ".heic",
    ".heif",
    ".exr",
    ".hdr",
    ".dpx",
    ".cr2",
    ".nef",
    ".arw",
    ".dng",
    ".psd",
    ".jxl",
    ".svg",
    ".pfm",
)
"""How names of pictures end that are not read: of cameras, renderers and drawing programs."""
PACKED = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".xz", ".bz2", ".zst")
"""How names of archives end."""
MASKS = re.compile(
    r"(?<![a-z])(masks?|mattes?|alpha|depth|seg|segmentation|labels?|annotations?|gt|flow|normals?)(?![a-z])",
    re.IGNORECASE,
)
"""Words in the names of pictures that say something of others beside them, and are no frames."""
DEEPEST = 3
"""How many folders below an empty one are looked into for where its pictures may lie (ours: as in ``JPEGImages/480p/bear``)."""
MOST_LOOKED = 200
"""Most folders that are looked into for that (ours)."""
RATE = 24.0
"""Frames a second of a folder of which none are said (ours: that of cinema, at which DAVIS is shown)."""
MOST_ENTRIES = 100_000
"""Most entries of a folder (ours: more than an hour at 24 frames a second)."""
VIDEOS = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv", ".wmv"),
    *(".3gp", ".ogv"),
)
"""How names of videos end, to say which one is in a folder."""
PAGED = "TIFF"
"""The format whose files may hold several pictures that are no motion to be read."""
MOVING = ("GIF", "PNG", "WEBP", "AVIF", PAGED)
"""Formats whose files may hold several frames; those of cameras (MPO) hold previews beside the picture."""
RIVAL = 1 / 3
"""Share of the pictures of the longest series above which another series may be meant as well (ours: takes of one scene are longer,
and what lies beside the frames by chance is shorter)."""
MOST_NAMED = 3
"""Most series that are named where there are several (ours: they fit a line)."""
ALPHABETICAL = "the pictures of the folder have no numbers in their names: they were taken in the order of the alphabet"
"""What is said of such a folder."""


@dataclass(frozen=True)
class Pictures:
    """The frames of a folder."""

    paths: tuple[Path, ...]
    """In their order."""
    notices: tuple[str, ...]
    """What was left out, and what is missing, each a plain sentence."""


def pictures_of(folder: Path) -> Pictures:
    """The pictures of a folder in the order of their numbers.

    Which belong together, and in which order, is said by :func:`motionlift.video.series.series_of`. Of a long series and short ones
    the longest is taken, but none of masks beside others, and the rest is told. Names that hold no number at all are taken in the
    order of the alphabet.

    Raises:
        InputError: it holds none, several series that may be meant, or too much; or one beside what is the reference more likely.
    """
    found, videos = _inside(folder)
    if not found:
        raise InputError(f"{folder} is a folder without pictures; {_meant(folder)}")
    every = sorted(series_of(found), key=len, reverse=True)
    series = _without_masks(every)
    if len(series) > 1 and all(numbers == NUMBERLESS for each in series for numbers, _ in each):
        paths, told = sorted(path for each in series for _, path in each), [ALPHABETICAL]
    else:
        _refuse_several(folder, _rivals(series))
        paths, told = [path for _, path in series[0]], missing(series[0])
    if len(paths) == 1:
        _refuse_cover(folder, paths[0], videos)
    left_out = [*_left_out(len(found) - len(paths)), *_left_as_masks(every, series), *_left_videos(videos)]
    return Pictures(tuple(paths), (*left_out, *told))


def _inside(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures and videos that are in a folder, by their names."""
    found: list[Path] = []
    videos: list[Path] = []
    try:
        for count, path in enumerate(folder.iterdir()):
            if count >= MOST_ENTRIES:
                raise InputError(f"{folder} holds more than {MOST_ENTRIES} entries; give a folder of fewer pictures")
            kind = path.suffix.lower()
            if (kind in SUFFIXES or kind in VIDEOS) and not path.name.startswith(".") and path.is_file():
                (found if kind in SUFFIXES else videos).append(path)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error}); give a folder that you may read") from error
    return found, sorted(videos)


def _without_masks(series: list[Series]) -> list[Series]:
    """Those that are no masks by their names; all where beside these there are but single pictures, which are no frames."""
    frames = [each for each in series if not _are_masks(each)]
    single = bool(frames) and len(frames[0]) == 1 < len(series[0])
    return series if single or not frames else frames


def _are_masks(pictures: Series) -> bool:
    return all(MASKS.search(path.stem) for _, path in pictures)


def _rivals(series: list[Series]) -> list[Series]:
    """Those of which each may be the one that is meant, the longest first; a part of it in another format is none."""
    longest, names = len(series[0]), {path.stem for _, path in series[0]}
    least = max(1.0, RIVAL * longest)

    def is_meant(other: Series) -> bool:
        return len(other) == longest or (len(other) > least and not names.issuperset(path.stem for _, path in other))

    return [series[0], *filter(is_meant, series[1:])]


def _refuse_several(folder: Path, rivals: list[Series]) -> None:
    """Refuse a folder of several series that may be meant, as takes of one scene, or the left and the right eye.

    Raises:
        InputError: there are several.
    """
    if len(rivals) < 2:
        return
    ends = [(each[0][1].name, each[-1][1].name, len(each)) for each in rivals]
    named = [f"{first} to {last} ({count})" if count > 1 else first for first, last, count in sorted(ends)]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    raise InputError(
        f"{folder} holds {len(named)} series of pictures: {', '.join(named[:MOST_NAMED])}{more}; put each into a folder of its "
        "own, and give one of these"
    )


def _left_out(others: int) -> list[str]:
    told = f"{others} other pictures of the folder were left out, whose names differ in more than a number"
    return [told] if others else []


def _left_as_masks(every: list[Series], taken: list[Series]) -> list[str]:
    """What is said where more pictures were left out as masks than were taken: they may be meant."""
    if not _are_masks(every[0]) or any(each is every[0] for each in taken):
        return []
    name = every[0][0][1].name
    return [f"pictures such as {name} were taken for masks by their names: to read them, give a folder of them alone"]


def _left_videos(videos: list[Path]) -> list[str]:
    return [f"{videos[0].name} of the folder was left out: to read the video, give that file"] if videos else []


def _refuse_cover(folder: Path, picture: Path, videos: list[Path]) -> None:
    """Refuse a folder of one picture where it holds what is the reference more likely: a video, or that picture, where it moves.

    Raises:
        InputError: so it is.
    """
    told = _video_in(videos)
    if not told:
        with _readable(picture), _image(picture) as opened:
            if not _holds_several(opened):
                return
            paged = opened.format == PAGED
        told = f"give the moving picture that is in it: {picture}"
        if paged:
            told = f"{picture.name} holds several, which are read as files of their own: save each as one, such as PNG"
    raise InputError(f"{folder} holds one picture; {told}")


def _video_in(videos: list[Path]) -> str:
    """Which video of a folder to give, if it has any."""
    if not videos:
        return ""
    return f"give {'the video that is' if len(videos) == 1 else 'one of the videos that are'} in it: {videos[0]}"


def _meant(folder: Path) -> str:
    """What to give in place of a folder without pictures: what is in it or below, as far as that is seen at once."""
    usual = "give one of pictures (JPEG, PNG, ...), or a video file"
    try:
        inside = sorted(itertools.islice(folder.iterdir(), MOST_ENTRIES))
    except OSError:
        return usual
    files = [path for path in inside if not path.name.startswith(".") and not path.is_dir()]
    for suffixes, told in (
        (PACKED, "unpack {name}, which is in it, and give the folder of pictures"),
        (OTHER_PICTURES, "pictures such as {name} are not read: save them as PNG"),
    ):
        for path in files:
            if path.suffix.lower() in suffixes:
                return told.format(name=path.name)
    videos = _video_in([path for path in files if path.suffix.lower() in VIDEOS])
    if videos:
        return videos
    below = _with_pictures(folder)
    return usual if below is None else f"give the one below that has some: {below}"


def _with_pictures(folder: Path) -> Path | None:
    """The first folder with pictures below one, the nearest first; those that may not be read are passed by."""
    level = [folder]
    for _ in range(DEEPEST):
        below = (path for each in level for path in _entries(each) if path.name[0] != "." and path.is_dir())
        level = sorted(below)[:MOST_LOOKED]
        for each in level:
            if any(path.suffix.lower() in SUFFIXES for path in itertools.islice(_entries(each), MOST_ENTRIES)):
                return each
    return None


def _entries(folder: Path) -> Iterable[Path]:
    """What is in a folder; nothing where it may not be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return ()


def folder_moments(folder: Path, rate: float | None) -> Generator[Moment, None, None]:
    """The pictures of a folder as frames.

    Args:
        folder: the folder.
        rate: frames a second; :data:`RATE` where none are said, which is told.

    Raises:
        InputError: as :func:`pictures_of`; or a picture is damaged, or too small or too large.
    """
    found = pictures_of(folder)
    assumed = () if rate else (f"a folder does not say how many pictures a second it has; {RATE:g} were assumed",)
    shown = 1 / (rate or RATE)
    several = ""
    for number, path in enumerate(found.paths):
        notices = () if number else (*found.notices, *assumed)
        with _readable(path), _image(path) as picture:
            check_size(path, *picture.size)
            if not several and (several := _told_several(picture, path)):
                notices += (several,)
            frame = frame_of(picture, str(path))
        yield Moment(frame, number * shown, (number + 1) * shown, notices=notices)


def hash_of_folder(folder: Path) -> str:
    """SHA-256 over the hashes of a folder's pictures in their order, in hexadecimal digits."""
    return hashlib.sha256("".join(map(hash_of_file, pictures_of(folder).paths)).encode()).hexdigest()


def _image(path: Path) -> Image.Image:
    Image.init()
    return Image.open(path, formats=[form for form in FORMATS if form in Image.OPEN])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Says in a line why a picture of a folder cannot be read.

    Raises:
        InputError: so it is.
    """
    try:
        with quiet():
            yield
    except PermissionError as error:
        raise InputError(
            f"{path} may not be read (permission denied); allow it, or take it out of the folder"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large a picture; make it smaller") from error
    except UNREADABLE as error:
        wrong = "is empty" if path.is_file() and not path.stat().st_size else "is no picture, or is damaged"
        raise InputError(f"{path} {wrong}; replace it, or take it out of the folder") from error


def _holds_several(picture: Image.Image) -> bool:
    """Whether a file holds more frames than the first, as far as that can be read."""
    try:
        return picture.format in MOVING and bool(getattr(picture, "is_animated", False))
    except UNREADABLE:
        return False


def _told_several(picture: Image.Image, path: Path) -> str:
    """What is said of a picture that holds more frames than the one that is taken; nothing of others."""
    if not _holds_several(picture):
        return ""
    whole = "" if picture.format == PAGED else "; to read one of them as it moves, give that file"
    return f"pictures of the folder hold several frames each, such as {path.name}, and the first was taken{whole}"
