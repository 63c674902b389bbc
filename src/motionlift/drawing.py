"""Pictures to look at: a lifted displacement as arrows, attention maps as heat, a contact sheet, a moving picture of clips."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, from_numpy

from motionlift.core import Grid
from motionlift.errors import InputError, MotionError, SettingError
from motionlift.media import Clip, replacing, side_by_side
from motionlift.motion import Motion, halved
from motionlift.signals.attention_maps import adaptive_mask, smoothed

Array = np.ndarray

LONGEST_SIDE = 512
"""Longest side of the arrows' frames, pixels (ours)."""
SCALES = (1, 64)
"""Least and greatest enlargement (ours)."""
STANDING = 0.25
"""A token that moves no further than this many tokens gets no arrow (ours)."""
DIMMED = 0.7
"""Share of their brightness that the frames keep under the arrows (ours)."""
SHEET_ROWS = 3
"""Most rows of a contact sheet (ours)."""
SHEET_SIDE = 256
"""Longest side of a picture on a contact sheet, pixels (ours)."""
GAP = 4
"""Pixels between pictures on a contact sheet (ours)."""
HELD = 600
"""Milliseconds that a moving picture rests on its last frame (ours)."""
SHIFT = 4
"""Binary places of OpenCV's fixed-point coordinates."""
MAPS_SIDE = 192
"""Longest side of a panel of attention maps, pixels (ours)."""
HEAT = 0.65
"""Greatest share of the heat in a pixel under attention (ours)."""
INK = (128, 136, 145)
"""Grey of the labels, readable on white and on black alike (ours)."""


def draw_motion(motion: Motion, clip: Clip, scale: int | None = None) -> Clip:
    """The lifted displacement drawn over the frames of its reference.

    Each token gets an arrow from its place to where it is in the next lattice frame, in the colour of its direction
    (a wheel in the corner says which); in the last lattice frame, from where it was in the frame before to its place.
    Tokens that stand still get nothing, those of unknown motion a grey dot. Of several blocks the lowest is drawn.

    Args:
        motion: a motion with a displacement, as DiTFlow lifts it.
        clip: the reference's frames, of the size at which the model saw them.
        scale: whole factor of enlargement; by default up to 512 pixels on the longer side, and larger clips shrunk to
            that.

    Raises:
        MotionError: the motion holds no displacement.
        InputError: the clip has another number of frames than the motion's reference.
        SettingError: a scale out of 1..64.
    """
    field = _displacement(motion)
    _check_frames(motion, clip)
    canvas = _enlarged(clip, scale)
    grid = _lattice_of(field, motion.grid)
    places, moves = _arrows(field, grid)
    size = np.array(canvas.shape[2:0:-1]) / [grid.width, grid.height]
    owners = lattice_frames(len(canvas), grid.frames)
    drawn = [_with_arrows(frame, places[n] * size, moves[n] * size) for frame, n in zip(canvas, owners, strict=True)]
    return Clip.of(from_numpy(np.stack(drawn)), clip.fps)


def draw_lifted(motion: Motion, clip: Clip) -> Clip:
    """What a motion holds, drawn over the frames of its reference: attention maps where there are any, else arrows.

    Raises:
        MotionError: the motion holds nothing that can be drawn.
        InputError: the clip has another number of frames than the motion's reference.
    """
    return draw_maps(motion, clip) if _map_names(motion) else draw_motion(motion, clip)


def _check_frames(motion: Motion, clip: Clip) -> None:
    if len(clip.frames) != motion.source.shape.frames:
        raise InputError(
            f"the clip has {len(clip.frames)} frames and the motion was lifted from {motion.source.shape.frames}; "
            "give the frames that it was lifted from"
        )


def _map_names(motion: Motion) -> list[str]:
    """Names of the attention maps, layer by layer."""
    names = [name for name in motion.tensors if name.split(".")[0] == "maps"]
    return sorted(names, key=lambda name: (len(name), name))


def draw_maps(motion: Motion, clip: Clip) -> Clip:
    """The attention to each subject and its masks over the frames of the reference: a row a subject, a column a layer.

    The heat is the mean map over the guided steps, brightest at each frame's maximum; the white line runs around the places
    that belong to the mask in at least half of these steps.

    Args:
        motion: a motion with attention maps, as MotionFlow lifts it.
        clip: the reference's frames, of the size at which the model saw them.

    Raises:
        MotionError: the motion holds no attention maps.
        InputError: the clip has another number of frames than the motion's reference.
    """
    names = _map_names(motion)
    if not names:
        raise MotionError(
            f"the motion was lifted by {motion.method}, which keeps no attention maps; lift it with motionflow"
        )
    _check_frames(motion, clip)
    side = max(clip.frames.shape[1:3])
    canvas = _enlarged(_at_most(clip, MAPS_SIDE), max(1, MAPS_SIDE // side))
    rows = []
    for word, subject in enumerate(motion.settings["subjects"]):
        panels = []
        for name in names:
            maps = smoothed(motion.tensors[name][:, word].float())
            masks = adaptive_mask(maps, float(motion.settings["tau"])).float().mean(dim=0) >= 0.5
            heat = maps.mean(dim=0)
            heat = heat / heat.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
            owners = lattice_frames(len(canvas), len(heat))
            pairs = zip(canvas, owners, strict=True)
            drawn = [_with_heat(frame, heat[n].numpy(), masks[n].numpy()) for frame, n in pairs]
            panels.append(np.stack([_titled(frame, f"{subject}, layer {name.partition('.')[2]}") for frame in drawn]))
        rows.append(np.concatenate(panels, axis=2))
    return Clip.of(from_numpy(_even(np.concatenate(rows, axis=1))), clip.fps)


def _with_heat(
    frame: UInt8[Array, "height width 3"], heat: Float[Array, "rows columns"], mask: Bool[Array, "rows columns"]
) -> UInt8[Array, "height width 3"]:
    """One frame, dimmed, with the heat of a map over it and a line around its mask."""
    size = frame.shape[1::-1]
    coloured = cv2.applyColorMap((heat.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR)[..., None] * HEAT
    above = cv2.resize(np.ascontiguousarray(coloured), size, interpolation=cv2.INTER_LINEAR)
    picture = np.ascontiguousarray((frame * DIMMED * (1 - share) + above * share).astype(np.uint8))
    area = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(area, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, lines, -1, (255, 255, 255), 1)
    return picture


def _titled(picture: UInt8[Array, "height width 3"], title: str) -> UInt8[Array, "_ _ 3"]:
    """A picture below its title, with a margin to the right and below."""
    height, width = picture.shape[:2]
    font = ImageFont.load_default(size=12)
    strip = Image.new("RGB", (width, 16))
    ImageDraw.Draw(strip).text((2, 1), title, (255, 255, 255), font)
    titled = np.zeros((height + 16 + GAP, width + GAP, 3), np.uint8)
    titled[:16, :width], titled[16 : 16 + height, :width] = np.asarray(strip), picture
    return titled


def _even(frames: UInt8[Array, "frames height width 3"]) -> UInt8[Array, "frames _ _ 3"]:
    """Frames with even sides, as video files need them: a black line more where they are odd."""
    height, width = frames.shape[1:3]
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))


def lattice_frames(frames: int, lattice: int) -> list[int]:
    """For each pixel frame, the lattice frame that stands for it.

    An odd number of frames has its first alone in lattice frame 0 and equal groups after it, as video autoencoders have
    it; an even number has equal groups throughout.
    """
    if frames % 2 and lattice > 1:
        return [math.ceil(frame * (lattice - 1) / (frames - 1)) for frame in range(frames)]
    return [frame * lattice // frames for frame in range(frames)]


def contact_sheet(clip: Clip, path: Path, columns: int = 6, side: int = SHEET_SIDE) -> None:
    """Write a PNG of evenly spaced frames, first and last among them, in at most three rows.

    Args:
        clip: the frames.
        path: a file ``.png``.
        columns: pictures in a row, 1 to 32.
        side: most pixels of a picture's width or height.

    Raises:
        SettingError: columns out of range.
        OutputError: the file cannot be written there.
    """
    if not 1 <= columns <= 32:
        raise SettingError(f"columns is {columns!r}; give a whole number from 1 to 32")
    count = min(len(clip.frames), columns * SHEET_ROWS)
    chosen = np.linspace(0, len(clip.frames) - 1, count).round().astype(int)
    pictures = _at_most(clip, side).frames.numpy()[chosen]
    height, width = pictures.shape[1:3]
    across = min(columns, count)
    sheet = np.full((math.ceil(count / across) * (height + GAP) - GAP, across * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    with replacing(path, (".png",)) as partial:
        Image.fromarray(sheet).save(partial, format="PNG", optimize=True)


def moving_picture(clips: Sequence[tuple[str, Clip]], path: Path, height: int = 128) -> None:
    """Write an animated WebP of clips beside each other, each below its label, that plays for ever.

    The rate is that of the first clip; shorter clips hold their last frame. All but the clips is transparent.

    Args:
        clips: labels and clips, at least one.
        path: a file ``.webp``.
        height: height of the clips, pixels.

    Raises:
        InputError: no clips.
        SettingError: a height out of 1..16384.
        OutputError: the file cannot be written there.
    """
    if not clips:
        raise InputError("no clips came for a moving picture; give at least one")
    tiles = [side_by_side([clip], height).frames.numpy() for _, clip in clips]
    gap = max(1, height // 16)
    labels = _labels([label for label, _ in clips], [tile.shape[2] for tile in tiles], gap, height)
    pictures = []
    for number in range(max(map(len, tiles))):
        picture = Image.new("RGBA", (labels.width, labels.height + height))
        picture.paste(labels)
        left = 0
        for tile in tiles:
            picture.paste(Image.fromarray(tile[min(number, len(tile) - 1)]), (left, labels.height))
            left += tile.shape[2] + gap
        pictures.append(picture)
    shown = [round(1000 / clips[0][1].fps)] * len(pictures)
    shown[-1] += HELD
    with replacing(path, (".webp",)) as partial:
        pictures[0].save(
            partial,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=shown,
            loop=0,
            quality=80,
            method=6,
        )


def direction_colour(x: float, y: float) -> tuple[int, int, int]:
    """RGB of a direction, x to the right and y down: its angle clockwise on the hue circle, red pointing right."""
    hue = round(math.degrees(math.atan2(y, x)) / 2) % 180
    red, green, blue = cv2.cvtColor(np.array([[[hue, 210, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return int(red), int(green), int(blue)


def _displacement(motion: Motion) -> Float[Tensor, "query_frame key_frame token 2"]:
    """The field to draw: of several blocks the lowest."""
    names = [name for name in motion.tensors if name.split(".")[0] == "displacement"]
    if not names:
        raise MotionError(
            f"the motion was lifted by {motion.method}, which keeps no displacement to draw; lift it with ditflow"
        )
    return motion.tensors[min(names, key=lambda name: (len(name), name))].detach().float()


def _lattice_of(field: Float[Tensor, "query_frame key_frame token 2"], finest: Grid) -> Grid:
    """The lattice of a field: the model's finest, halved until it has as many tokens, as a UNet halves it."""
    fitting = [grid for grid in halved(finest) if (len(field), field.shape[2]) == (grid.frames, grid.area)]
    if not fitting:
        raise MotionError(
            f"the displacement of {field.shape[2]} tokens fits no lattice of the motion's {finest}: lift it again"
        )
    return fitting[0]


def _arrows(
    field: Float[Tensor, "query_frame key_frame token 2"], grid: Grid
) -> tuple[Float[Array, "frame token 2"], Float[Array, "frame token 2"]]:
    """Where each lattice frame's arrows begin, and their extent, in tokens: zero where still, NaN where unknown."""
    rows, columns = np.divmod(np.arange(grid.area), grid.width)
    centres = np.stack([columns, rows], axis=-1) + 0.5
    moves = np.zeros((grid.frames, grid.area, 2))
    for frame in range(grid.frames - 1):
        moves[frame] = field[frame, frame + 1].numpy()
    places = np.repeat(centres[None], grid.frames, axis=0)
    if grid.frames > 1:
        back = field[-1, -2].double().numpy()
        moves[-1] = -back
        places[-1] += np.nan_to_num(back)
    moves[np.linalg.norm(moves, axis=-1) <= STANDING] = 0
    return places, moves


def _enlarged(clip: Clip, scale: int | None) -> UInt8[Array, "frames height width 3"]:
    """Frames at the size to draw on: pixels repeated when growing, averaged when shrinking."""
    if scale is not None and not SCALES[0] <= scale <= SCALES[1]:
        raise SettingError(f"scale is {scale!r}; give a whole number from {SCALES[0]} to {SCALES[1]}")
    small = clip if scale else _at_most(clip, LONGEST_SIDE)
    factor = scale or max(1, LONGEST_SIDE // max(small.frames.shape[1:3]))
    return small.frames.numpy().repeat(factor, axis=1).repeat(factor, axis=2)


def _at_most(clip: Clip, longest: int) -> Clip:
    """The clip shrunk to a longest side, where it is larger."""
    height, width = clip.frames.shape[1:3]
    ratio = min(1.0, longest / max(height, width))
    return clip.resized(max(1, round(height * ratio)), max(1, round(width * ratio)))


def _with_arrows(
    frame: UInt8[Array, "height width 3"], places: Float[Array, "token 2"], moves: Float[Array, "token 2"]
) -> UInt8[Array, "height width 3"]:
    """One frame, dimmed, with its arrows and the wheel; places and moves in pixels."""
    picture = np.ascontiguousarray((frame * DIMMED).astype(np.uint8))
    unit = max(1, round(max(picture.shape[:2]) / 256))
    for place, move in zip(places, moves, strict=True):
        if np.isnan(move).any():
            cv2.circle(picture, _point(place), 3 * unit << (SHIFT - 1), (150, 150, 150), -1, cv2.LINE_AA, SHIFT)
        elif move.any():
            _draw_arrow(picture, place, move, unit)
    _draw_wheel(picture)
    return picture


def _point(place: Float[Array, "2"]) -> tuple[int, int]:
    """A place in pixels, as OpenCV takes it: pixel centres are whole numbers there."""
    return round(float(place[0] - 0.5) * 2**SHIFT), round(float(place[1] - 0.5) * 2**SHIFT)


def _draw_arrow(
    picture: UInt8[Array, "height width 3"], place: Float[Array, "2"], move: Float[Array, "2"], unit: int
) -> None:
    """An arrow in the colour of its direction, with a dark rim."""
    ends = _point(place), _point(place + move)
    tip = min(0.5, 8 * unit / max(1.0, float(np.linalg.norm(move))))
    for colour, thickness in (((0, 0, 0), 3 * unit), (direction_colour(*map(float, move)), max(1, 3 * unit // 2))):
        cv2.arrowedLine(picture, *ends, colour, thickness, cv2.LINE_AA, SHIFT, tip)


def _draw_wheel(picture: UInt8[Array, "height width 3"]) -> None:
    """The colours of all directions, as a small wheel in the lower right corner."""
    radius = max(4.0, max(picture.shape[:2]) / 22)
    centre = np.array(picture.shape[1::-1]) - 1.5 * radius
    for degrees in range(0, 360, 3):
        turn = np.radians([degrees - 2, degrees + 2])
        rim = centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        middle = np.radians(degrees)
        wedge = np.array([_point(corner) for corner in (centre, *rim)], np.int32)
        cv2.fillConvexPoly(picture, wedge, direction_colour(math.cos(middle), math.sin(middle)), cv2.LINE_AA, SHIFT)
    cv2.circle(picture, _point(centre), round(radius * 2**SHIFT), (255, 255, 255), 1, cv2.LINE_AA, SHIFT)


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
