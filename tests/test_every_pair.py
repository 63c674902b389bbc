"""Every method, every target, every model: all run, all finish finite, and all do what they count.

Nothing here names a method: what one is tried with follows from its settings and its needs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain, repeat
from typing import Any

import pytest
import torch

from motionlift.core.method import Guide, Method, Reference, Tuner
from motionlift.core.method_settings import Guided, Tuned
from motionlift.core.presets import OURS
from motionlift.core.tensors import INVERTED
from motionlift.errors import MotionError, SettingError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, fitted
from motionlift.loops.invert import invert
from motionlift.methods import methods
from motionlift.models.families import serving
from motionlift.motion import names
from motionlift.work.prepare import settings_for
from tests.methods.references import finished
from tests.twins import EVERY_TWIN, TRANSFORMERS, as_kind

PROMPT = "a red star on the field"
GUIDED, STEPS, INNER = 2, 4, 2
TRIED = {
    "source_prompt": "a blue ring on the field",
    "subjects": ("ring", "field"),
    "targets": ("star", "field"),
    "channel_share": 0.2,  # of a twin's few channels the published share leaves one, whose cosine has no slope
    "tuning_steps": 2,
    "tuning_lr": 0.01,
    "strength": 1.5,
    "steps": STEPS,
    "inner": INNER,
}
"""What a trial needs, for the methods that have such a setting."""
GUIDES = {name: method for name, method in methods().items() if isinstance(method, Guide)}
TUNERS = {name: method for name, method in methods().items() if isinstance(method, Tuner)}


def _variants() -> Iterator[tuple[Guide[Any], dict[str, Any]]]:
    """Every method that guides as it is, and with each other choice of the settings that are its own."""
    common = {item.name for item in fields(Guided)}
    for method in GUIDES.values():
        yield method, {}
        for item in fields(method.Settings):
            choices = () if item.name in common else item.metadata["choices"]
            yield from ((method, {item.name: choice}) for choice in choices if choice != item.default)


def _title(variant: Any) -> str:
    method, values = variant
    return " ".join((method.name, *(f"{name}={value}" for name, value in values.items())))


each_variant = pytest.mark.parametrize("variant", list(_variants()), ids=_title)


KINDS = ("float32", "bfloat16")
TWINS_OF_KINDS = [(name, kind) for name in sorted({*EVERY_TWIN, *TRANSFORMERS}) for kind in KINDS]
"""Every twin in both precisions."""


def slow_where(
    model: tuple[str, str], variant: tuple[Guide[Any], Mapping[str, Any]] | None = None, **_others: Any
) -> bool:
    """Which tests are slow: half precision, and other choices than a method's own."""
    return model[1] == "bfloat16" or (variant is not None and bool(variant[1]))


@pytest.fixture(scope="module", params=TWINS_OF_KINDS, ids="-".join)
def model(request):
    name, kind = request.param
    title = f"{name} {kind}"
    if name in EVERY_TWIN:
        pipeline = EVERY_TWIN[name]().to(getattr(torch, kind))
        return serving(type(pipeline).__name__)(pipeline, title, torch.device("cpu"))
    twin = TRANSFORMERS[name]
    return twin.model(as_kind(twin.build(), getattr(torch, kind)), title)


@pytest.fixture(scope="module")
def reference(model):
    name = model.about.name.split()[0]
    shape = model.codec.fitting(8 if name in EVERY_TWIN else None)
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(1, 3, 4, 12, generator=generator)
    size = shape.height, shape.width + 8 * shape.frames
    pattern = torch.nn.functional.interpolate(pattern, size=size, mode="bilinear") * 2 - 1
    pixels = torch.cat([pattern[..., 3 * frame : 3 * frame + shape.width] for frame in range(shape.frames)])
    return Reference(model.codec.encode(pixels), pixels, pixels, shape)


def tried(method: Method[Any], model: Any, **values: Any) -> Any:
    """A method's settings for a trial."""
    known = {item.name for item in fields(method.Settings)}
    ours = method.with_preset(OURS, model, values)
    return replace(ours, **{name: value for name, value in TRIED.items() if name in known}, **values)


def inverted(model: Any, reference: Reference, settings: Any) -> Reference:
    """The reference with its inversion, where settings ask for one."""
    if not settings.inversion:
        return reference
    condition = model.text.encode(settings.inversion_prompt, reference.shape)
    steps = invert(model, reference.latents, condition, settings.steps, reference.shape)
    return replace(reference, trajectory=finished(steps))


def job_for(variant, model, reference, target, motion=None):
    method, values = variant
    settings = tried(method, model, target=target, **values)
    if settings.share:
        settings = replace(settings, share=GUIDED / STEPS)
    if motion is None:
        given = inverted(model, reference, settings)
        motion = finished(method.lift(given, model, settings))
        motion |= {INVERTED: given.trajectory[0]} if given.trajectory else {}
    return sample.Casting(model, method, settings, motion, reference.shape, PROMPT, 0)


def allows(method: Guide[Any], target: str) -> bool:
    """Whether a method optimises such a thing at all."""
    (item,) = [item for item in fields(method.Settings) if item.name == "target"]
    return target in item.metadata["choices"]


def lacks_words(method: Guide[Any], model: Any) -> bool:
    """Whether a method needs words that a model cannot find, and is refused for it."""
    name = model.about.name.split()[0]
    lacking = name in TRANSFORMERS and not TRANSFORMERS[name].row.finds_words
    return lacking and bool(method.needs(tried(method, model)).words)


def optimises(job: sample.Casting) -> bool:
    needs = job.method.needs(job.settings)
    return bool(needs.blocks or needs.output)


def expected_passes(job: sample.Casting) -> tuple[int, int]:
    """Forward and backward: of every step what the scale needs, and in guided ones what the method's needs say."""
    needs, guided = job.method.needs(job.settings), sample.guided_steps(job.settings)
    weighed = 1 if job.settings.cfg == 1 else 2  # guidance that a network was told of needs no second pass
    inner = weighed if needs.output else bool(needs.blocks)
    looks = bool(set(needs.inject) - set(needs.blocks)) + needs.reference
    return weighed * STEPS + guided * (INNER * inner + looks), guided * INNER * needs.backward * bool(needs.blocks)


@pytest.mark.parametrize("target", ["latents", "positions"])
@each_variant
def test_every_method_guides_every_target_of_every_model(model, reference, variant, target):
    if not allows(variant[0], target) or (target == "positions" and not model.positions(reference.shape)):
        with pytest.raises(SettingError, match=rf"target is '{target}'(; allowed|, but .* has no positional tensors)"):
            settings_for(variant[0], model, {"target": target})
        return
    if lacks_words(variant[0], model):
        with pytest.raises(
            SettingError, match="so that no attention to a word can be read; use a method that needs no words"
        ):
            job_for(variant, model, reference, target)
        return
    job = job_for(variant, model, reference, target)
    guided = sample.guided_steps(job.settings)
    before = model.passes.forward, model.passes.backward
    result = finished(sample.cast(job))
    assert result.latents.shape == model.codec.latent_shape(reference.shape)
    assert result.latents.dtype == torch.float32
    assert result.latents.isfinite().all()
    assert len(result.losses) == guided * INNER * optimises(job)
    assert (model.passes.forward - before[0], model.passes.backward - before[1]) == expected_passes(job)
    moved = {names.Name.parsed(name).rest.split(".")[0] for name in result.positions}
    assert moved == ({str(index) for index in range(guided)} if optimises(job) and target == "positions" else set())
    unguided = replace(job, settings=replace(job.settings, inner=0, share=0.0, inject=False))
    plain = finished(sample.cast(unguided)).latents
    assert torch.equal(result.latents, plain) == (guided == 0)
    assert model.codec.decode(result.latents).shape == reference.pixels.shape


@each_variant
def test_guidance_lowers_every_loss(model, reference, variant, monkeypatch):
    """Where no gradient goes through the network, it says one thing of the reference and another ever after.

    A network of v says of pure noise what the clean video is, whatever the noise: there the second guided step counts.
    """
    if model.about.name.endswith("bfloat16"):
        pytest.skip("half precision hides small steps")
    if model.lattice(reference.shape).frames == 1:
        pytest.skip("a single latent frame holds no motion")
    if lacks_words(variant[0], model):
        pytest.skip("it is refused")
    job = job_for(variant, model, reference, "latents")
    if not optimises(job) or not sample.guided_steps(job.settings):
        pytest.skip("it optimises nothing")
    if job.method.needs(job.settings).output:
        generator = torch.Generator().manual_seed(2)
        first, said = torch.randn(2, *model.codec.latent_shape(reference.shape), generator=generator)
        saying = chain([first], repeat(said))
        monkeypatch.setattr(model, "predict", lambda latents, *_: next(saying).expand(len(latents), -1, -1, -1, -1))
    schedule = model.schedule(STEPS, reference.shape)
    is_said = schedule.predicts == "v_prediction" and schedule.levels[0].signal == 0
    guided = 2 if is_said and job.method.needs(job.settings).output else 1
    small = {"share": guided / STEPS, "inner": 12, "optimizer": "rms", "lr": 0.01, "lr_end": 0.01, "inject": False}
    losses = finished(sample.cast(replace(job, settings=replace(job.settings, **small)))).losses
    assert len(losses) == 12 * guided and losses[-1] < 0.98 * losses[-12], losses


@each_variant
def test_every_method_reuses_saved_positions_or_says_that_it_has_none(model, reference, variant):
    if not model.positions(reference.shape) or not allows(variant[0], "positions"):
        pytest.skip("there are no positional tensors to optimise")
    if lacks_words(variant[0], model):
        pytest.skip("it is refused")
    first = job_for(variant, model, reference, "positions")
    made = finished(sample.cast(first))
    again = sample.cast(job_for(variant, model, reference, "saved", {**first.motion, **made.positions}))
    if sample.guided_steps(first.settings) and not optimises(first):  # so that there is nothing to save
        with pytest.raises(MotionError, match="no saved positions for guided step 1"):
            finished(again)
    else:
        torch.testing.assert_close(finished(again).latents, made.latents, atol=0, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TUNERS))
def test_every_tuned_method_tunes_every_model(model, reference, name):
    method = TUNERS[name]
    settings = tried(method, model)
    assert isinstance(settings, Tuned)
    given = inverted(model, reference, settings)
    weights = {key: value.clone() for key, value in model.network.state_dict().items()}
    before, ran = (model.passes.forward, model.passes.backward), []
    handles = [network.register_forward_pre_hook(lambda *_: ran.append(1)) for network in model.network.values()]
    adapter = finished(tuning.tuned(model, method, settings, given))
    for handle in handles:
        handle.remove()
    assert model.passes.forward - before[0] == len(ran) >= settings.tuning_steps, "every pass is counted"
    assert settings.tuning_steps <= model.passes.backward - before[1] <= len(ran)
    assert adapter and all(tensor.isfinite().all() and tensor.dtype == torch.float32 for tensor in adapter.values())
    assert any(tensor.abs().max() > 0 for key, tensor in adapter.items() if not key.endswith("lora_A.weight"))
    motion = {INVERTED: given.trajectory[0]} if given.trajectory else {}
    job = sample.Casting(model, method, settings, motion, reference.shape, PROMPT, 0)

    def made(strength):
        addition = Addition(names.adapter(adapter), strength, tuning.lowest_noise(model, settings, reference.shape))
        return finished(sample.cast(replace(job, adapter=fitted(model, [addition])))).latents

    plain = finished(sample.cast(job)).latents
    assert made(1.5).isfinite().all() and not torch.equal(made(1.5), plain)
    torch.testing.assert_close(made(0.0), plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dict(model.network.state_dict()), weights, atol=0, rtol=0)
