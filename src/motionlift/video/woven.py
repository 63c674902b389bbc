"""Whether frames that are not marked as interlaced weave two moments all the same, as recordings do that were encoded anew."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float

from motionlift.errors import InputError
from motionlift.video.decoding import file_moments
from motionlift.video.matrices import known_matrix

MOST_LOOKED = 100
"""Most frames that are looked at (ours: four seconds)."""
ENOUGH = 8
"""Frames with motion after which no more are looked at (ours)."""
FEWEST = 3
"""Fewest frames with motion by which frames count as woven (ours)."""
AGREEING = 0.7
"""Share of the frames with motion that must show the same order of fields (ours: of film that is brought to 30 frames a second,
where two frames of five are woven, the other three would suffer)."""
MOVES = 15.0
"""Change between frames, levels of 255, above which a pixel moves (ours: above grain)."""
LEAST_MOVING = 0.001
"""Least share of a frame's pixels that must move for it to be judged (ours)."""
COMB = 12.0
"""Least difference of a row from both its neighbours, levels of 255, for a tooth of a comb (ours)."""
COMBED = 0.04
"""Least share of the pixels that move which must lie in a comb (ours: of six filmed clips that were woven it is 0.14 and more in
every frame; a sharp edge that goes up or down by two rows a frame has rows apart in time, and no comb)."""
APART = 1.12
"""How many times the rows of one field must miss one neighbour in time more than the other (ours: of the same clips, whole, at most
1.06 in any frame, and woven at least 1.14)."""
WIDTH = 480
"""Most columns that are looked at, every second or third of wider frames (ours)."""

Luminance = Float[np.ndarray, "rows columns"]


def woven_order(source: Path) -> str:
    """Which field comes first in the woven frames of a file: ``tff`` the upper, ``bff`` the lower.

    Empty where they are whole, are marked themselves, or cannot be read.
    """
    try:
        stamp = source.stat()
    except OSError:
        return ""
    return _order_of_file(source, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=64)
def _order_of_file(source: Path, changed: int, size: int) -> str:  # a file that is written anew is looked at anew
    try:
        with closing(file_moments(source)) as moments:
            return order_of(moment.frame for moment in moments)
    except InputError:
        return ""  # which is told when it is read


def order_of(frames: Iterable[VideoFrame]) -> str:
    """Which field comes first in woven frames, as :func:`woven_order` says it."""
    votes: list[str] = []
    for found in _judged(frames):
        votes.append(found)
        if len(votes) >= ENOUGH:
            break
    for order in ("tff", "bff"):
        if votes.count(order) >= max(FEWEST, AGREEING * len(votes)):
            return order
    return ""


def _judged(frames: Iterable[VideoFrame]) -> Iterator[str]:
    """The order that each frame with motion between its neighbours shows, empty for one that is whole."""
    earlier: Luminance | None = None
    own: Luminance | None = None
    for number, frame in enumerate(frames):
        if number >= MOST_LOOKED or frame.interlaced_frame:
            return
        later = _luminance(frame)
        if earlier is not None and own is not None and earlier.shape == own.shape == later.shape and len(own) > 4:
            found = _order(earlier, own, later)
            if found is not None:
                yield found
        earlier, own = own, later


def _luminance(frame: VideoFrame) -> Luminance:
    grey = frame.to_ndarray(format="gray", src_colorspace=known_matrix(frame))
    return grey[:, :: -(-grey.shape[1] // WIDTH)].astype(np.float32)


def _order(earlier: Luminance, own: Luminance, later: Luminance) -> str | None:
    """Which field of a frame is the first, empty where it is whole; none where too little moves.

    Woven frames show combs where things move, and rows of the first field fit among those of the second of the frame before
    no better than its own. Whole frames fit both neighbours alike.
    """
    moves = (np.maximum(np.abs(own - earlier), np.abs(own - later)) > MOVES)[1:-1]
    if moves.mean() < LEAST_MOVING:
        return None
    if _combed(own)[moves].mean() < COMBED:
        return ""
    around = own[:-2] + own[2:]
    before, behind = (np.abs(around - 2 * other[1:-1]) * moves for other in (earlier, later))
    # Rows 1, 3, ... of the frame, which are of the lower field, are rows 0, 2, ... here.
    lower = before[::2].sum() + behind[1::2].sum()
    upper = before[1::2].sum() + behind[::2].sum()
    if upper > APART * lower:
        return "tff"
    return "bff" if lower > APART * upper else ""


def _combed(own: Luminance) -> np.ndarray:
    """Which pixels, but those of the first and the last row, are teeth beside another tooth: rows that alternate."""
    above, below = own[1:-1] - own[:-2], own[1:-1] - own[2:]
    tooth = np.where(
        np.minimum(np.abs(above), np.abs(below)) >= COMB, np.sign(above) * (np.sign(above) == np.sign(below)), 0
    )
    beside = np.zeros(tooth.shape, bool)
    beside[:-1] |= tooth[:-1] * tooth[1:] < 0
    beside[1:] |= tooth[1:] * tooth[:-1] < 0
    return beside
