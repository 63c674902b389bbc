"""Videos that begin with a picture, against the pipelines of diffusers that take one."""

import pytest
import torch
from PIL import Image

import motionlift
from lab.evidence import PROMPT, Loss, difference, gradient, noise_of, own_pictured, picture_of, slope_error, video
from motionlift.core.model import Pictures
from motionlift.errors import SettingError
from motionlift.models.picturing import remade, shown
from tests.twins import GUIDED, PICTURED, TRANSFORMERS, unet3d

STEPS = 4
CLOSE = 1e-5
"""Largest difference from the pipeline's own, by the largest value."""
BOTH = ("ltx", "ltx-2", "wan-2.2-ti2v")
"""Those that make videos without a picture too."""
DRAWN = ("ltx", "ltx-2")
"""Of these the pipeline draws the picture's latents, or compresses the picture as videos are."""


@pytest.fixture(scope="module", params=sorted(PICTURED))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def twin(name):
    return PICTURED[name]


@pytest.fixture(scope="module")
def model(twin):
    return twin.model()


@pytest.fixture(scope="module")
def pictured(twin, model):
    return model.pictured(picture_of(twin.shape))


def owned(twin, pictured, call):
    """What the pipeline with a picture makes by itself of the noise that our loop begins with."""
    return own_pictured(twin.build(), twin.row, pictured, twin.shape, STEPS, call).latents


def test_it_says_whether_its_videos_begin_with_a_picture(name, model):
    assert model.about.pictures is (Pictures.MAY if name in BOTH else Pictures.MUST)


@pytest.mark.slow
def test_a_video_is_the_pipelines_own(twin, model, pictured):
    own = owned(twin, pictured, {})
    found = video(pictured, twin.shape, STEPS, cfg=1.0)
    assert difference(found, own) < CLOSE
    other = model.pictured(picture_of(twin.shape, seed=8))
    assert difference(video(other, twin.shape, STEPS, cfg=1.0), own) > 100 * CLOSE


def test_a_prompt_is_weighed_as_the_pipeline_weighs_it(twin, model, pictured):
    own = owned(twin, pictured, twin.guided)
    assert difference(video(pictured, twin.shape, STEPS, cfg=GUIDED), own) < CLOSE


def test_what_is_injected_leaves_the_picture_its_own_keys_and_values(name, twin, model, pictured):
    """Where it is one of the video's own frames, and not an argument of the network."""
    latents, level = noise_of(model, twin.shape), model.schedule(STEPS, twin.shape).levels[1]
    bare = model if name in BOTH else pictured
    seen = bare.record(latents, level, bare.text.encode(PROMPT, twin.shape), (0,), features=False)[0]
    kept = model.lattice(twin.shape).area if name in BOTH else 0
    text = 3 if twin.row.cross is None else 0
    own = torch.randn(2, seen.key.shape[1], seen.key.shape[2] + text, seen.key.shape[3])
    query, *changed = pictured._injected(seen)((own, own, own))
    begin = text if twin.row.text_first else 0
    video = slice(begin, begin + seen.key.shape[2])
    assert torch.equal(query, own)
    for found, recorded in zip(changed, (seen.key, seen.value), strict=True):
        assert torch.equal(found[:, :, video][:, :, :kept], own[:, :, video][:, :, :kept])
        assert torch.equal(found[:, :, video][:, :, kept:], recorded[:, :, kept:].expand(2, -1, -1, -1))
        assert torch.equal(found[:, :, : video.start], own[:, :, : video.start])
        assert torch.equal(found[:, :, video.stop :], own[:, :, video.stop :])


def test_the_first_frame_is_the_picture(name, twin, model, pictured):
    if name not in BOTH:
        assert pictured.text.encode(PROMPT, twin.shape).given is None, "it is an argument"
        return
    made = video(pictured, twin.shape, STEPS, cfg=GUIDED)
    if name not in DRAWN:
        encoded = model.codec.encode(picture_of(twin.shape))
        assert difference(made[:, :, :1], encoded) < CLOSE
    given = pictured.text.encode(PROMPT, twin.shape).given
    assert given.frames == 1 and difference(made[:, :, :1], given.latents) < CLOSE


def test_without_a_picture_nothing_changes(name, twin, model, pictured):
    if name in BOTH:
        plain = video(TRANSFORMERS[name].model(), twin.shape, STEPS, cfg=1.0)
        torch.testing.assert_close(video(model, twin.shape, STEPS, cfg=1.0), plain, atol=0, rtol=0)
        return
    with pytest.raises(SettingError, match="begin with a picture: give one"):
        model.text.encode(PROMPT, twin.shape)


def test_what_lies_under_the_picture_makes_no_difference(name, twin, pictured):
    if name not in BOTH:
        pytest.skip("the picture stands beside the latents")
    noise, other = noise_of(pictured, twin.shape), noise_of(pictured, twin.shape, seed=9)
    changed = torch.cat([other[:, :, :1], noise[:, :, 1:]], dim=2)
    level, condition = pictured.schedule(STEPS, twin.shape).levels[1], pictured.text.encode(PROMPT, twin.shape)
    last = pictured.about.blocks - 1
    seen = [pictured.record(each, level, condition, [last])[last] for each in (noise, changed)]
    torch.testing.assert_close(seen[0].query, seen[1].query, atol=0, rtol=0)


def test_displacement_has_the_slope_that_differences_have(name, twin, pictured):
    noise = noise_of(pictured, twin.shape)
    loss = Loss(pictured, twin.shape, pictured.about.blocks - 1).of_latents
    steepest = gradient(pictured, loss, {"latents": noise})
    assert slope_error(pictured, loss, {"latents": noise}, steepest, 0.02) < 0.01
    if name in BOTH:
        assert not steepest["latents"][:, :, :1].any() and steepest["latents"][:, :, 1:].any()


def test_what_is_recorded_reads_the_words_and_not_the_picture(twin, pictured):
    """Of the tokens that it attends to those of the text alone are kept."""
    level, shape = pictured.schedule(STEPS, twin.shape).levels[1], twin.shape
    seen = [
        pictured.record(noise_of(pictured, shape), level, pictured.text.encode(prompt, shape), [0])[0].cross.key
        for prompt in (PROMPT, PROMPT.replace("star", "ring"))
    ]
    assert seen[0].shape == seen[1].shape and (seen[0] - seen[1]).abs().max() > 1e-5


def test_positions_are_there_before_a_picture_is(twin, model, pictured):
    before, after = model.positions(twin.shape), pictured.positions(twin.shape)
    assert before.keys() == after.keys()
    for key, own in before.items():
        torch.testing.assert_close(own, after[key])


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
def test_a_pipeline_of_either_class_is_the_same_model(kind):
    twin = PICTURED[kind]
    other = twin.model(remade(twin.build(), twin.row.picturing.pipeline))
    assert other.about.identity == twin.model().about.identity and other.about.pictures is Pictures.MAY
    found, wanted = (video(each, twin.shape, STEPS, cfg=1.0) for each in (other, twin.model()))
    torch.testing.assert_close(found, wanted, atol=0, rtol=0)


@pytest.mark.slow
def test_a_saved_model_that_begins_with_a_picture_is_loaded(tmp_path):
    twin = PICTURED["wan-2.1"]
    twin.build().save_pretrained(tmp_path / "saved")
    loaded = motionlift.load(str(tmp_path / "saved"), device="cpu").pictured(picture_of(twin.shape))
    level, latents = loaded.schedule(STEPS, twin.shape).levels[0], noise_of(loaded, twin.shape)
    model = twin.model().pictured(picture_of(twin.shape))
    found, wanted = (each.predict(latents, level, each.text.encode(PROMPT, twin.shape)) for each in (loaded, model))
    assert difference(found, wanted) < CLOSE


@pytest.mark.parametrize("made", [lambda: TRANSFORMERS["wan-2.1"].model(), lambda: motionlift.load(unet3d())])
def test_a_model_that_reads_text_alone_takes_none(made):
    model = made()
    assert model.about.pictures is Pictures.NEVER
    with pytest.raises(SettingError, match="from text alone"):
        model.pictured(torch.zeros(1, 3, 32, 32))


def test_a_view_counts_its_passes_with_the_model(twin, model):
    counted = model.counted()
    view = counted.pictured(picture_of(twin.shape))
    video(view, twin.shape, STEPS, cfg=1.0)
    assert counted.passes.forward == STEPS


def test_a_picture_is_shown_as_it_is():
    pixels = picture_of(TRANSFORMERS["ltx"].shape)
    seen = shown(pixels, TRANSFORMERS["ltx"].shape)
    assert isinstance(seen, Image.Image) and seen.size == (64, 64)
    back = torch.frombuffer(bytearray(seen.tobytes()), dtype=torch.uint8).view(64, 64, 3).permute(2, 0, 1).float()
    torch.testing.assert_close(back / 127.5 - 1, pixels[0], atol=1e-6, rtol=0)
