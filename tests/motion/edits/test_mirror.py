import torch

from motionlift.motion.edits.mirror import edit


def test_columns_are_reversed():
    assert edit().places(torch.tensor([[[1.0, 2, 3], [4, 5, 6]]])).tolist() == [[[3, 2, 1], [6, 5, 4]]]


def test_x_is_negated_and_what_is_unknown_stays_unknown():
    found = edit().vectors(torch.tensor([[1.0, 2.0], [torch.nan, torch.nan]]))
    assert found[0].tolist() == [-1, 2]
    assert found[1].isnan().all()


def test_twice_is_nothing():
    field = torch.randn(2, 3, 4, 2)
    assert torch.equal(edit().places(edit().places(field)), field)
    assert torch.equal(edit().vectors(edit().vectors(field)), field)
