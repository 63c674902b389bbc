"""What is known exactly of the world's clips, against what the judge sees in a made one."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from motionlift.core.lattice import Shape
from motionlift.measure.metric import Figure, Job, Metric, Need, durations_differ
from motionlift.measure.tracks import absolute_error, aligned_error, direction_cosine, seen_share
from motionlift.motion.file import Source
from motionlift.video.clip import Clip
from motionlift.video.limits import FRAMES, RATES
from motionlift.world.judge import Judge, Verdict, judge_of, judge_video
from motionlift.world.truth import FPS, Looks, Truth, looks_told

SLACK = 0.05
"""How much later than wanted a frame may start and still be taken, in frames; as in :mod:`motionlift.video.reading`."""
LONGEST_JUDGED = 128
"""Longest side, in pixels, of the frames that are held for the judge of the world's clips, which looks at 64x64 (ours)."""
MOVEMENT = ("aligned_error", "absolute_error", "direction_cosine", "seen_share")
"""Figures of the object's track."""
ASPECTS = ("colour", "background", "shape")
"""Figures of which :func:`looks_right` is the mean."""

WHOLLY_SHOWN = 0.9
"""Share of the true object from which a frame counts (ours: of one cut off at an edge or a wall the middle is elsewhere)."""


def frames_read(count: int, source: Source) -> Int[Tensor, " read"]:
    """Numbers of the frames, of so many, that were read of the file; after its end its last one."""
    return (torch.arange(source.shape.frames) * FPS / source.fps + SLACK).floor().long().clamp(max=count - 1)


def track_as_read(track: Float[Tensor, "frames 2"], source: Source) -> Float[Tensor, "read 2"]:
    """The track in the frames that were read of the file, cropped as they were: the middle of a square."""
    kept = torch.tensor(
        [min(1.0, source.shape.width / source.shape.height), min(1.0, source.shape.height / source.shape.width)]
    )
    return 0.5 + (track[frames_read(len(track), source)] - 0.5) / kept


def judge_for(*looks: Looks | None) -> Judge:
    """The judge that knows what clips show: that of shapes on patterns, unless one shows a thing or a ground that has a name."""
    return judge_of(any(each is not None and each.named for each in looks))


def exact_figures(truth: Truth, made: Clip, wanted: Looks | None) -> dict[str, float]:
    """How a made clip of one object moves and looks, measured against what is known exactly.

    Args:
        truth: of the reference, whose motion is wanted; read as a transfer reads it, the middle of its frames, and from
            its beginning at the made clip's own times, never stretched; after its end its last place is held. Frames in which
            less than :data:`WHOLLY_SHOWN` of the object is seen do not count.
        made: the clip.
        wanted: what it is to show; without it the looks are not measured.

    Returns:
        As :func:`verdict_figures`.
    """
    count, height, width = made.frames.shape[:3]
    source = Source("", made.fps, Shape(count, height, width))
    verdict = judge_video(judge_for(truth.looks, wanted), made.frames)
    counted = wholly_shown(truth, source)
    return verdict_figures(verdict, track_as_read(truth.track, source), truth.looks, wanted, counted)


def wholly_shown(truth: Truth, source: Source) -> Bool[Tensor, " read"]:
    """In which of the frames that were read the true object is seen, all of it or nearly."""
    if truth.shown is None:
        return torch.ones(source.shape.frames, dtype=torch.bool)
    return (truth.shown >= WHOLLY_SHOWN)[frames_read(len(truth.shown), source)]


def verdict_figures(
    verdict: Verdict,
    track: Float[Tensor, "frames 2"],
    looks: Looks,
    wanted: Looks | None,
    counted: Bool[Tensor, " frames"] | None = None,
) -> dict[str, float]:
    """What the judge saw in a made clip, beside the reference's track and looks.

    Args:
        verdict: of the made clip.
        track: where the object should be in each of its frames, x then y, as shares of the frame.
        looks: of the reference.
        wanted: what the clip is to show; without it the looks are not measured.
        counted: the frames whose motion is measured; by default all. Where they are fewer than two, it is undefined.

    Returns:
        ``aligned_error`` and ``absolute_error`` in shares of the frame, ``direction_cosine`` (NaN where the true object
        rests), ``seen_share``, as :mod:`motionlift.measure.tracks` defines them. With ``wanted``: ``colour``, ``shape`` and
        ``background``, 1 where right and else 0, and ``looks_leaked``, 1 where the reference's colour is on the object or its
        background's colour behind it.
    """
    centres = verdict.centres
    if counted is not None:
        centres, track = centres[counted], track[counted]
    figures: dict[str, float] = dict.fromkeys(MOVEMENT, math.nan)
    if len(track) > 1:
        figures |= {
            "aligned_error": aligned_error(centres, track),
            "absolute_error": absolute_error(centres, track),
            "direction_cosine": direction_cosine(centres, track),
            "seen_share": seen_share(centres),
        }
    if wanted is not None:
        figures |= {
            "colour": float(verdict.colour == wanted.colour),
            "shape": float(verdict.shape == wanted.shape),
            "background": float((verdict.pattern, verdict.ground) == (wanted.pattern, wanted.ground)),
            "looks_leaked": float(verdict.colour == looks.colour or verdict.ground == looks.ground),
        }
    return figures


def looks_right(figures: Mapping[str, float]) -> float:
    """Share, 0..1, of colour, background and shape that is right, of what :func:`verdict_figures` gave (ours)."""
    return sum(figures[name] for name in ASPECTS) / len(ASPECTS)


TRUTH = Need(
    "the truth of the reference",
    "give the truth of the reference, which motionlift world writes beside its clips (motionlift score --truth)",
    lambda job: job.truth is not None,
)
CAPTION = Need(
    "a caption of the world as prompt",
    "give as prompt the caption of what it is to show, such as 'a red star on a blue striped background' or 'a red car on a grey "
    "road'",
    lambda job: looks_told(job.prompt) is not None,
)


def _measured(job: Job) -> Mapping[str, float]:
    assert job.truth is not None  # every figure needs it
    made = job.generated
    if made.frames > FRAMES[1]:
        job.leave_out(METRIC.names, f"the judge looks at no more than {FRAMES[1]} frames; give a shorter video")
        return {}
    scale = min(1.0, LONGEST_JUDGED / max(made.height, made.width))
    small = made.sized(*(max(1, round(side * scale)) for side in (made.height, made.width)))
    clip = Clip.of(torch.from_numpy(np.stack(list(small))), min(max(made.fps, RATES[0]), RATES[1]))
    _tell_reading(job, len(job.truth.track))
    _tell_hidden(job, wholly_shown(job.truth, Source("", clip.fps, Shape(*clip.frames.shape[:3]))))
    found = exact_figures(job.truth, clip, looks_told(job.prompt))
    if job.reference.taken.is_beginning:
        return found
    job.leave_out(
        MOVEMENT,
        "the truth is of the reference from its beginning and of the middle of its frames; another part is taken",
    )
    return {name: value for name, value in found.items() if name not in MOVEMENT}


def _tell_reading(job: Job, count: int) -> None:
    """How the truth, of so many frames, is read, where that is not all of it."""
    made = job.generated
    if not durations_differ((count, FPS), (made.frames, made.fps)):
        return
    held = ", and its last place is held after its end" if made.seconds > count / FPS else ""
    job.tell(
        f"the truth tells of {count / FPS:.2f} s and is not stretched: it is read from its beginning at the times of "
        f"the generated video, which plays {made.seconds:.2f} s{held}"
    )


def _tell_hidden(job: Job, counted: Bool[Tensor, " frames"]) -> None:
    """In how many frames the true object is not seen as a whole, where there are any."""
    hidden = int((~counted).sum())
    if hidden:
        job.tell(
            f"the reference's object is out of sight, or partly so, in {hidden} of {len(counted)} frames, in which its motion is "
            "not measured"
        )


METRIC = Metric(
    "truth",
    70,
    (
        Figure(
            "aligned_error",
            "aligned error",
            "mean distance of the object's centre from the true track, each track's mean removed",
            "shares of the frame",
            better=-1,
            needs=(TRUTH,),
            column=10,
        ),
        Figure(
            "absolute_error",
            "absolute error",
            "mean distance of the object's centre from the true track",
            "shares of the frame",
            better=-1,
            needs=(TRUTH,),
            column=20,
        ),
        Figure(
            "direction_cosine",
            "direction",
            "mean cosine of the steps of the object's centre with the true ones; undefined where it rests",
            "-1 to 1",
            better=1,
            needs=(TRUTH,),
            column=30,
        ),
        Figure(
            "seen_share",
            "seen",
            "share of the frames in which the object is seen",
            better=1,
            share=True,
            needs=(TRUTH,),
            column=125,
        ),
        Figure(
            "colour",
            "colour",
            "whether the object has the prompt's colour, 1 or 0",
            better=1,
            share=True,
            needs=(TRUTH, CAPTION),
            column=90,
        ),
        Figure(
            "shape",
            "shape",
            "whether the object has the prompt's shape, 1 or 0",
            better=1,
            share=True,
            needs=(TRUTH, CAPTION),
            column=110,
        ),
        Figure(
            "background",
            "background",
            "whether the background has the prompt's pattern and colour, 1 or 0",
            better=1,
            share=True,
            needs=(TRUTH, CAPTION),
            column=100,
        ),
        Figure(
            "looks_leaked",
            "leakage",
            "whether the object or the background has the reference's colour, 1 or 0",
            better=-1,
            share=True,
            needs=(TRUTH, CAPTION),
            column=120,
        ),
        Figure(
            "looks",
            "looks",
            "share of colour, background and shape that the classifier finds right",
            better=1,
            share=True,
            needs=(TRUTH, CAPTION),
            column=80,
            scored=False,
        ),
    ),
    _measured,
)
"""Errors of the object's track and what the judge sees, in clips of the world."""
