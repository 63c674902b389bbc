"""Clips of the world as files with their truth beside them."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.errors import InputError, OutputError, SettingError
from motionlift.video.clip import Clip
from motionlift.video.encoding import write_video
from motionlift.video.limits import FRAMES
from motionlift.video.marks import TRUTH, WORLD
from motionlift.video.writing import check_local, check_place, replacing, write_json
from motionlift.world.named import named_vocabulary, sample_named
from motionlift.world.places import PLACES
from motionlift.world.scenes import BACKGROUNDS, COLOURS, PATTERNS, Background, Scene, render, sample
from motionlift.world.shapes import SHAPES
from motionlift.world.things import THINGS

FPS = 8.0
"""Frames a second of the world's clips, those of the models that learned from it (ours)."""
MOST_BYTES = 2**22
"""Largest file of truth that is opened: 1025 frames of one object take some 30 kB (ours)."""
PIXELS_AT_ONCE = 2**24
"""Most pixels rendered at a time, about a gigabyte of work (ours)."""
NOT_A_TRUTH = (OSError, ValueError, KeyError, TypeError, OverflowError, RuntimeError, AttributeError)
"""What reading a file that holds something else may raise; deep nesting is a RecursionError, so a RuntimeError."""
NOT_OF_MOTION = ("and", "behind", "wall", "background", *COLOURS, *BACKGROUNDS, *SHAPES, *THINGS, *PATTERNS, *PLACES)
"""Words of captions that say nothing of motion, but for a circle, which may be a shape and a way."""
OF_MOTION = ("circle", *(word for word in named_vocabulary() if word not in NOT_OF_MOTION))
"""Words by which captions name a motion, such as ``driving to the right``."""
GROUNDS: Mapping[str, tuple[str, str]] = {
    ground.phrase(): (ground.pattern, ground.colour)
    for ground in (
        *(Background(pattern, colour, 0.0, 1.0, 0.0) for pattern in PATTERNS for colour in BACKGROUNDS),
        *(Background(name, colour, 0.0, 1.0, 0.0) for name, place in PLACES.items() for colour in place.tones),
    )
}
"""How captions name a ground, and its pattern and colour."""
CAPTION = re.compile(
    f"an? ({'|'.join(COLOURS)}) ({'|'.join([*SHAPES, *THINGS])})(?: (?:{'|'.join(OF_MOTION)}))*?(?: behind a wall)? "
    f"({'|'.join(GROUNDS)})"
)
"""A caption of one object, as :meth:`motionlift.world.scenes.Scene.caption` writes it."""


@dataclass(frozen=True)
class Looks:
    """What a clip of one object shows, in the words of its caption."""

    colour: str
    """Colour of the object."""
    shape: str
    """Shape of the object, or which thing it is."""
    pattern: str
    """Pattern of the background, or which ground it is."""
    ground: str
    """Colour of the background."""

    @property
    def named(self) -> bool:
        """Whether it is a thing, or stands on a ground, that has a name."""
        return self.shape in THINGS or self.pattern in PLACES


@dataclass(frozen=True)
class Truth:
    """What is known of a clip of the world."""

    track: Float[Tensor, "frames 2"]
    """Centres of its object in every frame, x then y, as shares of the frame."""
    looks: Looks
    """What it shows."""
    shown: Float[Tensor, " frames"] | None = None
    """Share of the object that is seen in every frame: it may leave, enter, or pass behind a wall; None where it never does."""


def write_world(
    folder: Path,
    count: int,
    seed: int,
    frames: int,
    side: int,
    advance: Callable[[int], None] = lambda done: None,
    things: bool = False,
    overwrite: bool = True,
) -> None:
    """Write ``0000.mp4`` and ``0000.json``, and so on, each whole or not at all.

    Args:
        folder: made if it does not exist; its parent must.
        count: how many clips.
        seed: names the stream of scenes.
        frames: frames of each, at :data:`FPS`.
        side: height and width in pixels, even: an MP4 has no odd sides.
        advance: called with how many are done, after each.
        things: of :mod:`motionlift.world.named`, things on grounds that have names, and not of shapes on patterns.
        overwrite: whether clips that are there are replaced.

    Raises:
        SettingError: an odd side.
        OutputError: a file cannot be written there, or would replace one that this program did not write, or one that is to stay.
    """
    if side % 2:
        raise SettingError(f"size is {side}; give an even number of pixels, as an MP4 has no odd sides")
    make_folder(folder)
    paths = [folder / f"{number:04d}.mp4" for number in range(count)]
    for path in paths:
        check_place(path, WORLD, overwrite)
        check_place(path.with_suffix(".json"), TRUTH, overwrite)
    for number, path in enumerate(paths):
        scene = sample_named(seed, number, frames, only_named=True) if things else sample(seed, number, frames)
        clip = _rendered(scene, side)
        with replacing(path.with_suffix(".json"), TRUTH) as truth, replacing(path, WORLD) as video:
            write_video(video, clip.frames.numpy(), clip.fps, WORLD)
            write_json(truth, TRUTH, scene.record(), indent=1)
        advance(number + 1)


def make_folder(folder: Path) -> None:
    """Make a folder if there is none.

    Raises:
        OutputError: an address, a file is in its place, its parent does not exist, or it cannot be made.
    """
    check_local(folder)
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
        moment = scene.moments(slice(start, start + run))
        pieces.append(render([moment], side, side).frames[0])
    return Clip.of(torch.cat(pieces), FPS)


def read_truth(path: str | Path) -> Truth:
    """What :func:`write_world` wrote beside a clip of one object.

    Raises:
        InputError: there is no such file, it is something else, or it tells of two objects, which the judge cannot tell apart.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{path} is no file; give the .json that motionlift world writes beside a clip")
    if file.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES >> 20} MiB; give the .json of a clip of the world")
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if len(told["objects"]) != 1:
            raise InputError(f"{path} tells of {len(told['objects'])} objects; only clips of one object can be judged")
        looks = looks_told(told["caption"])
        if looks is None:
            raise ValueError
        track = _track(told)
        return Truth(track, looks, _shown(told, len(track)))
    except NOT_A_TRUTH as error:
        raise InputError(
            f"{path} does not hold the truth of a clip; give the .json that motionlift world writes beside it"
        ) from error


def looks_told(caption: str) -> Looks | None:
    """What a caption of one object says, such as ``a red star on a blue striped background`` or ``a red car on a grey road``.

    It may name the motion: ``a red car driving to the left on a grey road``. None for other sentences.
    """
    found = CAPTION.fullmatch(caption.strip())
    if found is None:
        return None
    colour, shape, ground = found.groups()
    return Looks(colour, shape, *GROUNDS[ground])


def _track(told: Any) -> Float[Tensor, "frames 2"]:
    """The track of the only object.

    Raises:
        ValueError: it is none; other errors of :data:`NOT_A_TRUTH` where the file holds something else.
    """
    (item,) = told["objects"]
    track = torch.tensor(item["track"], dtype=torch.float32)
    fits = track.ndim == 2 and track.shape[1] == 2 and FRAMES[0] <= len(track) <= FRAMES[1]
    if not fits or not bool(track.isfinite().all()):
        raise ValueError("no track")
    return track


def _shown(told: Any, frames: int) -> Float[Tensor, " frames"] | None:
    """Share of the only object that is seen in every frame; none where the file does not say, as of objects that always are.

    Raises:
        ValueError: it is none; other errors of :data:`NOT_A_TRUTH` where the file holds something else.
    """
    (item,) = told["objects"]
    if "shown" not in item:
        return None
    shares = torch.tensor(item["shown"], dtype=torch.float32)
    if shares.shape != (frames,) or not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError("no shares")
    return shares
