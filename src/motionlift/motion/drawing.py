"""Pictures to look at: a lifted displacement as arrows, attention maps as heat, a contact sheet, a moving picture of clips."""

import math
from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, from_numpy, stack

from motionlift.core.lattice import Lattice, halved
from motionlift.core.windows import Windows
from motionlift.errors import InputError, MotionError
from motionlift.motion.file import Motion
from motionlift.motion.names import DISPLACEMENT, MAPS, by_block
from motionlift.signals.attention_maps import adaptive_mask, smoothed
from motionlift.video.clip import Clip
from motionlift.video.sheets import GAP, at_most, enlarged

Array = np.ndarray

STANDING = 0.25
"""A token that moves no further than this many tokens gets no arrow (ours)."""
DIMMED = 0.7
"""Share of their brightness that the frames keep under the arrows (ours)."""
SHIFT = 4
"""Binary places of OpenCV's fixed-point coordinates."""
MAPS_SIDE = 192
"""Longest side of a panel of attention maps, pixels (ours)."""
HEAT = 0.65
"""Greatest share of the heat in a pixel under attention (ours)."""


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
    places, moves, lattice = _every_arrow(motion)
    _check_frames(motion, clip)
    canvas = enlarged(clip, scale)
    size = np.array(canvas.shape[2:0:-1]) / [lattice.width, lattice.height]
    owners = lattice_frames(len(canvas), len(places))
    drawn = [_with_arrows(frame, places[n] * size, moves[n] * size) for frame, n in zip(canvas, owners, strict=True)]
    return Clip.of(from_numpy(np.stack(drawn)), clip.fps)


def draw_lifted(motion: Motion, clip: Clip) -> Clip:
    """What a motion holds, drawn over the frames of its reference: attention maps where there are any, else arrows.

    Raises:
        MotionError: the motion holds nothing that can be drawn.
        InputError: the clip has another number of frames than the motion's reference.
    """
    return draw_maps(motion, clip) if by_block(motion.part(0), MAPS) else draw_motion(motion, clip)


def _check_frames(motion: Motion, clip: Clip) -> None:
    if len(clip.frames) != motion.source.shape.frames:
        raise InputError(
            f"the clip has {len(clip.frames)} frames and the motion was lifted from {motion.source.shape.frames}; "
            "give the frames that it was lifted from"
        )


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
    layers = _joined(motion)
    if not layers:
        raise MotionError(
            f"the motion was lifted by {motion.method}, which keeps no attention maps; lift it with motionflow"
        )
    _check_frames(motion, clip)
    side = max(clip.frames.shape[1:3])
    canvas = enlarged(at_most(clip, MAPS_SIDE), max(1, MAPS_SIDE // side))
    rows = []
    for word, subject in enumerate(motion.settings["subjects"]):
        panels = []
        for layer, tensor in layers.items():
            maps = smoothed(tensor[:, word].float())
            masked = maps if motion.settings.get("smooth", True) else tensor[:, word].float()
            masks = adaptive_mask(masked, float(motion.settings["tau"])).float().mean(dim=0) >= 0.5
            heat = maps.mean(dim=0)
            heat = heat / heat.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
            owners = lattice_frames(len(canvas), len(heat))
            pairs = zip(canvas, owners, strict=True)
            drawn = [_with_heat(frame, heat[n].numpy(), masks[n].numpy()) for frame, n in pairs]
            panels.append(np.stack([_titled(frame, f"{subject}, layer {layer}") for frame in drawn]))
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


def direction_colour(x: float, y: float) -> tuple[int, int, int]:
    """RGB of a direction, x to the right and y down: its angle clockwise on the hue circle, red pointing right."""
    hue = round(math.degrees(math.atan2(y, x)) / 2) % 180
    red, green, blue = cv2.cvtColor(np.array([[[hue, 210, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return int(red), int(green), int(blue)


def _every_arrow(
    motion: Motion,
) -> tuple[Float[Array, "frame token 2"], Float[Array, "frame token 2"], Lattice]:
    """Where the arrows of all lattice frames begin, their extent in tokens, and the lattice of the field.

    Of windows, each frame has the arrows of that which weighs most there.
    """
    windows = motion.windows or Windows.whole(motion.lattice.frames, motion.source.shape)
    finest, drawn = replace(motion.lattice, frames=windows.length), []
    for number in range(len(windows)):
        field = _displacement(replace(motion, tensors=motion.part(number)))
        lattice = _lattice_of(field, finest)
        drawn.append(_arrows(field, lattice))
    places, moves = (np.stack([drawn[own][kind][frame] for own, frame in windows.owners()]) for kind in (0, 1))
    return places, moves, lattice


def _joined(motion: Motion) -> dict[int | None, Float[Tensor, "steps words frame row column"]]:
    """Attention maps by their layers, of windows those of all, each frame from that which weighs most there."""
    if motion.windows is None:
        return by_block(motion.tensors, MAPS)
    own = [by_block(motion.part(number), MAPS) for number in range(len(motion.windows))]
    owners = motion.windows.owners()
    return {layer: stack([own[number][layer][:, :, frame] for number, frame in owners], dim=2) for layer in own[0]}


def _displacement(motion: Motion) -> Float[Tensor, "query_frame key_frame token 2"]:
    """The field to draw: of several blocks the lowest."""
    fields = by_block(motion.tensors, DISPLACEMENT)
    if not fields:
        raise MotionError(
            f"the motion was lifted by {motion.method}, which keeps no displacement to draw; lift it with ditflow"
        )
    return next(iter(fields.values())).detach().float()


def _lattice_of(field: Float[Tensor, "query_frame key_frame token 2"], finest: Lattice) -> Lattice:
    """The lattice of a field: the model's finest, halved until it has as many tokens, as a UNet halves it."""
    fitting = [lattice for lattice in halved(finest) if (len(field), field.shape[2]) == (lattice.frames, lattice.area)]
    if not fitting:
        raise MotionError(
            f"the displacement of {field.shape[2]} tokens fits no lattice of the motion's {finest}: lift it again"
        )
    return fitting[0]


def _arrows(
    field: Float[Tensor, "query_frame key_frame token 2"], lattice: Lattice
) -> tuple[Float[Array, "frame token 2"], Float[Array, "frame token 2"]]:
    """Where each lattice frame's arrows begin, and their extent, in tokens: zero where still, NaN where unknown."""
    rows, columns = np.divmod(np.arange(lattice.area), lattice.width)
    centres = np.stack([columns, rows], axis=-1) + 0.5
    moves = np.zeros((lattice.frames, lattice.area, 2))
    for frame in range(lattice.frames - 1):
        moves[frame] = field[frame, frame + 1].numpy()
    places = np.repeat(centres[None], lattice.frames, axis=0)
    if lattice.frames > 1:
        back = field[-1, -2].double().numpy()
        moves[-1] = -back
        places[-1] += np.nan_to_num(back)
    moves[np.linalg.norm(moves, axis=-1) <= STANDING] = 0
    return places, moves


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
