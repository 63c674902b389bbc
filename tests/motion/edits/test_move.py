import torch

from motionlift.core.lattice import Lattice
from motionlift.motion.edits import edit_named, moved
from motionlift.motion.edits.move import edit

FIELD = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])


def test_what_comes_in_repeats_the_side():
    assert edit(0.25, 0).places(FIELD).tolist() == [[1, 1, 2, 3], [5, 5, 6, 7]]
    assert edit(-0.5, 0).places(FIELD).tolist() == [[3, 4, 4, 4], [7, 8, 8, 8]]
    assert edit(0, 0.5).places(FIELD).tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]
    assert edit(1, 0).places(FIELD).tolist() == [[1] * 4, [5] * 4], "all of it has left"


def test_amounts_are_rounded_to_whole_places():
    assert torch.equal(edit(0.2, 0.2).places(FIELD), edit(0.25, 0).places(FIELD))


def test_noise_comes_in_at_the_other_side_and_no_value_twice():
    found = edit(0.25, 0.5).noise(FIELD)
    assert found.tolist() == [[8, 5, 6, 7], [4, 1, 2, 3]]


def test_the_noise_of_a_motion_stays_noise_and_its_latents_do_not_come_round():
    tensors = {"latents": FIELD[None, None, None], "inverted": FIELD[None, None, None]}
    found = moved(tensors, edit_named("move=0.25,0"), (), Lattice(1, 2, 4))
    assert sorted(found["inverted"].flatten().tolist()) == list(range(1, 9))
    assert found["latents"].flatten().tolist() == [1, 1, 2, 3, 5, 5, 6, 7]


def test_places_move_and_ways_stay():
    field = torch.zeros(2, 2, 8, 2)
    field[0, 1, 2] = torch.tensor([3.0, 5.0])
    found = moved({"displacement": field}, edit_named("move=0.25,0.5"), ("displacement",), Lattice(2, 2, 4))
    assert found["displacement"][0, 1, 7].tolist() == [3, 5]
    assert torch.equal(edit(0.25, 0).vectors(field), field)
