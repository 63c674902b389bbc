"""What a model will get of a reference, seen before anything is lifted; no weights are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.models.blank import blank
from motionlift.models.counting import counting
from motionlift.video.clip import Clip
from motionlift.video.outline import Outline, outline
from motionlift.video.part import WHOLE, Part
from motionlift.work.lift import Lifting, read_reference
from motionlift.work.planning import Asked
from motionlift.work.prepare import ask, aspect_of


@dataclass(frozen=True)
class Looked:
    """What a model will get."""

    clip: Clip
    """The frames, with what is to be known of them in its notices."""
    size: tuple[int, int]
    """Height and width that the model makes, pixels."""
    outline: Outline | None
    """What a crop keeps of the first frame; none where nothing is cropped."""


def look(
    reference: Path, model: str, method: str, values: Mapping[str, Any] | None = None, part: Part = WHOLE
) -> Looked:
    """What a model will get of a reference.

    Args:
        reference: a video file, an animated picture, or a folder of pictures.
        model: its name.
        method: name of the method that is to lift.
        values: its settings, where they differ.
        part: what of the reference is read.

    Raises:
        MotionliftError: one of its kinds.
    """
    asked = Asked(ask(method, values), aspect=aspect_of(reference))
    with counting():
        made = blank(model, "cpu")
        job, rate = asked.job(made), made.about.fps
    how = Lifting(part=part).of(reference)
    fit = how.fit or job.fit
    clip = read_reference(reference, made, job.shape, fit=fit, every_frame=job.every_frame, part=how.part)
    size = job.shape.height, job.shape.width
    kept = None
    if fit == "crop":
        fps = None if job.every_frame else rate
        kept = outline(reference, frames=job.shape.frames, fps=fps, aspect=size, part=how.part)
    return Looked(clip, size, kept)
