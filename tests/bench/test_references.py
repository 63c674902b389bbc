"""References of every kind: what they show, and that they are held out and stay as they are."""

import numpy as np
import pytest

from motionlift.bench.references import (
    MOVING,
    SCENES,
    clip_of,
    figures,
    named_prompt_scene,
    named_reference,
    prompt_scene,
    reference,
    scene_named,
    thing_named,
    words_of,
)
from motionlift.errors import InputError
from motionlift.world import scenes


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SCENES))
def test_every_kind_is_held_out_and_its_prompts_differ(kind: str):
    for index in range(4):
        shown, wanted, third = (
            reference(index, 16, kind), prompt_scene(index, 0, 16, kind), prompt_scene(index, 1, 16, kind)
        )  # fmt: skip
        assert len(shown.objects) == len(wanted.objects) and shown.frames == 16
        assert reference.__wrapped__(index, 16, kind).tracks() == pytest.approx(shown.tracks()), "the same every time"
        for other in (wanted, third):
            assert scenes.held_out(other.caption()) and other.background.colour != shown.background.colour
            for one, its in zip(shown.objects, other.objects, strict=True):
                assert one.colour != its.colour and one.shape != its.shape
        assert wanted.caption() != third.caption()


@pytest.mark.slow
def test_what_each_kind_shows():
    for index in range(6):
        turning, passed, two, hidden, fast = (
            reference(index, 17, kind) for kind in ("rotation", "camera", "two", "occlusion", "fast")
        )
        assert np.ptp(turning.objects[0].angle) > 1.5 and np.allclose(np.ptp(turning.tracks(), axis=1), 0)
        assert passed.camera == ("pan", "zoom")[index % 2] and passed.motion == "rest"
        assert len(two.objects) == 2 and all(item.motion in MOVING for item in two.objects) and two.camera == "still"
        shares = scenes.shown(hidden)[0]
        assert shares.min() < 0.2 and shares[0] > 0.5 and shares[-1] > 0.5
        way = np.linalg.norm(np.diff(fast.tracks()[0], axis=0), axis=1).sum()
        assert way > 0.6 and np.ptp(fast.objects[0].angle) > 3
        assert abs(fast.tracks() - 0.5).max() < 0.5


def test_a_name_says_all_of_a_reference():
    assert scene_named("0007", 17) is reference(7, 17, "moving") and scene_named("fast-0012", 16) is reference(
        12, 16, "fast"
    )
    for wrong in ("", "x", "slow-0001", "-0001", "0001-", "1" * 8, "٣"):
        with pytest.raises(InputError, match="names no reference of the world"):
            scene_named(wrong, 17)


def test_a_name_says_all_of_a_reference_of_things():
    assert thing_named("0007", 17) is named_reference(7, 17, "moving")
    assert thing_named("hidden-0002", 16) is named_reference(2, 16, "hidden")
    for wrong in ("", "fast-0001", "hidden-", "hidden-x"):
        with pytest.raises(InputError, match="such as 0007 or hidden-0007"):
            thing_named(wrong, 17)


@pytest.mark.slow
def test_frames_in_which_the_object_is_hidden_do_not_count():
    for index in range(3):
        scene, wanted = named_reference(index, 17, "hidden"), named_prompt_scene(index, 0, 17, "hidden")
        found = figures(clip_of(scene, 8.0).frames, scene, wanted)
        assert found["aligned_error"] < 0.02 and found["absolute_error"] < 0.03 and found["seen_share"] == 1


def test_methods_are_told_of_all_objects_and_of_no_wall():
    shown, wanted = reference(1, 17, "two"), prompt_scene(1, 0, 17, "two")
    told = words_of("motionflow", shown, wanted)
    assert told["subjects"] == [f"{item.colour} {item.shape}" for item in shown.objects] and len(told["targets"]) == 2
    hidden = reference(1, 17, "occlusion")
    assert "wall" in hidden.caption() and "wall" not in words_of("inverted", hidden, wanted)["source_prompt"]
    assert words_of("none", shown, wanted) == words_of("ditflow", shown, wanted) == {}
