"""Clips that play in a notebook: all that is shown lies in the page, and its size is bounded."""

import base64
import html
import tempfile
from pathlib import Path

from motionlift.video.clip import Clip

MOST_BYTES = 3 * 2**20
"""Most bytes of a video in a page (ours: a notebook with twenty of them is still opened)."""
MOST_FRAMES = 121
"""Most frames that are shown; of more, every second, third, ... (ours)."""
SHOWN_SIDE = 480
"""Longest side at which a clip is shown, pixels (ours)."""
SMALLEST_SIDE = 60
"""Longest side below which a video is not made smaller (ours)."""
LEAST_WIDTH = 256
"""Width at which small clips are shown, pixels (ours)."""


def playing(clip: Clip, title: str = "") -> str:
    """A clip as HTML that plays it again and again, without sound or network, in at most some megabytes.

    Args:
        clip: the clip.
        title: what is written below it.
    """
    shown = _thinned(clip)
    side = min(SHOWN_SIDE, max(clip.frames.shape[1:3]))
    while True:
        small = _smaller(shown, side)
        data = _encoded(small)
        side //= 2
        if len(data) <= MOST_BYTES or side < SMALLEST_SIDE:
            break
    height, width = clip.frames.shape[1:3]
    told = title or f"{len(clip.frames)} frames of {width}x{height}, {clip.fps:.4g} a second"
    source = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure style="margin:0"><video src="{source}" width="{max(LEAST_WIDTH, small.frames.shape[2])}" '
        'style="image-rendering:pixelated" autoplay loop muted playsinline controls></video>'
        f"<figcaption>{html.escape(told)}</figcaption></figure>"
    )


def _thinned(clip: Clip) -> Clip:
    """The clip in few enough frames, as fast as it is."""
    every = -(-len(clip.frames) // MOST_FRAMES)
    return clip if every == 1 else Clip.of(clip.frames[::every], max(clip.fps / every, 0.1))


def _smaller(clip: Clip, longest: int) -> Clip:
    height, width = clip.frames.shape[1:3]
    scale = min(1.0, longest / max(height, width))
    return clip.resized(max(2, round(height * scale)), max(2, round(width * scale)))


def _encoded(clip: Clip) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "shown.mp4")
        clip.save(path)
        return path.read_bytes()
