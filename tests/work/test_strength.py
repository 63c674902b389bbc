"""How much of what was tuned is added: of none the model alone, bit for bit; and the more, the more of the looks comes along."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from motionlift import Video, cast, lift, load
from motionlift.bench.references import clip_of, prompt_scene, reference
from motionlift.loops.adapters import Addition
from motionlift.measure.leakage import content_leakage
from tests.adapters import adapter_of, linear_of, outputs
from tests.twins import TRANSFORMERS, cogvideox, unet3d
from tests.work.trials import PROMPT, TUNED, a_clip

METHODS = {"vmc": {}, "motionmatcher": {"rank": 4}, "motiondirector": {"rank": 4}}


@pytest.mark.slow
@pytest.mark.parametrize(("built", "method"), [(unet3d, "vmc"), *((cogvideox, method) for method in METHODS)])
def test_strength_0_is_no_method_at_all_bit_for_bit(built: Callable[[], Any], method: str):
    model = load(built(), "cpu")
    settings = {**TUNED, **METHODS[method], "beta": 0.5, "inversion": True}
    motion = lift(a_clip(), model, method, settings=settings, cached=False)
    plain = {"steps": 3, "cfg": motion.settings["cfg"]}
    by_caption = motion.settings.get("inverted_with") == "source"
    noise = {"beta": 0.5, "inversion": True, "source_prompt": TUNED["source_prompt"] if by_caption else ""}
    none = lift(a_clip(), model, "none", settings={**plain, **noise}, cached=False)
    for beta in (0.0, 0.5):
        bare = cast(none, PROMPT, model, settings={"beta": beta})
        found = cast(motion, PROMPT, model, settings={"beta": beta, "strength": 0.0})
        assert torch.equal(found.clip.frames, bare.clip.frames)
        told = [notice for notice in found.record.get("notices", ()) if "own noise all the same" in notice]
        assert len(told) == (1 if beta else 0)
    tuned = cast(motion, PROMPT, model, settings={"beta": 0.0, "strength": 1.0})
    assert not torch.equal(tuned.clip.frames, cast(none, PROMPT, model, settings={"beta": 0.0}).clip.frames)


@pytest.mark.parametrize("kind", ["factors", "differences"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_gives_the_same_bits(kind: str, dtype: torch.dtype):
    pipeline = TRANSFORMERS["wan-2.1"].build()
    pipeline.transformer.to(dtype)
    model = TRANSFORMERS["wan-2.1"].model(pipeline)
    adapter = {name: 1e30 * own for name, own in adapter_of(linear_of(model), kind).items()}
    adapter = {name: own.fill_(torch.inf) if "attn1.to_q" in name else own for name, own in adapter.items()}
    for ours, bare in zip(outputs(model, [Addition(adapter, 0.0)]), outputs(model), strict=True):
        assert torch.equal(ours.view(torch.int32), bare.view(torch.int32))


LEAKING = {
    "form": "noise",
    "attention": "spatial",
    "reduced": False,
    "inversion": False,
    "beta": 0.0,
    "steps": 8,
    "cfg": 1.0,
    "tuning_steps": 25,
    "tuning_lr": 0.03,
}
"""Attention within frames, tuned to the noise itself and cast without guidance: it takes the picture and not the motion."""


@pytest.mark.slow
def test_leakage_falls_with_strength_to_that_of_none():
    model, scene, prompt = load("tiny-unet", "cpu"), reference(0), prompt_scene(0).caption()
    clip = clip_of(scene, model.about.fps)
    told = {**LEAKING, "source_prompt": replace(scene, wall=None).caption()}
    motion = lift(clip, model, "vmc", settings=told, cached=False)
    none = lift(clip, model, "none", settings={"steps": 8, "cfg": 1.0}, cached=False)

    def leaked(video: Video) -> float:
        counts = len(clip.frames), len(video.clip.frames)
        alike = content_leakage(clip.frames.numpy(), video.clip.frames.numpy(), counts).ssim
        assert alike is not None
        return alike

    found = [leaked(cast(motion, prompt, model, settings={"strength": part})) for part in (1.0, 0.5, 0.15, 0.0)]
    assert found == sorted(found, reverse=True) and len({*found}) == len(found), found
    assert found[-1] == leaked(cast(none, prompt, model))
