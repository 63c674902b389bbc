"""Videos longer than the model sees at once, from a clip to a video: files, edits, drawings, records, rates, refusals."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.core.model import Model
from motionlift.errors import MotionError, SettingError
from motionlift.motion.drawing import draw_lifted
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.cast import cast, transfer
from motionlift.work.edit import edit
from motionlift.work.lift import lift
from tests.methods.references import twin
from tests.work.trials import PROMPT, QUICK, a_clip, refusal

LONG = 17
"""Frames of a video that the twin, made for 9, makes in three windows."""
WORDS = {"source_prompt": "a blue ring on the field", "subjects": "ring", "targets": "star"}


@pytest.fixture(scope="module")
def model() -> Model:
    """A twin that was made for 9 frames."""
    return twin()


@pytest.fixture(scope="module")
def motion(model: Model) -> Motion:
    """A displacement in windows."""
    return lift(a_clip(frames=LONG), model, frames=LONG, settings=QUICK, cached=False)


@pytest.mark.slow
def test_a_motion_in_windows_is_kept_and_cast_as_it_was_lifted(model: Model, motion: Motion, tmp_path: Path):
    assert motion.windows is not None and motion.windows.told() == {
        "windows": {"frames": 9, "length": 3, "starts": [0, 1, 2]}
    }
    motion.save(tmp_path / "m.safetensors")
    read = Motion.load(tmp_path / "m.safetensors")
    assert read.windows == motion.windows and read.digest() == motion.digest()
    one, two = (cast(each, PROMPT, model) for each in (motion, read))
    assert torch.equal(one.clip.frames, two.clip.frames) and len(one.clip.frames) == LONG
    assert one.record["windows"] == motion.windows.told()["windows"]
    assert one.record["notices"] == ["made in 3 overlapping windows of 9 frames"]


@pytest.mark.slow
def test_a_cast_in_windows_is_compared_with_its_reference(
    model: Model, motion: Motion, monkeypatch: pytest.MonkeyPatch
):
    compared: list[tuple[Motion, Clip, Clip]] = []
    monkeypatch.setattr("motionlift.work.cast.unlike_lines", lambda *given: compared.append(given) or ["unlike"])
    video = cast(motion, PROMPT, model)
    ((same, reference, made),) = compared
    assert same is motion and reference.frames.shape == made.frames.shape and len(made.frames) == LONG
    assert "unlike" in video.record["notices"]


def test_a_longer_window_makes_none(model: Model):
    asked: Mapping[str, Any] = {**QUICK, "window": LONG}
    whole = lift(a_clip(frames=LONG), model, frames=LONG, settings=asked, cached=False)
    assert whole.windows is None and not any(name.startswith("window.") for name in whole.tensors)
    with pytest.raises(
        SettingError, match="window is 9, but the motion was lifted with 17: lift it again with window=9"
    ):
        cast(whole, PROMPT, model, settings={"window": 9})


@pytest.mark.slow
def test_a_long_motion_from_before_there_were_windows_is_cast_whole(model: Model):
    settings = {**QUICK, "window": LONG}
    whole = lift(a_clip(frames=LONG), model, frames=LONG, settings=settings, cached=False)
    older = {name: value for name, value in whole.settings.items() if name not in ("window", "overlap")}
    old = replace(whole, settings=older)
    assert torch.equal(cast(old, PROMPT, model).clip.frames, cast(whole, PROMPT, model).clip.frames)


def test_a_mirrored_motion_in_windows_is_that_of_every_window_mirrored(motion: Motion):
    mirrored = edit(motion, "mirror")
    assert mirrored.windows == motion.windows
    for number in range(3):
        name = f"window.{number}.displacement.1"
        field = motion.tensors[name].unflatten(2, (4, 4)).flip(3).flatten(2, 3) * torch.tensor([-1.0, 1.0])
        torch.testing.assert_close(mirrored.tensors[name], field, equal_nan=True)


@pytest.mark.slow
def test_a_motion_in_windows_is_drawn(model: Model, motion: Motion):
    clip = a_clip(frames=LONG)
    assert len(draw_lifted(motion, clip).frames) == LONG
    words = {**WORDS, "steps": 3, "share": 0.5, "block": 1}
    maps = lift(clip, model, "motionflow", frames=LONG, settings=words, cached=False)
    assert maps.windows is not None and len(draw_lifted(maps, clip).frames) == LONG


@pytest.mark.parametrize(
    "told",
    [
        {"frames": 9, "length": 3, "starts": [0, 1]},
        {"frames": 9, "length": 3, "starts": [1, 2]},
        {"frames": 9, "length": 1, "starts": [0, 4]},
        {"frames": 9, "length": 3, "starts": []},
        {"length": 3, "starts": [0, 1, 2]},
        "three",
    ],
)
def test_windows_that_no_motion_has_are_refused(
    motion: Motion, tmp_path: Path, told: Any, monkeypatch: pytest.MonkeyPatch
):
    assert motion.windows is not None
    monkeypatch.setattr(type(motion.windows), "told", lambda _: {"windows": told})
    motion.save(tmp_path / "m.safetensors")
    with pytest.raises(MotionError, match=r"does not say what a motion must say|holds"):
        Motion.load(tmp_path / "m.safetensors")


def test_a_tensor_of_a_window_that_is_not_there_is_refused(motion: Motion, tmp_path: Path):
    more = {**motion.tensors, "window.3.displacement.1": motion.tensors["window.2.displacement.1"]}
    replace(motion, tensors=more).save(tmp_path / "m.safetensors")
    with pytest.raises(MotionError, match=r"holds 'window.3.displacement.1', and tells of no such window"):
        Motion.load(tmp_path / "m.safetensors")


def test_optical_flow_is_read_in_windows(model: Model):
    flow = lift(a_clip(frames=LONG), model, frames=LONG, settings={**QUICK, "read": "flow"}, cached=False)
    assert sum(name.endswith("displacement") for name in flow.tensors) == 3


@pytest.mark.slow
def test_a_rate_is_that_of_reading_and_of_the_video(model: Model):
    clip, wanted = a_clip(frames=40, fps=8.0), {"cached": False, "settings": QUICK}
    plain, fast, slow = (lift(clip, model, fps=fps, **wanted) for fps in (None, 8.0, 2))
    assert plain.source.fps == model.about.fps == 8.0
    assert torch.equal(plain.tensors["latents"], fast.tensors["latents"]) and slow.source.fps == 2.0
    video = transfer(clip, PROMPT, model, fps=4.0, **wanted)
    assert video.clip.fps == 4.0 and video.reference is not None
    assert torch.equal(video.reference.frames, Clip.of(clip.frames[::2][:9], 4.0).frames)
    assert lift(clip, model, fps=4.0, slower=2, **wanted).source.fps == 2.0
    released = {"cached": False, "settings": {**QUICK, "preset": "released"}}
    assert lift(clip, model, fps=4.0, frames=9, size=(32, 32), **released).source.fps == 4.0


@pytest.mark.parametrize("fps", [0, -1.0, 241, float("nan"), True])
def test_no_such_rate(model: Model, fps: Any):
    told = refusal(SettingError, lambda: lift(a_clip(), model, fps=fps, cached=False))
    assert told == f"fps is {fps!r}; give a number from 0.1 to 240"


def test_a_rate_and_every_frame_contradict(model: Model):
    told = refusal(SettingError, lambda: lift(a_clip(), model, fps=4.0, every_frame=True, cached=False))
    assert told == "fps is 4, which is by time, and every frame is to be taken; ask for one of them"


def test_no_video_is_longer_than_ten_thousand_frames(model: Model):
    told = refusal(SettingError, lambda: lift(a_clip(), model, frames=10_001, cached=False))
    assert told == "frames is 10001; allowed is a whole number from 2 to 10000"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"window": 1}, "the window does not fit: 1 frames do not fit twin"),
        ({"window": 10_001}, "window is 10001; allowed is a whole number from 0 to 10000"),
        ({"overlap": 1.0}, "overlap is 1.0; allowed is a number from 0 to 0.9"),
        ({"window": 8, "overlap": 0.9}, "overlap is 0.9, and a window of 2 latent frames then never moves on"),
    ],
)
def test_no_such_windows(model: Model, settings: Mapping[str, Any], told: str):
    given = {**QUICK, **settings}
    assert told in refusal(
        SettingError, lambda: lift(a_clip(frames=LONG), model, frames=LONG, settings=given, cached=False)
    )


@pytest.mark.slow
def test_a_motion_that_was_lifted_upright_is_cast_upright(model: Model):
    upright = lift(a_clip(height=64, width=32), model, size=(32, 64), settings=QUICK, cached=False)
    assert tuple(cast(upright, PROMPT, model).clip.frames.shape[1:3]) == (64, 32)
