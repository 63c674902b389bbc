"""What is asked for is read once, and refused before the network runs where it can be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.cli import main
from motionlift.core import settings as reading
from motionlift.core.lattice import Lattice
from motionlift.core.model import Model
from motionlift.errors import InputError, MotionError, MotionliftError, SettingError
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.video import reading as video_reading
from motionlift.video.clip import Clip
from motionlift.work import planning, prepare
from motionlift.work.cast import cast, interpolation, transfer
from motionlift.work.lift import lift
from tests.twins import TRANSFORMERS, cogvideox, unet3d
from tests.work.trials import PROMPT, QUICK, TUNED, a_clip, counting, passes, refusal


@pytest.mark.parametrize("frames", [0, 1, 2, 7, 10, -9, True, 8 * 10**9, 10**400])
def test_frames_that_do_not_fit(model: Model, frames: int):
    assert "allowed" in refusal(SettingError, lambda: lift(a_clip(), model, frames=frames, settings=QUICK))


@pytest.mark.parametrize("prompt", ["", "  \n "])
def test_empty_prompts(model: Model, motion: Motion, prompt: str):
    assert "empty" in refusal(InputError, lambda: cast(motion, prompt, model))
    assert "empty" in refusal(InputError, lambda: transfer(a_clip(), prompt, model))


def test_long_prompts(model: Model, motion: Motion):
    fits, longer = "a dog on a red field the"[:24], "a dog on a red field the star"
    told: list[str] = []
    model.text.check(fits)
    acts = (
        lambda: model.text.check(longer),
        lambda: cast(motion, longer, model),
        lambda: transfer(a_clip(), longer, model, settings=QUICK),
    )
    for act in acts:
        assert passes(model, lambda act=act: told.append(refusal(InputError, act))) == 0
    assert all("9 tokens" in said for said in told)
    assert "at most 10000" in refusal(InputError, lambda: cast(motion, "a " * 10**6, model))


@pytest.mark.slow
def test_prompts_that_are_cut(model: Model):
    """As many of the first words as the window of eight tokens holds, and a note of each."""
    longer, fits = "a dog on a red field the star", "a dog on a red field the"
    values = {"source_prompt": longer, "negative_prompt": "a dog", "tuning_steps": 1, "reduced": False}
    request = prepare.ask("vmc", values, prompt=longer)
    job = prepare.prepare(request, model, frames=9, cut_prompt=True)
    assert (job.prompt, job.settings.source_prompt, job.settings.negative_prompt) == (fits, fits, "a dog")
    assert job.notices == (f"the prompt was cut to {fits!r}", f"the source prompt was cut to {fits!r}")
    assert "shorten it by 1, or give --cut-prompt" in refusal(
        InputError, lambda: prepare.prepare(request, model, frames=9)
    )
    video = transfer(a_clip(), longer, model, settings=QUICK, cut_prompt=True)
    assert video.record["prompt"] == fits


@pytest.mark.slow
def test_videos_of_another_size(model: Model):
    motion = lift(a_clip(), model, frames=9, size=(48, 32), settings=QUICK)
    assert (motion.source.shape.height, motion.source.shape.width) == (32, 48)
    video = cast(motion, PROMPT, model)
    assert video.clip.frames.shape == (9, 32, 48, 3)
    assert transfer(a_clip(), PROMPT, model, size=(32, 64), settings=QUICK).clip.frames.shape[1:3] == (64, 32)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((50, 32), "50x32 pixels do not fit"),
        ((0, 32), "allowed are width and height, whole numbers from 8 to"),
        ((True, 32), "allowed are width and height"),
        ((10**9, 10**9), "allowed are width and height"),
    ],
)
def test_sizes_that_cannot_be_made(model: Model, size: Any, said: str):
    assert said in refusal(SettingError, lambda: lift(a_clip(), model, size=size, settings=QUICK))


@pytest.mark.parametrize("seed", [-1, 2**63, True, 10**400])
def test_seeds_out_of_range(model: Model, motion: Motion, seed: int):
    for act in (lambda: cast(motion, PROMPT, model, seed=seed), lambda: transfer(a_clip(), PROMPT, model, seed=seed)):
        assert "allowed is a whole number from 0 to" in refusal(SettingError, act)


BAD: dict[str, Any] = {"lr": "fast", "steps": 0, "temperature": -1, "colour": "red", "inject": 3}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_settings_and_methods_come_before_a_model_is_loaded(motion: Motion, name: str, monkeypatch: Any):
    monkeypatch.setattr(prepare, "load", lambda *_: pytest.fail("a model was loaded"))
    values = {name: BAD[name]}
    refusal(SettingError, lambda: lift("none.mp4", settings=values))
    refusal(SettingError, lambda: cast(motion, PROMPT, settings=values))
    refusal(SettingError, lambda: transfer("none.mp4", PROMPT, settings=values))
    assert "ditflow" in refusal(SettingError, lambda: lift("none.mp4", method="fly"))
    assert "ditflow" in refusal(SettingError, lambda: transfer("none.mp4", PROMPT, method="fly"))
    refusal(InputError, lambda: transfer("none.mp4", ""))
    refusal(SettingError, lambda: transfer("none.mp4", PROMPT, seed=-1))


def test_blocks_that_the_model_lacks(model: Model):
    for block in (3, "0,3", [1, 99]):
        message = refusal(SettingError, lambda block=block: lift(a_clip(), model, settings={"block": block}))
        assert "allowed are 0 to 2" in message


@pytest.mark.slow
def test_blocks_that_were_not_lifted(model: Model, motion: Motion):
    assert "no displacement of block 2" in refusal(
        MotionError, lambda: cast(motion, PROMPT, model, settings={"block": 2})
    )
    smm = lift(a_clip(), model, "smm", settings=QUICK)
    assert "no differences of block 0" in refusal(
        MotionError, lambda: cast(smm, PROMPT, model, settings={"block": "1,0"})
    )
    flow = lift(a_clip(), model, settings=QUICK | {"read": "flow"})
    cast(flow, PROMPT, model, settings={"block": 2})


def test_motions_without_their_tensors(model: Model, motion: Motion):
    latents = motion.tensors["latents"]
    only = replace(motion, tensors={"latents": latents})
    assert "no displacement of block 1" in refusal(MotionError, lambda: cast(only, PROMPT, model))
    for tensors in ({}, {"latents": latents[:, :, 1:]}, {"latents": latents[0]}):
        without = replace(motion, tensors={**motion.tensors, "latents": torch.zeros(0), **tensors})
        assert "latents" in refusal(MotionError, lambda without=without: cast(without, PROMPT, model))


def test_motions_of_another_model(motion: Motion):
    other = load(cogvideox(rotary=False))
    named = replace(motion, model="zai-org/CogVideoX-5b")
    message = refusal(MotionError, lambda: cast(named, PROMPT, other))
    assert "zai-org/CogVideoX-5b" in message and other.about.name in message


def test_motions_of_another_lattice(model: Model, motion: Motion):
    message = refusal(MotionError, lambda: cast(replace(motion, lattice=Lattice(3, 4, 5)), PROMPT, model))
    assert "3x4x5" in message and "3x4x4" in message


@pytest.mark.slow
def test_saved_positions_of_other_steps_or_too_few_are_refused_before_sampling(model: Model):
    made = transfer(a_clip(), PROMPT, model, settings=QUICK | {"steps": 6, "share": 0.34, "target": "positions"}).motion
    for changes, said in (
        (
            {"steps": 4, "share": 0.5},
            "positions saved in 6 steps, and steps is 4, whose noise levels are others: give steps=6",
        ),
        (
            {"share": 0.67},
            "no saved positions for guided step 3; make them with target=positions and the same steps and share",
        ),
    ):
        with counting(model) as counted:
            told = refusal(
                MotionError, lambda changes=changes: cast(made, PROMPT, model, settings={"target": "saved", **changes})
            )
        assert said in told and counted.forward == 0
    fewer = {"target": "saved", "share": 0.17}
    assert passes(model, lambda: cast(made, PROMPT, model, settings=fewer)) == 2 * 6 + 1, "of the same levels, fewer"


def test_a_transfer_is_refused_before_the_network_runs(model: Model):
    long = "red " * 30
    unet = load(unet3d(), "cpu")
    for used, method, settings, said in (
        (model, "ditflow", {"target": "saved"}, "no saved positions for guided step 1"),
        (model, "ditflow", {"negative_prompt": long}, "the negative prompt does not fit: the prompt has"),
        (model, "ditflow", {"source_prompt": long, "inversion": True}, "the source prompt does not fit"),
        (model, "ditflow", {"block": 3}, "block 3 does not exist"),
        (model, "ditflow", {"steps": 1000, "beta": 0.5}, "needs the inverted noise"),
        (unet, "ditflow", {"target": "positions"}, "has no positional tensors"),
        (unet, "ditflow", {"steps": 501}, "allows 1 to 500"),
        (model, "vmc", {"source_prompt": "a ring", "precision": "fp16"}, "needs a GPU"),
        (model, "vmc", {"source_prompt": "red"}, "has no subject"),
        (model, "vmc", {"source_prompt": "a ring", "attention": "spatial"}, "attends jointly"),
        (model, "motionflow", {"source_prompt": "a ring", "subjects": "ring"}, "0 targets (none)"),
    ):
        with counting(used) as counted:
            told = refusal(
                MotionliftError,
                lambda used=used, method=method, settings=settings: transfer(
                    a_clip(frames=4), PROMPT, used, method=method, settings=settings, frames=None, cached=False
                ),
            )
        assert said in told and counted.forward == 0, (said, told)


@pytest.mark.slow
def test_stages_are_refused_before_the_network_runs(model: Model):
    with counting(model) as counted:
        said = refusal(
            MotionliftError,
            lambda: transfer(a_clip(), PROMPT, model, stages=[interpolation(load(unet3d(), "cpu"), 60)]),
        )
    assert "60" in said and counted.forward == 0


class Parsed:
    """Counts how often each setting is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.names: list[str] = []
        original = reading._value

        def read(field: Any, *given: Any) -> Any:
            self.names.append(field.name)
            return original(field, *given)

        monkeypatch.setattr(reading, "_value", read)


GIVEN = {"steps": "2", "share": "0.5", "inner": "1", "block": "1"}


@pytest.mark.slow
def test_settings_are_read_once_from_python(model: Model, motion: Motion, monkeypatch: pytest.MonkeyPatch):
    parsed = Parsed(monkeypatch)
    transfer(a_clip(), PROMPT, model, settings=GIVEN, cached=False)
    assert sorted(parsed.names) == sorted(GIVEN)
    parsed.names.clear()
    cast(motion, PROMPT, model, settings=GIVEN)
    assert sorted(parsed.names) == sorted(motion.settings)


@pytest.mark.slow
def test_from_the_command_line_settings_are_looked_at_and_read_and_the_reference_read_once_after_the_model_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Before that a look says whether it is a video at all."""
    a_clip().save(tmp_path / "clip.mp4")
    cogvideox().save_pretrained(tmp_path / "model")
    parsed, done, clip_read, loaded, looked = (
        Parsed(monkeypatch),
        [],
        Clip.read,
        planning.load,
        video_reading.check_moves,
    )

    def read(*arguments: Any, **named: Any) -> Clip:
        done.append(f"read {named['frames']}")
        return clip_read(*arguments, **named)

    def load_once(*arguments: Any, **named: Any) -> Any:
        done.append("load")
        return loaded(*arguments, **named)

    def look(*arguments: Any) -> None:
        done.append("look")
        looked(*arguments)

    monkeypatch.setattr(Clip, "read", read)
    monkeypatch.setattr(planning, "load", load_once)
    monkeypatch.setattr(video_reading, "check_moves", look)
    words = ["transfer", str(tmp_path / "clip.mp4"), "--prompt", PROMPT, "--model", str(tmp_path / "model")]
    told = [word for name, value in GIVEN.items() for word in ("--set", f"{name}={value}")]
    assert main.run([*words, "--output", str(tmp_path / "out.mp4"), *told]) == 0
    assert sorted(parsed.names) == sorted([*GIVEN, *GIVEN]), (
        "a look before PyTorch is imported, and what is worked with"
    )
    assert done == ["look", "load", "read 9"]


@pytest.mark.slow
def test_every_prompt_is_encoded_once_a_transfer(monkeypatch: pytest.MonkeyPatch):
    pipeline = cogvideox()
    encoded, original = [], pipeline.encode_prompt

    def encode(*given: Any, **named: Any) -> Any:
        encoded.append(given[0])
        return original(*given, **named)

    monkeypatch.setattr(pipeline, "encode_prompt", encode)
    own = load(pipeline, "cpu")
    words = {"source_prompt": "a blue ring", "subjects": "ring", "targets": "star", "steps": 2}
    for _ in range(2):
        transfer(a_clip(), PROMPT, own, method="motionflow", settings=words, cached=False)
        transfer(a_clip(), PROMPT, own, method="vmc", settings=TUNED, cached=False)
    assert sorted(encoded) == sorted(["", PROMPT, "a blue ring", "a ring"])


def test_positions_that_are_not_there(model: Model, motion: Motion):
    message = refusal(MotionError, lambda: cast(motion, PROMPT, model, settings={"target": "saved"}))
    assert "target=positions" in message


def test_what_was_settled_when_lifting_cannot_be_changed_when_casting(model: Model, motion: Motion):
    with pytest.raises(SettingError, match="read is 'flow', but the motion was lifted with 'attention': lift it again"):
        cast(motion, PROMPT, model, settings={"read": "flow"})
    channels = lift(a_clip(), model, "moft", settings=QUICK, cached=False)
    with pytest.raises(SettingError, match=r"channel_share is 0\.5, but the motion was lifted with 0\.04"):
        cast(channels, PROMPT, model, settings={"channel_share": 0.5})


def test_what_inversion_refuses(model: Model):
    motion = lift(a_clip(), model, "none", settings={"steps": 3, "inversion": True}, cached=False)
    told = refusal(SettingError, lambda: cast(motion, PROMPT, model, settings={"beta": 0.5, "steps": 5}))
    assert "inverted in 3 steps" in told
    fresh = lift(a_clip(), model, "none", settings={"steps": 3}, cached=False)
    assert "needs the inverted noise" in refusal(
        SettingError, lambda: cast(fresh, PROMPT, model, settings={"beta": 0.5})
    )
    lost = replace(motion, tensors={"latents": motion.tensors["latents"]})
    assert "holds no inverted noise" in refusal(MotionError, lambda: cast(lost, PROMPT, model, settings={"beta": 0.5}))
    long = {"inversion": True, "source_prompt": "red " * 30}
    assert "the source prompt does not fit" in refusal(InputError, lambda: lift(a_clip(), model, "none", settings=long))


def test_words_are_checked_before_the_network_runs(model: Model):
    for settings, words in (
        ({}, "needs to know what the reference shows"),
        ({"source_prompt": "a blue star", "subjects": ["dog"]}, "dog is not in the source prompt"),
        ({"source_prompt": "a blue star", "subjects": [1]}, "subjects is [1]; allowed is words"),
    ):
        with counting(model) as counted:
            said = refusal(
                SettingError, lambda settings=settings: lift(a_clip(), model, "motionflow", settings=settings)
            )
        assert words in said and counted.forward == 0
    pair = {"source_prompt": "a blue star", "subjects": ["star"], "targets": ["dog"]}
    with counting(model) as counted:
        said = refusal(SettingError, lambda: transfer(a_clip(), PROMPT, model, method="motionflow", settings=pair))
    assert "dog is not in the prompt" in said and counted.forward == 0


def test_samplers_that_a_schedule_has_not(model: Model):
    told = refusal(SettingError, lambda: lift(a_clip(), model, settings={**QUICK, "sampler": "euler"}))
    assert "sampler is 'euler'" in told and told.endswith("allowed are own, ddim, ddpm, dpm, dpm-sde, unipc")
    flow: Any = TRANSFORMERS["wan-2.1"].model()
    request = prepare.ask("none", {"sampler": "ddpm"}, prompt=PROMPT)
    assert refusal(SettingError, lambda: prepare.prepare(request, flow)).endswith(
        "allowed are own, euler, dpm, dpm-sde, unipc"
    )


def test_what_new_noise_in_every_step_takes_away_is_told(model: Model):
    flow: Any = TRANSFORMERS["wan-2.1"].model()
    for own, sampler in ((flow, "dpm-sde"), (model, "ddpm")):
        request = prepare.ask("flowmotion", {"sampler": sampler}, prompt=PROMPT)
        assert "follows the course of the noise" in refusal(
            SettingError, lambda r=request, o=own: prepare.prepare(r, o)
        )
    for values, told in (
        ({"sampler": "dpm-sde", "beta": 0.5}, True),
        ({"sampler": "dpm", "beta": 0.5}, False),
        ({"sampler": "dpm-sde", "beta": 0.0, "inversion": True}, False),
    ):
        request = prepare.ask("inverted", {**values, "source_prompt": PROMPT}, prompt=PROMPT)
        notices = prepare.prepare(request, flow).notices
        assert any("leaves nothing of the inverted noise that beta=0.5" in each for each in notices) == told


@pytest.mark.parametrize(
    ("method", "values", "told"),
    [
        ("none", {}, None),
        ("inverted", {"source_prompt": PROMPT}, None),
        ("flowmotion", {"inject": False}, None),
        ("flowmotion", {"inject": True}, "flowmotion reads or changes attention"),
        ("ditflow", {}, "ditflow reads or changes attention, of which each process would see its share"),
        (
            "motionflow",
            {"source_prompt": PROMPT, "targets": "star", "subjects": "star"},
            "motionflow reads or changes attention",
        ),
        (
            "vmc",
            {"source_prompt": PROMPT},
            "vmc tunes, and processes that share a sequence cannot: lift the motion without",
        ),
    ],
)
def test_processes_share_what_samples_and_no_more(method: str, values: dict[str, Any], told: str | None):
    model: Any = TRANSFORMERS["wan-2.1"].model()
    request = prepare.ask(method, values, prompt=PROMPT)
    if told is None:
        prepare.prepare(request, model, parallel=2)
        return
    assert told in refusal(SettingError, lambda: prepare.prepare(request, model, parallel=2))
    model.about = replace(model.about, processes=2)
    assert told in refusal(SettingError, lambda: prepare.prepare(request, model))


def test_tokens_that_cannot_be_shared_evenly_are_refused_with_the_nearest_frames():
    model: Any = TRANSFORMERS["wan-2.1"].model()
    request = prepare.ask("none", {}, prompt=PROMPT)
    told = refusal(SettingError, lambda: prepare.prepare(request, model, frames=9, size=(48, 16), parallel=2))
    assert (
        "2 processes cannot share the 9 tokens of 9 frames of 48x16 evenly: take --frames 5, or another --size" in told
    )
    assert prepare.prepare(request, model, frames=5, size=(48, 16), parallel=2).shape.frames == 5


@pytest.mark.parametrize(
    ("twin", "method", "told"), [("wan-2.2", "smm", 1), ("wan-2.2", "ditflow", 0), ("wan-2.1", "moft", 0)]
)
def test_features_of_two_networks_that_are_compared_are_told(twin: str, method: str, told: int):
    job = prepare.prepare(prepare.ask(method, prompt="a red star"), TRANSFORMERS[twin].model())
    assert sum("has two networks" in each for each in job.notices) == told
