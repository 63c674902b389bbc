"""Motion fidelity against answers known by hand, and against its definition written out in loops."""

import math
import time

import pytest
import torch

from motionlift.errors import InputError
from motionlift.measure.fidelity import STILL, motion_fidelity, motion_fidelity_moving, still_step
from motionlift.measure.matching import ROWS
from tests.measure.memory import LITTLE, POINTS, bytes_taken


def walk(points: int = 7, frames: int = 9, seed: int = 0) -> torch.Tensor:
    """Random tracks."""
    steps = torch.randn(points, frames, 2, generator=torch.Generator().manual_seed(seed))
    return 50 + steps.cumsum(dim=1)


def line(x: float, y: float, points: int = 3, frames: int = 6, start: float = 10.0) -> torch.Tensor:
    """Points that all move alike."""
    steps = torch.arange(frames)[:, None] * torch.tensor([x, y])
    return (start + steps).expand(points, frames, 2).clone()


def defined(one: torch.Tensor, other: torch.Tensor, seen: torch.Tensor, seen_other: torch.Tensor) -> float:
    """The definition, pair by pair and step by step."""

    def likeness(first: torch.Tensor, second: torch.Tensor, both: torch.Tensor) -> float | None:
        values = []
        for step in range(len(first) - 1):
            if not (both[step] and both[step + 1]):
                continue
            a, b = first[step + 1] - first[step], second[step + 1] - second[step]
            if a.norm() == 0 or b.norm() == 0:
                values.append(float(a.norm() == b.norm()))
            else:
                values.append(float(a @ b / (a.norm() * b.norm())))
        return sum(values) / len(values) if len(values) >= (len(first) - 1) / 2 else None

    def one_way(
        tracks: torch.Tensor, visible: torch.Tensor, others: torch.Tensor, others_visible: torch.Tensor
    ) -> float:
        best = []
        for track, mask in zip(tracks, visible, strict=True):
            if int((mask[1:] & mask[:-1]).sum()) < (tracks.shape[1] - 1) / 2:
                continue
            found = [likeness(track, each, mask & also) for each, also in zip(others, others_visible, strict=True)]
            best.append(max([value for value in found if value is not None], default=0.0))
        return sum(best) / len(best)

    one, other = one.double(), other.double()
    return (one_way(one, seen, other, seen_other) + one_way(other, seen_other, one, seen)) / 2


def seen(tracks: torch.Tensor) -> torch.Tensor:
    return torch.ones(tracks.shape[:2], dtype=torch.bool)


def test_a_video_against_itself_is_exactly_one():
    for tracks in (walk(), walk(300, 49), torch.zeros(4, 5, 2), walk().float(), walk().double() * 1e-3):
        assert motion_fidelity(tracks, tracks) == 1.0
    hidden = torch.rand(7, 9, generator=torch.Generator().manual_seed(1)) < 0.8
    assert motion_fidelity(walk(), walk(), reference_visible=hidden, generated_visible=hidden) == 1.0


def test_it_is_what_its_definition_says():
    one, other = walk(6, 9, 1), walk(5, 9, 2)
    one[2], other[0], other[1, 3:] = one[2, :1], other[0, :1], other[1, 3:4]  # standing, and standing at last
    assert motion_fidelity(one, other) == pytest.approx(defined(one, other, seen(one), seen(other)), abs=1e-9)
    hidden = torch.rand(6, 9, generator=torch.Generator().manual_seed(3)) < 0.85
    hidden_other = torch.rand(5, 9, generator=torch.Generator().manual_seed(4)) < 0.85
    scored = motion_fidelity(one, other, reference_visible=hidden, generated_visible=hidden_other)
    assert scored == pytest.approx(defined(one, other, hidden, hidden_other), abs=1e-9)


def test_more_tracks_than_a_block_are_the_same_as_one_by_one():
    one, other = walk(600, 5, 1), walk(5, 5, 2)
    units = [tracks.double().diff(dim=1) for tracks in (one, other)]
    units = [steps / steps.norm(dim=-1, keepdim=True) for steps in units]
    likeness = torch.einsum("ntc,mtc->nm", *units) / 4
    expected = float((likeness.amax(1).mean() + likeness.amax(0).mean()) / 2)
    assert motion_fidelity(one, other) == pytest.approx(expected, abs=1e-9)


def test_standing_matches_standing_and_nothing_else():
    still, moving = torch.full((3, 6, 2), 4.0), line(1, 0)
    assert motion_fidelity(still, still + 3) == 1.0
    assert motion_fidelity(still, moving) == motion_fidelity(moving, still) == 0.0
    mixed = torch.cat([still, moving])
    # Forth: half of the tracks find their like and half find nothing. Back: all find theirs.
    assert motion_fidelity(mixed, moving) == pytest.approx((0.5 + 1) / 2)


@pytest.mark.parametrize(("turn", "cosine"), [((0, 1), 0.0), ((-1, 0), -1.0), ((1, 1), math.sqrt(0.5)), ((9, 0), 1.0)])
def test_directions_count_and_lengths_do_not(turn: tuple[float, float], cosine: float):
    assert motion_fidelity(line(1, 0), line(*turn)) == pytest.approx(cosine, abs=1e-9)


def test_steps_no_longer_than_the_standing_length_are_none():
    trembling = line(0.1, 0.0)
    assert motion_fidelity(trembling, line(0.0, 0.1)) == pytest.approx(0.0)
    assert motion_fidelity(trembling, line(0.0, 0.1), standing=0.2) == 1.0
    assert motion_fidelity(trembling, line(1.0, 0.0), standing=0.2) == 0.0


def test_rates_and_lengths_are_resampled_and_not_cut():
    bend = torch.cat([line(1, 0, frames=9), line(0, 1, frames=9, start=18.0)[:, 1:]], dim=1)
    bend[:, 9:, 1] += bend[0, 8, 1] - 18.0
    twice = torch.nn.functional.interpolate(bend.transpose(1, 2), size=33, mode="linear", align_corners=True)
    assert motion_fidelity(bend, twice.transpose(1, 2)) == 1.0
    assert motion_fidelity(twice.transpose(1, 2), bend) == 1.0
    # Cut to its first half, the bend would be a straight line.
    assert motion_fidelity(bend, line(1, 0, frames=9)) == pytest.approx(0.5, abs=1e-6)


def test_one_lucky_step_is_no_match():
    one, other = line(1, 0, points=1, frames=9), line(0, 1, points=1, frames=9)
    other[:, 1:] = (
        other[:, 1:] - other[:, 1:2] + other[:, :1] + torch.tensor([1.0, 0.0])
    )  # its first step goes the same way
    visible = torch.zeros(1, 9, dtype=torch.bool)
    visible[:, :2] = True
    scored = motion_fidelity(one, other, reference_visible=seen(one), generated_visible=visible)
    assert scored == 0.0
    visible[:, :5] = True
    scored = motion_fidelity(one, other, reference_visible=seen(one), generated_visible=visible)
    assert scored == pytest.approx(0.25), "one step of four seen goes the same way"


def test_tracks_never_seen_together_do_not_match():
    one = line(1, 0, points=1, frames=9)
    early, late = torch.zeros(1, 9, dtype=torch.bool), torch.zeros(1, 9, dtype=torch.bool)
    early[:, :5], late[:, 4:] = True, True
    assert motion_fidelity(one, one, reference_visible=early, generated_visible=late) == 0.0


def test_positions_where_nothing_is_seen_do_not_matter():
    one, hidden = walk(), torch.ones(7, 9, dtype=torch.bool)
    hidden[2, 6:] = False
    spoilt = one.clone()
    spoilt[2, 6:] = torch.nan
    assert motion_fidelity(spoilt, spoilt, reference_visible=hidden, generated_visible=hidden) == 1.0


def test_the_older_figure_is_that_of_the_script():
    """Written out: for each generated track the greatest likeness, after one was taken from that of the same number."""
    one, other = walk(6, 9, 1).double(), walk(6, 9, 2).double()
    best = []
    for number, track in enumerate(other):
        found = []
        for place, each in enumerate(one):
            values = [
                float(torch.nn.functional.cosine_similarity(track[t + 1] - track[t], each[t + 1] - each[t], dim=0))
                for t in range(8)
            ]
            found.append(sum(values) / 8 - (number == place))
        best.append(max(found))
    assert motion_fidelity(one, other, legacy=True) == pytest.approx(sum(best) / 6, abs=1e-6)
    assert motion_fidelity(other, one, legacy=True) != pytest.approx(sum(best) / 6, abs=1e-3), "it goes one way"


def test_the_older_figure_of_a_video_against_itself_is_far_from_one():
    many = walk(400, 24)
    assert motion_fidelity(many, many, legacy=True) < 0.7
    assert motion_fidelity(line(1, 0), line(1, 0), legacy=True) == pytest.approx(1.0), "a likeness of another number"


def test_the_older_figure_of_many_tracks_is_that_of_all_at_once():
    one, other = walk(2 * ROWS + 9, 9, 1).double(), walk(2 * ROWS + 9, 9, 2).double()
    units = [torch.nn.functional.normalize(tracks.diff(dim=1), dim=-1).flatten(1) for tracks in (other, one)]
    alike = units[0] @ units[1].T / 8 - torch.eye(len(one))
    assert motion_fidelity(one, other, legacy=True) == pytest.approx(float(alike.amax(dim=1).mean()), abs=1e-9)


def test_the_older_figure_is_undefined_where_a_track_stands_for_a_frame():
    stopped = walk()
    stopped[3, 4] = stopped[3, 3]
    assert math.isnan(motion_fidelity(stopped, walk(), legacy=True))
    assert not math.isnan(motion_fidelity(stopped, walk()))


def test_what_moves_is_told_from_what_stands():
    still = torch.full((8, 6, 2), 20.0)
    right, left = line(2, 0, points=2), line(-2, 0, points=2)
    one, other = torch.cat([still, right]), torch.cat([still, left])
    assert motion_fidelity(one, other) > 0.75, "most stands still in both"
    moving = motion_fidelity_moving(one, other, 64, 64)
    assert (moving.score, moving.share) == (pytest.approx(-1.0), pytest.approx(0.2))
    assert motion_fidelity_moving(one, one, 64, 64).score == 1.0
    assert motion_fidelity_moving(one, still, 64, 64).score == 0.0
    assert motion_fidelity_moving(one, still, 64, 64).share == pytest.approx(2 / 18)
    nothing = motion_fidelity_moving(still, still, 64, 64)
    assert (nothing.score, nothing.share) == (1.0, 0.0)


def test_rest_beside_what_could_not_be_followed_is_no_match():
    """Nothing moves in the one, and nothing is known of the other."""
    still, noise = torch.full((8, 6, 2), 20.0), line(2, 0, points=8)
    unseen = torch.zeros(8, 6, dtype=torch.bool)
    assert motion_fidelity_moving(still, noise, 64, 64, generated_visible=unseen).score == 0.0
    assert motion_fidelity_moving(noise, still, 64, 64, reference_visible=unseen).score == 0.0
    assert motion_fidelity(still, noise, generated_visible=unseen) == 0.0


def test_a_track_moves_beyond_a_share_of_the_longer_side():
    reach = STILL * 64
    for far, share in ((reach * 0.99, 0.0), (reach * 1.01, 1.0)):
        there_and_back = torch.tensor([[[10.0, 10.0], [10 + far, 10.0], [10.0, 10.0]]])
        assert motion_fidelity_moving(there_and_back, there_and_back, 32, 64).share == share


def test_the_standing_length_does_not_depend_on_the_rate():
    assert still_step(17, 64, 32) * 16 == still_step(33, 64, 32) * 32 == pytest.approx(STILL * 64)


def test_many_tracks_are_cheap():
    tracks = walk(2500, 49)
    start = time.process_time()
    motion_fidelity(tracks, tracks)
    assert time.process_time() - start < 30  # some 0.3 s; pair by pair in Python it would be hours


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
def test_2500_tracks_need_little_memory(legacy: bool):
    measure = f"lambda tracks: fidelity.motion_fidelity(tracks, tracks, legacy={legacy})"
    assert bytes_taken(measure, ROWS) < LITTLE
    assert bytes_taken(measure, POINTS) > LITTLE, "in one block it takes more, so that the bound tells"


@pytest.mark.parametrize(
    "tracks",
    [torch.zeros(0, 5, 2), torch.zeros(3, 1, 2), torch.full((3, 5, 2), math.nan), torch.full((3, 5, 2), math.inf)],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_tracks_that_cannot_be_compared_are_refused(tracks: torch.Tensor, legacy: bool):
    for pair in ((tracks, walk()), (walk(), tracks)):
        with pytest.raises(InputError, match="tracks"):
            motion_fidelity(*pair, legacy)


def test_nothing_seen_is_refused():
    nothing = torch.zeros(7, 9, dtype=torch.bool)
    assert motion_fidelity(walk(), walk(), generated_visible=nothing) == 0.0
    for measure in (motion_fidelity, lambda *pair, **masks: motion_fidelity_moving(*pair, 64, 64, **masks)):
        with pytest.raises(InputError, match="no point is seen"):
            measure(walk(), walk(), reference_visible=nothing, generated_visible=nothing)
    with pytest.raises(InputError, match="equally many"):
        motion_fidelity(walk(3), walk(4), legacy=True)
