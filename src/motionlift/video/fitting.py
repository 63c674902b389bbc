"""Frames are given the shape of a model, and a size that is small enough."""

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import UInt8

from motionlift.video.colour import rgb_of
from motionlift.video.limits import Image, check_bytes
from motionlift.video.moment import Moment, upright, upright_size
from motionlift.video.moving import OFTEN, Watch
from motionlift.video.part import MOTION, WHOLE, Part

RESIZED = "frames change their size in the middle of the video; all were brought to that of the first"
"""What is said of such a video."""
RESHAPED = "the shape of the pixels changes in the middle of the video: each frame was fitted by its own"
"""What is said of one whose frames keep their number of pixels, as broadcasts that go from 4:3 to 16:9."""


@dataclass
class Fitting:
    """Gives frames the model's shape, and small enough a size."""

    aspect: tuple[int, int]
    longest: int
    fit: str
    frames: int
    part: Part = WHOLE
    place: tuple[float | int, float | int] | None = None
    """Where the middle of a crop lies; by default as the part says."""
    watch: Watch | None = None
    """What looks at the whole frames, if anything."""
    notices: list[str] = field(default_factory=list, init=False)
    """What was done to the frames that came, each a plain sentence."""
    _size: tuple[int, int] = field(default=(0, 0), init=False)
    _first: tuple[int, int, float] = field(default=(0, 0, 1.0), init=False)
    """Height, width and pixel aspect of the first frame."""
    _kept: tuple[float, float] = field(default=(1.0, 1.0), init=False)
    """Share of the first frame's height and width that a crop keeps."""

    def room(self, moment: Moment) -> np.ndarray:
        """Memory for all frames, sized by the first."""
        height, width, pixel_aspect = upright_size(moment)
        canvas = self._canvas(height, width, pixel_aspect)
        display = canvas[0] / max(pixel_aspect, 1), canvas[1] * min(pixel_aspect, 1)
        ratio = self.aspect[1] / self.aspect[0]
        if self.fit == "stretch" and canvas_of(height, width, ratio / pixel_aspect) != (height, width):
            display = min(display[0], display[1] / ratio), min(display[1], display[0] * ratio)
            self._tell(f"frames were stretched from {width}x{height} to the shape {self.aspect[1]}x{self.aspect[0]}")
        scale = min(1, self.longest / max(display))
        self._size = max(1, round(display[0] * scale)), max(1, round(display[1] * scale))
        check_bytes(self.frames, *self._size)
        self._first = height, width, pixel_aspect
        self._kept = min(1.0, canvas[0] / height), min(1.0, canvas[1] / width)
        self._tell_shape(height, width, canvas)
        self._tell(*moment.notices)
        return np.empty((self.frames, *self._size, 3), np.uint8)

    def image(self, moment: Moment) -> np.ndarray:
        """One frame, upright, cropped, padded or stretched, and scaled."""
        image, notices = rgb_of(moment.frame, self.part.colour, str(self.part.background))
        self._tell(*moment.notices, *notices)
        image = upright(image, moment.frame)
        if self.watch is not None:
            self.watch.see(image)
        height, width, pixel_aspect = upright_size(moment)
        self._tell(*changed(self._first, (height, width, pixel_aspect)))
        canvas = self._canvas(height, width, pixel_aspect)
        across, down = self._middle
        top, left = begin(height, canvas[0], down), begin(width, canvas[1], across)
        image = image[top : top + canvas[0], left : left + canvas[1]]
        inner = [
            min(most, max(1, round(side * most / full)))
            for side, most, full in zip(image.shape[:2], self._size, canvas, strict=True)
        ]
        if image.shape[:2] != tuple(inner):
            image = cv2.resize(np.ascontiguousarray(image), (inner[1], inner[0]), interpolation=cv2.INTER_AREA)
        spare = self._size[0] - inner[0], self._size[1] - inner[1]
        return np.pad(image, [(side // 2, side - side // 2) for side in spare] + [(0, 0)]) if any(spare) else image

    def moving_place(self) -> tuple[float, float] | None:
        """Where a crop lies that holds most of what moved in the frames that came; none where nothing did."""
        return None if self.watch is None else self.watch.place(*self._kept)

    def tell_what_left(self) -> None:
        """Say so where what moves in the frames that came lies outside the crop."""
        if self.watch is None or min(self._kept) == 1.0:
            return
        outside, moving = self.watch.outside(self._middle, *self._kept)
        if outside > OFTEN * moving:
            remedy = "--fit pad keeps the whole frame"
            if self.part.crop != MOTION:
                remedy = f"--crop {MOTION} lays the crop where things move, {remedy}"
            self._tell(f"what moves lies outside the crop in {outside} of {moving} steps between frames: {remedy}")

    @property
    def _middle(self) -> tuple[float | int, float | int]:
        return self.part.place if self.place is None else self.place

    def _tell(self, *notices: str) -> None:
        self.notices += [notice for notice in notices if notice not in self.notices]

    def _tell_shape(self, height: int, width: int, canvas: tuple[int, int]) -> None:
        if canvas == (height, width):
            if self.part.crop is not None:
                self._tell("nothing had to be cropped: the frames have the model's shape")
            return
        done = "cropped" if self.fit == "crop" else "padded with black"
        where = ""
        if self.place is not None or self.part.crop not in (None, MOTION):
            moving = ", where things move" if self.part.crop == MOTION else ""
            where = f", the crop's middle at {self._middle[0]:.3g},{self._middle[1]:.3g}{moving}"
        self._tell(f"frames were {done} from {width}x{height} to {canvas[1]}x{canvas[0]} for the model's shape{where}")

    def _canvas(self, height: int, width: int, pixel_aspect: float) -> tuple[int, int]:
        """Height and width, in pixels of the file, of what is cut out of a frame or laid around it; all of it to be stretched."""
        if self.fit == "stretch":
            return height, width
        return canvas_of(height, width, self.aspect[1] / self.aspect[0] / pixel_aspect, self.fit)


def changed(first: tuple[int, int, float], own: tuple[int, int, float]) -> tuple[str, ...]:
    """What is said of a frame whose height, width or pixel aspect is another than the first frame's."""
    if first[:2] != own[:2]:
        return (RESIZED,)
    return (RESHAPED,) if first != own else ()


def canvas_of(height: int, width: int, ratio: float, fit: str = "crop") -> tuple[int, int]:
    """Height and width of what is cut out of a frame, or laid around it, to have ``ratio`` columns a row; to within a pixel."""
    if width == round(height * ratio) or height == round(width / ratio):
        return height, width
    if (width > height * ratio) == (fit == "crop"):
        return height, max(1, round(height * ratio))
    return max(1, round(width / ratio)), width


def middle_of(image: Image, height: int, width: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """The largest part of the image about its middle that has the shape of a frame."""
    rows, columns = image.shape[:2]
    kept_rows, kept_columns = min(rows, round(columns * height / width)), min(columns, round(rows * width / height))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return image[top : top + max(1, kept_rows), left : left + max(1, kept_columns)]


def resized_image(image: UInt8[np.ndarray, "rows columns 3"], height: int, width: int) -> Image:
    """The image at a size."""
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    how = cv2.INTER_AREA if height * width < image.shape[0] * image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)


def begin(side: int, kept: int, middle: float | int) -> int:
    """Where the kept part of a side, in pixels, begins, so that its middle lies at a share of it, as near as it can."""
    return min(max(math.floor(side * middle - kept / 2), 0), max(side - kept, 0))
