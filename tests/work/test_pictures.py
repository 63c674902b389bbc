"""Videos that begin with a picture, from a file to the video and its record."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from motionlift.errors import InputError, SettingError
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.video.picture import fitted, read_picture
from motionlift.work.cast import cast, casting_of, transfer
from motionlift.work.lift import lift
from motionlift.work.prepare import ask, prepare
from motionlift.world import scenes
from motionlift.world.named import sample_named
from tests.twins import PICTURED, TRANSFORMERS
from tests.work.trials import PROMPT, QUICK, TUNED, a_clip

MAY, MUST = PICTURED["wan-2.2-ti2v"], PICTURED["wan-2.1"]
PROMPTED = "a red star on the field"
NEAR, NEARER = 20.0, 8.0
"""Decibels (peak signal to noise) by which a first frame is near a picture, and nearer than one that was not told of it (ours: the
autoencoder gives true frames back at 26 to 28)."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Red over blue, twice as wide as high."""
    image = Image.new("RGB", (256, 128), (200, 30, 30))
    image.paste((30, 30, 200), (0, 64, 256, 128))
    image.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def clip_of(twin):
    shape = twin.shape
    return a_clip(frames=shape.frames, height=shape.height, width=shape.width, fps=16.0)


@pytest.fixture(scope="module")
def may():
    return MAY.model()


@pytest.fixture(scope="module")
def must():
    return MUST.model()


@pytest.mark.slow
def test_it_is_seen_read_and_recorded(may, photo, tmp_path):
    made = transfer(clip_of(MAY), PROMPTED, may, settings=QUICK, cached=False, picture=photo)
    plain = transfer(clip_of(MAY), PROMPTED, may, settings=QUICK, cached=False)
    assert not torch.equal(made.clip.frames, plain.clip.frames)
    assert made.record["picture_sha256"] and "picture_sha256" not in plain.record
    made.save(tmp_path / "x.mp4")
    assert json.loads((tmp_path / "x.json").read_text())["picture_sha256"] == made.record["picture_sha256"]
    again = transfer(clip_of(MAY), PROMPTED, may, settings=QUICK, cached=False, picture=Image.open(photo))
    assert torch.equal(again.clip.frames, made.clip.frames)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(methods()))
@pytest.mark.parametrize("twin", [MAY, MUST], ids=["may", "must"])
def test_every_method_runs_with_one(twin, may, must, photo, method):
    model = may if twin is MAY else must
    wanted = {
        "motionflow": {"subjects": "ring", "targets": "star"},
        "vmc": TUNED,
        "motionmatcher": TUNED,
        "flowmotion": {"inversion": True},
        "inverted": {"source_prompt": TUNED["source_prompt"]},
    }.get(method, {})
    quick = {name: value for name, value in {**QUICK, **wanted}.items() if hasattr(methods()[method].Settings(), name)}
    if method == "motionflow":
        quick["source_prompt"] = TUNED["source_prompt"]
    motion = lift(clip_of(twin), model, method, settings=quick, cached=False)
    made = cast(motion, PROMPTED, model, picture=photo)
    other = cast(motion, PROMPTED, model, picture=Image.new("RGB", (64, 64), (0, 255, 0)))
    assert made.clip.frames.shape == other.clip.frames.shape and not torch.equal(made.clip.frames, other.clip.frames)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["flowmotion", "ditflow"])
@pytest.mark.parametrize("share", [0.34, 1.0])
def test_what_is_given_stays_as_it_is_however_much_is_guided(may, photo, method, share):
    motion = lift(clip_of(MAY), may, method, settings={"steps": 3}, cached=False)
    seen: list[torch.Tensor] = []
    guided = {"share": share, "lr": 0.5, "lr_end": 0.5, "optimizer": "rms"}
    cast(motion, PROMPTED, may, settings=guided, picture=photo, advance=lambda step: seen.append(step.latents))
    given = (
        may.pictured(fitted(read_picture(photo), MAY.shape.height, MAY.shape.width).pixels())
        .text.encode(PROMPTED, MAY.shape)
        .given
    )
    final = next(latents for latents in reversed(seen) if latents is not None)
    torch.testing.assert_close(final[:, :, :1].cpu(), given.latents.to(final).cpu(), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_the_reference_is_seen_without_the_picture(may, photo, monkeypatch):
    """What is injected, and what is predicted of the reference, knows nothing of what the new video begins with."""
    motion = lift(clip_of(MAY), may, "flowmotion", settings={"steps": 3}, cached=False)
    seen = []
    predict = type(may).predict

    def watched(model, latents, level, condition, positions=None):
        output = predict(model, latents, level, condition, positions)
        seen.append((model._picture is None, latents.detach().clone()))
        return output

    monkeypatch.setattr(type(may), "predict", watched)
    cast(motion, PROMPTED, may, picture=photo)
    assert {bare for bare, _ in seen} == {True, False}


def test_a_model_that_begins_with_one_wants_one(must):
    motion = lift(clip_of(MUST), must, settings=QUICK, cached=False)
    with pytest.raises(SettingError, match="--picture FILE"):
        cast(motion, PROMPTED, must)
    with pytest.raises(SettingError, match="--picture FILE"):
        transfer(clip_of(MUST), PROMPTED, must, settings=QUICK, cached=False)


def test_a_model_of_text_alone_takes_none(photo):
    model = TRANSFORMERS["wan-2.1"].model()
    with pytest.raises(SettingError, match="from text alone"):
        transfer(a_clip(fps=16.0), PROMPTED, model, settings=QUICK, cached=False, picture=photo)


def test_a_bad_one_is_refused_before_a_model_is_loaded(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        transfer(a_clip(), PROMPT, "no-such-model", picture=tmp_path / "none.png")


def decibels(frame: torch.Tensor, other: torch.Tensor) -> float:
    """Peak signal to noise between two frames of 8 bits."""
    return float(10 * torch.log10(255**2 / (frame.float() - other.float()).square().mean()))


@pytest.mark.slow
def test_a_video_of_the_bundled_model_begins_near_the_picture():
    model = load("tiny-wan", "cpu")
    for index in range(3):
        scene = sample_named(5, index, objects=1, motion="line", unseen=True, only_named=True)
        shown = scenes.render([scene], 256, 256).frames[0, 0]
        small = fitted(read_picture(Image.fromarray(shown.numpy())), 64, 64).frames[0]
        asked = {"method": "none", "settings": {"steps": 8}, "cached": False}
        clip = a_clip(frames=17, height=64, width=64, fps=8.0)
        made = transfer(clip, scene.caption(), model, picture=Image.fromarray(shown.numpy()), **asked)
        plain = transfer(clip, scene.caption(), model, **asked)
        near = decibels(made.clip.frames[0], small)
        assert near > NEAR and near > decibels(plain.clip.frames[0], small) + NEARER
        assert "the picture of 256x256 was made 64x64" in made.record["notices"]


def test_what_its_shape_takes_is_told(may, photo):
    motion = lift(clip_of(MAY), may, settings=QUICK, cached=False)
    request = ask("ditflow", prompt=PROMPTED, motion=motion, picture=photo)
    told = prepare(request, may, motion=motion).notices
    assert told == ("the picture: frames were cropped from 256x128 to 128x128 for the shape 64x64",)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ditflow", "flowmotion", "vmc"])
@pytest.mark.parametrize("twin", [MAY, MUST], ids=["may", "must"])
def test_a_video_in_windows_begins_with_one(twin, may, must, photo, method):
    """Only the first window does where others may do without; where they may not, all do, and that is said."""
    model, frames = (may, 17) if twin is MAY else (must, 17)
    settings = {**(TUNED if method == "vmc" else QUICK), "inversion": True, "window": 9}
    settings = {name: value for name, value in settings.items() if hasattr(methods()[method].Settings(), name)}
    asked = {"method": method, "settings": settings, "frames": frames, "cached": False}
    made = transfer(clip_of(twin), PROMPTED, model, picture=photo, **asked)
    assert len(made.clip.frames) == frames and made.record["windows"]["frames"] == 9
    again = ", each of which begins with the picture" if twin is MUST else ""
    assert f"made in 3 overlapping windows of 9 frames{again}" in made.record["notices"]


@pytest.mark.slow
def test_each_window_of_the_reference_is_seen_with_the_frame_that_it_was_lifted_with(must, photo):
    """Latents of a window alone would be decoded as if its first stood for one frame."""
    clip = a_clip(frames=17, height=MUST.shape.height, width=MUST.shape.width, fps=16.0)
    motion = lift(clip, must, settings={**QUICK, "window": 9}, frames=17, cached=False)
    job = prepare(ask("ditflow", prompt=PROMPTED, motion=motion, picture=photo), must, motion=motion)
    model = must.pictured(job.picture.pixels())
    casting = casting_of(job, model, motion)
    whole = must.codec.decode(motion.tensors["latents"])
    # Of frames 0, 1-4 and 5-8 that three latent frames stand for, those nearer to a window's first than to the one before it.
    begins = {0: 0, 1: 2, 2: 5}
    seen = [casting.reference_model, *(own for _, own in casting.later)]
    assert len(seen) == 3 and all(own is not None for own in seen)
    for own, start in zip(seen, motion.windows.starts, strict=True):
        torch.testing.assert_close(own._picture, whole[begins[start] : begins[start] + 1])
    assert all(made is model for made, _ in casting.later)
