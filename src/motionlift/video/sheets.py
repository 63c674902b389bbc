"""Frames beside each other in one picture, still or moving."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from motionlift.errors import InputError, SettingError
from motionlift.video.clip import Clip, side_by_side
from motionlift.video.marks import PICTURE, SHEET, exif_of
from motionlift.video.writing import replacing

Array = np.ndarray
LONGEST_SIDE = 512
"""Longest side of the arrows' frames, pixels (ours)."""
SCALES = (1, 64)
"""Least and greatest enlargement (ours)."""
SHEET_ROWS = 3
"""Most rows of a contact sheet (ours)."""
SHEET_SIDE = 256
"""Longest side of a picture on a contact sheet, pixels (ours)."""
GAP = 4
"""Pixels between pictures on a contact sheet (ours)."""
HELD = 600
"""Milliseconds that a moving picture rests on its last frame (ours)."""
INK = (128, 136, 145)
"""Grey of the labels, readable on white and on black alike (ours)."""


def contact_sheet(
    clip: Clip, path: Path, columns: int = 6, side: int = SHEET_SIDE, said: Mapping[str, str] | None = None
) -> None:
    """Write a PNG of evenly spaced frames, first and last among them, in at most three rows.

    Args:
        clip: the frames.
        path: a file ``.png``.
        columns: pictures in a row, 1 to 32.
        side: most pixels of a picture's width or height.
        said: what the file says of itself, by the keys of its text (PNG's ``iTXt``).

    Raises:
        SettingError: columns out of range.
        OutputError: the file cannot be written there.
    """
    if not 1 <= columns <= 32:
        raise SettingError(f"columns is {columns!r}; give a whole number from 1 to 32")
    count = min(len(clip.frames), columns * SHEET_ROWS)
    chosen = np.linspace(0, len(clip.frames) - 1, count).round().astype(int)
    pictures = at_most(clip, side).frames.numpy()[chosen]
    height, width = pictures.shape[1:3]
    across = min(columns, count)
    sheet = np.full((math.ceil(count / across) * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    text = PngInfo()
    for key, value in (said or {}).items():
        text.add_itxt(key, value)
    with replacing(path, SHEET) as partial:
        Image.fromarray(sheet).save(partial, format="PNG", optimize=True, exif=exif_of(SHEET), pnginfo=text)


def moving_picture(clips: Sequence[tuple[str, Clip]], path: Path, height: int = 128, across: int | None = None) -> None:
    """Write an animated WebP of clips beside each other, each below its label, that plays for ever.

    The rate is that of the first clip; shorter clips hold their last frame. All but the clips is transparent.

    Args:
        clips: labels and clips, at least one.
        path: a file ``.webp``.
        height: height of the clips, pixels.
        across: most clips in a row, from 1; the others come in rows below. All in one row where it is not given.

    Raises:
        InputError: no clips.
        SettingError: a height out of 1..16384, or no clip in a row.
        OutputError: the file cannot be written there.
    """
    if not clips:
        raise InputError("no clips came for a moving picture; give at least one")
    if across is not None and across < 1:
        raise SettingError(f"across is {across!r}; give a whole number from 1")
    gap, count, width = max(1, height // 16), max(len(clip.frames) for _, clip in clips), across or len(clips)
    rows = [_row(clips[start : start + width], count, height, gap) for start in range(0, len(clips), width)]
    pictures = [_stacked(row, gap) for row in zip(*rows, strict=True)]
    shown = [round(1000 / clips[0][1].fps)] * len(pictures)
    shown[-1] += HELD
    with replacing(path, PICTURE) as partial:
        pictures[0].save(
            partial,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=shown,
            loop=0,
            quality=80,
            method=6,
            kmax=1,  # every frame whole: over the one before, letters that are half transparent would grow darker
            exif=exif_of(PICTURE),
        )


def enlarged(clip: Clip, scale: int | None) -> UInt8[Array, "frames height width 3"]:
    """Frames at the size to draw on: pixels repeated when growing, averaged when shrinking."""
    if scale is not None and not SCALES[0] <= scale <= SCALES[1]:
        raise SettingError(f"scale is {scale!r}; give a whole number from {SCALES[0]} to {SCALES[1]}")
    small = clip if scale else at_most(clip, LONGEST_SIDE)
    factor = scale or max(1, LONGEST_SIDE // max(small.frames.shape[1:3]))
    return small.frames.numpy().repeat(factor, axis=1).repeat(factor, axis=2)


def at_most(clip: Clip, longest: int) -> Clip:
    """The clip shrunk to a longest side, where it is larger."""
    height, width = clip.frames.shape[1:3]
    ratio = min(1.0, longest / max(height, width))
    return clip.resized(max(1, round(height * ratio)), max(1, round(width * ratio)))


def _row(clips: Sequence[tuple[str, Clip]], count: int, height: int, gap: int) -> list[Image.Image]:
    """A picture a frame, so many of them, of clips beside each other, each below its label."""
    tiles = [side_by_side([clip], height).frames.numpy() for _, clip in clips]
    labels = _labels([label for label, _ in clips], [tile.shape[2] for tile in tiles], gap, height)
    pictures = []
    for number in range(count):
        picture = Image.new("RGBA", (labels.width, labels.height + height))
        picture.paste(labels)
        left = 0
        for tile in tiles:
            picture.paste(Image.fromarray(tile[min(number, len(tile) - 1)]), (left, labels.height))
            left += tile.shape[2] + gap
        pictures.append(picture)
    return pictures


def _stacked(rows: Sequence[Image.Image], gap: int) -> Image.Image:
    """Rows below each other in one transparent picture, from its left edge."""
    stacked = Image.new("RGBA", (max(row.width for row in rows), sum(row.height + gap for row in rows) - gap))
    top = 0
    for row in rows:
        stacked.paste(row, (0, top))
        top += row.height + gap
    return stacked


def _labels(texts: Sequence[str], widths: Sequence[int], gap: int, height: int) -> Image.Image:
    """A transparent strip with each text centred over its width, in as many lines as it takes."""
    font = ImageFont.load_default(size=max(8, height / 10))
    wrapped = [_wrapped(text, width, font) for text, width in zip(texts, widths, strict=True)]
    drawing = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    tall = max(drawing.multiline_textbbox((0, 0), text, font=font)[3] for text in wrapped)
    strip = Image.new("RGBA", (sum(widths) + gap * (len(widths) - 1), math.ceil(tall) + gap))
    drawing, left = ImageDraw.Draw(strip), 0
    for text, width in zip(wrapped, widths, strict=True):
        drawing.multiline_text((left + width / 2, tall), text, INK, font, anchor="md", align="center")
        left += width + gap
    return strip


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text broken between words into lines that fit the width, as far as its words do."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
