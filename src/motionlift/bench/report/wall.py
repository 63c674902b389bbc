"""A wall of videos for a page: references and what every method made of them, small, and together no larger than a bound."""

import base64
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from motionlift.bench.records import kept_file, number
from motionlift.bench.report.controls import CONTROLS, PLAIN
from motionlift.bench.report.summary import Measurement, Section
from motionlift.errors import MotionliftError
from motionlift.video.clip import Clip

MOST_ROWS, MOST_METHODS = 6, 12
"""Most tasks and methods on the wall of a section (ours)."""
MOST_BYTES = 24 * 2**20
"""Most bytes of all videos of a page; those beyond are still pictures (ours: browsers open such a page at once)."""
MOST_VIDEO_BYTES = 200_000
"""A larger video is embedded smaller (ours)."""
SMALL_SIDE = 160
"""Longest side of videos and pictures that are made smaller, pixels (ours)."""


@dataclass(frozen=True)
class Tile:
    """A place on the wall."""

    title: str
    """What it shows."""
    video: str = ""
    """The video as a data address."""
    picture: str = ""
    """A still picture as a data address, where videos would be too many."""
    problem: str = ""
    """Why there is neither."""


@dataclass(frozen=True)
class Line:
    """A task: its reference and what the methods made of it."""

    title: str
    """The prompt."""
    about: str
    """Reference and seed."""
    tiles: Sequence[Tile]
    """The reference first."""


@dataclass(frozen=True)
class Wall:
    """The videos of a section."""

    lines: Sequence[Line]
    """Some of its tasks."""
    tasks: int
    """How many tasks there are."""
    methods: int
    """How many methods there are."""
    shown: int
    """How many of them are shown: plain sampling and methods come before other controls."""


class Embedder:
    """Turns video files into data addresses until their bytes are used up."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._left = MOST_BYTES

    def tile(self, title: str, place: Any, record: Mapping[str, Any]) -> Tile:
        """A video of a record, which must lie in the folder of the records."""
        path = self.path(place)
        if path is None:
            return Tile(title, problem="not there")
        try:
            data = path.read_bytes()
            if len(data) > MOST_VIDEO_BYTES or len(data) > self._left:
                clip = _small(path, record)
                data = _encoded(clip)
                if len(data) > self._left:
                    return Tile(title, picture=_address("image/webp", _picture(clip)))
        except (MotionliftError, OSError):
            return Tile(title, problem="cannot be read")
        self._left -= len(data)
        return Tile(title, video=_address("video/mp4", data))

    def path(self, place: Any) -> Path | None:
        """The file of a video: none outside the folder, however a record names it."""
        return kept_file(self._folder, place)


def wall(section: Section, embedder: Embedder) -> Wall:
    """Some tasks of a section with the methods in the order of its table: of each reference one that most methods did."""
    tasks: dict[Any, dict[str, Measurement]] = {}
    for each in section.measurements:
        if each.error is None:
            tasks.setdefault(each.task, {})[each.title] = each
    firsts: dict[Any, dict[str, Measurement]] = {}
    for found in sorted(tasks.values(), key=len, reverse=True):
        firsts.setdefault(next(iter(found.values())).group, found)
    titles = _shown(section)
    lines = [_line(found, titles, embedder) for found in _spread([firsts[group] for group in sorted(firsts)])]
    return Wall(lines, len(tasks), len(section.rows), len(titles))


def _shown(section: Section) -> list[str]:
    """Titles of the methods that have a place, in the order of the table."""
    names = {each.title: each.record["method"] for each in section.measurements}
    titles = [row.title for row in section.rows]
    first = [title for title in titles if title == PLAIN or names.get(title) not in CONTROLS]
    chosen = {
        *first[:MOST_METHODS],
        *[title for title in titles if title not in first][: max(0, MOST_METHODS - len(first))],
    }
    return [title for title in titles if title in chosen]


def _spread(tasks: Sequence[Any]) -> list[Any]:
    """At most :data:`MOST_ROWS`, evenly from first to last."""
    if len(tasks) <= MOST_ROWS:
        return list(tasks)
    return [tasks[round(place * (len(tasks) - 1) / (MOST_ROWS - 1))] for place in range(MOST_ROWS)]


def _line(found: Mapping[str, Measurement], titles: Sequence[str], embedder: Embedder) -> Line:
    first = next(iter(found.values()))
    tiles = [embedder.tile("reference", first.record.get("reference_video"), first.record)]
    for title in titles:
        made = found.get(title)
        tiles.append(
            Tile(title, problem="not measured")
            if made is None
            else embedder.tile(title, made.record.get("video"), made.record)
        )
    return Line(first.prompt, f"{first.source} {first.reference}, seed {first.seed}", tiles)


def _small(path: Path, record: Mapping[str, Any]) -> Clip:
    """A video at a small size; what the record says of it is bounded where it is read."""
    frames, height, width = (int(number(record.get(name)) or 0) for name in ("frames", "height", "width"))
    fps = number(record.get("fps")) or 0.0
    return Clip.read(path, frames=frames, fps=fps, aspect=(height, width), longest=SMALL_SIDE)


def _encoded(clip: Clip) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.mp4")
        clip.save(path)
        return path.read_bytes()


def _picture(clip: Clip) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(clip.frames[len(clip.frames) // 2].numpy()).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
