"""Models without weights: from folders without any, and from pipelines."""

from pathlib import Path

import pytest
import torch

from motionlift.errors import ModelError
from motionlift.models.blank import blank, blank_of
from motionlift.models.counting import counting
from motionlift.models.loading import load
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import BUNDLED
from tests.twins import TRANSFORMERS, cogvideox, unet3d


def without_weights(folder: Path) -> str:
    """A folder whose weights are gone."""
    for file in folder.rglob("*.safetensors"):
        file.unlink()
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("build", [cogvideox, unet3d, TRANSFORMERS["wan-2.1"].build])
def test_configurations_are_enough(build, tmp_path: Path):
    build().save_pretrained(tmp_path / "model")
    own = load(str(tmp_path / "model"), "cpu")
    sizes = {name: (weight.shape, weight.dtype) for name, weight in own.network.named_parameters()}
    folder = without_weights(tmp_path / "model")
    with counting():
        model = blank(folder, "cpu")
        assert {name: (weight.shape, weight.dtype) for name, weight in model.network.named_parameters()} == sizes
        assert all(weight.is_meta for weight in model.network.parameters())
        assert (model.about.identity, model.about.shape) == (own.about.identity, own.about.shape)
        levels = [level.timestep for level in model.schedule(4).levels]
    assert levels == [level.timestep for level in own.schedule(4).levels]


@pytest.mark.slow
def test_on_a_gpu_its_numbers_are_of_half_precision(tmp_path: Path):
    TRANSFORMERS["wan-2.1"].build().save_pretrained(tmp_path / "model")
    with counting():
        model = blank(without_weights(tmp_path / "model"), "cuda")
        assert isinstance(model, PipelineModel)
        kinds = {use: {weight.dtype for part in own for weight in part.parameters()} for use, own in model.held.items()}
    assert torch.bfloat16 in kinds["network"] and kinds["autoencoder"] == {torch.float32}


def test_the_bundled_models_without_reading_a_weight(monkeypatch: pytest.MonkeyPatch):
    from safetensors import torch as reader

    monkeypatch.setattr(reader, "load_file", pytest.fail)
    with counting():
        assert blank("tiny-dit", "cpu").about.variant == "tiny-dit"
    assert (BUNDLED / "tiny-dit").is_dir()


def test_one_that_is_loaded_stays_as_it_is():
    pipeline = cogvideox()
    model = load(pipeline, "cpu")
    assert isinstance(model, PipelineModel)
    before = model.about.fingerprint
    with counting():
        other = blank_of(model)
        assert other.about.identity == model.about.identity
    assert not any(weight.is_meta for weight in model.network.parameters())
    assert load(pipeline, "cpu").about.fingerprint == before


def test_damaged_configurations_are_refused(tmp_path: Path):
    cogvideox().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "transformer" / "config.json").write_text("{")
    with counting(), pytest.raises(ModelError, match="is incomplete or damaged"):
        blank(str(tmp_path / "model"), "cpu")
