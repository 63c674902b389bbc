"""Parts of references: from when, for how long, and where a crop lies."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from motionlift.errors import InputError, SettingError
from motionlift.video.clip import Clip
from motionlift.video.part import Part, check_part, crop_of
from tests.video.made import SQUARE, beside_rest, levels, numbers, write


def read(path_or_clip, part: Part, **options) -> Clip:
    options = {"frames": 5, "fps": 8, "aspect": SQUARE, **options}
    if isinstance(path_or_clip, Clip):
        return path_or_clip.sampled(**options, part=part)
    return Clip.read(path_or_clip, **options, part=part)


@pytest.fixture(params=["mp4", "mkv", "avi", "ts", "clip"])
def counted(request, tmp_path):
    """A video of twenty levels, eight a second, in a file or in memory."""
    if request.param == "clip":
        return Clip.of(torch.from_numpy(np.stack(levels(20))), 8)
    if request.param == "avi":
        return write(tmp_path / "a.avi", levels(20), codec="mpeg4", qmin="1", qmax="2")
    return write(tmp_path / f"a.{request.param}", levels(20))


def test_reading_begins_where_it_is_asked_to(counted):
    assert numbers(read(counted, Part(start=1))) == [8, 9, 10, 11, 12]
    assert numbers(read(counted, Part(start=1.0624))) == [8, 9, 10, 11, 12]
    assert numbers(read(counted, Part(start=1.125))) == [9, 10, 11, 12, 13]
    assert numbers(read(counted, Part(start=1), every_frame=True)) == [8, 9, 10, 11, 12]
    assert read(counted, Part(start=1)).fps == 8


def test_reading_ends_where_it_is_asked_to(counted):
    clip = read(counted, Part(start=0.5, duration=0.375))
    assert set(numbers(clip)) == {4, 5, 6}
    assert clip.fps == pytest.approx(16)
    assert any(
        "the part that is read shows 0.38 s, too short for 5 frames at 8 a second" in told for told in clip.notices
    )
    assert numbers(read(counted, Part(start=0.5, duration=1.25))) == [4, 5, 6, 7, 8]
    with pytest.raises(InputError, match=r"from 1 s to 1\.25 s holds 2 frames, and 5 are to be taken"):
        read(counted, Part(start=1, duration=0.25), every_frame=True)


def test_what_lies_behind_the_end_is_refused(counted):
    with pytest.raises(InputError, match=r"shows 2\.50 s, and is to be read from 2\.5 s; give an earlier --start"):
        read(counted, Part(start=2.5))
    with pytest.raises(InputError, match=r"from 2\.4 s holds one frame"):
        read(counted, Part(start=2.4))


def test_a_frame_that_is_shown_long_is_there_until_the_next(tmp_path):
    path = write(tmp_path / "a.mkv", levels(4), milliseconds=[0, 100, 4100, 4200])
    assert numbers(read(path, Part(start=4), frames=3, fps=10)) == [1, 2, 3]


def wide(place: int) -> list[np.ndarray]:
    """Frames of 40x160 with a white bar that moves down at ``place``, and rests of grey."""
    frames = []
    for number in range(5):
        image = np.full((40, 160, 3), 60, np.uint8)
        image[4 * number : 4 * number + 8, place : place + 8] = 255
        frames.append(image)
    return frames


@pytest.mark.parametrize(
    ("crop", "left"), [((0.5, 0.5), 60), ((0, 0), 0), ((0.25, 1), 20), ((1, 0.5), 120), (None, 60)]
)
def test_a_crop_lies_where_it_is_asked_to(crop, left):
    image = np.arange(160, dtype=np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    clip = Clip.of(torch.from_numpy(np.stack([image] * 3)), 8).sampled(
        frames=3, fps=8, aspect=SQUARE, part=Part(crop=crop)
    )
    assert np.array_equal(clip.frames[0].numpy(), image[:, left : left + 40])
    where = "" if crop is None else f", the crop's middle at {crop[0]:g},{crop[1]:g}"
    assert beside_rest(clip) == (f"frames were cropped from 160x40 to 40x40 for the model's shape{where}",)


@pytest.mark.parametrize("place", [0, 20, 100, 150])
def test_a_crop_finds_what_moves(place):
    """The whole bar is within it at every place, and the plain middle has none of it."""
    clip = Clip.of(torch.from_numpy(np.stack(wide(place))), 8)
    found = clip.sampled(frames=5, fps=8, aspect=SQUARE, part=Part(crop="motion"))
    assert all(int((frame == 255).sum()) == 8 * 8 * 3 for frame in found.frames)
    assert not any("outside" in told for told in found.notices) and ", where things move" in found.notices[0]
    middle = clip.sampled(frames=5, fps=8, aspect=SQUARE)
    assert not (middle.frames == 255).any()
    assert middle.notices[1] == (
        "what moves lies outside the crop in 4 of 4 steps between frames: --crop motion lays the crop where things move, "
        "--fit pad keeps the whole frame"
    )


def test_a_crop_where_nothing_is_cropped():
    clip = Clip.of(torch.from_numpy(np.stack(levels(3))), 8)
    same = clip.sampled(frames=3, fps=8, aspect=SQUARE, part=Part(crop=(0.2, 0.2)))
    assert "nothing had to be cropped: the frames have the model's shape" in same.notices
    with pytest.raises(SettingError, match="crop is given, and fit is pad, which crops nothing; give one of them"):
        clip.sampled(frames=3, fps=8, aspect=SQUARE, fit="pad", part=Part(crop=(0.2, 0.2)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": -1}, {"start": float("nan")}, {"start": 1e9}, {"start": float("inf")}, {"duration": 0}, {"duration": -2},
        {"duration": 1e9}, {"crop": (0.5, 1.5)}, {"crop": (-0.1, 0)}, {"crop": (float("nan"), 0)}, {"crop": "left"},
        {"rate": 0}, {"rate": 1000}, {"crop": [0.5]}, {"crop": [0.5, 0.5, 0.5]}, {"crop": []}, {"crop": [0.5, 2]},
    ],
)  # fmt: skip
def test_parts_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong)).replace("rate", "fps")):
        check_part(Part(**wrong), "crop")


def test_a_place_is_read_from_words():
    assert crop_of("0.3,0.5") == (0.3, 0.5) and crop_of(" 0 , 1 ") == (0, 1) and crop_of(".5,1.") == (0.5, 1)
    assert crop_of("motion") == "motion"
    for wrong in (
        "",
        "0.3",
        "0.3;0.5",
        "0.3,0.5,0.1",
        "2,0",
        "-1,0",
        "nan,0",
        "1e-1,0",
        "x" * 1000,
        "Motion",
        f"0.3,0.5{' ' * 34}x",
    ):
        with pytest.raises(SettingError, match="give two numbers from 0 to 1") as refused:
            crop_of(wrong)
        assert str(refused.value).startswith(f"crop is {wrong[:40]!r};")


def test_a_crop_may_be_a_list():
    image = np.arange(160, dtype=np.uint8)[None, :, None].repeat(40, 0).repeat(3, 2)
    clip = Clip.of(torch.from_numpy(np.stack([image] * 3)), 8)
    found = clip.sampled(frames=3, fps=8, aspect=SQUARE, part=Part(crop=[0.25, 0.5]))
    assert np.array_equal(found.frames[0].numpy(), image[:, 20:60])
    assert "the crop's middle at 0.25,0.5" in beside_rest(found)[0]


UNTYPED = """
from fractions import Fraction
import numpy as np
from motionlift.errors import SettingError
from motionlift.video.part import Part, check_part

same = Part(start=0.5, duration=2, crop=(0.25, 0.5), rate=8)
for crop in ([0.25, 0.5], np.array([0.25, 0.5]), (np.float32(0.25), Fraction(1, 2))):
    part = Part(np.float32(0.5), np.int64(2), crop, rate=Fraction(8))
    check_part(part, "crop")
    assert part == same and type(part.start) is float and type(part.rate) is float, part
    assert part.place == (0.25, 0.5)
for crop in (5, ("a", "b"), (True, 0), {0.1, 0.2}, np.zeros((2, 2)), np.float32(0.5), np.array(0.5), b"ab", (None, 0), {}):
    try:
        check_part(Part(crop=crop), "crop")
    except SettingError as error:
        assert "give two numbers from 0 to 1" in str(error), error
    else:
        raise AssertionError(crop)
for start, told in (("0.5", "'0.5'"), (True, "True"), (np.float32(-1), "-1.0"), (None, "None")):
    try:
        check_part(Part(start), "crop")
    except SettingError as error:
        assert f"start is {told}; give seconds" in str(error), error
    else:
        raise AssertionError(start)
"""


def test_what_comes_as_another_type_is_taken_or_refused_in_words():
    """As users call it: without the types being checked, as they are in tests."""
    done = subprocess.run([sys.executable, "-c", UNTYPED], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
