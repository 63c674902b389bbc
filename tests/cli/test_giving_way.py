"""What is typed now takes the place of what a record says."""

from typing import Any

import pytest

from motionlift.cli.giving_way import given_way
from motionlift.errors import SettingError


@pytest.mark.parametrize(
    ("given", "changes", "left"),
    [
        ({"prompt": "a"}, {"prompts": "p.txt"}, {}),
        ({"crop": "0.1,0.5"}, {"fit": "pad"}, {}),
        ({"crop": "0.1,0.5"}, {"fit": "crop"}, {"crop": "0.1,0.5"}),
        ({"crop": "0.1,0.5"}, {"fit": "pad", "crop": "motion"}, {"crop": "0.1,0.5"}),
        ({"fit": "pad"}, {"crop": "0.1,0.5"}, {}),
        ({"fit": "crop"}, {"crop": "0.1,0.5"}, {"fit": "crop"}),
        ({"side_by_side": True, "keep_sound": True}, {"upscale": True}, {"keep_sound": True}),
        ({"side_by_side": True}, {"interpolate": "2"}, {}),
        ({"interpolate": "2", "between": "tiny-unet", "upscale": True}, {"side_by_side": True}, {}),
        ({"side_by_side": True}, {"seed": "3"}, {"side_by_side": True}),
    ],
)
def test_what_is_excluded_gives_way(given: dict[str, Any], changes: dict[str, Any], left: dict[str, Any]):
    kept, why = given_way(given, changes)
    assert kept == left and why.keys() == given.keys() - left.keys()


def test_what_another_method_has_no_use_for_gives_way():
    given = {"read": "flow", "pairs": ["a=b"], "steps": "3", "settings": ["inner=1", "seed_noise=2"], "frames": "8"}
    kept, why = given_way(given, {"method": "vmc"})
    assert kept == {"steps": "3", "frames": "8", "settings": []}
    assert why == {
        "read": "vmc has no use for it",
        "pairs": "vmc has no use for it",
        "settings": "vmc has no use for inner, seed_noise",
    }
    assert given_way({"mixed": ["m=1"]}, {"method": "ditflow"})[0] == {}
    assert given_way({"mixed": ["m=1"]}, {"method": "vmc"})[0] == {"mixed": ["m=1"]}
    with pytest.raises(SettingError, match="unknown method"):
        given_way(given, {"method": "dit"})
