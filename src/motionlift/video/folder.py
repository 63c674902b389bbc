"""Folders of pictures as videos: a picture a frame, in the order of their numbers."""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from av.video.frame import VideoFrame
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.animated import UNREADABLE, quiet
from motionlift.video.files import check_size, hash_of_file
from motionlift.video.flattening import frame_of
from motionlift.video.moment import Moment

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "TGA", "JPEG2000", "AVIF", "DIB")
"""Formats of pictures, as Pillow names them."""
SUFFIXES = {
    ".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".jif": ".jpg", ".png": ".png", ".webp": ".webp",
    ".bmp": ".bmp", ".dib": ".bmp", ".tif": ".tif", ".tiff": ".tif", ".gif": ".gif", ".ppm": ".ppm", ".pgm": ".ppm",
    ".pbm": ".ppm", ".pnm": ".ppm", ".tga": ".tga", ".jp2": ".jp2", ".j2k": ".jp2", ".jpx": ".jp2", ".avif": ".avif",
}  # fmt: skip
"""Names of pictures end so; those of one format under one name."""
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
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mpg", ".flv", ".wmv")
"""How names of videos end, to say which one is in a folder."""
NUMBERLESS = -1
"""Stands for the number of a name that has none."""
ALPHABETICAL = "the pictures of the folder have no numbers in their names: they were taken in the order of the alphabet"
"""What is said of such a folder."""
DIGITS = 18
"""Last digits of a number that count (ours: those of 64 bits)."""
MOST_NUMBERS = 12
"""Most numbers of a name that are looked at, from the last on (ours: a date, a time, a size and a few more)."""


@dataclass(frozen=True)
class Pictures:
    """The frames of a folder."""

    paths: tuple[Path, ...]
    """In their order."""
    notices: tuple[str, ...]
    """What was left out, and what is missing, each a plain sentence."""


def pictures_of(folder: Path) -> Pictures:
    """The pictures of a folder in the order of their numbers.

    Pictures whose names differ in nothing but a number, and perhaps the format, belong together; it is the one that differs among
    the most of them that counts. Of several such series the longest is taken, but none of masks beside others, and the rest is
    told. Names that hold no number at all are taken in the order of the alphabet.

    Raises:
        InputError: it holds none, several series of the same length, or too much.
    """
    found: list[Path] = []
    try:
        for count, path in enumerate(folder.iterdir()):
            if count >= MOST_ENTRIES:
                raise InputError(f"{folder} holds more than {MOST_ENTRIES} entries; give a folder of fewer pictures")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file():
                found.append(path)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error}); give a folder that you may read") from error
    if not found:
        raise InputError(f"{folder} is a folder without pictures; {_meant(folder)}")
    series = sorted(_series_of(found), key=len, reverse=True)
    series = [each for each in series if not _are_masks(each)] or series
    if len(series) > 1 and all(number == NUMBERLESS for each in series for number, _ in each):
        lettered = tuple(sorted(path for each in series for _, path in each))
        return Pictures(lettered, (ALPHABETICAL, *_left_out(len(found) - len(lettered))))
    if len(series) > 1 and len(series[0]) == len(series[1]):
        names = " and ".join(sorted(min(each)[1].name for each in series if len(each) == len(series[0]))[:2])
        raise InputError(
            f"{folder} holds several series of pictures, such as {names}, whose names differ in more than a number; give a "
            "folder of one series"
        )
    pictures = series[0]
    left_out = _left_out(len(found) - len(pictures))
    return Pictures(tuple(path for _, path in pictures), (*left_out, *_missing(pictures)))


def _left_out(others: int) -> list[str]:
    told = f"{others} other pictures of the folder were left out, whose names differ in more than a number"
    return [told] if others else []


def _are_masks(pictures: list[tuple[int, Path]]) -> bool:
    return all(MASKS.search(path.stem) for _, path in pictures)


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
        (VIDEOS, "give the video that is in it: {path}"),
    ):
        for path in files:
            if path.suffix.lower() in suffixes:
                return told.format(name=path.name, path=path)
    below = _with_pictures(folder)
    return usual if below is None else f"give the one below that has some: {below}"


def _with_pictures(folder: Path) -> Path | None:
    """The first folder with pictures below one, the nearest first."""
    level = [folder]
    for _ in range(DEEPEST):
        try:
            level = sorted(path for each in level for path in each.iterdir() if path.is_dir() and path.name[0] != ".")
        except OSError:
            return None
        level = level[:MOST_LOOKED]
        for each in level:
            if any(path.suffix.lower() in SUFFIXES for path in itertools.islice(each.iterdir(), MOST_ENTRIES)):
                return each
    return None


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
    for number, path in enumerate(found.paths):
        notices = () if number else (*found.notices, *assumed)
        yield Moment(_opened(path), number * shown, (number + 1) * shown, notices=notices)


def hash_of_folder(folder: Path) -> str:
    """SHA-256 over the hashes of a folder's pictures in their order, in hexadecimal digits."""
    return hashlib.sha256("".join(map(hash_of_file, pictures_of(folder).paths)).encode()).hexdigest()


def _opened(path: Path) -> VideoFrame:
    Image.init()
    known = [form for form in FORMATS if form in Image.OPEN]
    try:
        with quiet(), Image.open(path, formats=known) as picture:
            check_size(path, *picture.size)
            return frame_of(picture, str(path))
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large a picture; make it smaller") from error
    except UNREADABLE as error:
        raise InputError(f"{path} is no picture, or is damaged; replace it, or take it out of the folder") from error


def _series_of(paths: list[Path]) -> list[list[tuple[int, Path]]]:
    """Pictures that belong together, each with its number, in their order."""
    numbers = defaultdict[tuple[str, str], set[int]](set)
    for path in paths:
        for number, around in _places(path.stem):
            numbers[around].add(number)
    series = defaultdict[tuple[str, str], list[tuple[int, Path]]](list)
    for path in paths:
        # Where several differ among as many, it is the last: frames of a shot have theirs behind that of the shot.
        number, around = max(reversed(_places(path.stem)), key=lambda place: len(numbers[place[1]]))
        series[around].append((number, path))
    return [sorted(each) for together in series.values() for each in _by_format(together)]


def _by_format(pictures: list[tuple[int, Path]]) -> list[list[tuple[int, Path]]]:
    """One series where no number comes in two formats, else one of each format."""
    formats = defaultdict[str, list[tuple[int, Path]]](list)
    for number, path in pictures:
        formats[SUFFIXES[path.suffix.lower()]].append((number, path))
    numbers = [{number for number, _ in each} for each in formats.values()]
    return [pictures] if sum(map(len, numbers)) == len(set.union(*numbers)) else list(formats.values())


def _places(stem: str) -> list[tuple[int, tuple[str, str]]]:
    """The numbers in a name, each with what stands before and after it; :data:`NUMBERLESS` for a name without any."""
    found = [
        (int(number[0][-DIGITS:]), (stem[: number.start()], stem[number.end() :]))
        for number in re.finditer("[0-9]+", stem)
    ]
    return found[-MOST_NUMBERS:] or [(NUMBERLESS, ("/", stem))]  # which no name begins with


def _missing(pictures: list[tuple[int, Path]]) -> list[str]:
    """What is said of numbers that are left out between others; those that go up by the same step leave none out."""
    numbers = [number for number, _ in pictures]
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    if len(steps) < 2 or len(set(steps)) == 1:
        return []
    least = min((step for step in steps if step > 0), default=1)
    gap = next((place for place, step in enumerate(steps) if step > least), None)
    if gap is None:
        return []
    return [
        f"numbers are missing in the folder, first after {pictures[gap][1].name}: its pictures were taken one after the other"
    ]
