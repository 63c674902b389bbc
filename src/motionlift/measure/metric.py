"""What a metric is: the figures that it brings, what they need, and how they are measured."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motionlift.errors import InputError, ModelError
from motionlift.measure.matching import long_seen
from motionlift.measure.trackers import PointTracks, Tracker, about_tracker, tracker_named
from motionlift.video.footage import Footage
from motionlift.world.truth import Truth

LEAST_FOLLOWED = 0.25
"""Share of the points of a video; where fewer were followed, it is told that the figures of motion speak of little of it (ours)."""
FRAME_APART = 1.001
"""How many frames, of the video that has fewer a second, two may differ in duration before that is told: one, and a thousandth
for rounding (ours)."""
LAST = 1000
"""The column of figures that name none: after those that do."""

_tracker = functools.lru_cache(maxsize=1)(tracker_named)
"""Loaded once for many videos; what was not to be had is looked for again the next time."""


@dataclass(frozen=True)
class Job:
    """One video to be measured beside its reference, and what the metrics say on the way."""

    reference: Footage
    """At the size of the other."""
    generated: Footage
    """As it is, at most :data:`motionlift.video.limits.LONGEST` pixels a side."""
    prompt: str
    """What it is to show; empty where that was not said."""
    truth: Truth | None
    """Of the reference, where it is a clip of the world."""
    wanted: frozenset[str]
    """Names of the figures to give."""
    tracker: str | Tracker
    """Follows the points, or its name."""
    tracker_weights: str | Path | None
    """Its weights, where they lie elsewhere than by default."""
    clip_model: str | None
    """Folder or hub name of what CLIP's figures are taken with."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Figures that cannot be given, and why; filled by :meth:`leave_out`."""
    notices: list[str] = field(default_factory=list)
    """What a person should know of the figures, each a plain sentence; filled by :meth:`tell`."""

    measured_by: dict[str, Mapping[str, str | int]] = field(default_factory=dict)
    """By what figures were taken, ``tracker`` and ``clip``, as far as any were."""

    def wants(self, name: str) -> bool:
        """Whether a figure is asked for and is not left out."""
        return name in self.wanted and name not in self.left_out

    def leave_out(self, names: Iterable[str], reason: str) -> None:
        """Say why figures are not given, and how to get them."""
        self.left_out.update(dict.fromkeys(names, reason))

    def tell(self, notice: str) -> None:
        """Add a notice, unless it is there already."""
        if notice not in self.notices:
            self.notices.append(notice)

    def tracks(self) -> tuple[PointTracks, PointTracks]:
        """Points followed through the reference and through the generated video, once for all metrics.

        Raises:
            InputError: points cannot be followed through one of them.
            ModelError: the tracker's weights are not there.
        """
        if isinstance(self._tracked, Exception):
            raise self._tracked
        return self._tracked

    @functools.cached_property
    def _tracked(self) -> tuple[PointTracks, PointTracks] | InputError | ModelError:
        """The tracks, or why there are none: neither is found twice."""
        try:
            tracker = _tracker(self.tracker, self.tracker_weights) if isinstance(self.tracker, str) else self.tracker
            self.measured_by["tracker"] = about_tracker(tracker)
            return tracker.track(self.reference), tracker.track(self.generated)
        except (InputError, ModelError) as error:
            return error

    def tell_followed(self) -> tuple[float, float]:
        """Shares, 0..1, of the points of both videos that were followed for half of the time; tells where they are few."""
        one, other = (float(long_seen(tracks.visible).double().mean()) for tracks in self.tracks())
        for video, share in (("the reference", one), ("the generated video", other)):
            if share < LEAST_FOLLOWED:
                self.tell(
                    f"only {share:.1%} of the points of {video} could be followed: the figures of motion speak of little of it"
                )
        return one, other


@dataclass(frozen=True)
class Need:
    """What a figure needs beside the two videos."""

    name: str
    """As the documentation says it."""
    advice: str
    """What to do where it is missing."""
    met: Callable[[Job], bool] | None = None
    """Whether a job has it; None where that is seen in measuring alone, as of weights that are loaded there."""


PROMPT = Need("a prompt", "give a prompt (--prompt)", lambda job: bool(job.prompt.strip()))
"""Of figures that compare a video with the sentence that it is to show."""


@dataclass(frozen=True)
class Figure:
    """One number that a metric gives, and all that is said of it."""

    name: str
    """Its key in scores and records, which stays."""
    title: str
    """Its name in tables."""
    meaning: str
    """What it is, in a sentence."""
    unit: str = ""
    """Its unit and range; empty for shares, whose meaning says what of."""
    better: int = 0
    """1 where more is better, -1 where less is, 0 where neither is said."""
    share: bool = False
    """Whether it is a share, 0..1, shown in per cent where many are averaged."""
    places: int = 3
    """Decimal places in tables, where it is no share."""
    needs: tuple[Need, ...] = ()
    """What it needs; the first that is missing is said."""
    column: int = LAST
    """Its place in the tables of reports, from the least; those of one place by name."""
    on_request: bool = False
    """Whether it is given only where it is asked for by name."""
    scored: bool = True
    """Whether one video beside its reference has it; others are made in reports, of other figures or of several videos."""

    @property
    def reading(self) -> str:
        """How to read it: what it is, with its unit."""
        return f"{self.meaning}; {self.unit}" if self.unit else self.meaning


@dataclass(frozen=True)
class Metric:
    """Figures that are measured at once; the ``METRIC`` of a file in ``motionlift/measure``."""

    name: str
    """As the progress of a score and run files have it."""
    order: int
    """Its place among the metrics, from the least."""
    figures: tuple[Figure, ...]
    """What it gives, in the order in which it is told."""
    measure: Callable[[Job], Mapping[str, float]] | None = None
    """Gives figures by name, at least those that :meth:`Job.wants`, or leaves them out; NaN where one is undefined. Where it raises
    an InputError or a ModelError, all its figures are left out for that reason. None where no figure is of one video alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the figures of one video."""
        return tuple(figure.name for figure in self.figures if figure.scored)


def durations_differ(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """Whether two videos, each so many frames at so many a second, differ by more than a frame from first to last."""
    first, second = ((frames - 1) / fps for frames, fps in (one, other))
    return abs(first - second) > FRAME_APART / min(one[1], other[1])
