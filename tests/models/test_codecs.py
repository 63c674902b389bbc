"""What sizes and lengths autoencoders allow, and how latents are normalised."""

from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.configuration_utils import FrozenDict

from motionlift.core.lattice import Shape
from motionlift.errors import SettingError
from motionlift.models.codecs import Autoencoder, FrameAutoencoder, GroupAutoencoder, VideoAutoencoder

CPU = torch.device("cpu")


class Identity(torch.nn.Module):
    """An autoencoder whose latents are its pixels."""

    dtype = torch.float32

    def __init__(self, **config: Any):
        super().__init__()
        self.config = FrozenDict(config)
        self.times: list[torch.Tensor] = []

    def encode(self, pixels: torch.Tensor) -> Any:
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: pixels))

    def decode(self, latents: torch.Tensor, *times: torch.Tensor) -> Any:
        self.times += times
        return SimpleNamespace(sample=latents)


@contextmanager
def using(*_parts: torch.nn.Module):
    yield


def codec(kind: type[Autoencoder] = VideoAutoencoder, vae: Any = None, **more: Any) -> Any:
    shape = Shape(9, 64, 96)
    return kind(vae=vae, name="model", shape=shape, channels=3, side=8, device=CPU, using=using, tokens=2, **more)


@pytest.mark.parametrize(
    ("kind", "more", "fitting", "others"),
    [
        (VideoAutoencoder, {}, [5, 9, 81], {2: "5", 7: "5 or 9", 82: "81 or 85", 147: "145 or 149", 10000: "9997"}),
        (VideoAutoencoder, {"group": 8}, [9, 17, 161], {8: "9", 12: "9 or 17"}),
        (VideoAutoencoder, {"group": 6}, [7, 13, 19], {8: "7 or 13"}),
        (GroupAutoencoder, {}, [4, 8, 88], {2: "4", 5: "4 or 8", 87: "84 or 88"}),
    ],
)
def test_lengths(kind: type[VideoAutoencoder], more: dict[str, int], fitting: list[int], others: dict[int, str]):
    own = codec(kind, **more)
    for frames in fitting:
        assert own.fitting(frames) == Shape(frames, 64, 96)
        assert own.pixel_frames(own.latent_frames(frames)) == frames
        assert len(own.frame_times(frames)) == own.latent_frames(frames)
    for frames, near in others.items():
        with pytest.raises(
            SettingError, match=rf"{frames} frames do not fit model: .*, so {near}; its own length is 9"
        ):
            own.fitting(frames)


def test_sizes():
    own = codec()
    assert own.fitting(None, 32, 48) == Shape(9, 32, 48)
    assert own.fitting(None, None, 112) == Shape(9, 64, 112)
    with pytest.raises(
        SettingError, match="100x60 pixels do not fit model: allowed are multiples of 16; the nearest is 96x64"
    ):
        own.fitting(None, 60, 100)
    odd = replace(own, shape=Shape(9, 60, 96))
    assert odd.fitting() == Shape(9, 60, 96), "its own size is what it is"


def test_a_network_that_sees_no_more_frames_makes_longer_videos_in_windows():
    own = codec(FrameAutoencoder, most=32)
    assert own.fitting(33).frames == 33
    with pytest.raises(SettingError, match="1 frames do not fit model: allowed are 2 and more"):
        own.fitting(1)


def test_means_and_deviations_of_channels():
    """``(z - mean) scale / std``, and back; the published formula of Wan, LTX and Mochi."""
    vae = Identity(latents_mean=[1.0, 2.0, 3.0], latents_std=[2.0, 4.0, 0.5], scaling_factor=0.5)
    pixels = torch.rand(5, 3, 8, 8)
    latents = codec(vae=vae).encode(pixels)
    for channel, (mean, deviation) in enumerate([(1.0, 2.0), (2.0, 4.0), (3.0, 0.5)]):
        wanted = (pixels[:, channel] - mean) * 0.5 / deviation
        torch.testing.assert_close(latents[0, channel], wanted)
    torch.testing.assert_close(codec(vae=vae).decode(latents), pixels)


def test_a_decoder_that_is_told_a_time_gets_a_little_noise_always_the_same():
    vae = Identity(timestep_conditioning=True)
    latents = torch.zeros(1, 3, 2, 8, 8)
    first, second = (codec(vae=vae).decode(latents) for _ in range(2))
    assert torch.equal(first, second) and 0.02 < first.std() < 0.03
    assert [time.tolist() for time in vae.times] == [[pytest.approx(0.05)]] * 2


class Half:
    """A decoder that gives what it is given, beyond the range, in half precision."""

    dtype = torch.bfloat16
    config = FrozenDict({})

    def named_buffers(self, recurse: bool) -> list[Any]:
        return []

    def decode(self, latents: torch.Tensor) -> Any:
        return SimpleNamespace(sample=3 * latents)


def test_what_is_decoded_is_in_the_autoencoders_type_until_it_is_cut():
    own = codec(vae=Half())
    latents = torch.randn(1, 3, 37, 4, 4, generator=torch.Generator().manual_seed(1))
    made = own.decoded(latents)
    assert made.dtype is torch.bfloat16 and made.abs().max() > 1
    assert torch.equal(own.decode(latents), made.float().clamp(-1, 1))
