"""One video measured beside its reference, from Python."""

import json
import math
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionlift import scoring
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.media import Clip, Footage
from motionlift.metrics import reward
from motionlift.metrics.trackers import FlowTracker, Frames, PointTracks
from motionlift.scoring import FIGURES, MEASURES, score
from motionlift.zoo import world
from tests import twins
from tests.metrics.test_trackers import panned

MOTION = ("motion_fidelity", "motion_fidelity_moving", "moving_share", "motion_discrepancy")


@pytest.fixture(autouse=True)
def _nothing_to_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights in any cache, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(reward, "CACHE", tmp_path / "reward")

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("socket.create_connection", refused)
    yield


def scene(index: int = 1) -> world.Scene:
    return world.sample(3, index, 17, objects=1, motion="line", camera="still")


def shown(which: world.Scene, side: int = 64) -> Clip:
    return Clip.of(world.render([which], side, side).frames[0], 8.0)


def test_every_figure_belongs_to_one_measure():
    named = [name for _, names in MEASURES.values() for name in names]
    assert sorted(named) == sorted(FIGURES)


def test_a_video_beside_itself():
    found = score(panned((3, 1)), panned((3, 1)))
    assert found.figures["motion_fidelity"] == found.figures["motion_fidelity_moving"] == 1.0
    assert found.figures["motion_discrepancy"] == 0.0
    assert found.figures["moving_share"] == 1.0
    assert found.figures["ssim"] == pytest.approx(1.0) and found.figures["histogram"] == pytest.approx(1.0)
    assert found.notices == ()
    assert "motion_fidelity_legacy" not in found.figures and "motion_fidelity_legacy" not in found.left_out


def test_what_needs_weights_is_left_out_and_said():
    found = score(panned((3, 1)), panned((3, 1)), prompt="a picture")
    assert found.left_out.keys() | found.figures.keys() == FIGURES.keys() - {"motion_fidelity_legacy"}
    assert "openai/clip-vit-large-patch14" in found.left_out["clip_text"] == found.left_out["clip_frames"]
    assert "pip install image-reward" in found.left_out["image_reward"]
    assert "pip install 'motionlift[lpips]'" in found.left_out["lpips"]
    assert "motionlift world" in found.left_out["aligned_error"]


def test_other_motion_is_told_apart():
    right = panned((3, 0))
    others = {step: score(right, panned(step), metrics=MOTION).figures for step in ((1.5, 0), (0, 3), (-3, 0), (0, 0))}
    assert others[1.5, 0]["motion_fidelity"] > 0.95
    assert abs(others[0, 3]["motion_fidelity"]) < 0.3
    assert others[-3, 0]["motion_fidelity"] < -0.9
    assert abs(others[0, 0]["motion_fidelity"]) < 0.1 and others[0, 0]["motion_fidelity_moving"] == 0.0
    assert others[0, 0]["moving_share"] == pytest.approx(0.5, abs=0.1)
    assert others[1.5, 0]["motion_discrepancy"] < others[-3, 0]["motion_discrepancy"]


def test_only_what_is_asked_is_measured(monkeypatch: pytest.MonkeyPatch):
    taken = []
    found = score(panned((3, 1)), panned((3, 1)), metrics=["ssim", "clip_text"], advance=taken.append)
    assert found.figures.keys() == {"ssim"} and found.left_out.keys() == {"clip_text"}
    assert taken == ["alignment", "leakage"]


def test_the_older_figure_is_given_beside_the_others():
    found = score(panned((3, 1)), panned((3, 1)), metrics=["motion_fidelity"], legacy=True)
    assert found.figures.keys() == {"motion_fidelity", "motion_fidelity_legacy"}
    asked = score(panned((3, 1)), panned((3, 1)), metrics=["motion_fidelity_legacy"])
    assert asked.figures["motion_fidelity_legacy"] == found.figures["motion_fidelity_legacy"] < 1.0


def test_clip_figures_need_a_model_and_a_prompt(tmp_path: Path):
    twins.clip(tmp_path)
    names = ["clip_text", "clip_frames"]
    found = score(panned((3, 1)), panned((3, 1)), prompt="a red star", metrics=names, clip_model=str(tmp_path))
    assert found.figures.keys() == {*names}
    silent = score(panned((3, 1)), panned((3, 1)), metrics=names, clip_model=str(tmp_path))
    assert silent.figures.keys() == {"clip_frames"} and "--prompt" in silent.left_out["clip_text"]
    with pytest.raises(ModelError, match="CLIP"):
        score(panned((3, 1)), panned((3, 1)), clip_model=str(tmp_path / "none"))


def test_truth_gives_the_exact_figures(tmp_path: Path):
    path, own = tmp_path / "clip.json", scene()
    path.write_text(json.dumps(own.record()))
    exact = MEASURES["truth"][1]
    found = score(shown(own), shown(own), prompt=own.caption(), truth=path, metrics=exact)
    assert found.left_out == {} and found.figures["aligned_error"] < 0.02
    assert (found.figures["colour"], found.figures["background"]) == (1.0, 1.0)
    untold = score(shown(own), shown(own), prompt="a dog", truth=path, metrics=exact)
    assert untold.left_out.keys() == {"colour", "shape", "background", "looks_leaked"}
    resting = world.sample(1, 0, 17, objects=1, motion="rest", camera="still")
    path.write_text(json.dumps(resting.record()))
    assert math.isnan(score(shown(resting), shown(resting), truth=path, metrics=exact).figures["direction_cosine"])


@pytest.mark.parametrize("size", [(80, 100), (320, 400), (160, 160)])
def test_other_sizes_are_brought_together_and_said(size: tuple[int, int]):
    """Also another shape: of the reference the middle is taken, whose motion is the same."""
    generated = panned((3, 1))
    reference = generated.resized(*size) if size != (160, 160) else Clip.of(generated.frames[:, :, 20:-20], 12.0)
    for pair in ((reference, generated), (generated, reference)):
        found = score(*pair, metrics=[*MOTION, "ssim"])
        assert found.figures["motion_fidelity"] > 0.95
        assert "the reference was brought from" in found.notices[0]


def test_other_rates_and_lengths_are_compared_by_time_and_said():
    whole = panned((2, 1), frames=13)
    halved = Clip.of(whole.frames[::2], 6.0)
    found = score(whole, halved, metrics=[*MOTION, "ssim"])
    assert found.figures["motion_fidelity"] > 0.98 and found.figures["ssim"] > 0.99
    assert found.notices == ("the reference has 13 frames and the generated video 7: they are compared by time",)
    slower = score(whole, Clip.of(whole.frames, 4.0), metrics=MOTION)
    assert "both are taken to show the same motion from beginning to end" in slower.notices[0]
    assert slower.figures["motion_fidelity"] == 1.0


def test_files_are_streamed_and_measured_as_clips_are(tmp_path: Path):
    panned((3, 1)).save(tmp_path / "a.mp4")
    panned((0, 3)).save(tmp_path / "b.mp4")
    found = score(tmp_path / "a.mp4", str(tmp_path / "b.mp4"), metrics=MOTION).figures
    direct = score(panned((3, 1)), panned((0, 3)), metrics=MOTION).figures
    assert found["motion_fidelity"] == pytest.approx(direct["motion_fidelity"], abs=0.1)


class Blind(FlowTracker):
    """Loses every point at once."""

    def track(self, frames: Frames) -> PointTracks:
        found = super().track(frames)
        return replace(found, visible=torch.zeros_like(found.visible))


def test_nothing_that_can_be_followed_is_no_failure():
    found = score(panned((3, 1)), panned((3, 1)), tracker=Blind(4))
    assert set(MEASURES["motion"][1]) - {"motion_fidelity_legacy"} <= found.left_out.keys()
    assert "no point is seen" in found.left_out["motion_fidelity"]
    assert "ssim" in found.figures


def test_a_tracker_of_ones_own():
    few = FlowTracker(grid=4)
    assert score(panned((3, 1)), panned((3, 1)), metrics=MOTION, tracker=few).figures["motion_fidelity"] == 1.0


def test_what_is_wrong_is_refused(tmp_path: Path):
    clip = panned((3, 1))
    with pytest.raises(SettingError, match="'beauty' came; allowed are motion_fidelity"):
        score(clip, clip, metrics=["ssim", "beauty"])
    with pytest.raises(SettingError, match="no name came"):
        score(clip, clip, metrics=[])
    with pytest.raises(SettingError, match="tracker 'eyes' is unknown"):
        score(clip, clip, tracker="eyes")
    with pytest.raises(ModelError, match=r"CoTracker is not here: .*torch\.hub\.load"):
        score(clip, clip, tracker="cotracker")
    with pytest.raises(InputError, match="is no file"):
        score(clip, clip, truth=tmp_path / "none.json")
    with pytest.raises(InputError, match="one frame"):
        score(clip, Clip.of(clip.frames[:1], 8.0))
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    for pair in ((clip, tmp_path / "noise.mp4"), (tmp_path / "none.mp4", clip)):
        with pytest.raises(InputError, match=r"noise\.mp4|none\.mp4"):
            score(*pair)


def test_frames_of_a_video_are_not_all_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each measure goes through the stream frame by frame: at no time are more than a few of its frames alive."""
    alive: list[weakref.ref] = []
    most = [0]

    class Watched(Footage):
        def __iter__(self):
            for image in super().__iter__():
                copy = image.copy()
                alive.append(weakref.ref(copy))
                yield copy
                del copy, image
                most[0] = max(most[0], sum(ref() is not None for ref in alive))

    monkeypatch.setattr(scoring, "Footage", Watched)
    clip = panned((2, 1), frames=24)
    score(clip, clip, metrics=[*MOTION, "ssim", "histogram", "temporal_consistency"])
    assert 0 < most[0] <= 4
