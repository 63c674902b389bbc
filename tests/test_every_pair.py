"""Every method, every target, every model: all run, all finish finite, and all do what they count."""

from dataclasses import replace

import pytest
import torch

from motionlift.core.method import Reference, Tuner
from motionlift.core.tensors import INVERTED
from motionlift.errors import MotionError, SettingError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, applied
from motionlift.loops.invert import invert
from motionlift.methods import methods
from motionlift.models.families import serving
from motionlift.work.prepare import settings_for
from tests.twins import EVERY_TWIN

PROMPT = "a red star on the field"
WORDS = {"source_prompt": "a blue ring on the field", "subjects": ("ring", "field"), "targets": ("star", "field")}
MORE_CHANNELS = {
    "channel_share": 0.2
}  # of a twin's few channels the published share leaves one, whose cosine has no slope
TUNED = {name for name, method in methods().items() if isinstance(method, Tuner)}
VARIANTS = {
    **{name: {} for name in methods() if name not in TUNED},
    "ditflow by flow": {"read": "flow"},
    "motionflow": WORDS,
    "moft": MORE_CHANNELS,
}
GUIDED, STEPS, INNER = 2, 4, 2


@pytest.fixture(
    scope="module", params=[(name, kind) for name in sorted(EVERY_TWIN) for kind in ("float32", "bfloat16")]
)
def backbone(request):
    name, kind = request.param
    pipeline = EVERY_TWIN[name]().to(getattr(torch, kind))
    backbone = serving(type(pipeline).__name__)(pipeline, name, torch.device("cpu"))
    backbone.network_dtype = kind
    return backbone


@pytest.fixture(scope="module")
def reference(backbone):
    shape = backbone.codec.fitting(8)
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(1, 3, 4, 12, generator=generator)
    pattern = torch.nn.functional.interpolate(pattern, size=(32, 96), mode="bilinear") * 2 - 1
    pixels = torch.cat([pattern[..., 3 * frame : 3 * frame + 32] for frame in range(8)])
    return Reference(backbone.codec.encode(pixels), pixels, pixels, shape)


def finished(steps):
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def prepared(name, backbone, target):
    method = methods()[name.split()[0]]
    changes = {"steps": STEPS, "inner": INNER, "target": target, **VARIANTS[name]}
    if name != "none":
        changes["share"] = GUIDED / STEPS
    return method, replace(method.settings(backbone), **changes)


def job_for(name, backbone, reference, target, motion=None):
    method, settings = prepared(name, backbone, target)
    if settings.inversion and not motion:
        text = backbone.text.encode(settings.source_prompt)
        trajectory = finished(invert(backbone, reference.latents, text, settings.steps))
        reference = replace(reference, trajectory=trajectory)
        motion = {INVERTED: trajectory[max(trajectory)], **finished(method.lift(reference, backbone, settings))}
    motion = motion or finished(method.lift(reference, backbone, settings))
    return sample.Casting(backbone, method, settings, motion, reference.shape, PROMPT, 0)


@pytest.mark.parametrize("target", ["latents", "positions"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_method_guides_every_target_of_every_model(backbone, reference, name, target):
    if target == "positions" and not backbone.positions(reference.shape):
        with pytest.raises(
            SettingError, match=f"target is 'positions', but {backbone.about.name} has no positional tensors"
        ):
            settings_for(methods()[name.split()[0]], backbone, {"target": target})
        return
    job = job_for(name, backbone, reference, target)
    before = backbone.passes.forward, backbone.passes.backward
    result = finished(sample.cast(job))
    optimised = bool(job.method.blocks(job.settings))
    guided = 0 if name == "none" else GUIDED
    assert result.latents.shape == backbone.codec.latent_shape(reference.shape)
    assert result.latents.dtype == torch.float32
    assert result.latents.isfinite().all()
    assert len(result.losses) == guided * INNER * optimised
    assert backbone.passes.backward - before[1] == guided * INNER * optimised
    assert backbone.passes.forward - before[0] == 2 * STEPS + guided * (INNER * optimised + job.settings.inject)
    moved = {key.split(".")[1] for key in result.positions}
    assert moved == ({str(index) for index in range(guided)} if optimised and target == "positions" else set())
    changes = {"inner": 0, "share": 0.0, "inject": False}
    unguided = replace(job, settings=replace(job.settings, **changes))
    plain = finished(sample.cast(unguided)).latents
    assert torch.equal(result.latents, plain) == (name == "none")
    assert backbone.codec.decode(result.latents).shape == reference.pixels.shape


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("none", "injection")])
def test_guidance_lowers_every_loss(backbone, reference, name):
    if backbone.network_dtype != "float32":
        pytest.skip("half precision hides small steps")
    if backbone.lattice(reference.shape).frames == 1:
        pytest.skip("a single latent frame holds no motion")
    job = job_for(name, backbone, reference, "latents")
    small = {"share": 1 / STEPS, "inner": 12, "optimizer": "rms", "lr": 0.01, "lr_end": 0.01, "inject": False}
    losses = finished(sample.cast(replace(job, settings=replace(job.settings, **small)))).losses
    assert len(losses) == 12 and losses[-1] < 0.98 * losses[0], losses


@pytest.mark.parametrize("name", VARIANTS)
def test_every_method_reuses_saved_positions_or_says_that_it_has_none(backbone, reference, name):
    if not backbone.positions(reference.shape):
        pytest.skip("it has no positional tensors")
    first = job_for(name, backbone, reference, "positions")
    made = finished(sample.cast(first))
    again = sample.cast(job_for(name, backbone, reference, "saved", {**first.motion, **made.positions}))
    if name == "injection":  # it optimises nothing, so that there is nothing to save
        with pytest.raises(MotionError, match="no saved positions for guided step 1"):
            finished(again)
    else:
        torch.testing.assert_close(finished(again).latents, made.latents, atol=0, rtol=0)


@pytest.mark.parametrize("name", sorted(TUNED))
def test_every_tuned_method_tunes_every_model(backbone, reference, name):
    method = methods()[name]
    changes = {"steps": STEPS, "source_prompt": "a ring", "tuning_steps": 2, "tuning_lr": 0.01, "strength": 1.5}
    settings = replace(method.settings(backbone), **changes)
    trajectory = finished(invert(backbone, reference.latents, backbone.text.encode(settings.inversion_prompt), STEPS))
    weights = {key: value.clone() for key, value in backbone.network.state_dict().items()}
    before = backbone.passes.forward, backbone.passes.backward
    adapter = finished(tuning.tuned(backbone, method, settings, replace(reference, trajectory=trajectory)))
    each = {"vmc": (1, 1), "motionmatcher": (3, 2)}[name]
    assert (backbone.passes.forward - before[0], backbone.passes.backward - before[1]) == (2 * each[0], 2 * each[1])
    assert adapter and all(tensor.isfinite().all() and tensor.dtype == torch.float32 for tensor in adapter.values())
    assert any(tensor.abs().max() > 0 for key, tensor in adapter.items() if not key.endswith("lora_A.weight"))
    motion = {INVERTED: trajectory[max(trajectory)], **adapter}
    job = sample.Casting(backbone, method, settings, motion, reference.shape, PROMPT, 0)

    lowest = settings.lowest_timestep(backbone.levels)

    def made(strength):
        with applied(backbone.network, [Addition(tuning.adapter_of(motion, backbone), strength, lowest)]) as switch:
            return finished(sample.cast(replace(job, adapter=switch))).latents

    plain = finished(sample.cast(job)).latents
    assert made(1.5).isfinite().all() and not torch.equal(made(1.5), plain)
    torch.testing.assert_close(made(0.0), plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dict(backbone.network.state_dict()), weights, atol=0, rtol=0)
