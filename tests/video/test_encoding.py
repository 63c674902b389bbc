"""Frames written in every form, and read by others."""

import json

import av
import numpy as np
import pytest
import torch
from PIL import Image

from motionlift.video.clip import Clip
from motionlift.video.encoding import FORMS, MOST_COMMENT, Beside, comment_of, write_video
from motionlift.video.marks import CLIP, VIDEO, hash_of
from motionlift.world import scenes
from tests.video.made import SQUARE, beside_rest, levels, mean_error, noisy, numbers


@pytest.mark.slow
def test_the_world_survives_a_file(tmp_path):
    """Stated beforehand: 3 levels of 255 and 32 dB on average. Halved colour planes are nearly all of the error."""
    errors, ratios = [], []
    for frames in scenes.render([scenes.sample(7, index) for index in range(8)]).frames:
        Clip.of(frames, 8).save(tmp_path / "a.mp4")
        clip = Clip.read(tmp_path / "a.mp4", frames=17, fps=8, aspect=SQUARE)
        assert clip.fps == 8
        assert beside_rest(clip) == ()
        errors.append(mean_error(clip.frames, frames))
        ratios.append(10 * np.log10(255**2 / float((clip.frames.double() - frames).square().mean())))
    assert np.mean(errors) < 3
    assert np.mean(ratios) > 32


def test_flat_colours_come_back_and_players_are_told_how_to_show_them(tmp_path):
    colours = [(225, 45, 45), (60, 190, 70), (60, 95, 235), (245, 220, 50), (0, 0, 0), (255, 255, 255)]
    frames = torch.tensor(colours, dtype=torch.uint8)[:, None, None].repeat(1, 32, 32, 1)
    Clip.of(frames, 8).save(tmp_path / "a.mp4")
    assert (Clip.read(tmp_path / "a.mp4", frames=6, fps=8, aspect=SQUARE).frames.int() - frames).abs().max() <= 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate, stream.frames) == ("h264", "yuv420p", 8, 6)
        tags = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert tags == (1, 1, 1, 1)  # BT.709, limited range
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_odd_sizes_repeat_their_edge(tmp_path):
    frames = torch.from_numpy(np.stack(levels(3, 33, 47)))
    Clip.of(frames, 8).save(tmp_path / "a.mp4")
    clip = Clip.read(tmp_path / "a.mp4", frames=3, fps=8, aspect=(34, 48))
    assert clip.frames.shape == (3, 34, 48, 3)
    assert numbers(clip) == [0, 1, 2]
    assert float(clip.frames[:, -1].float().std(dim=1).max()) < 2


def test_the_same_clip_gives_the_same_bytes(tmp_path):
    clip = Clip.of(torch.from_numpy(np.stack(noisy(9, 64, 64))), 29.97)
    clip.save(tmp_path / "a.mp4")
    clip.save(tmp_path / "b.MP4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.MP4").read_bytes()


@pytest.mark.parametrize("fps", [0.1, 8.1702127, 29.97, 240])
def test_any_rate_is_kept(tmp_path, fps):
    Clip.of(torch.from_numpy(np.stack(levels(5))), fps).save(tmp_path / "a.mp4")
    clip = Clip.read(tmp_path / "a.mp4", frames=5, fps=fps, aspect=SQUARE)
    assert numbers(clip) == [0, 1, 2, 3, 4]
    assert clip.notices == ()


def drawn(count: int = 9, height: int = 32, width: int = 48) -> torch.Tensor:
    """A bright square that goes to the right, on a ground that brightens."""
    frames = torch.zeros(count, height, width, 3, dtype=torch.uint8)
    for number, frame in enumerate(frames):
        frame[..., 2] = 40 + 10 * number
        frame[8:20, 2 * number : 2 * number + 12] = torch.tensor([230, 60, 30], dtype=torch.uint8)
    return frames


CODECS = {
    ".mp4": ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "yuv420p"),
    ".mov": ("mov,mp4,m4a,3gp,3g2,mj2", "prores", "yuv422p10le"),
    ".webm": ("matroska,webm", "vp9", "yuv420p"),
    ".gif": ("gif", "gif", "bgra"),
}


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("fps", [8, 24000 / 1001, 7.3])
def test_other_readers_find_the_codec_the_times_and_the_frames(tmp_path, suffix: str, fps: float):
    frames, path = drawn(), tmp_path / f"a{suffix.upper()}"
    Clip.of(frames, fps).save(path)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (container.format.name, stream.codec_context.name, stream.codec_context.pix_fmt) == CODECS[suffix]
        shown = list(container.decode(video=0))
    tick = 0.0051 if suffix == ".gif" else 0.0006
    assert [frame.time for frame in shown] == pytest.approx([number / fps for number in range(9)], abs=tick)
    read = np.stack([frame.to_ndarray(format="rgb24") for frame in shown])
    assert mean_error(torch.from_numpy(read), frames) < 4
    clip = Clip.read(path, frames=9, fps=fps, aspect=(32, 48))
    assert clip.fps == pytest.approx(fps) and mean_error(clip.frames, frames) < 4


@pytest.mark.parametrize(("suffix", "form"), [(".gif", "GIF"), (".webp", "WEBP")])
def test_moving_pictures_play_for_ever_at_their_rate_and_hide_nothing(tmp_path, suffix: str, form: str):
    path = tmp_path / f"a{suffix}"
    Clip.of(drawn(), 7.3).save(path)
    with Image.open(path) as picture:
        assert (picture.format, picture.size, picture.n_frames, picture.info["loop"]) == (form, (48, 32), 9, 0)
        shown = []
        for number in range(9):
            picture.seek(number)
            picture.load()
            shown.append(picture.info["duration"])
            image = np.asarray(picture.convert("RGBA"))
            assert np.all(image[..., 3] == 255)
            assert mean_error(torch.from_numpy(image[..., :3].copy()), drawn()[number]) < 4
    assert np.cumsum(shown) == pytest.approx([1000 * number / 7.3 for number in range(1, 10)], abs=5)


def test_what_is_quicker_than_players_show_is_left_out_and_said(tmp_path):
    frames = drawn(12).numpy()
    for suffix, fps, every in ((".gif", 60, 2), (".gif", 50, 1), (".webp", 60, 1), (".webp", 240, 3)):
        path = tmp_path / f"{fps}{suffix}"
        notices = write_video(path, frames, fps, CLIP, suffix)
        assert notices == (
            [] if every == 1 else [f"it shows every {every} frames once: it has no {fps} frames a second"]
        )
        with Image.open(path) as picture:
            assert picture.n_frames == 12 // every
            times = []
            for number in range(picture.n_frames):
                picture.seek(number)
                picture.load()
                times.append(picture.info["duration"])
        assert sum(times) == pytest.approx(1000 * 12 / fps, abs=5) and min(times) > 10


def test_a_folder_holds_each_frame_as_it_is(tmp_path):
    frames = drawn()
    Clip.of(frames, 8).save(tmp_path / "frames")
    names = [f"{number:05d}.png" for number in range(9)]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == names
    for name, frame in zip(names, frames, strict=True):
        with Image.open(tmp_path / "frames" / name) as picture:
            assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), frame)


@pytest.mark.parametrize("suffix", FORMS)
def test_the_same_clip_gives_the_same_bytes_in_every_form(tmp_path, suffix: str):
    for name in ("a", "b"):
        Clip.of(torch.from_numpy(np.stack(noisy(5, 48, 64))), 29.97).save(tmp_path / f"{name}{suffix}")
    assert hash_of(tmp_path / f"a{suffix}") == hash_of(tmp_path / f"b{suffix}")
    assert CLIP.wrote(tmp_path / f"a{suffix}") and not VIDEO.wrote(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", FORMS)
def test_odd_and_tiny_sizes_are_written(tmp_path, suffix: str):
    frames = drawn(3, 33, 21)
    Clip.of(frames, 8).save(tmp_path / f"a{suffix}")
    is_video = suffix in (".mp4", ".mov", ".webm")
    place = tmp_path / f"a{suffix}" / ("" if suffix else "00000.png")
    if is_video:
        with av.open(str(place)) as container:
            size = container.streams.video[0].width, container.streams.video[0].height
    else:
        with Image.open(place) as picture:
            size = picture.size
    assert size == ((22, 34) if is_video else (21, 33))


def test_what_it_came_of_is_its_comment_where_there_is_room(tmp_path):
    told = {"prompt": "a «star» \U0001f31f", "settings": {"steps": 3}}
    for suffix in (".mp4", ".mov", ".webm"):
        path = tmp_path / f"a{suffix}"
        write_video(path, drawn(3).numpy(), 8, CLIP, suffix, Beside(told))
        assert json.loads(comment_of(path) or "") == told and CLIP.wrote(path)
        with av.open(str(path)) as container:
            assert told == json.loads({name.lower(): text for name, text in container.metadata.items()}["comment"])
        path.unlink()
        write_video(path, drawn(3).numpy(), 8, CLIP, suffix, Beside({"prompt": "long" * MOST_COMMENT}))
        assert comment_of(path) is None and CLIP.wrote(path)
    (tmp_path / "text.mp4").write_text("{}")
    assert comment_of(tmp_path / "text.mp4") is None and comment_of(tmp_path / "gone.mp4") is None
