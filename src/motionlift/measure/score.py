"""All that can be said of one generated video beside its reference: :func:`score`."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from motionlift import measure
from motionlift.core.given import came, check_given
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.measure.compared import Asked, Compared, compared, shaped
from motionlift.measure.fidelity import LEGACY
from motionlift.measure.given import Measured, sources_of
from motionlift.measure.metric import Job, Metric, durations_differ
from motionlift.measure.trackers import Tracker, check_tracker
from motionlift.video.footage import Footage, frames_of
from motionlift.video.limits import FRAMES, Image, Rate, plain
from motionlift.world.truth import read_truth


@dataclass(frozen=True)
class Scores:
    """What was measured."""

    figures: Mapping[str, float]
    """Figures by name, as :func:`motionlift.measure.figures` explains them; NaN where one is undefined."""
    left_out: Mapping[str, str]
    """Figures that were not measured: why, and how to get them."""
    notices: tuple[str, ...] = ()
    """What was done to make the videos comparable, each a plain sentence."""
    measured_by: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    """By what figures were taken, as far as any were: ``tracker`` and ``clip``, each with its version, grid and weights."""

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value:.4g}" for name, value in self.figures.items())
        return f"Scores({told}; {len(self.left_out)} left out)"


Advance = Callable[[str], None]


def score(
    reference: Measured,
    generated: Measured,
    *,
    prompt: str = "",
    truth: str | Path | None = None,
    metrics: Sequence[str] | None = None,
    tracker: str | Tracker = "flow",
    tracker_weights: str | Path | None = None,
    legacy: bool = False,
    clip_model: str | None = None,
    from_start: bool | None = None,
    start: float | int | None = None,
    duration: float | int | None = None,
    fit: str | None = None,
    crop: Sequence[float | int] | str | None = None,
    background: str | tuple[int, int, int] | None = None,
    fps: Rate | None = None,
    advance: Advance = lambda measure: None,
) -> Scores:
    """Measure a generated video beside its reference.

    Both are compared from beginning to end, whatever their rates and durations: say ``from_start`` where the generated video
    has the motion of the reference's beginning alone, as a transfer reads it, and ``start``, ``crop`` and so on where it has that
    of a part. Where the generated video's own record says which part of this reference was read, that part is taken, which a
    notice says. The truth alone is never stretched: it is read from its beginning at the generated video's own times. Where the
    sizes differ, the reference is brought to that of the generated video, and where the shapes differ the middle of it is taken, or
    as ``fit`` and ``crop`` say. Frames are decoded again for each measure, one at a time. Models are loaded when a figure first
    needs them, and kept for the next videos; figures whose model is not to be had are left out. The network is not used, except by
    transformers for a CLIP model that is named and is not there yet.

    Args:
        reference: a video file, an animated picture, a folder of pictures, a clip, a :class:`motionlift.Video`, or frames as
            :meth:`motionlift.Clip.of` takes them. Frames have no rate of their own and are taken at ``fps``, or that of the other
            video, or 24 a second where both are frames, which a notice says.
        generated: likewise; of a :class:`motionlift.Video`, its own record says which part was read.
        prompt: what the generated video is to show.
        truth: the file that ``motionlift world`` wrote beside the reference.
        metrics: names of the figures wanted, as :func:`figure_names` has them; all by default, but those given on request alone.
        tracker: ``"flow"``, ``"lucas-kanade"``, ``"cotracker"``, or a tracker.
        tracker_weights: CoTracker's weights; by default those that torch.hub keeps.
        legacy: also give ``motion_fidelity_legacy``.
        clip_model: folder or hub name of the CLIP model that CLIP's figures are taken with.
        from_start: take the reference only as far as the generated video plays; by default where a record says which part was read.
        start: seconds after the reference's first frame where the part begins; by default as the record says, else at once.
        duration: seconds of it that are taken at most.
        fit: how its frames get the shape of the generated video: ``"crop"``, ``"pad"`` with black, or ``"stretch"``.
        crop: where the middle of a crop lies, as shares of width and height from the left and from the top, or ``"motion"``.
        background: what lies behind what is transparent in it: a colour's name, ``#rrggbb``, or red, green and blue of 0 to 255.
        fps: so many frames of every second are taken; of a folder of pictures, and of frames in memory, how many they are a second.
        advance: called with the name of each measure before it is taken.

    Raises:
        InputError: a video or the truth cannot be read, or the reference ends before the part.
        SettingError: an unknown metric or tracker, weights for a tracker that takes none, or no such part.
    """
    check_given(prompt=prompt, truth=truth, metrics=metrics, tracker_weights=tracker_weights, legacy=legacy)
    check_given(clip_model=clip_model, from_start=from_start, fit=fit, advance=advance)
    wanted = _wanted(metrics, legacy)
    if isinstance(tracker, str):
        check_tracker(tracker, tracker_weights)
    elif not (hasattr(tracker, "name") and hasattr(tracker, "track")):
        raise SettingError(f"tracker is {came(tracker)}; give flow, lucas-kanade, cotracker, or a Tracker")
    told = read_truth(truth) if truth is not None else None
    fps = None if fps is None else plain(fps)
    asked = Asked(start, duration, fit, crop, background, fps, from_start)
    one, other = sources_of(reference, generated, background, fps)
    which = compared(one.video, other.video, asked, other.record)
    whole = Footage.of(one.video, taken=which.taken, rate=which.rate)
    made = Footage.of(other.video)
    whole, made = (replace(each, notices=(*own.notices, *each.notices)) for each, own in ((whole, one), (made, other)))
    beginning = _beginning(whole, made) if which.from_start else whole
    sized = beginning.sized(made.height, made.width)
    job = Job(sized, made, prompt, told, wanted, tracker, tracker_weights, clip_model)
    given: dict[str, float] = {}
    for metric in measure.metrics():
        if wanted.intersection(metric.names):
            advance(metric.name)
            given |= _measured(metric, job)
    names = [name for name in figure_names() if name in wanted]
    return Scores(
        {name: given[name] for name in names if name in given},
        {name: job.left_out[name] for name in names if name in job.left_out},
        (*which.notices, *_notices(which, whole, sized, made), *job.notices),
        dict(job.measured_by),
    )


def figure_names(on_request: bool = True) -> tuple[str, ...]:
    """Names of all figures of one video, in their order; on wish without those that are given on request alone."""
    return tuple(
        figure.name for figure in measure.figures().values() if figure.scored and (on_request or not figure.on_request)
    )


def _measured(metric: Metric, job: Job) -> Mapping[str, float]:
    """The figures of one metric that are wanted and have what they need; the others are left out."""
    for figure in metric.figures:
        lacking = next((need for need in figure.needs if need.met and not need.met(job)), None)
        if lacking is not None:
            job.leave_out([figure.name], lacking.advice)
    if metric.measure is None or not any(job.wants(name) for name in metric.names):
        return {}
    try:
        return metric.measure(job)
    except (InputError, ModelError) as error:  # both videos could be read to their ends: what fails is measuring
        job.leave_out(metric.names, str(error))
        return {}


class _Beginning(Footage):
    """The first frames of a video; what comes after them is not decoded."""

    def __iter__(self) -> Iterator[Image]:
        with closing(frames_of(self.source, self.height, self.width, self.taken, self.rate)) as images:
            yield from itertools.islice(images, self.frames)


def _beginning(whole: Footage, made: Footage) -> Footage:
    """As much of a video as another one plays, from the first frame to the last."""
    count = round((made.frames - 1) / made.fps * whole.fps) + 1
    if count >= whole.frames:
        return whole
    return _Beginning(**{**vars(whole), "frames": max(FRAMES[0], count)})


def _wanted(metrics: Sequence[str] | None, legacy: bool) -> frozenset[str]:
    """Names of the figures to give."""
    older = [LEGACY] if legacy else []
    if metrics is None:
        return frozenset([*figure_names(on_request=False), *older])
    unknown = [name for name in metrics if name not in figure_names()]
    if unknown or not metrics:
        came = ", ".join(repr(name[:40]) for name in unknown) or "no name"
        raise SettingError(f"metrics: {came} came; allowed are {', '.join(figure_names())}")
    return frozenset([*metrics, *older])


def _notices(which: Compared, whole: Footage, reference: Footage, generated: Footage) -> tuple[str, ...]:
    """What is done to make two videos comparable; of the reference, the part that is taken, and as far as it is compared."""
    found = [f"the reference: {notice}" for notice in whole.notices]
    found += [f"the generated video: {notice}" for notice in generated.notices]
    if reference.frames < whole.frames:
        why = ", as the generated video's record says" if which.by_record else ""
        what = "part" if whole.taken.part.cut else "reference"
        found.append(f"of the {what}'s {whole.seconds:.2f} s the first {reference.seconds:.2f} s are taken{why}")
    sizes = [(video.height, video.width) for video in (whole, generated)]
    if sizes[0] != sizes[1]:
        found.append(
            f"the reference was brought from {sizes[0][1]}x{sizes[0][0]} to {sizes[1][1]}x{sizes[1][0]} pixels, "
            f"{shaped(reference.taken)} where the shapes differ"
        )
    if durations_differ((reference.frames, reference.fps), (generated.frames, generated.fps)):
        advice = (
            "; if it has the motion of a part, take the beginning (--from-start) or another part (--start, --duration)"
        )
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
