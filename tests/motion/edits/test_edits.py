import pytest
import torch

from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice
from motionlift.errors import MotionError, SettingError
from motionlift.motion.edits import edit_named, moved

TURNED = Edit(
    "turned", lambda field: field.flip(-2), lambda moves: moves * torch.tensor([1, -1]), lambda noise: noise.flip(-2)
)
LATTICE = Lattice(2, 2, 4)


def numbered(*sizes):
    count = torch.tensor(sizes).prod()
    return torch.arange(float(count)).reshape(sizes)


def test_an_edit_is_found_by_how_it_is_written():
    assert [edit_named(text).name for text in ("mirror", "move=.5, 0")] == ["mirror", "move=0.5,0"]
    with pytest.raises(SettingError, match=r"unknown edit 'upside_down'; allowed are .*mirror"):
        edit_named("upside_down")


@pytest.mark.parametrize("text", ["move=0,0", "move=0.1,0.2"])
def test_an_edit_that_changes_nothing_is_refused(text: str):
    with pytest.raises(SettingError, match="changes nothing: this motion knows 2 rows and 4 columns of places"):
        moved({"latents": numbered(1, 2, 2, 2, 4)}, edit_named(text), (), LATTICE)


def test_all_fields_of_a_motion_move_as_far_by_places_of_the_coarsest():
    fine = Lattice(2, 8, 8)
    tensors = {
        "latents": numbered(1, 2, 2, 16, 16),
        "maps.0": numbered(2, 1, 2, 8, 8),
        "maps.1": numbered(2, 1, 2, 4, 4),
    }
    found = moved(
        tensors, edit_named("move=0.2,0"), ("maps",), fine
    )  # a place of four, not two of eight nor three of 16
    for name, by in {"latents": 4, "maps.0": 2, "maps.1": 1}.items():
        assert torch.equal(found[name][..., by:], tensors[name][..., :-by]), name
    with pytest.raises(SettingError, match="4 rows and 4 columns"):
        moved(tensors, edit_named("move=0.1,0"), ("maps",), fine)
    del tensors["maps.1"]
    assert not torch.equal(moved(tensors, edit_named("move=0.1,0"), ("maps",), fine)["maps.0"], tensors["maps.0"])


def test_latents_alone_move_by_their_own_places():
    latents = numbered(1, 2, 2, 16, 16)
    found = moved({"latents": latents}, edit_named("move=0.0625,0"), (), Lattice(2, 8, 8))["latents"]
    assert torch.equal(found[..., 1:], latents[..., :-1])


def test_tokens_of_a_frame_are_its_rows_and_columns():
    temporal = numbered(3, 8, 2, 2)
    found = moved({"temporal.1": temporal}, TURNED, ("temporal",), LATTICE)["temporal.1"]
    assert torch.equal(found, torch.cat([temporal[:, 4:], temporal[:, :4]], dim=1))


def test_vectors_turn_with_their_places():
    field = torch.zeros(2, 2, 8, 2)
    field[0, 1, 1] = torch.tensor([3.0, 5.0])
    found = moved({"displacement": field}, TURNED, ("displacement",), LATTICE)["displacement"]
    assert found[0, 1, 5].tolist() == [3, -5]
    assert found.count_nonzero() == 2


def test_a_block_of_a_unet_has_a_halved_lattice():
    field = torch.zeros(2, 2, 2, 2)  # one row of two columns: its rows stay where they are
    field[0, 0, 0] = torch.tensor([1.0, 2.0])
    found = moved({"displacement.2": field}, TURNED, ("displacement",), LATTICE)["displacement.2"]
    assert found[0, 0, 0].tolist() == [1, -2]


def test_latents_and_maps_have_rows_and_columns():
    tensors = {"latents": numbered(1, 2, 2, 3, 4), "maps.0": numbered(2, 1, 2, 3, 4)}
    found = moved(tensors, TURNED, ("maps",), LATTICE)
    assert all(torch.equal(found[name], tensor.flip(-2)) for name, tensor in tensors.items())


@pytest.mark.parametrize("name", ["differences.0", "features.1", "positions.0.table", "adapter.unet.x", "mine.3"])
def test_what_does_not_follow_places_is_refused_by_name(name):
    with pytest.raises(MotionError, match=f"the motion holds {name}, which turned cannot change"):
        moved({name: torch.zeros(2, 3)}, TURNED, ("displacement", "mine"), LATTICE)


def test_a_field_of_another_lattice_is_refused():
    with pytest.raises(MotionError, match=r"displacement.0 of 5 tokens, which its lattice 2x2x4 has not"):
        moved({"displacement.0": torch.zeros(2, 2, 5, 2)}, TURNED, ("displacement",), LATTICE)
