"""The marks by which files of this program are told from all others: only such files are ever replaced or removed.

Each kind of file carries its mark where its format has room for one, and the mark names the kind, so that a record never takes the
place of a truth. Where that costs nothing the mark holds a hash of the rest: what somebody changed since is theirs. Marks are read
without running or unpickling anything. Files of versions before there were marks are told by what only they hold.
"""

import hashlib
import json
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from safetensors import SafetensorError, safe_open

KEY = "written_by_motionlift"
"""Key of the mark in JSON and in the header of safetensors."""
BOX = uuid.uuid5(uuid.NAMESPACE_DNS, "motionlift").bytes
"""What our marks in videos begin with."""
BOX_FORMAT = "16s16s32s"
"""A mark in a video: :data:`BOX`, the kind of file, and SHA-256 of all that comes before."""
FOLDER = ""
"""The suffix of a folder of pictures, which has none."""
TAILS: Mapping[str, tuple[bytes, bytes]] = {
    ".mp4": (struct.pack(">I4s", 8 + struct.calcsize(BOX_FORMAT), b"uuid"), b""),
    ".mov": (struct.pack(">I4s", 8 + struct.calcsize(BOX_FORMAT), b"uuid"), b""),
    ".webm": (b"\xec" + bytes([0x80 | struct.calcsize(BOX_FORMAT)]), b""),
    ".gif": (b"\x21\xff\x0bmotionlift1" + bytes([struct.calcsize(BOX_FORMAT)]), b"\0\x3b"),
    ".webp": (struct.pack("<4sI", b"MLFT", struct.calcsize(BOX_FORMAT)), b""),
}
"""What stands before the mark and after it at the end of a video, by its suffix. Readers skip each of them: of an MP4 or a MOV a
box of a ``uuid`` (ISO/IEC 14496-12, 11.1), of a WebM a void element (RFC 8794, 11.3.2), of a GIF an application's own
block, and the last byte of all (GIF89a, 26), of a WebP an unknown chunk (its specification, 2.7.1.5)."""
DIGITS = 5
"""Digits of the names of pictures in a folder (ours: as DAVIS has them)."""
MOST_JSON = 2**26
"""Largest JSON file that is looked into, bytes (ours: a thousand times the largest record)."""
MOST_TEXT = 2**28
"""Largest page or table that is looked into, bytes (ours)."""
FOREIGN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    SyntaxError,
    SafetensorError,
    Image.DecompressionBombError,
)
"""What looking for a mark may raise in a file that holds something else; Pillow has SyntaxError for broken PNGs."""


@dataclass(frozen=True)
class Kind:
    """One kind of file that this program writes."""

    name: str
    """What messages call it."""
    suffixes: tuple[str, ...]
    """How its names may end, in small letters; any way where there are none."""
    is_marked: Callable[[Path], bool]
    """Whether a file carries the mark; raises one of :data:`FOREIGN` where it holds something else."""

    def wrote(self, path: Path) -> bool:
        """Whether a file is one that this program wrote, of this kind, as it wrote it; what cannot be read is not."""
        try:
            return self.is_marked(path)
        except FOREIGN:
            return False


# Videos


def sealed(
    name: str, suffixes: tuple[str, ...] = tuple(TAILS), earlier: Callable[[Path], bool] = lambda path: False
) -> Kind:
    """A kind of video: what it ends with names it; of a folder, each of its pictures does, and there is nothing else in it.

    Args:
        name: what messages call it, of at most 16 letters.
        suffixes: how its names may end; :data:`FOLDER` among them where it may be a folder.
        earlier: tells those of versions that had no marks.
    """

    def is_marked(path: Path) -> bool:
        if path.is_dir():
            return FOLDER in suffixes and _is_folder_of(path, name)
        return _is_sealed(path, name) or earlier(path)

    return Kind(name, suffixes, is_marked)


def seal(path: Path, kind: Kind, suffix: str) -> None:
    """Write the mark to the end of a video that has none; the same file gets the same mark.

    Args:
        path: a whole file of the form that the suffix names; its own name may be another.
        kind: what it is.
        suffix: one of :data:`TAILS`.
    """
    before, after = TAILS[suffix]
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        if suffix == ".gif":
            size -= 1  # its last byte goes to the end
            file.truncate(size)
        if suffix == ".webp":  # its first chunk says how long all of them are
            file.seek(4)
            file.write(struct.pack("<I", size + len(before) + struct.calcsize(BOX_FORMAT) - 8))
    digest = hash_of(path)
    with path.open("ab") as file:
        file.write(before + struct.pack(BOX_FORMAT, BOX, kind.name.encode(), digest) + after)


def _is_sealed(path: Path, name: str) -> bool:
    size = path.stat().st_size
    longest = max(len(before) + len(after) for before, after in TAILS.values()) + struct.calcsize(BOX_FORMAT)
    with path.open("rb") as file:
        file.seek(max(0, size - longest))
        end = file.read()
    for before, after in dict.fromkeys(TAILS.values()):
        mark = end[len(end) - len(after) - struct.calcsize(BOX_FORMAT) : len(end) - len(after)]
        length = size - len(before) - len(mark) - len(after)
        if length >= 0 and end.endswith(before + mark + after) and mark.startswith(BOX):
            _, told, digest = struct.unpack(BOX_FORMAT, mark)
            return told.rstrip(b"\0") == name.encode() and digest == hash_of(path, length)
    return False


def _is_folder_of(path: Path, name: str) -> bool:
    """Whether a folder holds pictures of a kind, numbered from nought, and nothing else; an empty one may be anybody's."""
    pictures = sorted(path.iterdir())
    wanted = [f"{number:0{DIGITS}d}.png" for number in range(len(pictures))]
    return bool(pictures) and [own.name for own in pictures] == wanted and all(map(drawn(name, ".png").wrote, pictures))


def hash_of(path: Path, length: int | None = None) -> bytes:
    """SHA-256 of a file, or of its first ``length`` bytes; of a folder of files that of all their hashes, by name."""
    if path.is_dir():
        return hashlib.sha256(b"".join(hash_of(own) for own in sorted(path.iterdir()))).digest()
    hashed, left = hashlib.sha256(), path.stat().st_size if length is None else length
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, 2**20))):
            hashed.update(piece)
            left -= len(piece)
    return hashed.digest()


# JSON


def keyed(name: str, earlier: Callable[[Mapping[str, Any]], bool] = lambda told: False) -> Kind:
    """A kind of JSON: a key names it, with a hash of the others; ``earlier`` tells those of versions that had no marks."""

    def is_marked(path: Path) -> bool:
        told = dict(json_of(path))
        mark = told.pop(KEY, None)
        return earlier(told) if mark is None else mark == _json_mark(name, told)

    return Kind(name, (".json",), is_marked)


def is_marked_json(kind: Kind, told: Mapping[str, Any]) -> bool:
    """Whether what was read from JSON carries the mark of a kind, and was not changed since."""
    return told.get(KEY) == _json_mark(kind.name, {name: value for name, value in told.items() if name != KEY})


def marked_json(kind: Kind, content: Mapping[str, Any]) -> dict[str, Any]:
    """What is ready for JSON, with its mark."""
    return {**content, KEY: _json_mark(kind.name, json.loads(json.dumps(content)))}


def json_of(path: Path) -> Mapping[str, Any]:
    """The object of a JSON file.

    Raises:
        ValueError: it is none, or too large; or others of :data:`FOREIGN`.
    """
    if path.stat().st_size > MOST_JSON:
        raise ValueError("too large")
    told = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told


def _json_mark(name: str, content: Mapping[str, Any]) -> str:
    return f"{name} {hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


# Tensors


def headed(name: str, earlier: Callable[[Mapping[str, str]], bool] = lambda told: False) -> Kind:
    """A kind of safetensors: its header names it; ``earlier`` tells by the header those of versions that had no marks."""

    def is_marked(path: Path) -> bool:
        told = header_of(path)
        return told.get(KEY) == name or earlier(told)

    return Kind(name, (".safetensors",), is_marked)


def header_of(path: Path) -> Mapping[str, str]:
    """What the header of a safetensors file says besides its tensors, which stay unread.

    Raises:
        SafetensorError: it is no such file, or damaged; or others of :data:`FOREIGN`.
    """
    with safe_open(path, framework="np") as file:
        return file.metadata() or {}


# Pictures


def drawn(name: str, suffix: str) -> Kind:
    """A kind of PNG or WebP: its Exif names the software."""

    def is_marked(path: Path) -> bool:
        with Image.open(path, formats=("PNG", "WEBP")) as picture:
            return picture.getexif().get(ExifTags.Base.Software) == _software(name)

    return Kind(name, (suffix,), is_marked)


def exif_of(kind: Kind) -> Image.Exif:
    """What a picture of a kind is saved with."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = _software(kind.name)
    return exif


def _software(name: str) -> str:
    return f"motionlift: {name}"


# Text


def signed(name: str, suffix: str, earlier: str | None = None) -> Kind:
    """A kind of HTML or Markdown: a comment at its end names it, with a hash of the rest.

    Args:
        name: what messages call it.
        suffix: how its names end.
        earlier: what alone those of versions that had no marks hold.
    """

    def is_marked(path: Path) -> bool:
        if path.stat().st_size > MOST_TEXT:
            return False
        text = path.read_bytes().decode()
        body, mark, rest = text.rpartition(f"\n<!-- {KEY}: ")
        if not mark:
            return earlier is not None and earlier in text
        return mark + rest == _comment(name, body)

    return Kind(name, (suffix,), is_marked)


def signed_text(kind: Kind, text: str) -> str:
    """A page or tables, with the mark."""
    return text + _comment(kind.name, text)


def _comment(name: str, text: str) -> str:
    return f"\n<!-- {KEY}: {name} {hashlib.sha256(text.encode(errors='replace')).hexdigest()} -->\n"


def opened_by(name: str, suffix: str, line: str) -> Kind:
    """A kind of text that has no room for a mark but its first lines, which no other file is likely to have."""

    def is_marked(path: Path) -> bool:
        with path.open("rb") as file:
            begins, ends = file.read(len(line.encode())), file.read(1)
        return begins == line.encode() and ends in (b"", b"\n", b"\r")

    return Kind(name, (suffix,), is_marked)


def table_of(name: str, head: Sequence[str], *earlier: Sequence[str]) -> Kind:
    """A kind of CSV, which knows no comments: it is told by its head, or by one of those that it had in earlier versions."""
    kinds = [opened_by(name, ".csv", ",".join(each)) for each in (head, *earlier)]
    return Kind(name, (".csv",), lambda path: any(kind.is_marked(path) for kind in kinds))


# The kinds that more than one room writes


def _is_earlier_record(told: Mapping[str, Any]) -> bool:
    names = {"prompt", "seed", "method", "settings", "model", "motion_sha256", "versions", "output"}
    return names <= told.keys() and "motionlift" in told["versions"] and "sha256" in told["output"]


def _is_earlier_truth(told: Mapping[str, Any]) -> bool:
    return {"caption", "motion", "camera", "background", "objects"} == told.keys()


def _is_recorded(path: Path) -> bool:
    """Whether the record beside a video names its hash."""
    record = path.with_suffix(".json")
    return RECORD.wrote(record) and json_of(record)["output"]["sha256"] == hash_of(path).hex()


RECORD = keyed("record", _is_earlier_record)
"""The JSON beside a video."""
TRUTH = keyed("truth", _is_earlier_truth)
"""The JSON beside a clip of the world."""
VIDEO = sealed("video", (*TAILS, FOLDER), _is_recorded)
"""A video that was cast, with a record beside it."""
CLIP = sealed("clip", (*TAILS, FOLDER))
"""A video of frames alone."""
WORLD = sealed("world clip", (".mp4",))
"""A video with a truth beside it."""
DRAWING = sealed("drawing")
"""A video of what was lifted."""
MOTION_KEY = "motionlift"
"""Key in the header of a motion under which all of it is said."""
MOTION = headed("motion", lambda told: MOTION_KEY in told)
"""A motion."""
ADAPTER = headed("adapter")
"""What ``export`` writes."""
CHECKPOINT = Kind("checkpoint", (), headed("checkpoint", lambda told: {"step", "about"} <= told.keys()).is_marked)
"""Training state; trainings of our own models name theirs in ways of their own."""
SHEET = drawn("contact sheet", ".png")
"""Frames in one picture."""
PICTURE = drawn("moving picture", ".webp")
"""Frames in a picture that moves."""
