"""ImageReward with a stand-in of the package's interface."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from motionlift.errors import InputError, ModelError
from motionlift.measure import reward
from motionlift.measure.reward import image_reward, load_reward


class Redness:
    """Likes red."""

    def __init__(self):
        self.prompts: list[str] = []

    def score(self, prompt: str, picture: Picture.Image) -> float:
        self.prompts.append(prompt)
        assert picture.mode == "RGB"
        return picture.getpixel((0, 0))[0] / 255


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An installed package; what it was loaded with."""
    asked: dict[str, Any] = {}

    def load(name: str, device: str, med_config: str) -> Redness:
        from huggingface_hub import constants

        asked.update(name=name, device=device, settings=med_config, offline=constants.HF_HUB_OFFLINE)
        return Redness()

    module = ModuleType("ImageReward")
    module.load = load
    monkeypatch.setitem(sys.modules, "ImageReward", module)
    monkeypatch.setattr(reward.util, "find_spec", lambda name: object())
    return asked


def fill_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward, "CACHE", folder)
    for name in reward.FILES:
        (folder / name).touch()


def test_the_mean_over_frames_in_rgb():
    model = Redness()
    frames = [np.full((4, 4, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255))]
    assert image_reward(frames, "a red star", model) == pytest.approx(0.5)
    assert model.prompts == ["a red star"] * 2
    with pytest.raises(InputError, match="no frame came"):
        image_reward([], "a red star", model)


def test_a_model_that_fails_is_no_traceback():
    class Broken:
        def score(self, prompt: str, picture: Picture.Image) -> float:
            raise RuntimeError("shapes do\nnot fit")

    with pytest.raises(ModelError, match=r"image-reward failed \(shapes do not fit\)"):
        image_reward([np.zeros((4, 4, 3), np.uint8)], "a red star", Broken())


def test_it_is_loaded_from_its_cache_and_off_the_network(
    package: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    fill_cache(tmp_path, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert isinstance(load_reward(), Redness)
    assert package == {
        "name": str(tmp_path / "ImageReward.pt"),
        "device": "cpu",
        "settings": str(tmp_path / "med_config.json"),
        "offline": True,
    }
    assert constants.HF_HUB_OFFLINE is False


def test_without_package_or_weights_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ModelError, match=r"not installed; install it \(pip install image-reward\)"):
        load_reward()
    monkeypatch.setattr(reward.util, "find_spec", lambda name: object())
    monkeypatch.setattr(reward, "CACHE", tmp_path)
    with pytest.raises(ModelError, match="its weights are not in"):
        load_reward()
    fill_cache(tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "ImageReward", None)
    with pytest.raises(ModelError, match="it cannot be loaded"):
        load_reward()
