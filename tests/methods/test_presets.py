"""What paper and program say, as each method's presets have it: read out of them by hand, not out of our tables."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from motionlift.core.presets import DIFFUSION, FAST, HALF_PRECISION, OURS, PRESETS, READING
from motionlift.core.settings import with_values
from motionlift.errors import SettingError
from motionlift.methods import method, methods
from motionlift.models.families import families
from motionlift.models.families.animatediff import AnimateDiff
from motionlift.models.families.cogvideox import MODEL
from tests.methods.references import flow_twin, twin, unet_twin
from tests.methods.test_methods import published
from tests.twins import TRANSFORMERS, cogvideox
from tests.twins.animatediff import animatediff

TWINS: tuple[Any, ...] = (twin(), unet_twin(), flow_twin())
"""One of each kind: frames and text joined, frame by frame, and of a flow."""

NEGATIVE = "bad quality, distortions, unrealistic, distorted image, watermark, signature"
LOOP = {"share": 0.2, "inner": 5, "optimizer": "adam", "lr": 0.002, "target": "latents", "inject": True}


@pytest.fixture(scope="module")
def large() -> Any:
    return published("cogvideox-5b")


def held(name: str, preset: str, model: Any, **expected: Any) -> None:
    """The settings of a preset have these values."""
    found = asdict(method(name).with_preset(preset, model))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name", sorted(methods()))
def test_ours_is_what_a_method_does_without_a_preset(name: str):
    for model in TWINS:
        assert method(name).with_preset(OURS, model) == method(name).settings(model)


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_constant_is_a_value_that_its_setting_allows_and_has_a_source(name: str):
    found = method(name)
    for title, preset in found.published.items():
        assert title in PRESETS and title != OURS
        sources = ("ours",) if title == FAST else ("paper", "released", "inferred")
        for constants in (preset.constants, *preset.models.values()):
            with_values(found.Settings(), {key: own.value for key, own in constants.items() if key not in READING})
            assert all(own.source.split(",")[0].split(":")[0] in sources for own in constants.values())
        for model in TWINS:
            settings = found.with_preset(title, model)
            assert settings.preset == title and with_values(settings, asdict(settings)) == settings


def test_presets_that_there_are():
    assert {name: tuple(found.published) for name, found in methods().items()} == {
        **dict.fromkeys(("smm", "moft", "none", "injection", "vmc"), ("paper", "released")),
        **dict.fromkeys(("ditflow", "motionmatcher"), ("fast", "paper", "released")),
        "flowmotion": ("fast", "paper"),
        "motionflow": ("paper",),
        "motiondirector": ("released",),
        "inverted": (),
    }


def test_ditflow_as_released_on_its_5b(large: Any):
    held("ditflow", "released", large, **LOOP, lr_end=0.0011, temperature=2.0, threshold=0.0, block=(20,))
    held("ditflow", "released", large, steps=50, cfg=7.0, dynamic_cfg=True, negative_prompt=NEGATIVE, sampler="dpm-sde")
    reading = {key: own.value for key, own in method("ditflow").constants("released", large).items() if key in READING}
    assert (reading["frames"], reading["size"]) == (24, (720, 480))


def test_ditflow_as_released_on_its_2b_and_on_a_model_that_it_never_saw():
    held(
        "ditflow",
        "released",
        published("cogvideox-2b"),
        block=(15,),
        cfg=7.0,
        dynamic_cfg=False,
        negative_prompt=NEGATIVE,
    )
    tiny = MODEL(cogvideox(), "tiny-dit", torch.device("cpu"))
    held("ditflow", "released", tiny, **LOOP, lr_end=0.0011, block=(4,), steps=30, cfg=4.0, negative_prompt="")
    unpublished = method("ditflow").published["released"].unpublished("cogvideox", "tiny-dit")
    assert {"block", "cfg", "dynamic_cfg", "frames", "negative_prompt", "size", "steps"} <= set(unpublished)


def test_ditflow_as_in_the_paper(large: Any):
    held("ditflow", "paper", large, **LOOP, lr_end=0.001, block=(20,), steps=50, cfg=7.0, negative_prompt="")


@pytest.mark.slow
def test_the_varying_guidance_of_5b_is_the_programs(large: Any):
    """In the preset of the paper it is the model's own, which is the same."""
    source = method("ditflow").constants("released", large)["dynamic_cfg"].source
    assert source == "released, motion_guidance.py"
    assert "dynamic_cfg" not in method("ditflow").constants("paper", large)
    held("ditflow", "paper", large, dynamic_cfg=True)
    held("ditflow", "paper", published("cogvideox-2b"), dynamic_cfg=False)


def test_the_baselines_of_ditflow(large: Any):
    held("smm", "released", large, **LOOP, block=(20,), form="released")
    held("none", "released", large, **{**LOOP, "share": 0.0, "inject": False}, cfg=7.0, negative_prompt=NEGATIVE)
    held("injection", "released", large, **LOOP, negative_prompt=NEGATIVE)
    share = asdict(method("moft").with_preset("released", large))["channel_share"]
    assert (
        [round(share * width) for width in (1920, 3072)] == [int(0.04 * width) for width in (1920, 3072)] == [76, 122]
    )


@pytest.mark.slow
def test_vmc_in_the_paper_and_as_released():
    held(
        "vmc",
        "paper",
        unet_twin(),
        form="cos",
        reduced=True,
        attention="temporal",
        tuning_steps=400,
        inverted_by="model",
    )
    tuning = {"tuning_steps": 400, "tuning_lr": 1e-4, "weight_decay": 0.01, "clip": 1.0, "accumulation": 1}
    held("vmc", "released", unet_twin("tiny-unet"), **tuning, form="released", clean_share=0.0, beta=1.0, cfg=4.0)
    held("vmc", "released", unet_twin("zeroscope_v2_576w"), steps=75, cfg=9.0, inverted_with="empty", sampler="ddpm")
    held("vmc", "released", unet_twin(), attention="temp_attentions", inverted_by="tuned")
    held("vmc", "released", flow_twin(), **tuning, sampler="own")


def test_motiondirector_as_released():
    factors = {"rank": 32, "dropout": 0.1, "factors": "released", "debias": 1.0, "without_looks": 0.2}
    tuning = {"tuning_steps": 150, "tuning_lr": 5e-4, "weight_decay": 0.01, "clip": 0.0, "clean_share": 0.0}
    held(
        "motiondirector",
        "released",
        unet_twin("tiny-unet"),
        **factors,
        **tuning,
        beta=0.5,
        inverted_by="model",
        cfg=4.0,
    )
    held("motiondirector", "released", unet_twin("zeroscope_v2_576w"), **factors, **tuning, steps=30, cfg=12.0)


@pytest.mark.slow
def test_motionmatcher_as_released():
    tuning = {"tuning_steps": 400, "tuning_lr": 5e-4, "weight_decay": 0.01, "clip": 0.0, "rank": 32, "dropout": 0.1}
    held("motionmatcher", "released", unet_twin(), **tuning, cross=2000.0, temporal=2000.0, clean_share=0.5, beta=0.3)
    held("motionmatcher", "released", unet_twin("zeroscope_v2_576w"), steps=75, cfg=12.0, block=(4, 5))
    step = {"inverted_with": "empty", "inverted_by": "tuned", "factors": "released", "layers": "blocks"}
    for model in (unet_twin(), unet_twin("tiny-unet"), unet_twin("modelscope"), unet_twin("zeroscope_v2_576w"), twin()):
        held("motionmatcher", "released", model, **step, stride="timestep")
    held("motionmatcher", "released", flow_twin(), **step, stride="sampling")


def shares_of_one_timestep(model: Any) -> list[float]:
    """How much of an error of the network's output one timestep leaves in the latents, at each level of the noisy half."""
    schedule, one = model.schedule(20), torch.ones(1, dtype=torch.float64)
    trained = schedule.trained
    ends = [
        schedule.noised(*schedule.estimates(one, 0 * one, trained[index]), trained[index - 1])
        for index in range(len(trained) // 2, len(trained))
    ]
    return [abs(float(each)) for each in ends]


@pytest.mark.slow
def test_one_timestep_is_told_apart_in_bf16_where_the_program_ran_and_not_on_flows():
    """So flows are not given it, and what is said of CogVideoX is so. The distance of bf16 numbers just below one is 2**-8."""
    half = 2.0**-9
    assert min(shares_of_one_timestep(unet_twin("zeroscope_v2_576w"))) > half
    for name, each in TRANSFORMERS.items():
        model = each.model()
        if model.schedule(20).is_flow or model.about.family == "cogvideox":
            assert max(shares_of_one_timestep(model)) < half, name


@pytest.mark.slow
def test_constants_of_diffusion_hold_on_every_model_of_diffusion_and_on_no_flow():
    others = [unet_twin(), AnimateDiff(animatediff(), "twin", torch.device("cpu"))]
    models = [*others, *[each.model() for each in TRANSFORMERS.values()]]
    kinds = {model.about.family: model.schedule(20).is_flow for model in models}
    assert {family for family, is_flow in kinds.items() if not is_flow} == set(DIFFUSION)
    assert kinds.keys() == families().keys()


def test_what_programs_tune_in_is_told_where_a_preset_cannot_ask_for_it():
    model: Any = unet_twin()
    for name in ("vmc", "motionmatcher", "motiondirector"):
        assert HALF_PRECISION in method(name).published["released"].lacks
        assert "precision" not in method(name).constants("released", model)
    assert any("in fp16" in told for told in method("ditflow").published["released"].lacks)


@pytest.mark.parametrize("name", ["ditflow", "vmc", "motionmatcher", "motiondirector"])
def test_programs_take_frames_as_they_come_and_stretch_them(name: str):
    model: Any = unet_twin()
    constants = method(name).constants("released", model)
    assert (constants["fit"].value, constants["every_frame"].value) == ("stretch", True)


def test_motionflow_in_the_paper():
    own = {
        "optimizer": "plain",
        "lr": 5.0,
        "lr_end": 5.0,
        "inner": 1,
        "tau": 0.4,
        "beta": 1.0,
        "share": 0.4,
        "steps": 50,
    }
    held("motionflow", "paper", unet_twin("tiny-unet"), **own, inject=False, smooth=False)
    with pytest.raises(
        SettingError, match="of motionflow no released program of it could be read; allowed is ours or paper"
    ):
        method("motionflow").with_preset("released", TWINS[1])


def test_flowmotion_in_the_paper():
    own = {"share": 0.2, "inner": 3, "optimizer": "adam", "lr": 0.003, "lr_end": 0.003}
    held("flowmotion", "paper", flow_twin(), **own, alignment=20.0, differences=5.0, orthogonal=0.1)
