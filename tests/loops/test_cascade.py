"""The stages of a cascade: what is given stays, windows of any number tie up, and each stage does what it says."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.training import tiny_upscaler
from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.schedule import Level
from motionlift.errors import InputError, ModelError, SettingError
from motionlift.loops.cascade import Interpolation, Stage, VideoToVideo, blended, check_number, checked_stage, windows
from motionlift.models.loading import load
from motionlift.video.clip import Clip
from motionlift.work.cast import cast, interpolation, transfer
from motionlift.work.lift import lift
from motionlift.world import scenes
from motionlift.world import upscaler as upscaling
from motionlift.world.upscaling import SuperResolution, super_resolution
from tests.twins import cogvideox, unet3d
from tests.work.trials import PROMPT, a_clip


@pytest.fixture(scope="module")
def unet() -> Any:
    return load(unet3d(), "cpu")


@pytest.fixture(scope="module")
def upscaler() -> SuperResolution:
    torch.manual_seed(0)
    network = upscaling.network().eval().requires_grad_(False)
    with torch.no_grad():
        network.conv_out.weight *= 20  # an untrained network says next to nothing
    return SuperResolution(network, upscaling.scheduler(), steps=2)


def finished(steps: Any) -> tuple[Any, list[Any]]:
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


@pytest.mark.parametrize(("count", "length"), [(2, 2), (5, 5), (6, 5), (9, 5), (10, 5), (100, 8), (1, 4)])
def test_windows_cover_all_frames_and_share_their_ends(count: int, length: int):
    found = windows(count, length)
    assert found[0][0] == 0 and found[-1][1] == count
    assert all(end - start <= length for start, end in found)
    assert all(one[1] - 1 == other[0] for one, other in itertools.pairwise(found))
    assert sorted({frame for start, end in found for frame in range(start, end)}) == list(range(count))


def test_a_window_of_one_frame_is_refused():
    with pytest.raises(SettingError, match="a window has 1 frame; give two or more"):
        windows(4, 1)


# Interpolation


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4, 9])
def test_given_frames_stay_and_others_come_between(unet: Any, count: int):
    clip = a_clip(frames=count, fps=2.0)
    stage = Interpolation(unet, factor=4, steps=3, strength=0.7)  # two of three steps
    made, steps = finished(stage.run(clip, PROMPT, 0))
    assert len(made.frames) == 4 * (count - 1) + 1 and made.fps == 8.0
    assert torch.equal(made.frames[::4], clip.frames)
    between = made.frames[2].float()
    assert all((between - clip.frames[number].float()).abs().mean() > 1 for number in (0, 1))
    spans = windows(count, (16 - 1) // 4 + 1)
    assert [step.index for step in steps] == list(range(2 * len(spans))) and steps[0].total == 2 * len(spans)


def test_at_every_step_the_network_sees_the_given_frames_at_its_noise_level(unet: Any, monkeypatch: pytest.MonkeyPatch):
    seen: dict[Level, torch.Tensor] = {}
    predict = unet.predict

    def watched(latents: torch.Tensor, level: Level, *more: Any) -> torch.Tensor:
        seen[level] = latents[:1].clone()
        return predict(latents, level, *more)

    monkeypatch.setattr(unet, "predict", watched)
    clip = a_clip(frames=3, fps=2.0)
    finished(Interpolation(unet, factor=4, steps=4).run(clip, PROMPT, 5))
    clean, schedule = unet.codec.encode(clip.pixels()), unet.schedule(4)
    noise = torch.randn(1, 4, 9, 8, 8, generator=torch.Generator().manual_seed(5))
    assert len(seen) == 3
    for level, latents in seen.items():
        torch.testing.assert_close(latents[:, :, ::4], schedule.noised(clean, noise[:, :, ::4], level))


@pytest.mark.slow
def test_the_seed_decides_what_lies_between(unet: Any):
    clip, stage = a_clip(frames=3, fps=2.0), Interpolation(unet, steps=2)
    one, again, other = (finished(stage.run(clip, PROMPT, seed))[0].frames for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_what_cannot_be_interpolated_is_refused(unet: Any):
    with pytest.raises(ModelError, match=r"joins frames, so that single ones cannot be held; .* such as tiny-unet"):
        interpolation(cogvideox(), 4)
    for factor in (1, 9):
        with pytest.raises(SettingError, match=f"the factor is {factor}; allowed is a whole number from 2 to 8"):
            interpolation(unet, factor)
    with pytest.raises(SettingError, match="one frame has none between"):
        finished(Interpolation(unet).run(Clip.of(a_clip().frames[:1], 8.0), PROMPT, 0))
    with pytest.raises(SettingError, match="10001 frames would come of it; at most 10000"):
        finished(Interpolation(unet, factor=4).run(a_clip(frames=2501), PROMPT, 0))


@pytest.mark.slow
def test_of_frames_of_another_shape_the_middle_is_kept_and_that_is_told(unet: Any, upscaler: SuperResolution):
    clip = a_clip(frames=3, height=32, width=64, fps=2.0)
    told = "frames were cropped from 64x32 to 32x32 for the shape 32x32"
    made, _ = finished(Interpolation(unet, steps=2).run(clip, PROMPT, 0))
    assert torch.equal(made.frames[::4], clip.frames[:, :, 16:48])
    assert made.notices == (told,)
    painted, _ = finished(VideoToVideo(Painter(), 32, 32, frames=5).run(clip, PROMPT, 0))
    assert torch.equal(painted.frames, 255 - clip.frames[:, :, 16:48])
    assert painted.notices == (told,)
    larger, _ = finished(upscaler.run(painted, PROMPT, 0))
    assert larger.notices == (told,)
    motion = lift(a_clip(), unet, "none", frames=6, settings={"steps": 2}, cached=False)
    video = cast(motion, PROMPT, unet, stages=[VideoToVideo(Painter(), 16, 32, frames=6), upscaler])
    first, second = video.record["cascade"]
    assert first["notices"] == ["frames were cropped from 32x32 to 32x16 for the shape 32x16"]
    assert "notices" not in second and video.clip.notices == tuple(first["notices"])


def test_weighted_means_of_neighbours():
    given = torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    means = blended(given, 4)
    assert means.shape == (9, 3, 2, 2)
    assert means[:, 0, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0]


# Super-resolution


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 8, 9, 17])
def test_twice_the_size_for_any_length(upscaler: SuperResolution, count: int):
    clip = a_clip(frames=count)
    made, steps = finished(upscaler.run(clip, PROMPT, 0))
    assert made.frames.shape == (count, 64, 64, 3) and made.fps == clip.fps
    assert len(steps) == 2 * len(windows(count, 8))


@pytest.mark.slow
def test_a_window_is_given_the_frame_that_the_one_before_ended_with(
    upscaler: SuperResolution, monkeypatch: pytest.MonkeyPatch
):
    told: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    original = upscaling.residual

    def watched(network: Any, noisy: Any, timestep: Any, base: Any, given: Any, mask: Any) -> Any:
        told.append((base, given, mask))
        return original(network, noisy, timestep, base, given, mask)

    monkeypatch.setattr(upscaling, "residual", watched)
    made, _ = finished(upscaler.run(a_clip(frames=15), PROMPT, 0))
    first, second = told[0], told[2]
    assert not first[2].any() and second[2].tolist() == [[True, *[False] * 7]]
    shared = second[0][:, :, 0] + upscaling.SPREAD * second[1][:, :, 0]
    assert Clip.from_pixels(shared, 8.0).frames.equal(made.frames[7:8])


def test_a_network_that_knows_the_residual_restores_the_frames():
    """Against the truth: the true residual in, true frames out."""
    scene = scenes.sample(0, 3, 8)
    small, large = (scenes.render([scene], side, side).frames[0] for side in (64, 128))
    pixels = large.permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    base = upscaling.enlarged(small.permute(3, 0, 1, 2)[None].float() / 127.5 - 1)
    clean = upscaling.folded((pixels - base) / upscaling.SPREAD)
    schedule = upscaling.scheduler()

    class Knowing(torch.nn.Module):
        def forward(self, *inputs: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
            return (clean,)

    made, _ = finished(SuperResolution(Knowing(), schedule, steps=4).run(Clip.of(small, 8.0), PROMPT, 0))
    assert (made.frames.float() - large.float()).abs().max() <= 1


@pytest.mark.slow
def test_the_bundled_stage_adds_what_enlarging_lost():
    """On a held-out clip of two windows, nearer to the true larger frames than any filter, in each window."""
    scene = scenes.sample(0, 5, 12, objects=1, unseen=True)
    small, large = (scenes.render([scene], side, side).frames[0] for side in (64, 128))
    made, _ = finished(super_resolution("cpu").run(Clip.of(small, 8.0), "", 0))
    base = upscaling.enlarged(Clip.of(small, 8.0).pixels().transpose(0, 1)[None])[0].transpose(0, 1)
    filtered = Clip.from_pixels(base, 8.0).frames
    for window in (slice(0, 8), slice(8, 12)):
        error, before = ((own[window].float() - large[window]).square().mean() for own in (made.frames, filtered))
        assert error < before


def test_sides_that_cannot_be_enlarged_are_refused(upscaler: SuperResolution):
    with pytest.raises(SettingError, match="frames of 30x34 cannot be enlarged; sides must be multiples of 4"):
        finished(upscaler.run(a_clip(height=34, width=30), PROMPT, 0))


def test_squares_of_pixels_fold_and_unfold():
    frames = torch.randn(2, 3, 5, 16, 8, generator=torch.Generator().manual_seed(0))
    assert upscaling.folded(frames).shape == (2, 12, 5, 8, 4)
    assert torch.equal(upscaling.unfolded(upscaling.folded(frames)), frames)


@pytest.mark.slow
def test_given_frames_and_only_they_are_out_of_the_loss():
    small, large, _ = tiny_upscaler.batch(0)
    torch.manual_seed(0)
    network = upscaling.network()
    mask = torch.zeros(len(small), 8, dtype=torch.bool)
    mask[:, 0] = True
    schedule = upscaling.scheduler()
    whole = [
        float(tiny_upscaler.upscaling_loss(network, schedule, small, large, own, 3).detach())
        for own in (mask, ~mask, mask & ~mask)
    ]
    assert all(math.isfinite(value) for value in whole) and len(set(whole)) == 3


# Any pipeline of diffusers


class Painter:
    """A video-to-video pipeline that inverts its frames, and remembers how it was called."""

    def __init__(self):
        self.calls: list[dict[str, Any]] = []

    def __call__(self, **given: Any) -> Any:
        import numpy as np

        self.calls.append(given)
        frames = np.stack([255 - np.asarray(image) for image in given["video"]]) / 255
        return type("Output", (), {"frames": [frames]})()


def test_a_pipeline_paints_every_window_anew():
    painter, clip = Painter(), a_clip(frames=12, height=24)
    made, steps = finished(VideoToVideo(painter, 48, 64, frames=5, strength=0.4, steps=7).run(clip, PROMPT, 3))
    assert torch.equal(made.frames, 255 - clip.resized(48, 64).frames)
    assert [len(call["video"]) for call in painter.calls] == [5, 5, 5], "a short window is made whole"
    assert {(call["prompt"], call["strength"], call["num_inference_steps"]) for call in painter.calls} == {
        (PROMPT, 0.4, 7)
    }
    assert len(steps) == 3
    with pytest.raises(SettingError, match=r"the strength is 1.2; allowed is a number from 0.05 to 1.0"):
        finished(VideoToVideo(painter, 48, 64, strength=1.2).run(clip, PROMPT, 3))


@pytest.mark.slow
def test_a_real_pipeline_of_diffusers_serves():
    from diffusers import CogVideoXVideoToVideoPipeline

    parts = cogvideox().components
    pipeline = CogVideoXVideoToVideoPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    for count in (17, 20):
        made, _ = finished(
            VideoToVideo(pipeline, 32, 32, frames=9, strength=0.5, steps=2).run(a_clip(frames=count), PROMPT, 0)
        )
        assert made.frames.shape == (count, 32, 32, 3)
    with pytest.raises(ModelError, match=r"CogVideoXVideoToVideoPipeline makes .* frames of 11"):
        finished(VideoToVideo(pipeline, 32, 32, frames=11, strength=0.5, steps=2).run(a_clip(frames=11), PROMPT, 0))


# All together


def test_every_stage_says_beforehand_what_will_come_of_it(unet: Any, upscaler: SuperResolution):
    clip = a_clip(frames=3, fps=4.0)
    for stage in (Interpolation(unet, factor=2, steps=2), upscaler, VideoToVideo(Painter(), 48, 64, frames=5)):
        assert isinstance(stage, Stage)
        made, _ = finished(stage.run(clip, PROMPT, 0))
        told = stage.shaped(Shape(*clip.frames.shape[:3]), clip.fps, PROMPT)
        assert told == (Shape(*made.frames.shape[:3]), made.fps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["interpolation", "super-resolution"])
def test_runs_that_take_turns_give_what_each_gives_alone(unet: Any, upscaler: SuperResolution, kind: str):
    stage: Any = Interpolation(unet, factor=2, steps=2) if kind == "interpolation" else upscaler
    other = replace(stage, steps=5)
    clip = a_clip(frames=3, fps=4.0)
    alone = [finished(one.run(clip, PROMPT, seed))[0].frames for seed, one in enumerate((stage, other))]
    views = [stage.counted(), other.counted()]
    assert all(not view.passes.forward for view in views)
    runs = [view.run(clip, PROMPT, seed) for seed, view in enumerate(views)]
    made: dict[int, torch.Tensor] = {}
    while len(made) < len(runs):
        for number, run in enumerate(runs):
            try:
                next(run)
            except StopIteration as stop:
                made.setdefault(number, stop.value and stop.value.frames)
    assert all(torch.equal(made[number], frames) for number, frames in enumerate(alone))
    share = 2 if kind == "interpolation" else 1  # both prompts
    steps = [max(1, round(0.7 * count)) if kind == "interpolation" else count for count in (2, 5)]
    assert [view.passes.forward for view in views] == [share * count for count in steps]


def test_what_a_later_stage_cannot_take_is_refused_before_anything_runs(unet: Any, upscaler: SuperResolution):
    motion = lift(a_clip(), unet, "none", frames=6, settings={"steps": 2}, cached=False)
    stages = [VideoToVideo(Painter(), 30, 34), upscaler]
    before = unet.passes.forward
    with pytest.raises(SettingError, match="frames of 34x30 cannot be enlarged"):
        cast(motion, PROMPT, unet, stages=stages)
    with pytest.raises(InputError, match=r"the prompt has .* tokens"):
        transfer(a_clip(), "star " * 40, unet, method="none", stages=[interpolation(unet, 2)])
    assert unet.passes.forward == before


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("between", {"steps": 0}, "the number of steps is 0; allowed is a whole number from 1 to 1000"),
        ("between", {"steps": 501}, "steps is 501; .* allows 1 to 500"),
        ("between", {"cfg": math.nan}, "the cfg is nan; allowed is a number from 0.0 to 100.0"),
        ("between", {"strength": -1.0}, "the strength is -1.0; allowed is a number from 0.05 to 1.0"),
        ("larger", {"steps": -1}, "the number of steps is -1; allowed is a whole number from 1 to 1000"),
        ("larger", {"steps": 1001}, "the number of steps is 1001; allowed is a whole number from 1 to 1000"),
        ("painted", {"frames": 1}, "the number of frames at once is 1; allowed is a whole number from 2 to 10000"),
        ("painted", {"height": 0}, "height is 0; give a whole number of pixels from 1 to 16384"),
        ("painted", {"width": 20000}, "width is 20000; give a whole number of pixels from 1 to 16384"),
        ("painted", {"steps": 0}, "the number of steps is 0; allowed is a whole number from 1 to 1000"),
        ("painted", {"height": 16384, "width": 16384}, "6 frames of 16384x16384 take more than 4 GiB"),
    ],
)
def test_a_stage_of_numbers_that_are_not_allowed_is_refused_before_anything_runs(
    unet: Any, upscaler: SuperResolution, kind: str, changes: dict[str, Any], told: str
):
    motion = lift(a_clip(), unet, "none", frames=6, settings={"steps": 2}, cached=False)
    stages = {"between": Interpolation(unet), "larger": upscaler, "painted": VideoToVideo(Painter(), 32, 32)}
    seen = list[Step]()
    with pytest.raises(SettingError, match=told):
        cast(motion, PROMPT, unet, stages=[replace(stages[kind], **changes)], advance=seen.append)
    assert not seen


def test_frames_too_large_to_be_written_are_not_enlarged(upscaler: SuperResolution):
    with pytest.raises(SettingError, match=r"height of the enlarged frames is 32768; give .* from 1 to 16384"):
        upscaler.shaped(Shape(2, 16384, 16), 8.0, PROMPT)
    with pytest.raises(SettingError, match="1025 frames of 2048x1024 take more than 4 GiB"):
        upscaler.shaped(Shape(1025, 512, 1024), 8.0, PROMPT)


@pytest.mark.parametrize("number", [2.0, True, math.nan, 1, 6])
def test_what_must_be_whole_is_refused_where_it_is_not(number: float):
    with pytest.raises(SettingError, match=f"the factor is {number}; allowed is a whole number from 2 to 5"):
        check_number("factor", number, (2, 5))
    check_number("factor", 5, (2, 5))
    check_number("cfg", 5, (0.0, 100.0))


def test_what_is_no_stage_is_refused_and_told_what_it_lacks(upscaler: SuperResolution):
    assert checked_stage(upscaler) is upscaler
    with pytest.raises(
        SettingError, match="int is no stage of a cascade: it lacks name, passes, counted, shaped, run;"
    ):
        checked_stage(3)


def test_more_frames_a_second_than_can_be_written_are_refused_before_anything_runs(unet: Any, tmp_path: Path):
    """A reference of a fifth of a second is read at 75 frames a second, which is known once it was read."""
    motion = lift(a_clip(fps=30.0), unet, "none", frames=6, settings={"steps": 2}, cached=False)
    motion = replace(motion, source=replace(motion.source, fps=96.0))
    a_clip(frames=3, fps=30.0).save(tmp_path / "short.mp4")
    stages, seen = [replace(interpolation(unet, 4), steps=2)], list[Step]()
    with pytest.raises(SettingError, match="96 frames a second would become 384; at most 240 are made: give a smaller"):
        cast(motion, PROMPT, unet, stages=stages, advance=seen.append)
    with pytest.raises(
        SettingError, match=r"75 frames a second would become 300; .*smaller factor, or another reference"
    ):
        transfer(
            tmp_path / "short.mp4", PROMPT, unet, method="none", frames=6, stages=stages, advance=seen.append,
            settings={"steps": 2},
        )  # fmt: skip
    assert not seen


@pytest.mark.slow
def test_a_slower_motion_is_filled_in_to_the_model_s_rate(unet: Any, upscaler: SuperResolution):
    reference = a_clip(frames=21)
    motion = lift(reference, unet, "none", frames=6, settings={"steps": 2}, cached=False, slower=4)
    assert motion.source.fps == 2.0
    stages = [replace(interpolation(unet, 4), steps=3), upscaler]
    video = cast(motion, PROMPT, unet, stages=stages)
    assert tuple(video.clip.frames.shape) == (21, 64, 64, 3) and video.clip.fps == 8.0
    assert [stage["stage"] for stage in video.record["cascade"]] == ["interpolation", "super-resolution"]
    phases = {phase["name"]: phase["passes"]["forward"] for phase in video.record["phases"]}
    assert [*phases][-2:] == ["interpolation", "super-resolution"] and phases["super-resolution"] == 2 * 3
    assert phases["interpolation"] == 2 * 2 * 2 and len(video.keyframes.frames) == 6
