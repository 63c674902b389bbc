"""Clips of the world as files with their truth beside them: write them, and measure a result against them."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core import Source
from motionlift.errors import OutputError, SettingError
from motionlift.media import FRAMES, Clip, replacing
from motionlift.metrics.tracks import aligned_error, direction_cosine, seen_share
from motionlift.zoo.judge import judge_video, load_judge
from motionlift.zoo.world import Scene, render, sample

FPS = 8.0
"""Frames a second of the world's clips, those of the models that learned from it (ours)."""
MOST_BYTES = 2**22
"""Largest file of truth that is opened: 1025 frames of one object take some 30 kB (ours)."""
PIXELS_AT_ONCE = 2**24
"""Most pixels rendered at a time, about a gigabyte of work (ours)."""
SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, in frames; as in :mod:`motionlift.media`."""


def write_world(
    folder: Path, count: int, seed: int, frames: int, side: int, advance: Callable[[int], None] = lambda done: None
) -> None:
    """Write ``0000.mp4`` and ``0000.json``, and so on, each whole or not at all.

    Args:
        folder: made if it does not exist; its parent must.
        count: how many clips.
        seed: names the stream of scenes.
        frames: frames of each, at :data:`FPS`.
        side: height and width in pixels, even: an MP4 has no odd sides.
        advance: called with how many are done, after each.

    Raises:
        SettingError: an odd side.
        OutputError: a file cannot be written there.
    """
    if side % 2:
        raise SettingError(f"size is {side}; give an even number of pixels, as an MP4 has no odd sides")
    make_folder(folder)
    for number in range(count):
        scene = sample(seed, number, frames)
        path = folder / f"{number:04d}.mp4"
        _rendered(scene, side).save(path)
        with replacing(path.with_suffix(".json"), (".json",)) as partial:
            partial.write_text(json.dumps(scene.record(), indent=1))
        advance(number + 1)


def make_folder(folder: Path) -> None:
    """Make a folder if there is none.

    Raises:
        OutputError: a file is in its place, its parent does not exist, or it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"cannot write into {folder}: it is a file; name a folder")
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"cannot make {folder}: there is no folder {folder.absolute().parent}; make it first")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; choose another place") from error


def _rendered(scene: Scene, side: int) -> Clip:
    """A scene as a clip, drawn a run of frames at a time."""
    run = max(1, PIXELS_AT_ONCE // side**2)
    pieces = []
    for start in range(0, scene.frames, run):
        shown = slice(start, start + run)
        items = tuple(
            replace(item, centre=item.centre[shown], radius=item.radius[shown], angle=item.angle[shown])
            for item in scene.objects
        )
        moment = replace(scene, objects=items, pan=scene.pan[shown], zoom=scene.zoom[shown])
        pieces.append(render([moment], side, side).frames[0])
    return Clip.of(torch.cat(pieces), FPS)


def true_track(reference: Path) -> Float[Tensor, "frames 2"] | None:
    """The track of a reference's only object, where :func:`write_world` left one beside it.

    Returns:
        Centres in every frame of the file, x then y, as shares of the frame; None where there is no such file, where
        it is something else, or where there are two objects, which the judge cannot tell apart.
    """
    path = reference.with_suffix(".json")
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        (item,) = json.loads(path.read_text(encoding="utf-8"))["objects"]
        track = torch.tensor(item["track"], dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError):
        return None
    fits = track.ndim == 2 and track.shape[1] == 2 and FRAMES[0] <= len(track) <= FRAMES[1]
    return track if fits and bool(track.isfinite().all()) else None


def track_as_read(track: Float[Tensor, "frames 2"], source: Source) -> Float[Tensor, "read 2"]:
    """The track in the frames that were read of the file, cropped as they were: the middle of a square."""
    wanted = (torch.arange(source.shape.frames) * FPS / source.fps + SLACK).floor().long()
    kept = torch.tensor(
        [min(1.0, source.shape.width / source.shape.height), min(1.0, source.shape.height / source.shape.width)]
    )
    return 0.5 + (track[wanted.clamp(max=len(track) - 1)] - 0.5) / kept


def motion_error(track: Float[Tensor, "frames 2"], source: Source, made: Clip) -> dict[str, float | None]:
    """How far the object of a made clip is from the track of its reference.

    Args:
        track: what :func:`true_track` gave.
        source: how the reference was read.
        made: a clip of one of the world's objects.

    Returns:
        ``aligned_error`` in shares of the frame, ``direction_cosine`` (None where the true object rests), ``seen_share``;
        as :mod:`motionlift.metrics.tracks` defines them.
    """
    centres = judge_video(load_judge(), made.frames).centres
    true = track_as_read(track, source)
    cosine = direction_cosine(centres, true)
    return {
        "aligned_error": aligned_error(centres, true),
        "direction_cosine": None if math.isnan(cosine) else cosine,
        "seen_share": seen_share(centres),
    }
