"""A metric is one file: what it brings is measured, allowed in runs, and shown, with nothing else touched."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionlift import measure
from motionlift.bench import measures
from motionlift.bench.report import catalogue
from motionlift.errors import InputError
from motionlift.measure.metric import Job
from motionlift.measure.score import score
from motionlift.measure.trackers import FlowTracker, Frames, PointTracks
from motionlift.video.footage import Footage
from tests.measure.test_trackers import panned

BRIGHTNESS = """
from motionlift.errors import ModelError
from motionlift.measure.metric import PROMPT, Figure, Metric, Need

LAMP = Need("a lamp", "light a lamp", lambda job: False)


def measured(job):
    if "broken" in job.prompt:
        raise ModelError("the lamp is broken")
    return {"brightness": float(next(iter(job.generated)).mean()), "glow": 0.5}


METRIC = Metric(
    "brightness",
    5,
    (
        Figure("brightness", "how bright", "mean of the first frame", "0 to 255", better=1, column=15),
        Figure("glow", "glow", "whether it glows", share=True, needs=(PROMPT,)),
        Figure("shine", "shine", "by lamplight", needs=(LAMP, PROMPT)),
        Figure("glare", "glare", "made in reports", scored=False),
    ),
    measured,
)
"""


@pytest.fixture
def brightness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file among the metrics."""
    (tmp_path / "brightness.py").write_text(BRIGHTNESS)
    monkeypatch.setattr(measure, "__path__", [*measure.__path__, str(tmp_path)])
    yield
    sys.modules.pop("motionlift.measure.brightness", None)
    measure.__dict__.pop("brightness", None)


@pytest.mark.usefixtures("brightness")
def test_one_file_brings_a_metric_into_score_bench_and_report():
    clip = panned((3, 1), frames=3)
    found = score(clip, clip, prompt="a lake", metrics=["histogram", "brightness", "glow", "shine"])
    assert list(found.figures) == ["brightness", "glow", "histogram"], "in the order of metrics"
    assert found.figures["brightness"] == pytest.approx(clip.frames[0].float().mean()) and found.figures["glow"] == 0.5
    assert found.left_out == {"shine": "light a lamp"}, "of several needs the first is said"
    assert score(clip, clip, metrics=["glow"]).left_out == {"glow": "give a prompt (--prompt)"}
    broken = score(clip, clip, prompt="broken", metrics=["brightness", "glow", "histogram"])
    assert broken.left_out == dict.fromkeys(("brightness", "glow"), "the lamp is broken")
    assert broken.figures.keys() == {"histogram"}
    measures.check_metrics(["brightness", "glow"])
    assert "brightness" in measures.scores(on_request=False) and "glare" not in measures.scores()
    told = catalogue.figure("brightness")
    assert (told.title, told.better, told.reading) == ("how bright", 1, "mean of the first frame; 0 to 255")
    assert catalogue.in_order({"glow", "motion_fidelity", "brightness", "aligned_error", "unheard"}) == [
        *("aligned_error", "brightness", "motion_fidelity", "glow", "unheard")
    ]
    assert catalogue.shown("glow", 0.25) == "25"


def test_what_is_brought_is_gone_with_its_file():
    assert "brightness" not in measure.figures()


def test_names_are_of_one_metric_each_and_places_of_one_figure():
    figures = [figure for metric in measure.metrics() for figure in metric.figures]
    assert len({figure.name for figure in figures}) == len(figures) == len({figure.column for figure in figures})
    metrics = measure.metrics()
    assert len({metric.name for metric in metrics}) == len(metrics) == len({metric.order for metric in metrics})
    for figure in figures:
        assert figure.title and figure.meaning and figure.better in (-1, 0, 1), figure.name
        assert bool(figure.unit) != figure.share, f"{figure.name}: a share has no other unit"


def test_the_figures_keep_their_order():
    """As scores and the tables of reports have always had it."""
    assert list(measure.figures()) == [
        *("motion_fidelity", "motion_fidelity_moving", "moving_share", "followed_reference", "followed_generated"),
        *("motion_fidelity_legacy", "motion_discrepancy", "clip_text", "clip_frames", "image_reward"),
        *("temporal_consistency", "ssim", "lpips", "histogram", "aligned_error", "absolute_error", "direction_cosine"),
        *("seen_share", "colour", "shape", "background", "looks_leaked", "looks", "diversity"),
    ]
    assert catalogue.in_order({*measure.figures()}) == [
        *("aligned_error", "absolute_error", "direction_cosine", "motion_fidelity", "motion_fidelity_moving"),
        *("motion_fidelity_legacy", "motion_discrepancy", "looks", "colour", "background", "shape", "looks_leaked"),
        *("seen_share", "clip_text", "clip_frames", "image_reward", "diversity", "temporal_consistency", "ssim"),
        *("lpips", "histogram", "moving_share", "followed_reference", "followed_generated"),
    ]


def job_of(tracker: FlowTracker) -> Job:
    clip = Footage.of(panned((3, 1), frames=3))
    return Job(clip, clip, "", None, frozenset(), tracker, None, None)


class Counting(FlowTracker):
    """Says how often it was asked."""

    def __init__(self, fails: bool):
        super().__init__(grid=4)
        self.asked, self.fails = 0, fails

    def track(self, frames: Frames) -> PointTracks:
        self.asked += 1
        if self.fails:
            raise InputError("nothing can be followed")
        return super().track(frames)


def test_points_are_followed_once_for_all_metrics():
    following = job_of(tracker := Counting(fails=False))
    assert following.tracks() is following.tracks() and tracker.asked == 2
    failing = job_of(tracker := Counting(fails=True))
    for _ in range(2):
        with pytest.raises(InputError, match="nothing can be followed"):
            failing.tracks()
    assert tracker.asked == 1


def test_a_notice_is_told_once():
    job = job_of(FlowTracker())
    job.tell("one")
    job.tell("one")
    assert job.notices == ["one"]
