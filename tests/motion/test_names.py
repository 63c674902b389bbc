"""Names of tensors are made and read in one place."""

import pytest
import torch

from motionlift.core.tensors import INVERTED
from motionlift.errors import MotionError
from motionlift.motion import names
from motionlift.motion.names import Name


def filled(*given: str) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(float(number)) for number, name in enumerate(given)}


def test_names_are_made():
    assert names.field_name("maps", 4) == "maps.4"
    assert names.field_name("displacement") == "displacement"
    assert names.position_name(3, "query_cos") == "positions.3.query_cos"
    assert names.adapter_name("unet", "mid.to_q.lora_A.weight") == "adapter.unet.mid.to_q.lora_A.weight"


@pytest.mark.parametrize(
    ("name", "word", "block"),
    [
        ("latents", "latents", None),
        (INVERTED, "inverted", None),
        ("displacement", "displacement", None),
        ("displacement.15", "displacement", 15),
        ("channels.0", "channels", 0),
        ("positions.0.table", "positions", None),
        ("adapter.unet.mid.to_q.difference", "adapter", None),
        ("maps", None, None),
        ("latents.3", None, None),
        ("displacement.fifteen", None, None),
        ("displacement." + "9" * 5000, None, None),
        ("displacement.²", None, None),
        ("paths", None, None),
        ("paths.2", None, 2),
        ("paths.2.more", None, None),
        ("", None, None),
    ],
)
def test_names_are_read(name: str, word: str | None, block: int | None):
    parsed = Name.parsed(name)
    assert (parsed.kind and parsed.kind.word) == word
    assert parsed.block == block


def test_what_is_made_is_read_again():
    for word in names.KINDS:
        if names.KINDS[word].of == ("block",):
            assert Name.parsed(names.field_name(word, 7)).block == 7


def test_a_block_has_its_own_or_what_serves_all():
    tensors = filled("displacement", "displacement.3")
    assert names.of_block(tensors, "displacement", 3) == 1
    assert names.of_block(tensors, "displacement", 4) == 0
    with pytest.raises(MotionError, match="holds no maps of block 3: lift it again with that block"):
        names.of_block(tensors, "maps", 3)


def test_by_block_in_the_order_of_the_network():
    tensors = filled("maps.10", "displacement.1", "maps.2", "displacement", "maps.more", "mapsy.3")
    assert names.by_block(tensors, "maps") == {2: 2, 10: 0}
    assert list(names.by_block(tensors, "maps")) == [2, 10]
    assert list(names.by_block(tensors, "displacement")) == [None, 1]


def test_saved_positions_of_a_step():
    tensors = filled("positions.1.query_cos", "positions.1.key_cos", "positions.11.query_cos", "latents")
    assert names.saved_positions(tensors, 1) == {"query_cos": 0, "key_cos": 1}
    assert names.saved_positions(tensors, 2) == {}


def test_an_adapter_by_part_and_layer():
    tensors = filled("latents", "adapter.unet.mid.to_q.difference", "adapters.unet.x")
    assert names.adapter(tensors) == {"unet.mid.to_q.difference": 1}
