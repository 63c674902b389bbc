import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from motionlift.errors import InputError
from motionlift.measure.diversity import diversity
from motionlift.measure.leakage import SSIM_LEAST
from motionlift.video.clip import Clip


def noise(seed: int, frames: int = 3) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    return Clip.of(torch.randint(0, 256, (frames, 16, 24, 3), generator=generator, dtype=torch.uint8), 8.0)


def test_the_same_picture_for_every_seed_has_none():
    assert diversity([noise(1)] * 3) == pytest.approx(0.0, abs=1e-6)


def test_it_is_the_mean_over_all_pairs():
    videos = [noise(1), noise(2), noise(1)]
    first, second = ((clip.frames.permute(0, 3, 1, 2).float() / 255) for clip in videos[:2])
    apart = 1 - float(structural_similarity_index_measure(first, second, data_range=1.0))
    assert apart > 0.5
    assert diversity(videos) == pytest.approx(2 / 3 * apart, abs=1e-5)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="at least two seeds"):
        diversity([noise(1)])
    for other in (noise(2, 4), noise(2).resized(16, 16)):
        with pytest.raises(InputError, match="differ in length or size"):
            diversity([noise(1), other])
    with pytest.raises(InputError, match="no frame"):
        diversity([[], []])


def test_frames_too_narrow_for_the_similarity_are_refused():
    assert diversity([noise(seed).resized(SSIM_LEAST, 64) for seed in (1, 2)]) > 0.1
    with pytest.raises(InputError, match="compared at 64x5 pixels and need sides of at least 6"):
        diversity([noise(seed).resized(5, 64) for seed in (1, 2)])
