"""Moved rotary positions against the rotary formula at fractional places, and which tables can be moved."""

import math

import pytest
import torch
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoRotaryPosEmbed
from diffusers.models.transformers.transformer_ltx import LTXVideoRotaryPosEmbed
from diffusers.models.transformers.transformer_ltx2 import LTX2AudioVideoRotaryPosEmbed
from diffusers.models.transformers.transformer_mochi import MochiRoPE
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from motionlift.core.lattice import Lattice
from motionlift.signals.rotary_positions import can_be_moved, moved_positions
from tests.twins import TRANSFORMERS

GRID = Lattice(3, 5, 7)
Table = tuple[torch.Tensor, torch.Tensor]


def wan(grid: Lattice = GRID) -> Table:
    """Wan 2.1's, of every size, and 2.2's."""
    latents = torch.zeros(1, 16, grid.frames, 2 * grid.height, 2 * grid.width)
    return WanRotaryPosEmbed(128, (1, 2, 2), 1024)(latents)


def hunyuan(grid: Lattice = GRID) -> Table:
    """HunyuanVideo's, and 1.5's with a patch of one."""
    latents = torch.zeros(1, 16, grid.frames, 2 * grid.height, 2 * grid.width)
    return HunyuanVideoRotaryPosEmbed(2, 1, [16, 56, 56], 256.0)(latents)


def cogvideox(grid: Lattice = GRID, spacing: float = 1.0) -> Table:
    """CogVideoX-5B's, of a video that fills so many times its tokens of the base size."""
    stop = (round(grid.height * spacing), round(grid.width * spacing))
    cosine, sine = get_3d_rotary_pos_embed(64, ((0, 0), stop), (grid.height, grid.width), grid.frames)
    return cosine, sine


SIZES = {"wan": (44, 42, 42), "hunyuan": (16, 56, 56), "cogvideox": (16, 24, 24)}
"""Channels that tell frame, row and column."""
BASES = {"wan": 10_000.0, "hunyuan": 256.0, "cogvideox": 10_000.0}
"""Bases of the frequencies."""
TABLES = {"wan": wan, "hunyuan": hunyuan, "cogvideox": cogvideox}


def written_out(name: str, places: torch.Tensor) -> Table:
    """The rotary formula at any places, frame then row then column: ``place * base^(-2k / size)``, each for two channels."""
    angles = []
    for axis, size in enumerate(SIZES[name]):
        rates = torch.tensor([BASES[name] ** (-2 * k / size) for k in range(size // 2)], dtype=torch.float64)
        angles.append((places[:, axis, None] * rates).repeat_interleave(2, dim=1))
    joined = torch.cat(angles, dim=1)
    return joined.cos(), joined.sin()


def places() -> torch.Tensor:
    axes = [torch.arange(float(count), dtype=torch.float64) for count in (GRID.frames, GRID.height, GRID.width)]
    return torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")], dim=1)


def plain(table: Table) -> Table:
    """Tokens by channels."""
    cosine, sine = (each.reshape(GRID.tokens, -1).double() for each in table)
    return cosine, sine


def shift(seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(GRID.frames, GRID.area, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", TABLES)
def test_moved_positions_are_those_of_fractional_places(name: str):
    table = TABLES[name]()
    torch.testing.assert_close(plain(table), written_out(name, places()), atol=1e-5, rtol=0)
    moves, moved = shift(), places()
    moved[:, 2] += moves[..., 0].flatten()
    moved[:, 1] += moves[..., 1].flatten()
    found = moved_positions(*table, GRID, moves)
    assert [each.shape for each in found] == [each.shape for each in table]
    torch.testing.assert_close(plain(found), written_out(name, moved), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", TABLES)
def test_a_whole_token_is_the_place_of_the_neighbour(name: str):
    table = TABLES[name]()
    moves = torch.tensor([1.0, -2.0]).expand(GRID.frames, GRID.area, 2)
    for own, found in zip(table, moved_positions(*table, GRID, moves), strict=True):
        own, found = (each.reshape(GRID.frames, GRID.height, GRID.width, -1) for each in (own, found))
        torch.testing.assert_close(found[:, 2:, :-1], own[:, :-2, 1:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", TABLES)
def test_where_nothing_moves_nothing_changes(name: str):
    table = TABLES[name]()
    moves = torch.zeros(GRID.frames, GRID.area, 2)
    moves[1, 4] = torch.tensor([0.5, 0.25])
    token = GRID.area + 4
    for own, found in zip(map(torch.Tensor.double, table), moved_positions(*table, GRID, moves), strict=True):
        own, found = (each.reshape(GRID.tokens, -1) for each in (own, found))
        assert torch.equal(own[:token], found[:token].double()) and torch.equal(
            own[token + 1 :], found[token + 1 :].double()
        )
        assert not torch.equal(own[token], found[token].double())


def test_of_one_row_nothing_is_known_of_rows():
    line = Lattice(2, 1, 4)
    table = wan(line)
    found = moved_positions(*table, line, torch.tensor([0.0, 2.0]).expand(2, 4, 2))
    assert torch.equal(found[0], table[0]) and torch.equal(found[1], table[1])


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_positions_that_count_tokens_can_be_moved(name: str, kind: torch.dtype):
    cosine, sine = TABLES[name]()
    assert can_be_moved(cosine.to(kind), sine.to(kind), GRID)


@pytest.mark.parametrize("grid", [Lattice(13, 30, 45), Lattice(2, 15, 22), Lattice(2, 24, 15)])
def test_cogvideox_at_other_sizes_can_be_moved_as_long_as_a_token_is_less_than_half_a_turn(grid: Lattice):
    for spacing in (1.0, 1.5, 2.0, 3.0):
        assert can_be_moved(*cogvideox(grid, spacing), grid)
    for spacing in (3.5, 5.0, 2 * math.pi + 0.4, 7.0, 10.0, 15.0):
        assert not can_be_moved(*cogvideox(grid, spacing), grid)


def ltx(grid: Lattice) -> Table:
    """LTX-Video's at its published rate: a latent is 32 pixels of 2048."""
    rotary = LTXVideoRotaryPosEmbed(dim=2048)
    return rotary(torch.zeros(1, grid.tokens, 1), grid.frames, grid.height, grid.width, (8 / 25, 32, 32))


def ltx2(grid: Lattice) -> Table:
    """LTX-2's."""
    rotary = LTX2AudioVideoRotaryPosEmbed(dim=4096, double_precision=True, rope_type="split")
    return rotary(rotary.prepare_video_coords(1, grid.frames, grid.height, grid.width, torch.device("cpu"), fps=24.0))


def mochi(grid: Lattice) -> Table:
    """Mochi's, of frequencies that are learned: here drawn."""
    learned = torch.randn(3, 24, 64, generator=torch.Generator().manual_seed(0))
    return MochiRoPE()(learned, grid.frames, grid.height, grid.width, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("build", [ltx, ltx2, mochi])
@pytest.mark.parametrize("grid", [GRID, Lattice(3, 16, 22)])
def test_fractions_of_a_large_video_and_learned_frequencies_cannot(build, grid: Lattice):
    assert not can_be_moved(*build(grid), grid)


@pytest.mark.parametrize("name", sorted(TRANSFORMERS))
def test_which_rows_can_be_moved(name: str):
    twin = TRANSFORMERS[name]
    model = twin.model()
    positions, lattice = model.positions(twin.shape), model.lattice(twin.shape)
    pairs = [key.removesuffix("cos") for key in positions if key.endswith("cos")]
    can = bool(pairs) and all(can_be_moved(positions[f"{own}cos"], positions[f"{own}sin"], lattice) for own in pairs)
    movable = ("wan-2.1", "wan-2.2", "wan-2.2-ti2v", "skyreels", "hunyuan", "hunyuan-1.5", "cogvideox-rotary")
    assert can == (name in (*movable, "cogvideox-1.5"))
