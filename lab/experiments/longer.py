"""Videos four times as long as the model sees at once: whether each part of them moves and looks as a short one does.

A reference goes its way to and fro, each leg in as many frames as a window has, so that every leg moves as fast as a short
reference. Each leg is measured as if it were a video. Seams are where the window that weighs most changes: there, the steps of the
object's centre and the changes of pixels are set beside those from other latent frames to the next.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lab.experiments.trial import difference, difference_text, recorded
from motionlift.bench.references import bundled, clip_of, figures, prompt_scene, reference
from motionlift.bench.report.tables import interval, table
from motionlift.measure.truth import judge_for
from motionlift.motion.drawing import lattice_frames
from motionlift.work.cast import transfer
from motionlift.work.video import Video
from motionlift.world.judge import judge_video
from motionlift.world.scenes import Scene

NAME = "longer"
COUNT = 4
LEGS = 4
"""How many times as long as a window a video is."""
WAYS: Mapping[str, tuple[str, bool, Mapping[str, Any]]] = {
    "DiTFlow, one window": ("ditflow", False, {}),
    "DiTFlow, windows": ("ditflow", True, {}),
    "DiTFlow, windows that do not overlap": ("ditflow", True, {"overlap": 0.0}),
    "plain sampling, one window": ("none", False, {}),
    "plain sampling, windows": ("none", True, {}),
}
"""Method, whether the video is long, and settings."""
GUIDED, SHORT, APART = "DiTFlow, windows", "DiTFlow, one window", "DiTFlow, windows that do not overlap"
WORSE, JUMP = 0.02, 1.5
"""By how much the aligned error of a leg may be above that of a short video, shares of the frame; and how many times as large
the object's steps and the changes of pixels may be at seams as elsewhere (set before anything was measured; what elsewhere is was
settled after two references, which showed that latent frames are told by their edges, windows or not)."""
HEAD = (
    "aligned error of a leg",
    "colour, %",
    "background, %",
    "as the first leg, %",
    "steps at seams",
    "pixels at seams",
)


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and way."""
    return [{"index": index, "way": way, "method": WAYS[way][0]} for index in range(count) for way in WAYS]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion, looks and seams of one video."""
    method, is_long, settings = WAYS[cell["way"]]
    backbone, index = bundled(model), cell["index"]
    frames = backbone.about.shape.frames
    numbers = to_and_fro(frames, length_of(frames)) if is_long else list(range(frames))
    scene, wanted = (each.moments(numbers) for each in (reference(index, frames), prompt_scene(index, 0, frames)))
    clip = clip_of(scene, backbone.about.fps)
    asked = {"seed": index, "frames": len(numbers), "settings": settings, "cached": False}
    video = transfer(clip, wanted.caption(), backbone, method=method, **asked)
    own = legs(len(numbers), frames)
    each = [recorded(figures(video.clip.frames[leg], scene.moments(numbers_in(leg)), wanted)) for leg in own]
    told = {key: float(np.mean([leg[key] for leg in each])) for key in ("aligned", "colour", "background", "shape")}
    found = {**told, "legs": each, "prompt": video.record["prompt"], "passes": video.record["passes"]}
    if not is_long:
        return found
    windows = video.record["windows"]
    return {**found, "constant": constant(video, own), "windows": windows, **at_seams(video, scene)}


def length_of(frames: int) -> int:
    """Frames of a long video: legs of so many, each of which begins with the last frame of the one before."""
    return LEGS * (frames - 1) + 1


def to_and_fro(frames: int, length: int) -> list[int]:
    """Numbers of a scene's moments, there and back again and again."""
    turn = frames - 1
    return [turn - abs(number % (2 * turn) - turn) for number in range(length)]


def legs(length: int, frames: int) -> list[slice]:
    """Each leg of a long video, the one ending where the next begins."""
    return [slice(begin, begin + frames) for begin in range(0, length - frames + 1, frames - 1)]


def numbers_in(leg: slice) -> list[int]:
    """The frames of a leg."""
    return list(range(leg.start, leg.stop))


def constant(video: Video, own: Sequence[slice]) -> float:
    """Share of the later legs that show the object and ground of the first, as the judge sees them."""
    judge = judge_for(None, None)
    verdicts = [judge_video(judge, video.clip.frames[leg]) for leg in own]
    seen = [(each.colour, each.shape, each.pattern, each.ground) for each in verdicts]
    return float(np.mean([each == seen[0] for each in seen[1:]]))


def at_seams(video: Video, scene: Scene) -> dict[str, float]:
    """How the object's steps, beside the reference's, and the changes of pixels are at seams, in those at no seam.

    A step is that of the centre less the reference's, a length in shares of the frame; a change the mean difference of pixels.
    Compared are steps from one latent frame to the next alone: an autoencoder that joins frames changes more there than within
    one, in a video of one window too, and seams lie nowhere else. ``pixels_any`` is the change at seams in that anywhere else.
    """
    frames, windows = video.clip.frames, video.motion.windows
    assert windows is not None
    own = torch.tensor(lattice_frames(len(frames), windows.frames))
    owners = torch.tensor([number for number, _ in windows.owners()])[own]
    seams, between = owners.diff() != 0, own.diff() != 0
    centres = judge_video(judge_for(None, None), frames).centres
    track = torch.as_tensor(scene.tracks()[0], dtype=torch.float32)
    steps = (centres.diff(dim=0) - track.diff(dim=0)).norm(dim=-1)
    changes = frames.float().diff(dim=0).abs().mean(dim=(1, 2, 3)) / 255
    return {
        "steps": float(steps[seams].nanmean() / steps[between & ~seams].nanmean()),
        "pixels": float(changes[seams].mean() / changes[between & ~seams].mean()),
        "pixels_any": float(changes[seams].mean() / changes[~seams].mean()),
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each way."""
    rows = []
    for way in WAYS:
        group = [record for record in records if record["way"] == way]
        if not group:
            continue
        percent = [interval([record[key] for record in group], 100) for key in ("colour", "background")]
        long = [[record[key] for record in group if key in record] for key in ("constant", "steps", "pixels")]
        told = [interval(long[0], 100), *[interval(own, digits=2) for own in long[1:]]] if long[0] else ["-"] * 3
        rows.append([way, interval([record["aligned"] for record in group]), *percent, *told])
    count = len({record["index"] for record in records})
    text = (
        f"## Longer than a window\n\n{count} held-out references that go their way to and fro, {LEGS} times as long as the model "
        "sees at once. Each leg, as long as a window, is measured as a video of its own. Seams are where another window weighs "
        "most; there, the steps of the object's centre beside the reference's, and the changes of pixels, in those from other "
        "latent frames to the next.\n\n"
    )
    return text + table(["", *HEAD], rows)


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether legs follow worse than short videos, or seams are seen."""
    groups = {way: [record for record in records if record["way"] == way] for way in WAYS}
    told = []
    found = difference(groups[GUIDED], groups[SHORT], "aligned")
    if found is not None and found.mean > WORSE:
        told.append(
            f"Legs of long videos follow worse than short ones, in the aligned error: {difference_text(found)}."
        )
    for key, what in {"steps": "The object's steps", "pixels": "The changes of pixels"}.items():
        mean = float(np.mean([record[key] for record in groups[GUIDED]])) if groups[GUIDED] else 0.0
        if mean > JUMP:
            told.append(f"{what} at seams are {mean:.2f} times those elsewhere.")
    return told
