"""Which pictures of a folder belong together, and in which order, by the numbers in their names."""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

SUFFIXES = {
    ".jpg": ".jpg", ".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".jif": ".jpg", ".png": ".png", ".apng": ".png",
    ".webp": ".webp", ".bmp": ".bmp", ".dib": ".bmp", ".tif": ".tif", ".tiff": ".tif", ".gif": ".gif", ".ppm": ".ppm",
    ".pgm": ".ppm", ".pbm": ".ppm", ".pnm": ".ppm", ".tga": ".tga", ".jp2": ".jp2", ".j2k": ".jp2", ".jpx": ".jp2",
    ".avif": ".avif",
}  # fmt: skip
"""Names of pictures end so; those of one format under one name."""
NUMBERLESS = (-1,)
"""Stands for the numbers of a name that has none."""
DIGITS = 18
"""Digits of a number that count (ours: those of 64 bits)."""
MOST_NUMBERS = 12
"""Most numbers of a name that are looked at, from the last on (ours: a date, a time, a size and a few more)."""
_DATE = r"(?:19|20)\d\d[-._]?(?:0[1-9]|1[0-2])[-._]?[0-3]\d\D{0,4}"
TIME = re.compile(
    rf"""(?<!\d)(?:
        (?P<clock>
            (?:{_DATE})?\d\d?[.:][0-5]\d[.:][0-5]\d(?!\d)  # 10.15.30
            |{_DATE}[0-2]\d[-_]?[0-5]\d[-_]?[0-5]\d          # 2024-05-01 10-15-30, 20240501_101530
            |(?:{_DATE})?(?:\d+h)?\d+m(?:in)?\d+             # 10h15m30, 1m30
        )
        |\d+(?=[.,]\d)                                      # 0.042
    )(?:(?P<point>[s.,:_-])(?P<fraction>\d+))?""",
    re.IGNORECASE | re.VERBOSE,
)
"""A time in a name: of day, with a date before it or without one, a length, or seconds with their fraction."""
SURE = "sS.,:"
"""What stands between a clock's seconds and their fraction; other signs may stand before the number of a frame."""
SPREAD = 0.5
"""How much of a second the fractions in names of one time cover at least, where they may be numbers of frames, as in
``shot1.0024``, which are counted from zero or one on (ours)."""

Series = list[tuple[tuple[int, ...], Path]]
"""Pictures that belong together, each with the numbers by which they are ordered, in their order."""


def series_of(paths: Sequence[Path]) -> list[Series]:
    """Pictures that belong together, in their order.

    Those whose names have the same text between their numbers belong together where the numbers are a time, or where one of them
    rises through all of the names. Else those do whose names differ in nothing but one number, the one that differs among the most
    of them. Numbers that come in two formats are two series.
    """
    worded = defaultdict[tuple[str, ...], list[Path]](list)
    for path in paths:
        worded[tuple(re.split("[0-9]+", path.stem))].append(path)
    together = [each for alike in worded.values() for each in _by_all(alike) or _by_one(alike)]
    return [sorted(each) for pictures in together for each in _by_format(pictures)]


def missing(pictures: Series) -> list[str]:
    """What is said of numbers that are left out between others; those that go up by the same step leave none out."""
    if len(pictures[0][0]) > 1:  # of a time nothing says what comes next
        return []
    numbers = [number for (number,), _ in pictures]
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


def _by_all(paths: list[Path]) -> list[Series]:
    """One series of names with the same text between their numbers; none where one number alone differs, or they may be several."""
    written = [re.findall("[0-9]+", path.stem) for path in paths]
    places = [place for place, column in enumerate(zip(*written, strict=True)) if len(set(column)) > 1]
    if len(places) < 2:
        return []
    is_time, fraction = _time_in(paths, places, written)
    keys = [tuple(_value(each[place], place == fraction) for place in places) for each in written]
    pictures = sorted(zip(keys, paths, strict=True))
    for column in zip(*(key for key, _ in pictures), strict=True):
        if all(earlier < later for earlier, later in itertools.pairwise(column)):
            return [[((number,), path) for number, (_, path) in zip(column, pictures, strict=True)]]
    return [pictures] if is_time else []


def _value(digits: str, fraction: bool) -> int:
    """A number; as many of its digits as count, of a fraction from the point on."""
    return int(digits[:DIGITS].ljust(DIGITS, "0") if fraction else digits[-DIGITS:])


def _time_in(paths: list[Path], places: list[int], written: list[list[str]]) -> tuple[bool, int]:
    """Whether all that differs in names is one time, and which number is the fraction of its second, -1 for none."""
    found = {_time_at(path.stem, places[0], places[-1]) for path in paths}
    if len(found) > 1 or None in found:
        return False, -1
    fraction, sure = found.pop() or (-1, False)
    if fraction < 0 or sure:
        return True, fraction
    fractions = [each[fraction] for each in written]
    # Where they are not of one width, zeros were left out at their end; numbers that count have them.
    if len({len(each) for each in fractions}) > 1 and any(each[-1] == "0" and len(each) > 1 for each in fractions):
        return False, -1
    shares = [float(f"0.{each}") for each in fractions]
    is_time = max(shares) - min(shares) >= SPREAD
    return is_time, fraction if is_time else -1


def _time_at(stem: str, first: int, last: int) -> tuple[int, bool] | None:
    """Which number of a name is the fraction of a second, -1 for none, and whether that is sure.

    None where no time in the name holds all of its numbers from ``first`` to ``last``.
    """
    numbers = list(re.finditer("[0-9]+", stem))
    for found in TIME.finditer(stem):
        if found.start() <= numbers[first].start() and numbers[last].end() <= found.end():
            place = next((place for place, each in enumerate(numbers) if each.start() == found.start("fraction")), -1)
            return place, bool(found["clock"]) and (found["point"] or "") in SURE
    return None


def _by_one(paths: list[Path]) -> list[Series]:
    """Series of names that differ in one number alone."""
    numbers = defaultdict[tuple[str, str], set[int]](set)
    for path in paths:
        for number, around in _places(path.stem):
            numbers[around].add(number)
    series = defaultdict[tuple[str, str], Series](list)
    for path in paths:
        # Where several differ among as many, it is the last: frames of a shot have theirs behind that of the shot.
        number, around = max(reversed(_places(path.stem)), key=lambda place: len(numbers[place[1]]))
        series[around].append(((number,), path))
    return list(series.values())


def _by_format(pictures: Series) -> list[Series]:
    """One series where no number comes in two formats, else one of each format."""
    formats = defaultdict[str, Series](list)
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
    return found[-MOST_NUMBERS:] or [(NUMBERLESS[0], ("/", stem))]  # which no name begins with
