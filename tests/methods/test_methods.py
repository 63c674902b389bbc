import pytest
import torch
from diffusers import CogVideoXTransformer3DModel

from motionlift.core.method import Method
from motionlift.errors import SettingError
from motionlift.methods import method, methods
from motionlift.models.families.cogvideox import CogVideoX
from tests.twins import cogvideox

PUBLISHED = {
    "cogvideox-2b": {},  # the defaults of diffusers' class are the 2B's
    "cogvideox-5b": {"num_layers": 42, "num_attention_heads": 48, "use_rotary_positional_embeddings": True},
}
PARAMETERS = {"cogvideox-2b": 1.694e9, "cogvideox-5b": 5.570e9}
BLOCKS = {"cogvideox-2b": (15,), "cogvideox-5b": (20,), "tiny-dit": (4,), "cogvideox": (1,)}


def published(variant):
    """A twin as deep as a published model, with its kind of positions."""
    with torch.device("meta"):
        true = CogVideoXTransformer3DModel(**PUBLISHED[variant])
    assert true.num_parameters() == pytest.approx(PARAMETERS[variant], rel=1e-3)
    pipeline = cogvideox(rotary=true.config.use_rotary_positional_embeddings)
    config = {**pipeline.transformer.config, "num_layers": true.config.num_layers}
    pipeline.transformer = CogVideoXTransformer3DModel.from_config(config)
    return CogVideoX(pipeline, "some-folder", torch.device("cpu"))


@pytest.fixture(scope="module")
def backbones():
    twins = {name: CogVideoX(cogvideox(), name, torch.device("cpu")) for name in ("tiny-dit", "cogvideox")}
    return {**twins, **{variant: published(variant) for variant in PUBLISHED}}


def test_every_file_is_a_method_under_its_own_name():
    assert set(methods()) == {"ditflow", "injection", "moft", "motionflow", "motionmatcher", "none", "smm", "vmc"}
    for name, found in methods().items():
        assert isinstance(found, Method)
        assert found.name == name
        assert found.summary
        assert method(name) is found


def test_an_unknown_method_is_refused():
    with pytest.raises(
        SettingError,
        match="unknown method 'magic'; allowed are ditflow, injection, moft, motionflow, motionmatcher, none, smm, vmc",
    ):
        method("magic")


@pytest.mark.parametrize("variant", BLOCKS)
def test_a_model_is_known_by_its_architecture_or_its_bundled_name(backbones, variant):
    assert backbones[variant].about.variant == variant


@pytest.mark.parametrize("variant", BLOCKS)
@pytest.mark.parametrize("name", ["ditflow", "moft", "smm"])
def test_blocks_are_the_papers_for_published_models_else_the_middle_one(backbones, name, variant):
    settings = method(name).settings(backbones[variant])
    assert settings.block == BLOCKS[variant]
    assert tuple(method(name).blocks(settings)) == BLOCKS[variant]


@pytest.mark.parametrize("name", ["ditflow", "moft", "smm"])
def test_the_published_5b_runs_with_the_papers_constants(backbones, name):
    settings = method(name).settings(backbones["cogvideox-5b"])
    assert (settings.steps, settings.share, settings.inner) == (50, 0.2, 5)
    assert (settings.optimizer, settings.lr, settings.lr_end) == ("adam", 0.002, 0.001)
    assert (settings.cfg, settings.dynamic_cfg) == (7.0, True)
    assert (settings.target, settings.inject) == ("latents", True)


def test_the_published_2b_has_a_fixed_weight_of_the_prompt(backbones):
    settings = method("ditflow").settings(backbones["cogvideox-2b"])
    assert (settings.cfg, settings.dynamic_cfg, settings.temperature) == (6.0, False, 2.0)
