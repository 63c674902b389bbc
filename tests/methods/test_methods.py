from dataclasses import asdict, fields

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel

from motionlift.core.method import Guide, Method, Tuner
from motionlift.core.presets import FAST
from motionlift.core.settings import described, with_values
from motionlift.errors import SettingError
from motionlift.methods import method, methods
from motionlift.models.families.cogvideox import MODEL
from motionlift.models.sources import BUNDLED_MODELS
from tests.methods.references import twin, unet_twin
from tests.twins import cogvideox

PUBLISHED = {
    "cogvideox-2b": {},  # the defaults of diffusers' class are the 2B's
    "cogvideox-5b": {"num_layers": 42, "num_attention_heads": 48, "use_rotary_positional_embeddings": True},
}
PARAMETERS = {"cogvideox-2b": 1.694e9, "cogvideox-5b": 5.570e9}
VARIANTS = ("cogvideox-2b", "cogvideox-5b", *BUNDLED_MODELS, "modelscope", "zeroscope")
BLOCKS = {"cogvideox-2b": (15,), "cogvideox-5b": (20,), "tiny-dit": (4,), "cogvideox": (1,)}


def published(variant):
    """A twin as deep as a published model, with its kind of positions."""
    with torch.device("meta"):
        true = CogVideoXTransformer3DModel(**PUBLISHED[variant])
    assert true.num_parameters() == pytest.approx(PARAMETERS[variant], rel=1e-3)
    pipeline = cogvideox(rotary=true.config.use_rotary_positional_embeddings)
    config = {**pipeline.transformer.config, "num_layers": true.config.num_layers}
    pipeline.transformer = CogVideoXTransformer3DModel.from_config(config)
    return MODEL(pipeline, "some-folder", torch.device("cpu"))


@pytest.fixture(scope="module")
def models():
    twins = {name: MODEL(cogvideox(), name, torch.device("cpu")) for name in ("tiny-dit", "cogvideox")}
    return {**twins, **{variant: published(variant) for variant in PUBLISHED}}


def test_every_file_is_a_method_under_its_own_name():
    assert len(methods()) >= 8
    for name, found in methods().items():
        assert isinstance(found, Method) and isinstance(found, Guide) != isinstance(found, Tuner)
        assert type(found).__module__ == f"motionlift.methods.{name}", "whoever looks for its code finds it by its name"
        assert found.name == name and found.summary
        assert method(name) is found


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_preset_is_of_known_settings_and_every_default_is_allowed(name):
    found = method(name)
    for model in (twin(), unet_twin()):
        settings = found.settings(model)
        assert type(settings) is found.Settings
        assert with_values(settings, asdict(settings)) == settings
    for variant, preset in found.presets.items():
        with_values(found.Settings(), preset)
        assert variant in VARIANTS
    assert described(found.Settings).keys() == {item.name for item in fields(found.Settings)}


def test_an_unknown_method_is_refused():
    with pytest.raises(SettingError, match=f"unknown method 'magic'; allowed are {', '.join(sorted(methods()))}$"):
        method("magic")


@pytest.mark.slow
@pytest.mark.parametrize("variant", BLOCKS)
def test_a_model_is_known_by_its_architecture_or_its_bundled_name(models, variant):
    assert models[variant].about.variant == variant


@pytest.mark.parametrize("variant", BLOCKS)
@pytest.mark.parametrize("name", ["ditflow", "moft", "smm"])
def test_blocks_are_the_papers_for_published_models_else_the_middle_one(models, name, variant):
    settings = method(name).settings(models[variant])
    assert settings.block == BLOCKS[variant]
    assert tuple(method(name).blocks(settings)) == BLOCKS[variant]


@pytest.mark.parametrize("name", ["ditflow", "moft", "smm"])
def test_the_published_5b_runs_with_the_papers_constants(models, name):
    settings = method(name).settings(models["cogvideox-5b"])
    assert (settings.steps, settings.share, settings.inner) == (50, 0.2, 5)
    assert (settings.optimizer, settings.lr, settings.lr_end) == ("adam", 0.002, 0.001)
    assert (settings.cfg, settings.dynamic_cfg) == (7.0, True)
    assert (settings.target, settings.inject) == ("latents", True)


def test_the_published_2b_has_a_fixed_weight_of_the_prompt(models):
    settings = method("ditflow").settings(models["cogvideox-2b"])
    assert (settings.cfg, settings.dynamic_cfg, settings.temperature) == (6.0, False, 2.0)


@pytest.mark.parametrize("name", [name for name in methods() if FAST in method(name).published])
def test_what_is_fast_was_chosen_for_every_bundled_model(name: str):
    """Of a model that is not named there, rate or layer would be one that was measured on none."""
    fast = method(name).published[FAST]
    for model in BUNDLED_MODELS:
        assert {"lr", "block"} & fast.models.get(model, {}).keys(), model
