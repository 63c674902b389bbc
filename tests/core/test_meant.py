"""What somebody may have meant."""

import pytest

from motionlift.core.meant import LONGEST, meant


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ditflw", " (did you mean ditflow?)"),
        ("DiTFlow", " (did you mean ditflow?)"),
        ("tuning-lr", " (did you mean tuning_lr?)"),
        ("vcm", " (did you mean vmc?)"),
        ("qqq", ""),
        ("", ""),
        ("x" * (LONGEST + 1), ""),
    ],
)
def test_names_that_are_spelt_alike(name: str, told: str):
    assert meant(name, ["ditflow", "tuning_lr", "tuning_steps", "vmc", "x" * (LONGEST + 2)]) == told


def test_several_are_named_nearest_first():
    assert meant("tiny-dot", ["vmc", "tiny-unet", "tiny-dit"]) == " (did you mean tiny-dit or tiny-unet?)"
