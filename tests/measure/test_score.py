"""One video measured beside its reference, from Python."""

import json
import math
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.core.lattice import Lattice, Shape
from motionlift.errors import InputError, SettingError
from motionlift.measure import alignment, leakage, metric, reward, trackers, truth
from motionlift.measure import score as scoring
from motionlift.measure.discrepancy import METRIC as DISCREPANCY
from motionlift.measure.fidelity import METRIC as FIDELITY
from motionlift.measure.score import figure_names, score
from motionlift.measure.trackers import FlowTracker, Frames, PointTracks
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage, frames_of
from motionlift.video.part import WHOLE, Part, Taken
from motionlift.work.video import Video
from motionlift.world import scenes
from tests import twins
from tests.measure.test_trackers import panned
from tests.video.made import write
from tests.work.trials import a_clip

MOTION = ("motion_fidelity", "motion_fidelity_moving", "moving_share", "motion_discrepancy")


@pytest.fixture(autouse=True)
def _nothing_to_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights in any cache, nothing loaded before, and no network."""
    forget_models()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(reward, "CACHE", tmp_path / "reward")

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("socket.create_connection", refused)
    yield
    forget_models()


def forget_models() -> None:
    for model in (alignment._clip, metric._tracker, reward._reward, leakage._lpips):
        model.cache_clear()


def scene(index: int = 1) -> scenes.Scene:
    return scenes.sample(3, index, 17, objects=1, motion="line", camera="still")


def shown(which: scenes.Scene, side: int = 64) -> Clip:
    return Clip.of(scenes.render([which], side, side).frames[0], 8.0)


@pytest.mark.slow
def test_a_video_beside_itself():
    found = score(panned((3, 1)), panned((3, 1)))
    assert found.figures["motion_fidelity"] == found.figures["motion_fidelity_moving"] == 1.0
    assert found.figures["motion_discrepancy"] == 0.0
    assert found.figures["moving_share"] == 1.0
    assert found.figures["ssim"] == pytest.approx(1.0) and found.figures["histogram"] == pytest.approx(1.0)
    assert found.notices == ()
    assert "motion_fidelity_legacy" not in found.figures and "motion_fidelity_legacy" not in found.left_out


@pytest.mark.slow
def test_what_needs_weights_is_left_out_and_said():
    found = score(panned((3, 1)), panned((3, 1)), prompt="a picture")
    assert found.left_out.keys() | found.figures.keys() == {*figure_names()} - {"motion_fidelity_legacy"}
    assert "openai/clip-vit-large-patch14" in found.left_out["clip_text"] == found.left_out["clip_frames"]
    assert "pip install image-reward" in found.left_out["image_reward"]
    assert "pip install 'motionlift[lpips]'" in found.left_out["lpips"]
    assert "motionlift world" in found.left_out["aligned_error"]


@pytest.mark.slow
def test_other_motion_is_told_apart():
    right = panned((3, 0))
    others = {step: score(right, panned(step), metrics=MOTION).figures for step in ((1.5, 0), (0, 3), (-3, 0), (0, 0))}
    assert others[1.5, 0]["motion_fidelity"] > 0.95
    assert abs(others[0, 3]["motion_fidelity"]) < 0.3
    assert others[-3, 0]["motion_fidelity"] < -0.9
    assert abs(others[0, 0]["motion_fidelity"]) < 0.1 and others[0, 0]["motion_fidelity_moving"] == 0.0
    assert others[0, 0]["moving_share"] == pytest.approx(0.5, abs=0.1)
    assert others[1.5, 0]["motion_discrepancy"] < others[-3, 0]["motion_discrepancy"]


@pytest.mark.slow
def test_only_what_is_asked_is_measured(monkeypatch: pytest.MonkeyPatch):
    taken = []
    found = score(panned((3, 1)), panned((3, 1)), metrics=["ssim", "clip_text"], advance=taken.append)
    assert found.figures.keys() == {"ssim"} and found.left_out.keys() == {"clip_text"}
    assert taken == ["alignment", "leakage"]


@pytest.mark.slow
def test_the_older_figure_is_given_beside_the_others():
    found = score(panned((3, 1)), panned((3, 1)), metrics=["motion_fidelity"], legacy=True)
    assert found.figures.keys() == {"motion_fidelity", "motion_fidelity_legacy"}
    asked = score(panned((3, 1)), panned((3, 1)), metrics=["motion_fidelity_legacy"])
    assert asked.figures["motion_fidelity_legacy"] == found.figures["motion_fidelity_legacy"] < 1.0


@pytest.mark.slow
def test_clip_figures_need_a_model_and_a_prompt(tmp_path: Path):
    twins.clip(tmp_path)
    names = ["clip_text", "clip_frames"]
    found = score(panned((3, 1)), panned((3, 1)), prompt="a red star", metrics=names, clip_model=str(tmp_path))
    assert found.figures.keys() == {*names}
    silent = score(panned((3, 1)), panned((3, 1)), metrics=names, clip_model=str(tmp_path))
    assert silent.figures.keys() == {"clip_frames"} and "--prompt" in silent.left_out["clip_text"]


@pytest.mark.slow
def test_models_that_are_not_to_be_had_take_their_own_figures_alone(tmp_path: Path):
    clip, absent = panned((3, 1)), str(tmp_path / "none")
    for names in (None, ["motion_fidelity", "clip_text", "clip_frames", "ssim"]):
        found = score(clip, clip, prompt="a red star", metrics=names, clip_model=absent)
        assert found.figures["motion_fidelity"] == 1.0 and "ssim" in found.figures
        assert found.left_out["clip_text"] == found.left_out["clip_frames"]
        assert "is not to be had as a CLIP model" in found.left_out["clip_text"]
    for weights in (None, tmp_path / "none.pth"):
        found = score(clip, clip, tracker="cotracker", tracker_weights=weights, metrics=[*MOTION, "ssim"])
        assert found.figures.keys() == {"ssim"} and found.left_out.keys() == {*MOTION}
        assert re.match(r"CoTracker is not here: .*torch\.hub\.load", found.left_out["motion_fidelity"])


def test_truth_gives_the_exact_figures(tmp_path: Path):
    path, own = tmp_path / "clip.json", scene()
    path.write_text(json.dumps(own.record()))
    exact = truth.METRIC.names
    found = score(shown(own), shown(own), prompt=own.caption(), truth=path, metrics=exact)
    assert found.left_out == {} and found.figures["aligned_error"] < 0.02
    assert (found.figures["colour"], found.figures["background"]) == (1.0, 1.0)
    untold = score(shown(own), shown(own), prompt="a dog", truth=path, metrics=exact)
    assert untold.left_out.keys() == {"colour", "shape", "background", "looks_leaked"}
    resting = scenes.sample(1, 0, 17, objects=1, motion="rest", camera="still")
    path.write_text(json.dumps(resting.record()))
    assert math.isnan(score(shown(resting), shown(resting), truth=path, metrics=exact).figures["direction_cosine"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 100), (320, 400), (160, 160)])
def test_other_sizes_are_brought_together_and_said(size: tuple[int, int]):
    """Also another shape: of the reference the middle is taken, whose motion is the same."""
    generated = panned((3, 1))
    reference = generated.resized(*size) if size != (160, 160) else Clip.of(generated.frames[:, :, 20:-20], 12.0)
    for pair in ((reference, generated), (generated, reference)):
        found = score(*pair, metrics=[*MOTION, "ssim"])
        assert found.figures["motion_fidelity"] > 0.95
        assert "the reference was brought from" in found.notices[0]


@pytest.mark.slow
def test_other_rates_and_lengths_are_compared_by_time_and_said():
    whole = panned((2, 1), frames=13)
    halved = Clip.of(whole.frames[::2], 6.0)
    found = score(whole, halved, metrics=[*MOTION, "ssim"])
    assert found.figures["motion_fidelity"] > 0.98 and found.figures["ssim"] > 0.99
    assert found.notices == ("the reference has 13 frames and the generated video 7: they are compared by time",)
    slower = score(whole, Clip.of(whole.frames, 4.0), metrics=MOTION)
    assert "both are taken to show the same motion from beginning to end" in slower.notices[0]
    assert slower.figures["motion_fidelity"] == 1.0
    assert "--from-start" not in slower.notices[0], "the reference is the shorter one"


@pytest.mark.slow
def test_of_a_longer_reference_the_beginning_can_be_taken():
    """As a transfer reads it: from its start, at the rate of what was made."""
    whole = panned((1.5, 1), frames=24)
    made = Clip.of(whole.frames[:11:2], 6.0)
    names = [*MOTION, "ssim"]
    found = score(whole, made, metrics=names, from_start=True)
    assert found.figures["ssim"] == pytest.approx(1.0) and found.figures["motion_fidelity"] > 0.95
    assert found.notices == (
        "of the reference's 2.00 s the first 0.92 s are taken",
        "the reference has 11 frames and the generated video 6: they are compared by time",
    )
    stretched = score(whole, made, metrics=names)
    assert stretched.figures["ssim"] < 0.9
    assert stretched.figures["motion_discrepancy"] > 2 * found.figures["motion_discrepancy"]
    assert stretched.notices[0].startswith("the reference plays 2.00 s and the generated video 1.00 s: both are taken")
    assert "take the beginning (--from-start) or another part (--start, --duration)" in stretched.notices[0]
    shorter = score(made, whole, metrics=["ssim"], from_start=True)
    assert shorter.figures == score(made, whole, metrics=["ssim"]).figures, "there is nothing to cut off"


WIDE = {"frames": 9, "fps": 12, "aspect": (40, 32), "longest": 64}
"""How a part of a wide video is read."""


def wide(path: Path) -> Path:
    """Twenty-four frames of 64x40, twelve a second, of which nothing but a square at the right moves, and each is another grey."""
    images = [np.full((40, 64, 3), 20 + 8 * number, np.uint8) for number in range(24)]
    for number, image in enumerate(images):
        image[number : number + 8, 48:60] = (250, 40, 40)
        image[5:30, 4 : 4 + number // 8] = (40, 250, 40)
    return write(path, images, lossless=True, rate=12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"start": 0.5, "crop": (0.9, 0.5)},
        {"start": 0.5, "crop": "motion"},
        {"start": 1, "fit": "pad"},
        {"duration": 0.75, "fit": "stretch"},
    ],
    ids=str,
)
def test_the_part_that_was_read_is_compared(tmp_path: Path, how: dict[str, Any]):
    """What is read of a part is the same as that part of the reference, in a file or in memory, and another than its beginning."""
    file = wide(tmp_path / "wide.mp4")
    whole = Clip.of(torch.from_numpy(np.stack(list(Footage.of(file)))), 12)
    part = Part(how.get("start", 0.0), how.get("duration"), how.get("crop"))
    for reference in (file, whole):
        read = partial(Clip.read, reference) if isinstance(reference, Path) else reference.sampled
        made = read(**WIDE, fit=how.get("fit", "crop"), part=part)
        found = score(reference, made, metrics=["ssim", "histogram"], from_start=True, **how).figures
        assert found["ssim"] > 0.99 and found["histogram"] > 0.95
        assert score(reference, made, metrics=["ssim"], from_start=True).figures["ssim"] < found["ssim"] - 0.05


def test_of_every_second_so_many_frames_are_taken(tmp_path: Path):
    file = wide(tmp_path / "wide.mp4")
    made = Clip.read(file, **{**WIDE, "fps": 6}, part=Part(0.5))
    found = score(file, made, metrics=["ssim"], start=0.5, fps=6)
    assert found.figures["ssim"] > 0.99
    assert not any("compared by time" in told for told in found.notices), "they have as many"
    with pytest.raises(SettingError, match="crops nothing"):
        score(file, made, fit="pad", crop=(0.1, 0.1))
    with pytest.raises(InputError, match="give an earlier --start"):
        score(file, made, start=5)


def of_a_part(place: Path, reference: Path, which: Part, **changes: Any) -> Path:
    """A video with its record as a transfer writes them, of a model that gives back what it is given."""
    made = Clip.read(reference, **WIDE, part=which)
    assert made.taken is not None
    shape = Shape(*made.frames.shape[:3])
    motion = Motion({}, "none", {}, "twin", "0", Lattice(1, 1, 1), Source(made.sha256, made.fps, shape), "0")
    record = {"source": {"sha256": made.sha256}, "part": made.taken.told(), **changes}
    Video(made, record, motion).save(place)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_the_part_is_that_of_the_videos_record(tmp_path: Path, suffix: str):
    """Of a GIF it is beside it. What is asked for goes before what it says."""
    file, names = wide(tmp_path / "wide.mp4"), ["ssim", "histogram"]
    made = of_a_part(tmp_path / f"made{suffix}", file, Part(0.5, crop="motion"))
    found, frames = score(file, made, metrics=names), Clip.read(file, **WIDE, part=Part(0.5, crop="motion"))
    assert frames.taken is not None and found.figures["ssim"] > 0.9
    where = frames.taken.part.crop
    bare = tmp_path / f"bare{suffix}"
    frames.save(bare)
    assert found.figures == score(file, bare, metrics=names, start=0.5, crop=where, from_start=True).figures
    told = "the reference is taken as the generated video's record says that it was read: from 0.5 s on, cropped about "
    assert found.notices[0].startswith(told)
    assert found.notices[1] == "of the part's 1.50 s the first 0.75 s are taken, as the generated video's record says"
    assert score(file, bare, metrics=names).figures["ssim"] < found.figures["ssim"] - 0.1
    asked = score(file, made, metrics=names, start=0, crop=(0.5, 0.5), from_start=False)
    assert asked.figures == score(file, bare, metrics=names).figures
    assert (
        "but for what is asked for: from 0.5 s on, with black" in score(file, made, fit="pad", metrics=names).notices[0]
    )


@pytest.mark.slow
def test_a_record_of_another_reference_or_of_no_part_says_nothing(tmp_path: Path):
    file = wide(tmp_path / "wide.mp4")
    part = Part(0.5, crop=(0.9, 0.5))
    for changes in (
        {"source": {"sha256": "0"}},
        {"source": None},
        {"part": None},
        {"part": {"start": -1, "fit": "crop"}},
    ):
        made = of_a_part(tmp_path / "made.mp4", file, part, **changes)
        assert not any("record" in told for told in score(file, made, metrics=["histogram"]).notices)
    whole = of_a_part(tmp_path / "made.mp4", file, Part())
    (told, *_) = score(file, whole, metrics=["histogram"]).notices
    assert told == "of the reference's 2.00 s the first 0.75 s are taken, as the generated video's record says"


def test_of_a_part_the_truth_of_the_whole_is_not_told(tmp_path: Path):
    path, own = tmp_path / "clip.json", scene()
    path.write_text(json.dumps(own.record()))
    clip = shown(own)
    found = score(clip, clip, truth=path, prompt=own.caption(), metrics=["aligned_error", "colour"], start=0.5)
    assert found.figures.keys() == {"colour"} and "another part" in found.left_out["aligned_error"]


@pytest.mark.slow
def test_what_follows_the_beginning_is_not_decoded(monkeypatch: pytest.MonkeyPatch):
    decoded = []

    def counted(*arguments: Any) -> Iterator[np.ndarray]:
        for number, image in enumerate(frames_of(*arguments)):
            decoded.append(number)
            yield image

    monkeypatch.setattr(scoring, "frames_of", counted)
    whole = panned((1, 1), frames=24)
    found = score(whole, Clip.of(whole.frames[:8], whole.fps), metrics=["histogram"], from_start=True)
    assert found.figures["histogram"] == pytest.approx(1.0) and decoded == list(range(8))


@pytest.mark.slow
def test_how_the_truth_is_read_is_said_where_that_is_not_all_of_it(tmp_path: Path):
    """It is in seconds, and is not stretched as the other measures stretch."""
    path, own = tmp_path / "clip.json", scene()
    path.write_text(json.dumps(own.record()))
    clip = shown(own)
    names = ["aligned_error", "motion_fidelity"]
    assert score(clip, clip, truth=path, metrics=names).notices == ()
    slower = score(clip, Clip.of(clip.frames, 4.0), truth=path, metrics=names)
    assert slower.figures["motion_fidelity"] == 1.0 and slower.figures["aligned_error"] > 0.02
    assert "both are taken to show the same motion from beginning to end" in slower.notices[0]
    assert slower.notices[1] == (
        "the truth tells of 2.12 s and is not stretched: it is read from its beginning at the times of the generated video, "
        "which plays 4.25 s, and its last place is held after its end"
    )
    part = score(clip, Clip.of(clip.frames[:9], 8.0), truth=path, metrics=names, from_start=True)
    assert part.figures["motion_fidelity"] == 1.0 and part.figures["aligned_error"] < 0.02
    assert part.notices[0] == "of the reference's 2.12 s the first 1.12 s are taken"
    assert part.notices[1].endswith("which plays 1.12 s")
    assert score(clip, Clip.of(clip.frames[::2], 4.0), truth=path, metrics=["aligned_error"]).notices == (
        "the reference has 17 frames and the generated video 9: they are compared by time",
    )


def noise(frames: int, height: int, width: int) -> Clip:
    generator = torch.Generator().manual_seed(0)
    return Clip.of(torch.randint(0, 256, (frames, height, width, 3), generator=generator, dtype=torch.uint8), 8.0)


@pytest.mark.parametrize(
    ("size", "lost"), [((8, 8), {"lpips"}), ((8, 1024), {"ssim", "lpips"}), ((8, 2048), {"ssim", "lpips"})]
)
def test_figures_that_small_or_thin_videos_have_not_are_left_out(tmp_path: Path, size: tuple[int, int], lost: set[str]):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(scene().record()))
    clip = noise(3, *size)
    names = ["ssim", "lpips", "histogram", "temporal_consistency", "motion_fidelity", "seen_share"]
    found = score(clip, clip, truth=path, metrics=names, tracker=FlowTracker(4))
    assert lost <= found.left_out.keys() <= {*lost, "motion_fidelity"}
    assert all(
        re.match(r"the frames are compared at .* need sides of at least (6|31);", found.left_out[name]) for name in lost
    )
    assert {"histogram", "temporal_consistency", "seen_share"} <= found.figures.keys()


class Loads:
    """How often each model was loaded, by stand-ins of the packages."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.counts = {"reward": 0, "lpips": 0, "cotracker": 0}
        for name in reward.FILES:
            (reward.CACHE / name).parent.mkdir(exist_ok=True)
            (reward.CACHE / name).touch()
        for place in (
            folder / "hub" / "checkpoints" / leakage.LPIPS_WEIGHTS,
            folder / "hub" / "checkpoints" / trackers.HUB_WEIGHTS,
            folder / "hub" / trackers.HUB_FOLDER / "hubconf.py",
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        torch.save({}, folder / "hub" / "checkpoints" / trackers.HUB_WEIGHTS)
        package = ModuleType("ImageReward")
        package.load = lambda *_, **__: self.loaded("reward", lambda prompt, picture: 0.5)
        monkeypatch.setitem(sys.modules, "ImageReward", package)
        monkeypatch.setattr(reward.util, "find_spec", lambda name: object())
        monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
        perceptual = ModuleType("torchmetrics.image.lpip")
        perceptual.LearnedPerceptualImagePatchSimilarity = lambda **_: self.loaded(
            "lpips", lambda one, other: one - other
        )
        monkeypatch.setitem(sys.modules, "torchmetrics.image.lpip", perceptual)
        monkeypatch.setattr(torch.hub, "load", lambda *_, **__: self.loaded("cotracker", self.followed))

    def loaded(self, name: str, call: Callable[..., Any]) -> Any:
        self.counts[name] += 1
        stand_in = torch.nn.Identity()
        stand_in.forward, stand_in.score, stand_in.model = call, call, torch.nn.Identity()
        return stand_in

    @staticmethod
    def followed(video: torch.Tensor, grid_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        frames = video.shape[1]
        tracks = torch.arange(frames).float()[None, :, None, None].expand(1, frames, 4, 2)
        return tracks, torch.ones(1, frames, 4)


@pytest.fixture
def loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    return Loads(tmp_path, monkeypatch).counts


def test_models_are_loaded_once_for_many_videos(loads: dict[str, int]):
    clip = panned((3, 1), frames=3)
    names = ["motion_fidelity", "image_reward", "lpips"]
    for _ in range(2):
        found = score(clip, clip, prompt="a red star", metrics=names, tracker="cotracker")
        assert found.left_out == {} and found.figures == {"motion_fidelity": 1.0, "image_reward": 0.5, "lpips": 0.0}
    assert loads == {"reward": 1, "lpips": 1, "cotracker": 1}


def test_models_that_nothing_needs_are_not_loaded(loads: dict[str, int], tmp_path: Path):
    clip = panned((3, 1), frames=3)
    score(clip, clip, prompt="a red star", metrics=["ssim", "histogram"], tracker="cotracker")
    found = score(clip, clip, metrics=["image_reward", "clip_text"], clip_model=str(tmp_path / "none"))
    assert loads == {"reward": 0, "lpips": 0, "cotracker": 0}
    assert found.left_out == dict.fromkeys(("clip_text", "image_reward"), "give a prompt (--prompt)")


@pytest.mark.slow
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


@pytest.mark.slow
def test_nothing_that_can_be_followed_is_no_failure():
    found = score(panned((3, 1)), panned((3, 1)), tracker=Blind(4))
    assert {*FIDELITY.names, *DISCREPANCY.names} - {"motion_fidelity_legacy"} <= found.left_out.keys()
    assert "no point is seen" in found.left_out["motion_fidelity"]
    assert "ssim" in found.figures


@pytest.mark.slow
def test_that_little_could_be_followed_is_said():
    seen = panned((3, 1))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, seen.frames.shape, generator=generator, dtype=torch.uint8)
    (notice,) = score(seen, Clip.of(noise, seen.fps), metrics=MOTION).notices
    assert notice.startswith("only ") and "of the points of the generated video could be followed" in notice


@pytest.mark.slow
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
    with pytest.raises(SettingError, match="the tracker flow takes no weights"):
        score(clip, clip, tracker_weights="own.pth", metrics=["ssim"])
    with pytest.raises(InputError, match="is no file"):
        score(clip, clip, truth=tmp_path / "none.json")
    with pytest.raises(InputError, match="one frame"):
        score(clip, Clip.of(clip.frames[:1], 8.0))
    (tmp_path / "noise.mp4").write_bytes(b"noise" * 100)
    for pair in ((clip, tmp_path / "noise.mp4"), (tmp_path / "none.mp4", clip)):
        with pytest.raises(InputError, match=r"noise\.mp4|none\.mp4"):
            score(*pair)


@pytest.mark.slow
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


def as_made(clip: Clip, reference: Clip, part: Part = WHOLE) -> Video:
    """A video as transfer gives it, of a reference in memory."""
    shape = Shape(*clip.frames.shape[:3])
    motion = Motion({}, "none", {}, "twin", "0", Lattice(1, 1, 1), Source(reference.sha256, reference.fps, shape), "0")
    return Video(clip, {"source": {"sha256": reference.sha256}, "part": Taken(part).told()}, motion)


def test_a_video_just_made_is_scored_with_its_record(tmp_path: Path):
    reference = a_clip(frames=16, fps=8.0)
    part = Part(0.5, crop=(0.5, 0.5))
    made = as_made(Clip.of(reference.frames[4:10], 8.0), reference, part)
    found = score(reference, made, metrics=["ssim", "histogram"])
    assert found.figures["ssim"] == 1.0
    assert "as the generated video's record says that it was read: from 0.5 s on" in found.notices[0]
    alone = score(reference, made.clip, metrics=["ssim"], start=0.5, from_start=True)
    assert alone.figures["ssim"] == 1.0
    assert score(made, made.clip, metrics=["ssim"]).figures["ssim"] == 1.0


def test_frames_in_memory_are_scored_at_the_rate_of_the_other():
    clip = a_clip(frames=9, fps=8.0)
    pictures = [Image.fromarray(frame.numpy()) for frame in clip.frames]
    for frames in (clip.frames, clip.frames.numpy(), clip.frames.movedim(-1, 1).float() / 255, pictures):
        found = score(frames, clip, metrics=["ssim"])
        assert found.figures["ssim"] == 1.0
        (told,) = found.notices
        assert told.startswith("the reference: frames in memory have no rate") and "taken as 8 a second" in told
    (told,) = score(clip, pictures, metrics=["ssim"]).notices
    assert told.startswith("the generated video: ") and "taken as 8 a second" in told
    both = score(pictures, pictures, metrics=["ssim"]).notices
    assert len(both) == 2 and all("taken as 24 a second" in told for told in both)
    both = score(pictures, pictures, metrics=["ssim"], fps=np.int64(12)).notices
    assert len(both) == 2 and all("taken as 12 a second" in told for told in both)
