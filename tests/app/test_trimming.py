"""What a model gets of a clip is told in words, as text."""

import pytest
import torch

from motionlift.app.motion_tab import WHERE
from motionlift.app.trimming import A_POINT, crop_told, described
from motionlift.video.clip import Clip
from motionlift.work.looking import Looked


@pytest.mark.parametrize(
    ("where", "told"), [(A_POINT, "0.25,0.5"), ("the middle", ""), ("where things move", "motion"), ("<b>", "")]
)
def test_the_place_of_a_crop(where: str, told: str):
    assert crop_told(where, 0.25, 0.5, WHERE) == told


def test_notices_are_text():
    clip = Clip(torch.zeros(17, 32, 32, 3, dtype=torch.uint8), 8.0, "0" * 64, ("<b>nothing moves",))
    told = described(Looked(clip, (64, 48), None))
    assert "17 frames of 48x64 pixels, 8 a second" in told and "&lt;b&gt;nothing moves" in told and "<b>" not in told
