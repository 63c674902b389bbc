"""What is known exactly of the world's clips, against what the judge sees in a made one."""

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Shape
from motionlift.measure.tracks import absolute_error, aligned_error, direction_cosine, seen_share
from motionlift.motion.file import Source
from motionlift.video.clip import Clip
from motionlift.world.judge import judge_video, load_judge
from motionlift.world.truth import FPS, Looks, Truth

SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, in frames; as in :mod:`motionlift.video.reading`."""


def track_as_read(track: Float[Tensor, "frames 2"], source: Source) -> Float[Tensor, "read 2"]:
    """The track in the frames that were read of the file, cropped as they were: the middle of a square."""
    wanted = (torch.arange(source.shape.frames) * FPS / source.fps + SLACK).floor().long()
    kept = torch.tensor(
        [min(1.0, source.shape.width / source.shape.height), min(1.0, source.shape.height / source.shape.width)]
    )
    return 0.5 + (track[wanted.clamp(max=len(track) - 1)] - 0.5) / kept


def exact_figures(truth: Truth, made: Clip, wanted: Looks | None) -> dict[str, float]:
    """How a made clip of one object moves and looks, measured against what is known exactly.

    Args:
        truth: of the reference, whose motion is wanted; read as a transfer reads it, the middle of its frames, and from
            its beginning at the made clip's own times, never stretched; after its end its last place is held.
        made: the clip.
        wanted: what it is to show; without it the looks are not measured.

    Returns:
        ``aligned_error`` and ``absolute_error`` in shares of the frame, ``direction_cosine`` (NaN where the true object
        rests), ``seen_share``, as :mod:`motionlift.measure.tracks` defines them. With ``wanted``: ``colour``, ``shape`` and
        ``background``, 1 where right and else 0, and ``looks_leaked``, 1 where the reference's colour is on the object or its
        background's colour behind it.
    """
    verdict = judge_video(load_judge(), made.frames)
    count, height, width = made.frames.shape[:3]
    true = track_as_read(truth.track, Source("", made.fps, Shape(count, height, width)))
    figures = {
        "aligned_error": aligned_error(verdict.centres, true),
        "absolute_error": absolute_error(verdict.centres, true),
        "direction_cosine": direction_cosine(verdict.centres, true),
        "seen_share": seen_share(verdict.centres),
    }
    if wanted is not None:
        leaked = verdict.colour == truth.looks.colour or verdict.ground == truth.looks.ground
        figures |= {
            "colour": float(verdict.colour == wanted.colour),
            "shape": float(verdict.shape == wanted.shape),
            "background": float((verdict.pattern, verdict.ground) == (wanted.pattern, wanted.ground)),
            "looks_leaked": float(leaked),
        }
    return figures
