"""Single pictures of GIF and APNG, laid on each other as browsers do.

Pillow, as of version 12, and libavcodec fill what is cleared with what a GIF calls its background, and with black where an APNG has
no transparency of its own. Browsers leave it transparent, as PNG's specification says.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from motionlift.video.flattening import eight_bits, quiet
from motionlift.video.limits import MOST_PIXELS

Opened = io.BufferedReader | io.BytesIO
"""A file that is open for reading, or its bytes."""
CLEAR, RESTORE = 2, 3
"""What becomes of a picture once the next is shown, as GIF89a numbers it (section 23); else it stays."""
RESTORE_TOO = 4
"""A number that some programs write for :data:`RESTORE` (released programs: Chromium and Firefox)."""
GIF_CONTROL = b"\xf9"
"""Kind of the block that says how the picture behind it is shown (GIF89a, section 23)."""
CONTROL, NO_CONTROL = "<BBHBB", bytes([4, 0, 0, 0, 0, 0])
"""What is in such a block: its length, flags, how long, the colour that is transparent, an end; and one that says nothing."""
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""
HUNDREDTHS = 100
"""Parts of a second in which a GIF counts, and an APNG that does not say which."""


@dataclass(frozen=True)
class Layer:
    """One picture of an animation as it stands in the file: it may cover a part of the whole, and what is seen through it."""

    data: bytes
    """A file of it alone."""
    place: tuple[int, int]
    """Its left and upper edge, in pixels."""
    size: tuple[int, int]
    """Its width and height, in pixels."""
    seconds: float
    """How long it says that it is shown."""
    after: int
    """:data:`CLEAR`, :data:`RESTORE`, or another number."""
    over: bool = True
    """Whether what lies below is seen through it; else it replaces that."""


def composed(layers: Iterator[Layer], size: tuple[int, int]) -> Iterator[tuple[Image.Image, float]]:
    """Whole pictures of an animation in RGBA, and for how many seconds each says that it is shown.

    Args:
        layers: its single pictures.
        size: width and height of the whole, in pixels; what lies beyond is cut off.

    Raises:
        Image.DecompressionBombError: a single picture is too large.
        Exception: one of :data:`motionlift.video.animated.UNREADABLE`, for a damaged file.
    """
    whole = Image.new("RGBA", size)
    for layer in layers:
        if layer.size[0] * layer.size[1] > MOST_PIXELS:
            raise Image.DecompressionBombError(f"a picture of {layer.size[0]}x{layer.size[1]} pixels")
        with quiet(), Image.open(io.BytesIO(layer.data), formats=("GIF", "PNG")) as picture:
            own = eight_bits(picture).convert("RGBA")
        before = whole.copy() if layer.after == RESTORE else whole
        if layer.over:
            whole.alpha_composite(own, layer.place)
        else:
            whole.paste(own, layer.place)
        yield whole, layer.seconds
        whole = before
        if layer.after == CLEAR:
            whole.paste((0, 0, 0, 0), (*layer.place, layer.place[0] + own.width, layer.place[1] + own.height))


def _taken(file: Opened, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError("the file is cut short")
    return data


# GIF


def gif_layers(file: Opened) -> Iterator[Layer]:
    """The single pictures of a GIF, which may lack its last byte.

    Raises:
        EOFError: it ends within what belongs to a picture.
    """
    colours = _colours(file, _taken(file, 13)[10])
    control, whole = b"", False
    while (kind := file.read(1)) != b";":
        if kind == b"!":
            label = _taken(file, 1)
            data = _blocks(file)
            control = data if label == GIF_CONTROL else control
        elif kind == b",":
            yield _gif_layer(file, colours, control)
            control, whole = b"", True
        elif not kind:
            if whole and not control:
                return
            raise EOFError("the file is cut short")


def _gif_layer(file: Opened, colours: bytes, control: bytes) -> Layer:
    left, top, width, height, flags = struct.unpack("<HHHHB", _taken(file, 9))
    data = _colours(file, flags) + _taken(file, 1) + _blocks(file)
    control = control if len(control) == struct.calcsize(CONTROL) else NO_CONTROL
    _, shown, delay, _, _ = struct.unpack(CONTROL, control)
    after = shown >> 2 & 7
    size = struct.pack("<HH", width, height)
    alone = b"GIF89a" + size + bytes([_flags_of(colours), 0, 0]) + colours
    alone += b"!" + GIF_CONTROL + control + b"," + bytes(4) + size + bytes([flags]) + data + b";"
    return Layer(alone, (left, top), (width, height), delay / HUNDREDTHS, RESTORE if after == RESTORE_TOO else after)


def _flags_of(colours: bytes) -> int:
    """What a header says of a table of colours."""
    return 0x80 | (len(colours) // 3).bit_length() - 2 if colours else 0


def _colours(file: Opened, flags: int) -> bytes:
    """A table of colours, where flags say that there is one."""
    return _taken(file, 3 << (1 + (flags & 7))) if flags & 0x80 else b""


def _blocks(file: Opened) -> bytes:
    """Data in blocks, each with its length before it, to the empty one at their end."""
    found = [_taken(file, 1)]
    while size := found[-1][0]:
        found[-1] += _taken(file, size)
        found.append(_taken(file, 1))
    return b"".join(found)


# PNG


def png_layers(file: Opened) -> Iterator[Layer]:
    """The single pictures of an animated PNG; a picture for those who show no animation is none.

    Raises:
        EOFError: it is cut short, or holds fewer pictures than it says.
        SyntaxError: it is damaged.
    """
    _taken(file, len(PNG_HEAD))
    head, shared, control, kind, left = b"", b"", b"", b"", 0
    data: list[bytes] = []
    while kind != b"IEND":
        kind, body = _chunk(file)
        if kind == b"IHDR":
            head = body
        elif kind == b"acTL":
            left = struct.unpack(">I", body[:4])[0]
        elif kind in (b"PLTE", b"tRNS"):
            shared += _as_chunk(kind, body)
        elif kind in (b"IDAT", b"fdAT") and control:
            data.append(body if kind == b"IDAT" else body[4:])
        elif kind in (b"fcTL", b"IEND"):
            if data:
                yield _png_layer(head, shared, control, b"".join(data))
                left -= 1
            if not left:
                return
            control, data = body, []
    raise EOFError("the file holds fewer pictures than it says")


def _png_layer(head: bytes, shared: bytes, control: bytes, data: bytes) -> Layer:
    _, width, height, left, top, shown, parts, after, blend = struct.unpack(">IIIIIHHBB", control)
    across, down = struct.unpack(">II", head[:8])
    if left + width > across or top + height > down:
        raise SyntaxError("a picture reaches beyond the whole, which a PNG does not allow")
    alone = _as_chunk(b"IHDR", struct.pack(">II", width, height) + head[8:]) + shared + _as_chunk(b"IDAT", data)
    after = {1: CLEAR, 2: RESTORE}.get(after, after)
    seconds = shown / (parts or HUNDREDTHS)
    return Layer(
        PNG_HEAD + alone + _as_chunk(b"IEND", b""), (left, top), (width, height), seconds, after, over=blend == 1
    )


def _chunk(file: Opened) -> tuple[bytes, bytes]:
    """The kind of the next chunk, and what is in it."""
    (length,) = struct.unpack(">I", _taken(file, 4))
    kind, body, sum_ = _taken(file, 4), _taken(file, length), _taken(file, 4)
    if zlib.crc32(kind + body) != int.from_bytes(sum_):
        raise SyntaxError(f"the chunk {kind!r} is damaged")
    return kind, body


def _as_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
