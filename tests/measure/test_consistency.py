import cv2
import numpy as np
import pytest
import torch

from motionlift.errors import InputError
from motionlift.measure.consistency import _mean_difference, temporal_consistency
from motionlift.video.clip import Clip
from tests.measure.test_trackers import panned


def test_a_video_at_rest_is_wholly_consistent():
    assert temporal_consistency(panned((0, 0))) == 1.0


@pytest.mark.slow
def test_motion_alone_is_consistent_and_flicker_is_not():
    moving = panned((3.0, 1.5))
    flicker = moving.frames.clone().float()
    flicker[1::2] -= 40
    flickering = Clip.of(flicker.clamp(0, 255).to(torch.uint8), 12.0)
    unwarped = 1 - float(moving.frames.float().diff(dim=0).abs().mean()) / 255
    assert temporal_consistency(moving) > 0.97 > unwarped
    assert temporal_consistency(moving) - temporal_consistency(flickering) > 0.1


@pytest.mark.slow
def test_cuts_between_pictures_are_not_consistent():
    one, other = panned((0, 0)).frames[:1], panned((0, 0)).frames[:1].flip(1, 2)
    assert temporal_consistency(Clip.of(torch.cat([one, other] * 3), 8.0)) < 0.9


def test_the_difference_is_over_what_counts():
    frame = np.full((4, 4, 3), 51, np.uint8)
    counts = np.zeros((4, 4), bool)
    assert _mean_difference(np.zeros((4, 4, 3), np.float32), frame, counts) == 1.0
    counts[0, 0] = True
    warped = np.zeros((4, 4, 3), np.float32)
    assert _mean_difference(warped, frame, counts) == pytest.approx(0.2)
    warped[0, 0] = 51
    assert _mean_difference(warped, frame, counts) == 0.0


def test_narrow_videos_and_single_frames():
    narrow = [cv2.resize(frame, (64, 10)) for frame in panned((2, 0))]
    assert 0 <= temporal_consistency(narrow) <= 1
    with pytest.raises(InputError, match="fewer than two frames"):
        temporal_consistency(narrow[:1])
