import pytest
import torch

from motionlift.errors import InputError
from motionlift.measure.matching import both_seen, least_together, long_seen, together

TRACKS = torch.zeros(3, 5, 2)


@pytest.mark.parametrize(
    "tracks",
    [torch.zeros(0, 5, 2), torch.zeros(3, 1, 2), torch.zeros(3, 5, 3), torch.zeros(3, 5), torch.zeros(3, 5, 2).int()],
)
def test_tracks_of_another_form_are_refused(tracks: torch.Tensor):
    for pair, name in (((tracks, TRACKS), "reference"), ((TRACKS, tracks), "generated")):
        with pytest.raises(InputError, match=f"the {name} tracks are"):
            both_seen(*pair, None, None)


@pytest.mark.parametrize("visible", [torch.ones(3, 4, dtype=torch.bool), torch.ones(3, 5)])
def test_masks_of_another_form_are_refused(visible: torch.Tensor):
    with pytest.raises(InputError, match="the visibility of the generated tracks is"):
        both_seen(TRACKS, TRACKS, None, visible)


def test_nan_is_refused_where_something_is_to_be_seen_alone():
    spoilt, visible = TRACKS.clone(), torch.ones(3, 5, dtype=torch.bool)
    spoilt[1, 2, 0] = torch.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        both_seen(spoilt, TRACKS, None, None)
    visible[1, 2] = False
    seen, _ = both_seen(spoilt, TRACKS, visible, None)
    assert seen.positions.isfinite().all()


def test_the_one_with_more_frames_is_resampled_from_end_to_end():
    long = torch.arange(9.0)[None, :, None].expand(1, 9, 2)
    visible = torch.ones(1, 9, dtype=torch.bool)
    visible[0, 3] = False
    other = torch.zeros(1, 4, 2)
    for pair, masks, place in (((long, other), (visible, None), 0), ((other, long), (None, visible), 1)):
        found = both_seen(*pair, *masks)[place]
        # At 0, 8/3, 16/3 and 8: the second lies between frames two and three, and three is not seen.
        assert found.visible.tolist() == [[True, False, True, True]]
        torch.testing.assert_close(found.positions[0, :, 0], torch.tensor([0, 0, 16 / 3, 8], dtype=torch.float64))
    finer, _ = both_seen(long, torch.zeros(1, 5, 2), visible, None)
    assert finer.visible.all(), "frames that are met exactly need no neighbour"


def test_half_of_the_time_is_enough():
    assert [least_together(times) for times in (1, 2, 5, 16)] == [1, 1, 2.5, 8]
    visible = torch.tensor([[True, True, False, False, False], [True, True, True, False, False]])
    assert long_seen(visible).tolist() == [False, True]


def test_pairs_are_counted_block_by_block():
    one = torch.rand(600, 7, generator=torch.Generator().manual_seed(0)) < 0.5
    other = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    counts = torch.zeros(600, 5)
    for block, count in together(one, other):
        counts[block] = count.float()
    assert torch.equal(counts, (one[:, None] & other[None]).sum(dim=-1).float())
