"""Clips in notebooks."""

import base64
import re
from pathlib import Path

import av
import pytest
import torch

from motionlift.video import notebook
from motionlift.video.clip import Clip
from motionlift.video.notebook import playing
from tests.work.trials import a_clip


def _shown(page: str, folder: Path) -> Clip:
    (data,) = re.findall(r'src="data:video/mp4;base64,([^"]+)"', page)
    path = folder / "shown.mp4"
    path.write_bytes(base64.b64decode(data))
    return Clip.read(path, frames=2, fps=8, aspect=(64, 64), longest=1024, fit="pad")


def test_a_clip_plays_without_network_or_sound(tmp_path: Path):
    page = a_clip()._repr_html_()
    assert "http" not in page and all(word in page for word in ("loop", "muted", "controls"))
    assert "9 frames of 32x32, 8 a second" in page
    assert _shown(page, tmp_path).frames.shape[1:3] == (32, 32)


def test_what_is_written_below_is_text():
    assert "&lt;b&gt;" in playing(a_clip(), "<b>")


@pytest.mark.slow
def test_large_and_long_clips_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Noise, which no codec makes small: in fewer frames as fast, and at a smaller size."""
    monkeypatch.setattr(notebook, "MOST_BYTES", 200_000)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (notebook.MOST_FRAMES + 1, 64, 128, 3), generator=generator, dtype=torch.uint8)
    page = Clip.of(frames, 24)._repr_html_()
    assert len(page) < 200_000 * 4 / 3 + 1000
    assert f"{len(frames)} frames of 128x64, 24 a second" in page
    shown = _shown(page, tmp_path)
    assert max(shown.frames.shape[1:3]) <= 128
    with av.open(tmp_path / "shown.mp4") as file:
        (stream,) = file.streams.video
        assert stream.frames == len(frames) // 2
        assert float(stream.frames / stream.average_rate) == pytest.approx(len(frames) / 24, abs=0.1)
