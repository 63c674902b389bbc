"""All that can be said of one generated video beside its reference: :func:`score`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionlift.errors import InputError, ModelError, SettingError
from motionlift.media import FRAMES, RATES, Clip, Footage
from motionlift.metrics.alignment import ClipModel, clip_alignment
from motionlift.metrics.consistency import temporal_consistency
from motionlift.metrics.discrepancy import motion_discrepancy
from motionlift.metrics.fidelity import motion_fidelity, motion_fidelity_moving, still_step
from motionlift.metrics.leakage import content_leakage, load_lpips
from motionlift.metrics.matching import long_seen
from motionlift.metrics.reward import image_reward, load_reward
from motionlift.metrics.trackers import PointTracks, Tracker, tracker_named
from motionlift.truth import Truth, exact_figures, looks_told, read_truth

LASTS_ALIKE = 0.1
"""How much longer than the other, as a share, a video may play before that is told (ours)."""
LONGEST_JUDGED = 128
"""Longest side, in pixels, of the frames that are held for the judge of the world's clips, which looks at 64x64 (ours)."""
CAPTION_NEEDED = "give the caption of what it is to show, such as 'a red star on a blue striped background'"
TRUTH_NEEDED = "give the truth of the reference, which motionlift world writes beside its clips"
"""What the exact measures of the world's clips ask for."""

FIGURES: Mapping[str, str] = {
    "motion_fidelity": "directions of motion alike, at most 1; near 1 too where most stands still in both",
    "motion_fidelity_moving": "the same over what moves, -1 to 1",
    "moving_share": "share of the tracks that move",
    "followed_reference": "share of the points that were followed for half of the reference",
    "followed_generated": "the same of the generated video",
    "motion_fidelity_legacy": "motion fidelity by the older, widely copied script; NaN where a track stood still",
    "motion_discrepancy": "distance of the tracks, 0 where they are the same",
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
    """As it is, at most :data:`motionlift.media.LONGEST` pixels a side."""
    prompt: str
    """What it is to show; empty where that was not said."""
    truth: Truth | None
    """Of the reference."""
    tracker: Tracker
    """Follows the points."""
    legacy: bool
    """Whether the older figure is wanted too."""
    clip_model: ClipModel | None
    """What CLIP's figures are taken with."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Filled by the measures."""


Advance = Callable[[str], None]


def score(
    reference: str | Path | Clip,
    generated: str | Path | Clip,
    *,
    prompt: str = "",
    truth: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    tracker: str | Tracker = "flow",
    legacy: bool = False,
    clip_model: str | None = None,
    advance: Advance = lambda measure: None,
) -> Scores:
    """Measure a generated video beside its reference.

    Both are taken to play over their whole duration, whatever their rates. Where their sizes differ, the reference is brought
    to that of the generated video, and where their shapes differ the middle of it is taken, as a transfer reads it. Frames are
    decoded again for each measure, one at a time. The network is not used, except by transformers for a CLIP model that is
    named and is not there yet.

    Args:
        reference: a video file, or a clip.
        generated: likewise.
        prompt: what the generated video is to show.
        truth: the file that ``motionlift world`` wrote beside the reference.
        metrics: names of the figures wanted, of :data:`FIGURES`; all by default.
        tracker: ``"flow"``, ``"lucas-kanade"``, ``"cotracker"``, or a tracker.
        legacy: also give ``motion_fidelity_legacy``.
        clip_model: folder or hub name of the CLIP model that CLIP's figures are taken with.
        advance: called with the name of each measure before it is taken.

    Raises:
        InputError: a video or the truth cannot be read.
        SettingError: an unknown metric or tracker.
        ModelError: the tracker or the CLIP model named is not to be had.
    """
    wanted = _wanted(metrics, legacy)
    if isinstance(tracker, str):
        tracker = tracker_named(tracker)
    told = read_truth(truth) if truth is not None else None
    asked_of_clip = wanted.intersection(MEASURES["alignment"][1])
    embeddings = _clip(clip_model) if clip_model is not None and asked_of_clip else None
    own, made = Footage.of(reference), Footage.of(generated)
    notices = _notices(own, made)
    legacy = "motion_fidelity_legacy" in wanted
    job = _Job(own.sized(made.height, made.width), made, prompt, told, tracker, legacy, embeddings)
    figures: dict[str, float] = {}
    for name, (measure, names) in MEASURES.items():
        if wanted.intersection(names):
            advance(name)
            figures |= measure(job)
    return Scores(
        {name: figures[name] for name in FIGURES if name in figures and name in wanted},
        {name: job.left_out[name] for name in FIGURES if name in job.left_out and name in wanted},
        notices,
    )


@functools.lru_cache(maxsize=1)
def _clip(name: str) -> ClipModel:
    """The CLIP model, read once for many videos."""
    return ClipModel(name)


def _wanted(metrics: Sequence[str] | None, legacy: bool) -> set[str]:
    """Names of the figures to give."""
    if metrics is None:
        return set(FIGURES) - ({"motion_fidelity_legacy"} if not legacy else set())
    unknown = [name for name in metrics if name not in FIGURES]
    if unknown or not metrics:
        came = ", ".join(repr(name[:40]) for name in unknown) or "no name"
        raise SettingError(f"metrics: {came} came; allowed are {', '.join(FIGURES)}")
    return {*metrics, *(["motion_fidelity_legacy"] if legacy else [])}


def _notices(reference: Footage, generated: Footage) -> tuple[str, ...]:
    """What is done to make two videos comparable."""
    found = []
    sizes = [(video.height, video.width) for video in (reference, generated)]
    if sizes[0] != sizes[1]:
        found.append(
            f"the reference was brought from {sizes[0][1]}x{sizes[0][0]} to {sizes[1][1]}x{sizes[1][0]} pixels, "
            "the middle of it where the shapes differ"
        )
    if abs(reference.seconds / generated.seconds - 1) > LASTS_ALIKE:
        found.append(
            f"the reference plays {reference.seconds:.2f} s and the generated video {generated.seconds:.2f} s: "
            "both are taken to show the same motion from beginning to end"
        )
    elif reference.frames != generated.frames:
        found.append(
            f"the reference has {reference.frames} frames and the generated video {generated.frames}: they are compared by time"
        )
    return tuple(found)


def _motion(job: _Job) -> dict[str, float]:
    """Points followed in both videos, and how their motion compares."""
    try:
        one, other = (job.tracker.track(video) for video in (job.reference, job.generated))
        return _compared(one, other, job.legacy)
    except InputError as error:  # both videos could be read to their ends: what fails is following
        job.left_out.update(dict.fromkeys(MEASURES["motion"][1], str(error)))
        return {}


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
        how = "name a CLIP model, a folder or a hub name such as openai/clip-vit-large-patch14 (--clip-model)"
        job.left_out.update(clip_text=how, clip_frames=how)
        return {}
    found = clip_alignment(job.generated, job.clip_model, job.prompt)
    if found.text is None:
        job.left_out["clip_text"] = "give a prompt (--prompt)"
        return {"clip_frames": found.frames}
    return {"clip_text": found.text, "clip_frames": found.frames}


def _liked(job: _Job) -> dict[str, float]:
    """ImageReward."""
    try:
        model = load_reward()
    except ModelError as error:
        job.left_out["image_reward"] = str(error)
        return {}
    if not job.prompt.strip():
        job.left_out["image_reward"] = "give a prompt (--prompt)"
        return {}
    return {"image_reward": image_reward(job.generated, job.prompt, model)}


def _consistent(job: _Job) -> dict[str, float]:
    return {"temporal_consistency": temporal_consistency(job.generated)}


def _leaked(job: _Job) -> dict[str, float]:
    """How much of the reference's looks is left."""
    network = None
    try:
        network = load_lpips()
    except ModelError as error:
        job.left_out["lpips"] = str(error)
    counts = job.reference.frames, job.generated.frames
    found = content_leakage(job.reference, job.generated, counts, network)
    lpips = {} if found.lpips is None else {"lpips": found.lpips}
    return {"ssim": found.ssim, "histogram": found.histogram, **lpips}


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
    small = job.generated.sized(round(job.generated.height * scale), round(job.generated.width * scale))
    frames = torch.from_numpy(np.stack(list(small)))
    return exact_figures(job.truth, Clip.of(frames, _rate(job.generated)), wanted)


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
