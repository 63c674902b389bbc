"""Several videos in one call, generators, and diffusers' callback."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from motionlift.core.model import Model
from motionlift.errors import InputError, SettingError, Stopped
from motionlift.motion.file import Motion
from motionlift.work.cast import CastOptions, TransferOptions, cast, transfer
from motionlift.work.lift import lift
from motionlift.work.several import seed_of, wanted
from tests.motion.test_file import assert_same
from tests.work.trials import PROMPT, QUICK, TUNED, a_clip, counting, refusal

OTHER = "the dog"


@pytest.mark.slow
def test_every_prompt_with_every_seed(model: Model, motion: Motion):
    videos = cast(motion, [PROMPT, OTHER], model, seeds=[1, 2])
    assert [(video.record["prompt"], video.record["seed"]) for video in videos] == [
        (PROMPT, 1),
        (PROMPT, 2),
        (OTHER, 1),
        (OTHER, 2),
    ]
    alone = cast(motion, OTHER, model, seed=1)
    assert torch.equal(videos[2].clip.frames, alone.clip.frames)
    assert videos[2].record["passes"] == alone.record["passes"]


@pytest.mark.slow
def test_a_list_of_one_gives_a_list(model: Model, motion: Motion):
    (one,) = cast(motion, [PROMPT], model, settings={"steps": 1, "share": 0.0})
    (other,) = cast(motion, PROMPT, model, seeds=[0], settings={"steps": 1, "share": 0.0})
    assert torch.equal(one.clip.frames, other.clip.frames)


@pytest.mark.slow
def test_a_transfer_of_several_lifts_once(model: Model):
    with counting(model) as both:
        first, second = transfer(a_clip(), [PROMPT, OTHER], model, settings=QUICK, cached=False)
    with counting(model) as alone:
        own = transfer(a_clip(), OTHER, model, settings=QUICK, cached=False)
    with counting(model) as lifting:
        lift(a_clip(), model, settings=QUICK, cached=False)
    assert both.forward == 2 * alone.forward - lifting.forward
    assert torch.equal(second.clip.frames, own.clip.frames)
    assert [phase["name"] for phase in first.record["phases"]] == ["read", "lift", "cast", "decode"]
    assert [phase["name"] for phase in second.record["phases"]] == ["cast", "decode"]


def test_what_cannot_be_asked_for():
    assert "at least one" in refusal(InputError, lambda: wanted([]))
    assert "list of seeds" in refusal(SettingError, lambda: wanted("a", seeds=[]))
    assert "seed and seeds are given" in refusal(SettingError, lambda: wanted("a", seed=1, seeds=[2]))
    one = torch.Generator()
    assert "seeds and generator" in refusal(SettingError, lambda: wanted("a", seeds=[2], generator=one))
    assert "1 generators came for 2 prompts" in refusal(SettingError, lambda: wanted(["a", "b"], generator=[one]))
    assert "at most 1000" in refusal(SettingError, lambda: wanted(["a"] * 501, seeds=[1, 2]))


def test_a_bad_prompt_of_several_is_refused_before_any_work(model: Model, motion: Motion):
    with counting(model) as counted:
        refusal(InputError, lambda: cast(motion, [PROMPT, " "], model))
        refusal(SettingError, lambda: cast(motion, PROMPT, model, seeds=[1, -1]))
    assert counted.forward == 0


@pytest.mark.slow
def test_negative_prompt_is_the_setting(model: Model, motion: Motion):
    values = {"steps": 2, "share": 0.5}
    one = cast(motion, PROMPT, model, settings=values, negative_prompt=OTHER)
    other = cast(motion, PROMPT, model, settings={**values, "negative_prompt": OTHER})
    assert torch.equal(one.clip.frames, other.clip.frames)
    assert one.record["settings"]["negative_prompt"] == OTHER
    both = {**values, "negative_prompt": "a cat"}
    refusal(SettingError, lambda: cast(motion, PROMPT, model, settings=both, negative_prompt=OTHER))


def test_a_fresh_generator_is_its_seed_and_gives_others_after():
    generator = torch.Generator().manual_seed(3)
    seeds = [seed_of(generator) for _ in range(3)]
    assert seeds[0] == 3 and len(set(seeds)) == 3
    again = torch.Generator().manual_seed(3)
    assert [each.seed for each in wanted(["a", "b", "c"], generator=again)] == seeds
    each = [torch.Generator().manual_seed(number) for number in (5, 6)]
    assert [own.seed for own in wanted(["a", "b"], generator=each)] == [5, 6]


@pytest.mark.slow
def test_generator_makes_the_video_of_its_seed(model: Model, motion: Motion):
    one = cast(motion, PROMPT, model, generator=torch.Generator().manual_seed(4))
    assert one.record["seed"] == 4
    assert torch.equal(one.clip.frames, cast(motion, PROMPT, model, seed=4).clip.frames)


@pytest.mark.slow
def test_the_callback_is_called_as_diffusers_does(model: Model, motion: Motion):
    told: list[tuple[int, float, torch.Size]] = []

    def on_step_end(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        told.append((step, float(timestep), kwargs["latents"].shape))
        assert pipe.about.name == model.about.name
        return kwargs

    plain = cast(motion, PROMPT, model)
    called = cast(motion, PROMPT, model, callback_on_step_end=on_step_end)
    levels = model.schedule(QUICK["steps"]).levels
    assert [step for step, *_ in told] == [0, 1, 2]
    assert [timestep for _, timestep, _ in told] == [level.timestep for level in levels]
    assert torch.equal(called.clip.frames, plain.clip.frames)
    assert_same(called.motion, plain.motion)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["ddim", "unipc"])
def test_latents_that_the_callback_gives_back_are_gone_on_with(model: Model, motion: Motion, sampler: str):
    """Whatever was before: two runs that differ end alike, once both are given the same latents."""

    def same(_pipe: Any, step: int, _timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {"latents": torch.ones_like(kwargs["latents"])} if step == 0 else kwargs

    values = {"steps": 2, "share": 0.0, "sampler": sampler}
    runs = [cast(motion, PROMPT, model, seed=seed, settings=values, callback_on_step_end=same) for seed in (1, 2)]
    assert torch.equal(runs[0].clip.frames, runs[1].clip.frames)
    wrong = {"latents": torch.ones(1)}
    told = refusal(InputError, lambda: cast(motion, PROMPT, model, callback_on_step_end=lambda *_: wrong))
    assert "gave back latents of (1,)" in told


@pytest.mark.slow
def test_cancelling_by_the_callback_leaves_the_model_as_it_was(model: Model, motion: Motion):
    class EnoughError(Exception):
        pass

    def raises(_pipe: Any, step: int, _timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if step == 1:
            raise EnoughError
        return kwargs

    def interrupts(pipe: Any, _step: int, _timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        pipe._interrupt = True
        return kwargs

    before = cast(motion, PROMPT, model)
    with pytest.raises(EnoughError):
        cast(motion, PROMPT, model, callback_on_step_end=raises)
    with pytest.raises(Stopped, match="after step 1 of 3"):
        cast(motion, PROMPT, model, callback_on_step_end=interrupts)
    assert torch.equal(cast(motion, PROMPT, model).clip.frames, before.clip.frames)


@pytest.mark.slow
def test_frames_in_memory_are_a_reference(model: Model):
    """Taken at the model's own rate, which is told, or at the one that is asked for."""
    clip = a_clip(fps=model.about.fps)
    pictures = [Image.fromarray(frame) for frame in clip.frames.numpy()]
    plain = lift(clip, model, settings=QUICK, cached=False)
    assert_same(lift(clip.frames.numpy(), model, settings=QUICK, cached=False), plain)
    video = transfer(pictures, PROMPT, model, settings=QUICK, cached=False)
    assert "no rate of their own and were taken as" in video.record["reference_notices"][0]
    assert_same(video.motion, plain)


def test_type_checkers_know_every_argument():
    """The overloads take the rest of the arguments by a table, which must not fall behind."""
    import inspect

    named = {"motion", "reference", "prompt", "model", "seed", "seeds"}
    for function, table in ((cast, CastOptions), (transfer, TransferOptions)):
        own = inspect.signature(function).parameters
        assert own.keys() - named == table.__annotations__.keys()


@pytest.mark.slow
def test_notes_go_to_the_log_and_into_the_record(model: Model, caplog: pytest.LogCaptureFixture):
    """Of the reference, of the cache, and of weights that a motion was not tuned on."""
    caplog.set_level("INFO", "motionlift")
    clip = replace(a_clip(), notices=("the reference was turned",))
    tuned = lift(clip, model, "vmc", settings=TUNED)
    again = lift(clip, model, "vmc", settings=TUNED)
    told = [record.getMessage() for record in caplog.records]
    assert told.count("note: the reference was turned") == 2
    assert told.count("this motion was lifted before and came from the cache") == 1
    assert f"tuned with the prompt {again.settings['tuning_prompt']!r}" in told
    with pytest.warns(UserWarning, match="tuned on other weights"):
        video = cast(replace(tuned, fingerprint="of others"), PROMPT, model)
    assert any("tuned on other weights than these" in notice for notice in video.record["notices"])
    assert any("note: the motion was tuned on other weights" in record.getMessage() for record in caplog.records)
