"""Frames from memory, in every form that programs hold them in."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.errors import InputError
from motionlift.video.clip import Clip
from motionlift.video.given import Frames, frames_of
from motionlift.video.limits import Rate
from tests.work.trials import refusal

FRAMES = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 4, 5, 3)
ARRAY = FRAMES.numpy()
FORMS = {
    "bytes": ARRAY,
    "bytes of torch": FRAMES,
    "not in order": np.asfortranarray(ARRAY),
    "backwards": ARRAY[::-1][::-1],
    "floats": ARRAY / 255,
    "single floats": (ARRAY / 255).astype(np.float32),
    "colours first": FRAMES.permute(0, 3, 1, 2),
    "what a pipeline gives as pt": FRAMES.permute(0, 3, 1, 2)[None] / 255,
    "what a pipeline gives as np": (ARRAY / 255)[None],
    "pictures": [Image.fromarray(frame) for frame in ARRAY],
    "arrays": list(ARRAY),
    "a tuple of tensors": tuple(FRAMES),
    "colours first, one by one": [frame.permute(2, 0, 1) for frame in FRAMES],
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_the_same_frames(name: str):
    found = frames_of(FORMS[name])
    assert torch.equal(found.frames, FRAMES) and found.notices == ()
    assert Clip.of(FORMS[name], 8).sha256 == Clip.of(FRAMES, 8).sha256


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_halves_are_near(kind: torch.dtype):
    assert (frames_of((FRAMES / 255).to(kind)).frames.int() - FRAMES.int()).abs().max() <= 1


def test_grey_pictures_have_three_colours():
    assert frames_of([Image.new("L", (4, 4), 7)] * 2).frames.unique().tolist() == [7]


REFUSED = {
    "floats from -1 to 1": (ARRAY / 127.5 - 1, r"from -1 to .*; allowed are 0 to 1: scale them as \(frames \+ 1\) / 2"),
    "floats to 255": (ARRAY.astype(np.float64), r"from 0 to 119; allowed are 0 to 1: turn them into uint8"),
    "not a number": (np.full((2, 4, 5, 3), np.nan), "floats from nan to nan"),
    "long integers": (ARRAY.astype(np.int64), "frames are of int64; give"),
    "truths": (FRAMES > 3, "frames are of bool; give"),
    "complex": (ARRAY.astype(np.complex64), "frames are of complex64; give"),
    "texts": (np.array([["a"]]), "frames are of <U1; give"),
    "one picture": (ARRAY[0], r"frames are \(4, 5, 3\) of uint8; give"),
    "grey": (ARRAY[..., 0], r"frames are \(2, 4, 5\) of uint8; give"),
    "of five channels": (np.zeros((2, 6, 5, 5), np.uint8), r"frames are \(2, 6, 5, 5\) of uint8; give"),
    "two videos": (FRAMES[None].repeat(2, 1, 1, 1, 1), r"frames are \(2, 2, 4, 5, 3\)"),
    "none": ([], "no pictures came"),
    "of two sizes": ([ARRAY[0], ARRAY[0, :2]], r"not all alike: \(4, 5, 3\) of uint8 and \(2, 5, 3\) of uint8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_is_refused_and_told(name: str):
    given, told = REFUSED[name]
    message = refusal(InputError, lambda: frames_of(given))
    assert re.search(told, message), message


def test_tensors_with_gradients_are_read():
    assert torch.equal(frames_of((FRAMES / 255).requires_grad_()).frames, FRAMES)


HALF = np.concatenate([np.full((2, 6, 5, 3), 200, np.uint8), np.full((2, 6, 5, 1), 51, np.uint8)], axis=-1)
"""Seen through by four fifths."""


@pytest.mark.parametrize(
    "given", [HALF, HALF.transpose(0, 3, 1, 2), HALF / 255, [Image.fromarray(each) for each in HALF]]
)
def test_what_is_transparent_is_laid_on_one_colour_and_that_is_told(given: Frames):
    """Grey by itself: 0.2 * 200 + 0.8 * 128 = 142.4."""
    found = frames_of(given)
    assert found.frames.unique().tolist() == [142]
    assert found.notices == ("transparent parts of the video were laid on grey",)
    assert frames_of(given, "white").frames.unique().tolist() == [244]
    assert Clip.of(given, 8).notices == found.notices


def test_alpha_that_hides_nothing_is_not_told():
    opaque = np.concatenate([ARRAY, np.full((2, 4, 5, 1), 255, np.uint8)], axis=-1)
    found = frames_of(opaque)
    assert torch.equal(found.frames, FRAMES) and found.notices == ()


def test_deep_pictures_are_those_of_a_folder_and_turned_as_cameras_say():
    deep = Image.fromarray(np.full((4, 6), 50 << 8, np.uint16))
    assert frames_of([deep] * 2).frames.unique().tolist() == [50]
    turned = Image.fromarray(np.full((4, 6), 120, np.uint8))
    turned.getexif()[0x0112] = 6  # by a quarter
    assert frames_of([turned] * 2).frames.shape == (2, 6, 4, 3)
    message = refusal(InputError, lambda: frames_of([Image.new("F", (4, 4))] * 2))
    assert "picture 0 is a picture of floats" in message


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f4", ">f2"])
def test_the_order_of_bytes_does_not_matter(kind: str):
    assert (frames_of((ARRAY / 255).astype(kind)).frames.int() - FRAMES.int()).abs().max() <= 1


@pytest.mark.filterwarnings("error")
def test_what_must_not_be_written_is_read_without_a_warning():
    locked = ARRAY.copy()
    locked.flags.writeable = False
    assert torch.equal(frames_of(locked).frames, FRAMES)
    assert torch.equal(frames_of([*locked]).frames, FRAMES)


@pytest.mark.parametrize("given", [ARRAY.copy(), FRAMES.clone(), ARRAY.copy()[None], list(ARRAY.copy())])
def test_a_buffer_that_is_filled_again_changes_no_clip(given: np.ndarray | torch.Tensor | list[np.ndarray]):
    clip = Clip.of(given, 8)
    for buffer in given:
        buffer[:] = 0
    assert torch.equal(clip.frames, FRAMES)


@pytest.mark.parametrize("rate", [np.float32(8), np.float64(8), np.int64(8), np.uint8(8)])
def test_rates_of_numpy_are_rates(rate: Rate):
    clip = Clip.of(ARRAY, rate)
    assert clip.sha256 == Clip.of(ARRAY, 8).sha256
    assert type(clip.fps) is float and type(clip.sampled(frames=2, fps=rate, aspect=(4, 5)).fps) is float
