"""Frames written in every form, and read by others."""

import av
import numpy as np
import pytest
import torch

from motionlift.video.clip import Clip
from motionlift.world import scenes
from tests.video.made import SQUARE, beside_rest, levels, mean_error, noisy, numbers


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
