"""What does not go together says why."""

from motionlift.models.loading import load
from motionlift.work.matching import why_not


def test_a_model_without_positions_is_told():
    model = load("tiny-unet", "cpu")
    assert "tiny-unet has no positional tensors" in why_not("ditflow", {"target": "positions"}, model)
    assert why_not("ditflow", {}, model) == ""
