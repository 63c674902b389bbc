"""From a reference to a motion: how it is read, what is lifted anew, and what inversion adds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from motionlift.core.lattice import Lattice
from motionlift.core.model import Model
from motionlift.errors import InputError, SettingError
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.part import Part
from motionlift.work import code, measured
from motionlift.work import lift as lifting
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift, read_reference
from tests.motion.test_file import assert_same
from tests.twins import cogvideox, unet3d
from tests.work.trials import PROMPT, QUICK, TUNED, a_clip, counting, passes, refusal

OF_CASTING = {
    "steps": 2,
    "lr": 0.5,
    "temperature": 3.0,
    "threshold": 1.0,
    "share": 0.34,
    "target": "positions",
    "cfg": 2.0,
    "negative_prompt": "a dog",
}
"""Settings of DiTFlow that do not matter to lifting; steps do where the reference is inverted."""


@pytest.mark.parametrize(
    "sizes", [(9, 32, 32), (4, 32, 32), (2, 16, 16), (30, 32, 32), (9, 32, 90), (9, 90, 32), (9, 7, 1), (9, 601, 1203)]
)
def test_clips_of_any_length_and_aspect(model: Model, sizes: tuple[int, int, int]):
    clip = a_clip(0, *sizes) if min(sizes) > 8 else Clip.of(torch.zeros(*sizes, 3, dtype=torch.uint8), 8)
    wide = read_reference(clip, model, model.about.shape)
    frames, height, width = wide.frames.shape[:3]
    assert frames == 9
    assert abs(height - width) <= 1 and max(height, width) <= lifting.LONGEST_SIDE
    lifted = lift(clip, model, settings=QUICK)
    assert lifted.lattice == Lattice(3, 4, 4) and lifted.source.shape == model.about.shape


def test_a_clip_of_one_frame(model: Model):
    assert "at least two" in refusal(InputError, lambda: lift(a_clip(frames=1), model, settings=QUICK))


@pytest.mark.slow
def test_more_frames(model: Model):
    longer = lift(a_clip(frames=17), model, frames=17, settings=QUICK)
    assert longer.lattice.frames == 5
    video = cast(longer, PROMPT, model)
    assert len(video.clip.frames) == 17 and video.record["frames"] == 17


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ditflow", "smm", "moft"])
def test_lifting_again_costs_nothing(model: Model, method: str, monkeypatch: pytest.MonkeyPatch):
    first = lift(a_clip(), model, method, settings=QUICK)
    monkeypatch.setattr(type(model.codec), "encode", lambda *_: pytest.fail("the reference was encoded"))
    with counting(model) as counted:
        second = lift(a_clip(), model, method, settings=QUICK)
    assert_same(first, second)
    assert counted.forward == 0


@pytest.mark.slow
def test_what_is_lifted_anew(model: Model, motion_cache: Path):
    def forwards(clip: Clip | None = None, used: Any = model, method: str = "ditflow", **values: Any) -> int:
        return passes(used, lambda: lift(clip or a_clip(), used, method, settings=QUICK | values))

    assert (forwards(), forwards()) == (1, 0)
    assert forwards(block=2) == 1
    for name, value in OF_CASTING.items():
        assert forwards(**{name: value}) == 0, f"{name} matters to casting alone"
    assert forwards(method="smm") == 1
    assert forwards(a_clip(seed=1)) == 1
    assert forwards(replace(a_clip(), fps=4.0)) == 1
    assert passes(model, lambda: lift(a_clip(), model, settings=QUICK, cached=False)) == 1
    other = cogvideox()
    torch.nn.init.normal_(other.transformer.proj_out.bias)
    assert forwards(used=load(other)) == 1
    assert (forwards(), forwards(block=2)) == (0, 0)
    for path in motion_cache.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    assert (forwards(), forwards()) == (1, 0)


@pytest.mark.slow
def test_steps_matter_to_lifting_where_the_reference_is_inverted_or_a_method_says_so(model: Model):
    def lifted(method: str, **values: Any) -> int:
        return passes(model, lambda: lift(a_clip(), model, method, settings=values))

    inverting = {"inversion": True}
    assert [lifted("none", steps=steps, **inverting) for steps in (2, 3, 3)] == [2, 3, 0]
    matching = {**TUNED, "inversion": False, "beta": 0, "rank": 2}
    runs = [lifted("motionmatcher", **{**matching, "steps": steps}) for steps in (3, 4, 4)]
    assert runs[0] == runs[1] > 0 and runs[2] == 0, "its loss looks one sampling step on"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["methods/ditflow.py", "signals/displacement.py", "models/families/cogvideox.py"])
def test_after_an_edit_of_the_code_a_motion_is_lifted_anew(model: Model, monkeypatch: pytest.MonkeyPatch, path: str):
    def lifted() -> int:
        code.code_of.cache_clear()  # as in another process
        return passes(model, lambda: lift(a_clip(), model, settings=QUICK))

    assert [lifted(), lifted()] == [1, 0]
    real = code._source
    with monkeypatch.context() as patched:
        patched.setattr(code, "_source", lambda own: real(own) + (b"\nMORE = 1\n" if own == path else b""))
        assert [lifted(), lifted()] == [1, 0]
    assert lifted() == 0
    code.code_of.cache_clear()


@pytest.mark.slow
def test_clips_cut_out_of_one_file_are_lifted_apart(model: Model, tmp_path: Path):
    """They share the hash of the file."""
    path = tmp_path / "reference.mp4"
    a_clip(frames=20, height=64, width=128).save(path)
    cropped, padded = (Clip.read(path, frames=9, fps=8, aspect=(1, 1), fit=fit) for fit in ("crop", "pad"))
    later = replace(cropped, frames=cropped.frames.flip(0))
    lifted = [lift(clip, model, settings=QUICK) for clip in (cropped, padded, later)]
    apart = [lift(clip, model, settings=QUICK, cached=False) for clip in (cropped, padded, later)]
    for one, other in zip(lifted, apart, strict=True):
        assert_same(one, other)
    assert len({motion.digest() for motion in lifted}) == 3


def test_a_cached_motion_names_the_model_that_asked(model: Model, tmp_path: Path):
    lift(a_clip(), model, settings=QUICK)
    cogvideox().save_pretrained(tmp_path / "twin")
    again = load(tmp_path / "twin")
    with counting(again) as counted:
        from_folder = lift(a_clip(), again, settings=QUICK)
    assert counted.forward == 0
    assert from_folder.model == str(tmp_path / "twin")


def test_a_cache_that_cannot_be_written(model: Model, motion_cache: Path):
    motion_cache.write_text("a file")
    first, second = (lift(a_clip(), model, settings=QUICK) for _ in range(2))
    assert_same(first, second)


def test_a_bad_cap_is_refused_before_work(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", "4 GB")
    with counting(model) as counted:
        assert "MOTIONLIFT_CACHE_BYTES" in refusal(SettingError, lambda: lift(a_clip(), model, settings=QUICK))
    assert counted.forward == 0
    lift(a_clip(), model, settings=QUICK, cached=False)


INVERTING = {**QUICK, "inversion": True, "source_prompt": "a blue star on the field"}


def test_inverted_noise_is_part_of_the_motion_and_kept(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    first = lift(a_clip(), model, settings=INVERTING)
    with counting(model) as counted:
        second = lift(a_clip(), model, settings=INVERTING)
    assert counted.forward == 0, "it came from the cache"
    assert first.tensors["inverted"].shape == first.tensors["latents"].shape
    assert_same(first, second)
    other = lift(a_clip(), model, settings={**INVERTING, "source_prompt": "a red ring"})
    assert not torch.equal(first.tensors["inverted"], other.tensors["inverted"])


@pytest.mark.slow
def test_a_displacement_on_a_coarse_lattice_is_saved_and_cast(tmp_path: Path):
    """Layers of a UNet have lattices of their own."""
    unet = load(unet3d(), "cpu")
    motion = lift(a_clip(frames=4), unet, frames=4, settings={**QUICK, "block": [0, 2], "inject": False}, cached=False)
    assert {motion.tensors[f"displacement.{block}"].shape[2] for block in (0, 2)} == {64, 16}
    motion.save(tmp_path / "coarse.safetensors")
    again = Motion.load(tmp_path / "coarse.safetensors")
    assert_same(motion, again)
    frames = cast(again, PROMPT, unet).clip.frames
    assert torch.equal(frames, cast(motion, PROMPT, unet).clip.frames)


@pytest.mark.slow
def test_a_reference_is_stretched_and_taken_as_it_comes_where_asked_or_where_the_preset_says(model: Model):
    clip = a_clip(frames=20, height=32, width=64, fps=24)
    wanted = {"cached": False, "settings": QUICK}
    plain, asked = lift(clip, model, **wanted), lift(clip, model, fit="stretch", every_frame=True, **wanted)
    assert (plain.source.fps, asked.source.fps) == (pytest.approx(8 / (19 / 24)), pytest.approx(24))
    released = transfer(clip, PROMPT, model, cached=False, settings={**QUICK, "preset": "released"}).record
    assert [told.split(" ")[1] for told in released["reference_notices"]] == ["were", "first"]
    assert "stretched from 64x32" in released["reference_notices"][0]
    by_time = transfer(
        clip, PROMPT, model, cached=False, settings={**QUICK, "preset": "released"}, fit="crop", every_frame=False
    ).record
    assert not any("stretched" in told or "as they come" in told for told in by_time["reference_notices"])
    told = refusal(SettingError, lambda: lift(clip, model, slower=2, every_frame=True, **wanted))
    assert told == "slower is 2, which is by time, and every frame is to be taken; ask for one of them"
    assert "allowed is crop or pad or stretch" in refusal(
        SettingError, lambda: lift(clip, model, fit="squeeze", **wanted)
    )


@pytest.mark.slow
def test_a_part_is_lifted_from_a_file_as_from_memory(model: Model, tmp_path: Path):
    clip = a_clip(frames=30)
    clip.save(tmp_path / "a.mp4")
    own = {"cached": False, "settings": QUICK}
    from_file, from_memory = (lift(each, model, start=1.5, duration=1.1, **own) for each in (tmp_path / "a.mp4", clip))
    alone = lift(Clip.of(clip.frames[12:21], 8), model, **own)
    assert from_memory.source.fps == from_file.source.fps == alone.source.fps == 8
    assert_same(replace(from_memory, source=alone.source), alone)


def test_a_duration_is_covered_by_the_frames_there_are(model: Model):
    clip = a_clip(frames=80, width=64)
    wide = read_reference(clip, model, model.about.shape, part=Part(start=1, duration=6))
    assert wide.fps == pytest.approx(9 / 6) and len(wide.frames) == 9
    assert wide.notices[-1] == "9 frames cover 6 s, 1.5 a second; more --frames keep 8"
    for number, frame in enumerate(wide.frames):
        assert torch.equal(frame, clip.cropped((1, 1)).frames[min(79, 8 + int(number * 8 / 1.5 + 0.05 * 8 / 1.5))])
    by_rate = read_reference(clip, model, model.about.shape, fps=4, part=Part(duration=6))
    assert by_rate.fps == 4 and not any("cover" in told for told in by_rate.notices)


@pytest.mark.slow
@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("duration", [12, 500, 86400])
def test_a_duration_beyond_the_end_is_one_to_the_end(model: Model, tmp_path: Path, duration: int, in_memory: bool):
    """No more than there is can be read, and what is said of it is so."""
    clip = a_clip(frames=80, width=64)
    clip.save(tmp_path / "a.mp4")
    reference = clip if in_memory else tmp_path / "a.mp4"
    wide = read_reference(reference, model, model.about.shape, part=Part(start=1, duration=duration))
    same = read_reference(reference, model, model.about.shape, part=Part(start=1, duration=9))
    assert torch.equal(wide.frames, same.frames) and wide.fps == pytest.approx(1)
    assert wide.notices[-1] == "9 frames cover the 9 s that there are, 1 a second; more --frames keep 8"
    late, whole = (
        read_reference(reference, model, model.about.shape, part=Part(start=9.5, duration=seconds))
        for seconds in (duration, None)
    )
    assert torch.equal(late.frames, whole.frames) and late.fps == whole.fps
    assert any("shows 0.50 s, too short for 9 frames at 8 a second" in told for told in late.notices)
    assert not any("cover" in told for told in late.notices)


def test_a_duration_is_covered_as_far_as_the_lowest_rate_reaches(model: Model):
    clip = replace(a_clip(frames=40, width=64), fps=0.2)
    wide = read_reference(clip, model, model.about.shape, part=Part(duration=150))
    assert wide.fps == 0.1
    assert wide.notices[-1] == (
        "9 frames cover 90 s of the 150 s that are asked for, at the lowest rate, 0.1 a second; more --frames keep 8"
    )


@pytest.mark.slow
def test_a_folder_is_lifted_by_its_own_rate(model: Model, tmp_path: Path):
    clip = a_clip(frames=27)
    for number, frame in enumerate(clip.frames.numpy()):
        Image.fromarray(frame).save(tmp_path / f"{number:05}.png")
    own = {"cached": False, "settings": QUICK}
    for fps in (12, 24):
        found = lift(tmp_path, model, fps=fps, **own)
        same = lift(Clip.of(clip.frames, fps), model, **own)
        assert found.source.fps == same.source.fps
        assert_same(replace(found, source=same.source), same)
    every = lift(tmp_path, model, fps=24, every_frame=True, **own)
    assert every.source.fps == 24
    assert "is by time" in refusal(SettingError, lambda: lift(clip, model, fps=24, every_frame=True, **own))


@pytest.mark.slow
def test_what_cannot_be_read_of_a_reference_is_refused(model: Model):
    for wrong, told in {
        "start": (-1, "start is -1; give seconds from 0 to 86400"),
        "duration": (0, "duration is 0; give seconds from 0.001 to 86400"),
        "crop": ((2, 0), "give two numbers from 0 to 1, such as 0.3,0.5"),
        "background": ("nothing", "background is 'nothing'; give a colour"),
    }.items():
        assert told[1] in refusal(
            SettingError, lambda wrong=wrong, told=told: lift(a_clip(), model, **{wrong: told[0]})
        )
    both = refusal(SettingError, lambda: lift(a_clip(), model, fit="pad", crop="motion"))
    assert both == "crop is given, and fit is pad, which crops nothing; give one of them"


@pytest.mark.slow
def test_a_part_is_transferred_and_told(model: Model):
    """A square that moves at the right edge alone."""
    frames = torch.full((9, 32, 96, 3), 60, dtype=torch.uint8)
    for number in range(9):
        frames[number, 2 * number : 2 * number + 8, 84:92] = 250
    own = {"cached": False, "settings": QUICK}
    middle = transfer(Clip.of(frames, 8), PROMPT, model, **own).record["reference_notices"]
    assert any(told.startswith("what moves lies outside the crop in 8 of 8 steps") for told in middle[1:2])
    video = transfer(Clip.of(frames, 8), PROMPT, model, crop="motion", **own)
    assert not any("outside" in told for told in video.record["reference_notices"])
    assert video.reference is not None and int(video.reference.frames.max()) > 200


@pytest.mark.parametrize("rate", [12, 24, 30, 60])
def test_equal_motion_at_any_rate_gives_equal_displacement_a_second(model: Model, tmp_path: Path, rate: int):
    """A square at 20 pixels a second, seen for a second."""
    frames = torch.full((2 * rate, 64, 64, 3), 40, dtype=torch.uint8)
    for number in range(2 * rate):
        left = 4 + round(20 * number / rate)
        frames[number, 24:40, left : left + 16] = 230
    Clip.of(frames, rate).save(tmp_path / "a.mp4")
    wide = read_reference(tmp_path / "a.mp4", model, model.about.shape)
    assert wide.fps == 8 and len(wide.frames) == 9
    places = [float((frame.float().mean((0, 2)) > 60).nonzero().float().mean()) for frame in wide.frames]
    assert places[-1] - places[0] == pytest.approx(20, abs=1)
    assert all(abs(place - places[0] - 20 * number / 8) <= 20 / rate + 1 for number, place in enumerate(places))


@pytest.mark.slow
def test_what_a_lift_alone_took_is_kept_for_later_plans(tmp_path: Path):
    model = load(cogvideox(), "cpu")
    lift(a_clip(), model, "ditflow", settings={"steps": 2})
    assert not measured.kept().seconds, "one pass alone is not told from encoding"
    lift(a_clip(), model, "inverted", settings={"steps": 4, "source_prompt": "a red star"})
    seconds = dict(measured.kept().seconds)
    assert len(seconds) == 2 and min(seconds.values()) > 0, "a pass, and what is beside passes"
    lift(a_clip(), model, "inverted", settings={"steps": 4, "source_prompt": "a red star"})
    assert measured.kept().seconds == seconds, "the cache tells nothing of passes"
