"""Leaked looks; LPIPS with AlexNet's form and random weights, in a torchvision of our own."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from motionlift.errors import InputError, ModelError
from motionlift.measure import leakage
from motionlift.measure.leakage import LPIPS_LEAST, SSIM_LEAST, content_leakage, load_lpips
from motionlift.video.clip import Clip


def noise(frames: int, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    return Clip.of(torch.randint(0, 256, (frames, 24, 32, 3), generator=generator, dtype=torch.uint8), 8.0)


def flat(frames: int, *colour: int) -> Clip:
    return Clip.of(torch.tensor(colour, dtype=torch.uint8).expand(frames, 24, 32, 3), 8.0)


def test_a_video_leaks_all_of_itself():
    found = content_leakage(noise(5), noise(5), (5, 5))
    assert found.ssim == pytest.approx(1.0, abs=1e-6)
    assert found.histogram == pytest.approx(1.0)
    assert found.lpips is None


def test_colours_in_common_are_counted():
    half = torch.cat([flat(1, 250, 10, 10).frames[:, :12], flat(1, 10, 10, 250).frames[:, :12]], dim=1)
    assert content_leakage(Clip.of(half, 8.0), flat(1, 250, 10, 10), (1, 1)).histogram == pytest.approx(0.5)
    assert content_leakage(flat(3, 10, 250, 10), flat(3, 250, 10, 10), (3, 3)).histogram == 0.0
    assert content_leakage(flat(2, 0, 0, 31), flat(2, 0, 0, 32), (2, 2)).histogram == 0.0, (
        "an eighth of the range apart"
    )
    assert content_leakage(flat(2, 0, 0, 0), flat(2, 31, 31, 31), (2, 2)).histogram == pytest.approx(1.0)


def test_frames_go_together_by_time():
    long, short = noise(9), noise(9)
    short = Clip.of(short.frames[[0, 4, 8]], 8.0)
    for pair, counts in (((long, short), (9, 3)), ((short, long), (3, 9))):
        assert content_leakage(*pair, counts).ssim == pytest.approx(1.0, abs=1e-6)
    assert content_leakage(long, Clip.of(long.frames.flip(0), 8.0), (9, 9)).ssim < 0.5


def test_the_similarity_is_the_mean_over_frames():
    one, other = noise(3, 1), noise(3, 2)
    batches = [clip.frames.permute(0, 3, 1, 2).float() / 255 for clip in (one, other)]
    expected = float(structural_similarity_index_measure(*batches, data_range=1.0))
    assert content_leakage(one, other, (3, 3)).ssim == pytest.approx(expected, abs=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"32x24 and 32x20"):
        content_leakage(noise(2), noise(2).resized(20, 32), (2, 2))
    for counts in ((3, 2), (2, 3), (3, 3)):
        with pytest.raises(InputError, match=r"fewer frames than was said|frames came of"):
            content_leakage(noise(2), noise(3) if counts == (2, 3) else noise(2), (counts[0], counts[1] + 9))


def test_frames_too_narrow_for_the_similarity_are_refused():
    narrow = [noise(2, seed).resized(SSIM_LEAST, 64) for seed in (1, 2)]
    assert -1 < content_leakage(*narrow, (2, 2)).ssim < 0.9
    narrower = [clip.resized(SSIM_LEAST - 1, 64) for clip in narrow]
    with pytest.raises(InputError, match="compared at 64x5 pixels and need sides of at least 6"):
        content_leakage(*narrower, (2, 2))
    found = content_leakage(*narrower, (2, 2), ssim=False)
    assert found.ssim is None and 0 <= found.histogram <= 1


# LPIPS


def alexnet(weights: object = None) -> nn.Module:
    """AlexNet's convolutions, as torchvision numbers them."""
    sizes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    layers: list[nn.Module] = []
    for number, (inside, outside, kernel, stride, padding) in enumerate(sizes):
        layers += [nn.Conv2d(inside, outside, kernel, stride, padding), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if number in (0, 1, 4) else []
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    assert weights == "weights that are there", "they would be random"
    return model


@pytest.fixture
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torchvision that holds AlexNet alone, and its weights in torch.hub's cache."""
    module, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    models.alexnet = alexnet
    models.AlexNet_Weights = type(
        "AlexNet_Weights", (), dict.fromkeys(("DEFAULT", "IMAGENET1K_V1"), "weights that are there")
    )
    module.models = models
    monkeypatch.setitem(sys.modules, "torchvision", module)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    for place in ("torchmetrics.functional.image.lpips", "torchmetrics.image.lpip"):
        monkeypatch.setattr(f"{place}._TORCHVISION_AVAILABLE", True)
    lpips = "torchmetrics.functional.image.lpips._TORCHVISION_GREATER_EQUAL_0_13"  # asked by older torchmetrics
    monkeypatch.setattr(lpips, True, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / leakage.LPIPS_WEIGHTS).touch()


@pytest.mark.usefixtures("torchvision")
def test_lpips_is_zero_for_the_same_pictures_and_grows_with_the_difference():
    torch.manual_seed(0)
    network = load_lpips()
    own = Clip.of(noise(2).frames.repeat_interleave(4, 1).repeat_interleave(4, 2), 8.0)
    near = Clip.of((own.frames.int() + 20).clamp(0, 255).to(torch.uint8), 8.0)
    far = Clip.of(255 - own.frames, 8.0)
    distances = [content_leakage(own, other, (2, 2), network).lpips for other in (own, near, far)]
    assert distances[0] == pytest.approx(0.0, abs=1e-7)
    assert distances[0] < distances[1] < distances[2]


@pytest.mark.usefixtures("torchvision")
def test_lpips_of_frames_too_small_for_its_network_is_refused():
    network = load_lpips()
    for size in ((LPIPS_LEAST, 40), (40, LPIPS_LEAST)):
        assert content_leakage(noise(2).resized(*size), noise(2, 1).resized(*size), (2, 2), network).lpips > 0
    small = noise(2).resized(LPIPS_LEAST - 1, 40)
    with pytest.raises(InputError, match="compared at 40x30 pixels and need sides of at least 31"):
        content_leakage(small, small, (2, 2), network)


def test_lpips_without_weights_or_torchvision_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match=r"alexnet.*pip install 'motionlift\[lpips\]'"):
        load_lpips()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / leakage.LPIPS_WEIGHTS).touch()
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModelError, match=r"pip install 'motionlift\[lpips\]'"):
        load_lpips()


def test_every_frame_counts_in_the_histogram():
    """Also those that are passed over where the other video has fewer."""
    frames = np.concatenate([flat(1, 0, 0, 0).frames, flat(1, 255, 0, 0).frames, flat(1, 0, 0, 0).frames])
    found = content_leakage(Clip.of(torch.from_numpy(frames), 8.0), flat(2, 0, 0, 0), (3, 2))
    assert found.histogram == pytest.approx(2 / 3)
