import pytest
import torch

from motionlift.core.condition import Condition


def condition(batch: int = 1, tokens: int = 4, start: float = 0.0) -> Condition:
    """Two tensors, as of a model with two text encoders."""
    words = torch.arange(batch * tokens * 2.0).reshape(batch, tokens, 2) + start
    return Condition({"words": words, "mask": torch.ones(batch, tokens) * start})


def test_prompts_are_joined_tensor_by_tensor_the_first_one_first():
    one, other = condition(), condition(start=100.0)
    both = one.joined(other)
    assert set(both.tensors) == {"words", "mask"}
    for name, tensor in both.tensors.items():
        assert len(tensor) == 2
        assert torch.equal(tensor[:1], one.tensors[name]) and torch.equal(tensor[1:], other.tensors[name])


@pytest.mark.parametrize(
    ("other", "fits"),
    [
        (condition(start=3.0), True),
        (condition(tokens=5), False),
        (condition(batch=2), False),
        (Condition({"words": torch.zeros(1, 4, 2)}), False),
        (Condition({"words": torch.zeros(1, 4, 2), "rope": torch.zeros(1, 4)}), False),
    ],
)
def test_prompts_fit_into_one_batch_where_all_their_tensors_are_of_one_size(other: Condition, fits: bool):
    assert condition().fits(other) == other.fits(condition()) == fits
