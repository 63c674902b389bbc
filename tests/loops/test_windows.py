"""Videos longer than the network sees: every method in windows, noise, parts of a motion, and what one window is."""

import inspect
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from motionlift.core.lattice import Shape
from motionlift.core.method import Guide, Reference
from motionlift.core.method_settings import Tuned
from motionlift.core.tensors import INVERTED
from motionlift.core.windows import Windows
from motionlift.errors import SettingError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, fitted
from motionlift.loops.invert import invert
from motionlift.loops.windows import conditions_of, lifted_in, noise_again, part_of, windows_over
from motionlift.methods import methods
from motionlift.models.blank import emptied_pipeline
from motionlift.models.counting import META, counting
from motionlift.models.families import serving
from motionlift.motion import names
from motionlift.video.clip import Clip
from motionlift.work.cast import transfer
from tests.methods.references import finished
from tests.test_every_pair import PROMPT, tried
from tests.twins import TRANSFORMERS
from tests.twins.animatediff import animatediff
from tests.twins.cogvideox import cogvideox
from tests.work.trials import QUICK, a_clip

TWINS = {"cogvideox": cogvideox, "animatediff": animatediff}
FRAMES, WINDOW = 17, 9
"""Frames of a video, three windows of 9 for the joining twin."""


SEVERAL_SECONDS = ("motionflow", "motionmatcher", "motiondirector")


def slow_where(model: str = "", method: Any = None, **_others: Any) -> bool:
    """Which tests are slow: of methods on a UNet, and of those that look often."""
    return method is not None and (model == "animatediff" or method.name in SEVERAL_SECONDS)


@pytest.fixture(scope="module", params=TWINS)
def model(request: pytest.FixtureRequest) -> Any:
    """A twin that joins frames, and one whose positions over time end at 16."""
    pipeline = TWINS[request.param]()
    return serving(type(pipeline).__name__)(pipeline, "twin", torch.device("cpu"))


def given(model: Any, frames: int = FRAMES) -> tuple[Reference, Clip]:
    """A pattern that drifts."""
    shape = model.codec.fitting(frames)
    pattern = torch.rand(1, 3, 4, 12, generator=torch.Generator().manual_seed(0))
    size = shape.height, shape.width + 8 * shape.frames
    pattern = torch.nn.functional.interpolate(pattern, size=size, mode="bilinear") * 2 - 1
    pixels = torch.cat([pattern[..., 3 * frame : 3 * frame + shape.width] for frame in range(shape.frames)])
    clip = Clip.from_pixels(pixels, 8.0)
    return Reference(model.codec.encode(clip.pixels()), clip.pixels(), clip.pixels(), shape), clip


def lifted(method: Any, model: Any, settings: Any, windows: Windows, frames: int = FRAMES) -> dict[str, Tensor]:
    """A motion of any method, lifted in windows."""
    reference, clip = given(model, frames)
    if settings.inversion:
        conditions = conditions_of(model, settings.inversion_prompt, windows, [])
        trajectory = finished(invert(model, reference.latents, conditions, settings.steps, windows.shape, windows))
        reference = replace(reference, trajectory=trajectory)
    if isinstance(method, Guide):
        found = finished(lifted_in(windows, method, reference, clip, model, settings))
    else:
        found = finished(tuning.tuned(model, method, settings, reference, windows=windows))
        found["latents"] = reference.latents
    return found | ({INVERTED: reference.trajectory[0]} if reference.trajectory else {})


def casting(method: Any, model: Any, settings: Any, motion: Mapping[str, Tensor], windows: Windows) -> sample.Casting:
    """A cast of a motion, in windows."""
    adapter = None
    if isinstance(settings, Tuned):
        lowest = tuning.lowest_noise(model, settings, windows.shape)
        adapter = fitted(model, [Addition(names.adapter(motion), 1.0, lowest)])
    shape = model.codec.fitting(FRAMES)
    return sample.Casting(model, method, settings, motion, shape, PROMPT, 0, adapter, windows=windows)


@pytest.mark.slow
@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_every_method_lifts_and_casts_in_windows(model: Any, method: Any):
    settings = replace(tried(method, model), window=WINDOW)
    windows = windows_over(model, model.codec.fitting(FRAMES), settings)
    assert windows.several and windows.shape.frames == WINDOW
    motion = lifted(method, model, settings, windows)
    own = {names.Name.parsed(name).window for name in motion if name not in ("latents", INVERTED)}
    assert own <= {None} | set(range(len(windows)))
    result = finished(sample.cast(casting(method, model, settings, motion, windows)))
    assert result.latents.shape == model.codec.latent_shape(model.codec.fitting(FRAMES))
    assert result.latents.isfinite().all()
    assert len(model.codec.decode(result.latents)) == FRAMES


@pytest.mark.parametrize("name", ["ditflow", "flowmotion", "motionflow", "vmc"])
def test_a_window_over_everything_is_no_window_to_the_bit(model: Any, name: str):
    if model.about.family == "animatediff":
        pytest.skip("it sees no more than 16 frames")
    method = methods()[name]
    settings = tried(method, model)
    windows = windows_over(model, model.codec.fitting(FRAMES), replace(settings, window=2 * FRAMES))
    assert not windows.several
    motion = lifted(method, model, settings, windows)
    job = casting(method, model, settings, motion, windows)
    plain = finished(sample.cast(replace(job, windows=None)))
    made = finished(sample.cast(job))
    assert torch.equal(made.latents, plain.latents) and made.losses == plain.losses


@pytest.mark.slow
def test_positions_of_windows_are_saved_and_used_again(model: Any):
    if not model.positions(model.about.shape):
        pytest.skip("it has none")
    method = methods()["ditflow"]
    settings = replace(tried(method, model), window=WINDOW, target="positions", share=0.5)
    windows = windows_over(model, model.codec.fitting(FRAMES), settings)
    motion = lifted(method, model, settings, windows)
    job = casting(method, model, settings, motion, windows)
    made = finished(sample.cast(job))
    assert {names.Name.parsed(name).window for name in made.positions} == set(range(len(windows)))
    saved = replace(job, motion={**motion, **made.positions}, settings=replace(settings, target="saved"))
    torch.testing.assert_close(finished(sample.cast(saved)).latents, made.latents, atol=0, rtol=0)


@pytest.mark.slow
def test_what_windows_leave_waits_in_main_memory():
    """The meta device stands for a GPU, on which as much would lie as there are windows, and steps of an inversion."""
    with counting():
        own: Any = serving("CogVideoXPipeline")(emptied_pipeline(cogvideox()), "twin", META)
        method = methods()["motionflow"]
        settings = replace(tried(method, own), window=WINDOW)
        motion = lifted(method, own, settings, windows_over(own, own.codec.fitting(FRAMES), settings))
    places = {name: tensor.device.type for name, tensor in motion.items()}
    assert places.pop(names.LATENTS) == "meta" and INVERTED in places and set(places.values()) == {"cpu"}


@pytest.mark.slow
def test_the_network_never_sees_more_than_a_window(model: Any):
    seen = []
    method = methods()["ditflow"]
    settings = replace(tried(method, model), window=WINDOW)
    windows = windows_over(model, model.codec.fitting(FRAMES), settings)

    def look(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        latents = next(own for own in (*arguments, *named.values()) if torch.is_tensor(own) and own.ndim == 5)
        seen.append(min(latents.shape[1:3]) if model.about.family == "animatediff" else latents.shape[1])

    handles = [network.register_forward_pre_hook(look, with_kwargs=True) for network in model.network.values()]
    try:
        motion = lifted(method, model, settings, windows)
        finished(sample.cast(casting(method, model, settings, motion, windows)))
    finally:
        for handle in handles:
            handle.remove()
    length = windows.length if model.about.family != "animatediff" else min(windows.length, model.codec.channels)
    assert set(seen) == {length}


def test_a_window_of_a_reference_has_its_frames_and_their_places(model: Any):
    reference, clip = given(model)
    settings = replace(tried(methods()["ditflow"], model), window=WINDOW)
    windows = windows_over(model, reference.shape, settings)
    times = model.codec.frame_times(FRAMES)
    for number, start in enumerate(windows.starts):
        part = part_of(reference, clip, model, windows, number)
        assert torch.equal(part.latents, windows.cut(reference.latents, number)) and part.shape == windows.shape
        first = next(n for n in range(FRAMES) if torch.equal(reference.pixels[n], part.pixels[0]))
        assert [time + first for time in part.times] == times[start : start + windows.length]
        assert part.times[0] >= 0 and part.times[-1] <= len(part.pixels) - 1


def test_noise_after_the_first_window_is_that_of_the_first_in_another_order():
    windows = Windows.over(11, 4, 0.5, Shape(13, 8, 8))
    noise = torch.randn(1, 2, 11, 3, 3)
    again = noise_again(noise, windows, torch.Generator().manual_seed(0))
    assert torch.equal(again[:, :, :4], noise[:, :, :4]) and again.shape == noise.shape
    for begin in (4, 6, 8):
        before, own = again[:, :, begin - 4 : begin - 2], again[:, :, begin : begin + 2]
        assert torch.equal(before, own) or torch.equal(before.flip(2), own)
    assert noise_again(noise, Windows.whole(11, Shape(41, 8, 8)), torch.Generator()) is noise


def test_the_part_of_a_motion_goes_by_axes():
    windows = Windows.over(4, 2, 0.5, Shape(5, 8, 8))
    tensors = {"latents": torch.arange(4.0).view(1, 1, 4, 1, 1), "adapter.unet.a.weight": torch.ones(2, 2)}
    tensors |= {f"window.{number}.displacement.3": torch.full((2, 2, 1, 2), float(number)) for number in range(3)}
    part = names.part(tensors, windows, 1)
    assert part["latents"].flatten().tolist() == [1, 2] and set(part) == {
        "latents",
        "adapter.unet.a.weight",
        "displacement.3",
    }
    assert torch.equal(part["displacement.3"], tensors["window.1.displacement.3"])
    assert names.part(tensors, None, 0) is tensors


@pytest.mark.parametrize(
    ("window", "overlap", "told"),
    [
        (1, 0.5, "the window does not fit: 1 frames do not fit twin: allowed are"),
        (7, 0.5, "the window does not fit: 7 frames do not fit twin"),
        (8, 0.9, "overlap is 0.9, and a window of 2 latent frames then never moves on"),
    ],
)
def test_windows_that_cannot_be_are_refused(model: Any, window: int, overlap: float, told: str):
    if model.about.family == "animatediff":
        pytest.skip("any window fits it")
    settings = replace(tried(methods()["none"], model), window=window, overlap=overlap)
    with pytest.raises(SettingError, match=told):
        windows_over(model, model.codec.fitting(FRAMES), settings)


def test_a_window_longer_than_positions_reach_is_refused(model: Any):
    if model.about.family != "animatediff":
        pytest.skip("its positions do not end")
    settings = replace(tried(methods()["none"], model), window=17)
    with pytest.raises(SettingError, match="window is 17, and twin sees at most 16 frames: give window=16 or fewer"):
        windows_over(model, model.codec.fitting(40), settings)
    assert windows_over(model, model.codec.fitting(40), replace(settings, window=0)).several


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRANSFORMERS))
def test_every_family_makes_a_video_longer_than_its_own(name: str):
    own = TRANSFORMERS[name].model()
    shape = own.about.shape
    frames = next(number for number in range(2 * shape.frames - 2, 4 * shape.frames) if fits(own, number))
    clip = a_clip(frames=frames, height=shape.height, width=shape.width, fps=own.about.fps)
    made = transfer(clip, PROMPT, own, frames=frames, settings=QUICK, cached=False)
    assert len(made.clip.frames) == frames and len(made.record["windows"]["starts"]) > 1


def fits(model: Any, frames: int) -> bool:
    """Whether a model makes so many."""
    try:
        return bool(model.codec.fitting(frames))
    except SettingError:
        return False


def test_both_settings_are_said_to_users():
    told = {item.name: item.metadata["help"] for item in fields(methods()["none"].Settings)}
    assert told["window"] and told["overlap"] and inspect.getdoc(Windows)
