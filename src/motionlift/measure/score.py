"""All that can be said of one generated video beside its reference: :func:`score`."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionlift.errors import InputError, ModelError, SettingError
from motionlift.measure.alignment import ClipModel, clip_alignment
from motionlift.measure.consistency import temporal_consistency
from motionlift.measure.discrepancy import motion_discrepancy
from motionlift.measure.fidelity import motion_fidelity, motion_fidelity_moving, still_step
from motionlift.measure.leakage import LPIPS_LEAST, SSIM_LEAST, check_sides, content_leakage, load_lpips
from motionlift.measure.matching import long_seen
from motionlift.measure.reward import image_reward, load_reward
from motionlift.measure.trackers import PointTracks, Tracker, check_tracker, tracker_named
from motionlift.measure.truth import exact_figures
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage, frames_of
from motionlift.video.limits import FRAMES, RATES, Image
from motionlift.world.truth import FPS, Truth, looks_told, read_truth

FRAME_APART = 1.001
"""How many frames, of the video that has fewer a second, two may differ in duration before that is told: one, and a thousandth
for rounding (ours)."""
LEAST_FOLLOWED = 0.25
"""Share of the points of a video; where fewer were followed, it is told that the figures of motion speak of little of it (ours)."""
LONGEST_JUDGED = 128
"""Longest side, in pixels, of the frames that are held for the judge of the world's clips, which looks at 64x64 (ours)."""
CAPTION_NEEDED = "give the caption of what it is to show, such as 'a red star on a blue striped background'"
TRUTH_NEEDED = "give the truth of the reference, which motionlift world writes beside its clips"
"""What the exact measures of the world's clips ask for."""
PROMPT_NEEDED = "give a prompt (--prompt)"
CLIP_NEEDED = "name a CLIP model, a folder or a hub name such as openai/clip-vit-large-patch14 (--clip-model)"
"""What the measures of how a video goes with a sentence ask for."""

FIGURES: Mapping[str, str] = {
    "motion_fidelity": "directions of motion alike, -1 to 1; near 1 too where most stands still in both",
    "motion_fidelity_moving": "the same over what moves: tracks that get farther than 1/32 of the longer side; -1 to 1",
    "moving_share": "share of the tracks that move",
    "followed_reference": "share of the points that were followed for half of the reference",
    "followed_generated": "the same of the generated video",
    "motion_fidelity_legacy": "motion fidelity by the older, widely copied script; NaN where a track stood still",
    "motion_discrepancy": "squared distance of the tracks in pixels over height times width, at least 0; 0 where they are the same",
    "clip_text": "cosine of frames and prompt by CLIP; 100 times as much in many tables",
    "clip_frames": "cosine of neighbouring frames by CLIP",
    "image_reward": "how people would like it for the prompt, about 0 on average",
    "temporal_consistency": "how well each frame follows from the one before, 0 to 1; 1 at rest",
    "ssim": "likeness to the reference's frames, leaked looks if near 1",
    "lpips": "perceptual distance to the reference's frames, leaked looks if near 0",
    "histogram": "colours in common with the reference, leaked looks if near 1",
    "aligned_error": "error of the object's track without its mean, share of the frame",
    "absolute_error": "error of the object's track, share of the frame",
    "direction_cosine": "cosine of the object's steps with the true ones; undefined where it rests",
    "seen_share": "share of the frames in which the object is seen",
    "colour": "1 if the object has the prompt's colour",
    "shape": "1 if the object has the prompt's shape",
    "background": "1 if the background is the prompt's",
    "looks_leaked": "1 if the object or the background has the reference's colour",
}
"""Every figure by its name, and how to read it."""


@dataclass(frozen=True)
class Scores:
    """What was measured."""

    figures: Mapping[str, float]
    """Figures by name, as :data:`FIGURES` has them; NaN where one is undefined."""
    left_out: Mapping[str, str]
    """Figures that were not measured: why, and how to get them."""
    notices: tuple[str, ...] = ()
    """What was done to make the videos comparable, each a plain sentence."""


@dataclass(frozen=True)
class _Job:
    """All that the measures read."""

    reference: Footage
    """At the size of the other."""
    generated: Footage
    """As it is, at most :data:`motionlift.video.limits.LONGEST` pixels a side."""
    prompt: str
    """What it is to show; empty where that was not said."""
    truth: Truth | None
    """Of the reference."""
    wanted: frozenset[str]
    """Names of the figures to give."""
    tracker: str | Tracker
    """Follows the points, or its name."""
    tracker_weights: str | Path | None
    """Its weights, where they lie elsewhere than by default."""
    clip_model: str | None
    """Folder or hub name of what CLIP's figures are taken with."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Filled by the measures."""
    notices: list[str] = field(default_factory=list)
    """Likewise."""


Advance = Callable[[str], None]


def score(
    reference: str | Path | Clip,
    generated: str | Path | Clip,
    *,
    prompt: str = "",
    truth: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    tracker: str | Tracker = "flow",
    tracker_weights: str | Path | None = None,
    legacy: bool = False,
    clip_model: str | None = None,
    from_start: bool = False,
    advance: Advance = lambda measure: None,
) -> Scores:
    """Measure a generated video beside its reference.

    Both are compared from beginning to end, whatever their rates and durations: say ``from_start`` where the generated video
    has the motion of the reference's beginning alone, as a transfer reads it. The truth alone is never stretched: it is read
    from its beginning at the generated video's own times. Where the sizes differ, the reference is brought to that of the
    generated video, and where the shapes differ the middle of it is taken, as a transfer reads it. Frames are decoded again for
    each measure, one at a time. Models are loaded when a figure first needs them, and kept for the next videos; figures whose
    model is not to be had are left out. The network is not used, except by transformers for a CLIP model that is named and is
    not there yet.

    Args:
        reference: a video file, or a clip.
        generated: likewise.
        prompt: what the generated video is to show.
        truth: the file that ``motionlift world`` wrote beside the reference.
        metrics: names of the figures wanted, of :data:`FIGURES`; all by default.
        tracker: ``"flow"``, ``"lucas-kanade"``, ``"cotracker"``, or a tracker.
        tracker_weights: CoTracker's weights; by default those that torch.hub keeps.
        legacy: also give ``motion_fidelity_legacy``.
        clip_model: folder or hub name of the CLIP model that CLIP's figures are taken with.
        from_start: take the reference only as far as the generated video plays.
        advance: called with the name of each measure before it is taken.

    Raises:
        InputError: a video or the truth cannot be read.
        SettingError: an unknown metric or tracker, or weights for a tracker that takes none.
    """
    wanted = _wanted(metrics, legacy)
    if isinstance(tracker, str):
        check_tracker(tracker, tracker_weights)
    told = read_truth(truth) if truth is not None else None
    whole, made = Footage.of(reference), Footage.of(generated)
    own = _beginning(whole, made) if from_start else whole
    job = _Job(own.sized(made.height, made.width), made, prompt, told, wanted, tracker, tracker_weights, clip_model)
    figures: dict[str, float] = {}
    for name, (measure, names) in MEASURES.items():
        if wanted.intersection(names):
            advance(name)
            figures |= measure(job)
    return Scores(
        {name: figures[name] for name in FIGURES if name in figures and name in wanted},
        {name: job.left_out[name] for name in FIGURES if name in job.left_out and name in wanted},
        (*_notices(whole, own, made), *job.notices),
    )


_clip = functools.lru_cache(maxsize=1)(ClipModel)
_tracker = functools.lru_cache(maxsize=1)(tracker_named)
_reward = functools.lru_cache(maxsize=1)(load_reward)
_lpips = functools.lru_cache(maxsize=1)(load_lpips)
"""Each loaded once for many videos; what was not to be had is looked for again the next time."""


class _Beginning(Footage):
    """The first frames of a video; what comes after them is not decoded."""

    def __iter__(self) -> Iterator[Image]:
        with closing(frames_of(self.source, self.height, self.width)) as images:
            yield from itertools.islice(images, self.frames)


def _beginning(whole: Footage, made: Footage) -> Footage:
    """As much of a video as another one plays, from the first frame to the last."""
    count = round((made.frames - 1) / made.fps * whole.fps) + 1
    if count >= whole.frames:
        return whole
    return _Beginning(whole.source, max(FRAMES[0], count), whole.fps, whole.height, whole.width)


def _wanted(metrics: Sequence[str] | None, legacy: bool) -> frozenset[str]:
    """Names of the figures to give."""
    if metrics is None:
        return frozenset(FIGURES) - ({"motion_fidelity_legacy"} if not legacy else set())
    unknown = [name for name in metrics if name not in FIGURES]
    if unknown or not metrics:
        came = ", ".join(repr(name[:40]) for name in unknown) or "no name"
        raise SettingError(f"metrics: {came} came; allowed are {', '.join(FIGURES)}")
    return frozenset({*metrics, *(["motion_fidelity_legacy"] if legacy else [])})


def _notices(whole: Footage, reference: Footage, generated: Footage) -> tuple[str, ...]:
    """What is done to make two videos comparable; of the reference, as it is and as it is taken."""
    found = []
    if reference.frames < whole.frames:
        found.append(f"of the reference's {whole.seconds:.2f} s the first {reference.seconds:.2f} s are taken")
    sizes = [(video.height, video.width) for video in (reference, generated)]
    if sizes[0] != sizes[1]:
        found.append(
            f"the reference was brought from {sizes[0][1]}x{sizes[0][0]} to {sizes[1][1]}x{sizes[1][0]} pixels, "
            "the middle of it where the shapes differ"
        )
    if _apart((reference.frames, reference.fps), (generated.frames, generated.fps)):
        advice = "; if it has the motion of a part, take the beginning (--from-start) or cut out the part"
        found.append(
            f"the reference plays {reference.seconds:.2f} s and the generated video {generated.seconds:.2f} s: "
            "both are taken to show the same motion from beginning to end"
            f"{advice if reference.seconds > generated.seconds else ''}"
        )
    elif reference.frames != generated.frames:
        found.append(
            f"the reference has {reference.frames} frames and the generated video {generated.frames}: they are compared by time"
        )
    return tuple(found)


def _apart(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """Whether two videos, each so many frames at so many a second, differ by more than a frame from first to last."""
    first, second = ((frames - 1) / fps for frames, fps in (one, other))
    return abs(first - second) > FRAME_APART / min(one[1], other[1])


def _motion(job: _Job) -> dict[str, float]:
    """Points followed in both videos, and how their motion compares."""
    try:
        tracker = _tracker(job.tracker, job.tracker_weights) if isinstance(job.tracker, str) else job.tracker
        one, other = (tracker.track(video) for video in (job.reference, job.generated))
        found = _compared(one, other, "motion_fidelity_legacy" in job.wanted)
    except (InputError, ModelError) as error:  # both videos could be read to their ends: what fails is following
        job.left_out.update(dict.fromkeys(MEASURES["motion"][1], str(error)))
        return {}
    for video in ("reference", "generated"):
        share = found[f"followed_{video}"]
        if share < LEAST_FOLLOWED:
            named = {"reference": "the reference", "generated": "the generated video"}[video]
            job.notices.append(
                f"only {share:.1%} of the points of {named} could be followed: the figures of motion speak of little of it"
            )
    return found


def _compared(one: PointTracks, other: PointTracks, legacy: bool) -> dict[str, float]:
    height, width = other.height, other.width
    steps = min(one.positions.shape[1], other.positions.shape[1])
    tracks = one.positions, other.positions
    seen: dict[str, Any] = {"reference_visible": one.visible, "generated_visible": other.visible}
    standing = still_step(steps, height, width)
    moving = motion_fidelity_moving(*tracks, height, width, standing=standing, **seen)
    followed = [float(long_seen(each.visible).double().mean()) for each in (one, other)]
    return {
        "motion_fidelity": motion_fidelity(*tracks, standing=standing, **seen),
        "motion_fidelity_moving": moving.score,
        "moving_share": moving.share,
        "followed_reference": followed[0],
        "followed_generated": followed[1],
        **({"motion_fidelity_legacy": motion_fidelity(*tracks, legacy=True)} if legacy else {}),
        "motion_discrepancy": motion_discrepancy(*tracks, height, width, **seen),
    }


def _aligned(job: _Job) -> dict[str, float]:
    """What CLIP says."""
    if job.clip_model is None:
        job.left_out.update(clip_text=CLIP_NEEDED, clip_frames=CLIP_NEEDED)
        return {}
    prompt = job.prompt if "clip_text" in job.wanted else ""
    if not prompt.strip():
        job.left_out["clip_text"] = PROMPT_NEEDED
        if "clip_frames" not in job.wanted:
            return {}
    try:
        model = _clip(job.clip_model)
    except ModelError as error:
        job.left_out.update(clip_text=str(error), clip_frames=str(error))
        return {}
    found = clip_alignment(job.generated, model, prompt)
    return {"clip_frames": found.frames, **({} if found.text is None else {"clip_text": found.text})}


def _liked(job: _Job) -> dict[str, float]:
    """ImageReward."""
    if not job.prompt.strip():
        job.left_out["image_reward"] = PROMPT_NEEDED
        return {}
    try:
        return {"image_reward": image_reward(job.generated, job.prompt, _reward())}
    except ModelError as error:
        job.left_out["image_reward"] = str(error)
        return {}


def _consistent(job: _Job) -> dict[str, float]:
    return {"temporal_consistency": temporal_consistency(job.generated)}


def _leaked(job: _Job) -> dict[str, float]:
    """How much of the reference's looks is left."""
    ssim = "ssim" in job.wanted and _large_enough(job, "ssim", SSIM_LEAST)
    network = None
    if "lpips" in job.wanted and _large_enough(job, "lpips", LPIPS_LEAST):
        try:
            network = _lpips()
        except ModelError as error:
            job.left_out["lpips"] = str(error)
    if not ssim and network is None and "histogram" not in job.wanted:
        return {}
    counts = job.reference.frames, job.generated.frames
    found = content_leakage(job.reference, job.generated, counts, network, ssim)
    return {name: value for name, value in asdict(found).items() if value is not None}


def _large_enough(job: _Job, name: str, least: int) -> bool:
    """Whether the frames are, for a figure that is else left out."""
    try:
        check_sides(job.generated.height, job.generated.width, least)
    except InputError as error:
        job.left_out[name] = str(error)
    return name not in job.left_out


def _exact(job: _Job) -> dict[str, float]:
    """What is known exactly of the world's clips."""
    names = MEASURES["truth"][1]
    if job.truth is None:
        job.left_out.update(dict.fromkeys(names, f"{TRUTH_NEEDED} (--truth)"))
        return {}
    if job.generated.frames > FRAMES[1]:
        told = f"the judge looks at no more than {FRAMES[1]} frames; give a shorter video"
        job.left_out.update(dict.fromkeys(names, told))
        return {}
    wanted = looks_told(job.prompt)
    if wanted is None:
        looks = ("colour", "shape", "background", "looks_leaked")
        job.left_out.update(dict.fromkeys(looks, f"{CAPTION_NEEDED} (--prompt)"))
    scale = min(1.0, LONGEST_JUDGED / max(job.generated.height, job.generated.width))
    small = job.generated.sized(*(max(1, round(side * scale)) for side in (job.generated.height, job.generated.width)))
    frames = torch.from_numpy(np.stack(list(small)))
    job.notices.extend(_truth_notices(job.truth, job.generated))
    return exact_figures(job.truth, Clip.of(frames, _rate(job.generated)), wanted)


def _truth_notices(truth: Truth, generated: Footage) -> list[str]:
    """How the truth is read, where that is not all of it."""
    count = len(truth.track)
    if not _apart((count, FPS), (generated.frames, generated.fps)):
        return []
    reading = (
        f"the truth tells of {count / FPS:.2f} s and is not stretched: it is read from its beginning at the times of"
    )
    longer = generated.seconds > count / FPS
    held = ", and its last place is held after its end" if longer else ""
    return [f"{reading} the generated video, which plays {generated.seconds:.2f} s{held}"]


def _rate(footage: Footage) -> float:
    """Its rate, within what a clip may have."""
    return min(max(footage.fps, RATES[0]), RATES[1])


MEASURES: Mapping[str, tuple[Callable[[_Job], dict[str, float]], tuple[str, ...]]] = {
    "motion": (
        _motion,
        (
            *("motion_fidelity", "motion_fidelity_moving", "moving_share", "followed_reference", "followed_generated"),
            *("motion_fidelity_legacy", "motion_discrepancy"),
        ),
    ),
    "alignment": (_aligned, ("clip_text", "clip_frames")),
    "reward": (_liked, ("image_reward",)),
    "consistency": (_consistent, ("temporal_consistency",)),
    "leakage": (_leaked, ("ssim", "lpips", "histogram")),
    "truth": (
        _exact,
        (
            *("aligned_error", "absolute_error", "direction_cosine", "seen_share"),
            *("colour", "shape", "background", "looks_leaked"),
        ),
    ),
}
"""What is measured at once, and the figures that come of it."""
