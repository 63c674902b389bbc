"""Videos made by PyAV, each frame a grey level or colour that names it."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace, Interpolation

from motionlift.video.clip import Clip

SQUARE = (64, 64)


def grey(number: int) -> int:
    return 16 + 12 * number


def write(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    milliseconds: Sequence[int] | None = None,
    rate: int = 8,
    rotation: tuple[float, bool, bool] | None = None,
    pixel_aspect: Fraction | None = None,
    lossless: bool = False,
    codec: str = "",
    pixels: str = "",
    matrix: Colorspace = Colorspace.ITU601,
    full: bool = False,
    tags: Mapping[str, int] = {},
    **options: str,
) -> Path:
    """Write images in the container that the suffix names, evenly or at given times; as H.264 where no codec is named.

    Planes of colour are made by ``matrix``, of full range where that is asked; the file says so only by ``tags``.
    """
    with av.open(str(path), "w") as container:
        quality = {"crf": "0" if lossless else "4"} if not codec or codec == "libx264" else {}
        codec = codec or ("libx264rgb" if lossless else "libx264")
        stream = container.add_stream(codec, rate=rate, options={**quality, **options})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels or ("rgb24" if lossless else "yuv420p" if not images[0].shape[0] % 2 else "yuv444p")
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        if milliseconds:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(*rotation)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgba" if image.shape[2] == 4 else "rgb24")
            if stream.pix_fmt not in ("rgb24", "rgba", "bgra"):
                frame = frame.reformat(
                    format=stream.pix_fmt, dst_colorspace=matrix, dst_color_range=2 if full else 1,
                    interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
                )  # fmt: skip
                frame.colorspace, frame.color_range = tags.get("colorspace", 2), tags.get("color_range", 0)
                frame.color_trc = tags.get("color_trc", 2)
            if milliseconds:
                frame.pts, frame.time_base = milliseconds[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels(count: int, height: int = 64, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), grey(number), np.uint8) for number in range(count)]


def numbers(clip: Clip) -> list[int]:
    """Which of :func:`levels` each frame is."""
    return [round((float(frame.float().mean()) - grey(0)) / 12) for frame in clip.frames]


def quadrants(height: int = 32, width: int = 64) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, width // 2 :] = (0, 0, 255)
    return image


def noisy(count: int, height: int, width: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def mean_error(left: torch.Tensor | np.ndarray, right: torch.Tensor | np.ndarray) -> float:
    return float(np.abs(np.asarray(left, np.int32) - np.asarray(right, np.int32)).mean())


def beside_rest(clip: Clip) -> tuple[str, ...]:
    """What is said of a clip, but that nothing moves in it."""
    return tuple(notice for notice in clip.notices if not notice.startswith("nothing moves"))
