import pytest
import torch

import motionlift
from motionlift import Clip, Motion
from motionlift.core.method import Guide
from motionlift.errors import MotionError, SettingError
from motionlift.methods import methods
from tests.twins import cogvideox, unet3d

WORDS = {"source_prompt": "a blue ring on the field", "subjects": ("ring",), "targets": ("star",), "steps": 4}
NOISE = {"source_prompt": "a blue ring on the field", "steps": 4}
ONE_OF_EACH = {"none": {}, "injection": {}, "inverted": NOISE, "flowmotion": {}, "ditflow": {}, "motionflow": WORDS}
REFUSED = ("smm", "moft")


def drifting() -> torch.Tensor:
    """A texture that moves two pixels right and one down a frame, ``9 3 64 64``."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.sin((columns - 2 * number) / 4) * torch.cos((rows - number) / 3)
        + torch.sin((rows + columns - 3 * number) / 7)
        for number in range(9)
    ]
    return (torch.stack(frames) / 2)[:, None].expand(-1, 3, -1, -1).contiguous()


def lifted(network, method, pixels, **settings) -> Motion:
    clip = Clip.from_pixels(pixels, 8)
    return motionlift.lift(clip, motionlift.load(network, "cpu"), method, frames=9, settings=settings, cached=False)


@pytest.mark.slow
@pytest.mark.parametrize("network", [cogvideox, unet3d], ids=["dit", "unet"])
@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_mirror_twice_is_the_motion(network, method):
    motion = lifted(network(), method, drifting(), **ONE_OF_EACH[method])
    once = motionlift.edit(motion, "mirror")
    twice = motionlift.edit(once, "mirror")
    torch.testing.assert_close(dict(twice.tensors), dict(motion.tensors), atol=0, rtol=0, equal_nan=True)
    assert (motion.edits, once.edits, twice.edits) == ((), ("mirror",), ("mirror", "mirror"))
    assert not torch.equal(once.tensors["latents"], motion.tensors["latents"])


@pytest.mark.slow
@pytest.mark.parametrize("network", [cogvideox, unet3d], ids=["dit", "unet"])
def test_a_mirrored_displacement_is_that_of_the_mirrored_clip(network):
    pixels = drifting()
    motion = lifted(network(), "ditflow", pixels, read="flow")
    truth = lifted(network(), "ditflow", pixels.flip(-1), read="flow")
    found = motionlift.edit(motion, "mirror")
    names = [name for name in truth.tensors if name.startswith("displacement")]
    assert names and found.tensors.keys() == truth.tensors.keys()
    for name in names:
        wanted, own, still = (each.tensors[name][0, 1] for each in (truth, found, motion))  # tokens from frame to frame
        assert torch.equal(own.isnan(), wanted.isnan())
        torch.testing.assert_close(own, wanted, atol=0.01, rtol=0, equal_nan=True)
        assert wanted[..., 0].nanmean() < -0.1 and still[..., 0].nanmean() > 0.1


@pytest.mark.parametrize("method", ONE_OF_EACH)
def test_every_motion_that_is_mirrored_is_moved(method):
    motion = lifted(cogvideox(), method, drifting(), **ONE_OF_EACH[method])
    there = motionlift.edit(motion, "move=0.25,0")
    latents, moved = motion.tensors["latents"], there.tensors["latents"]
    assert there.edits == ("move=0.25,0",) and there.tensors.keys() == motion.tensors.keys()
    assert torch.equal(moved[..., 2:], latents[..., :-2]) and not torch.equal(moved, latents)


@pytest.mark.slow
def test_a_moved_displacement_is_that_of_the_moved_clip():
    pixels = drifting()
    pixels[..., 32:] = pixels[:1, ..., 32:]  # the right half stands still
    motion = lifted(cogvideox(), "ditflow", pixels, read="flow")
    moved = torch.cat([pixels[..., :1].expand(-1, -1, -1, 16), pixels[..., :-16]], dim=-1)
    truth = lifted(cogvideox(), "ditflow", moved, read="flow")
    found = motionlift.edit(motion, "move=0.25,0")
    own, wanted, still = (each.tensors["displacement"][0, 1] for each in (found, truth, motion))
    own, wanted, still = (each.unflatten(0, (4, 4))[:, 1:] for each in (own, wanted, still))  # without what came in
    torch.testing.assert_close(own, wanted, atol=0.03, rtol=0)
    assert (still - wanted).abs().max() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("method", REFUSED)
def test_a_method_that_cannot_say_is_refused_by_name(method):
    motion = lifted(cogvideox(), method, drifting(), **({"channel_share": 0.2} if method == "moft" else {}))
    with pytest.raises(
        MotionError, match=rf"a motion of {method} cannot be edited.*change the reference and lift it again"
    ):
        motionlift.edit(motion, "mirror")


def test_every_method_can_say_or_is_refused():
    tuners = {name for name, method in methods().items() if not isinstance(method, Guide)}
    assert {*ONE_OF_EACH, *REFUSED, *tuners} == methods().keys()


def test_an_unknown_edit_is_refused():
    motion = lifted(cogvideox(), "none", drifting())
    with pytest.raises(SettingError, match="unknown edit 'rotate'; allowed are mirror, move=RIGHT,DOWN"):
        motionlift.edit(motion, "rotate")


@pytest.mark.slow
def test_an_edited_motion_is_saved_and_cast_and_told_in_the_record(tmp_path):
    motion = motionlift.edit(lifted(cogvideox(), "ditflow", drifting()), "mirror")
    motion.save(tmp_path / "motion.safetensors")
    again = Motion.load(tmp_path / "motion.safetensors")
    assert again.edits == ("mirror",)
    assert again.digest() == motion.digest()
    settings = {"steps": 2, "share": 0.5, "inner": 1}
    video = motionlift.cast(again, "a red star", motionlift.load(cogvideox(), "cpu"), settings=settings)
    assert video.record["edits"] == ["mirror"]
