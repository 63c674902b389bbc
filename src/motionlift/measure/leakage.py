"""Content leakage: how much of the reference's looks survive in a video that should share its motion alone.

The choice of measures is ours: structural similarity (SSIM, Wang et al. 2004) and learned perceptual distance (LPIPS, 1801.03924,
on AlexNet), both by torchmetrics, frame by frame; and the intersection of colour histograms (Swain and Ballard 1991) of the whole
videos. A video with the reference's motion and other looks should be low in the first and third and high in the second.
"""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from motionlift.errors import InputError, ModelError
from motionlift.measure.metric import Figure, Job, Metric, Need
from motionlift.video.limits import Image

BINS = 8
"""Steps of each colour channel in the histograms (Swain and Ballard: 8 or 16; ours: the coarser, for short videos)."""
LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
"""AlexNet's weights in torch.hub's cache, as torchvision names them."""
HOW_TO_GET_LPIPS = (
    "install torchvision (pip install 'motionlift[lpips]') and fetch AlexNet once, with a network, by: "
    "python -c \"import torchvision; torchvision.models.alexnet(weights='DEFAULT')\""
)
"""What to do where they are missing."""
SSIM_LEAST = 6
"""Shortest side of a frame, in pixels, that SSIM can be taken of: torchmetrics mirrors five pixels beyond each border for the
window of eleven (Wang et al. 2004), and a mirror needs one more."""
LPIPS_LEAST = 31
"""Shortest side, in pixels, of which AlexNet's first convolution and two poolings leave anything (its kernels of 11, 3 and 3 by
steps of 4, 2 and 2)."""


@dataclass(frozen=True)
class Leakage:
    """How alike two videos look."""

    ssim: float | None
    """Mean structural similarity of the frames, -1..1, 1 where they are the same; None where it was not wanted."""
    histogram: float
    """Share of the colours that the videos have in common, 0..1."""
    lpips: float | None
    """Mean perceptual distance of the frames, at least 0, 0 where they are the same; None where no network was given."""


def content_leakage(
    reference: Iterable[Image],
    generated: Iterable[Image],
    counts: tuple[int, int],
    lpips: Any = None,
    ssim: bool = True,
) -> Leakage:
    """Go through two videos of one size once.

    Frames go together by time, both videos taken to play over their whole duration: where one has more, those that are
    nearest in time to the frames of the other are taken for the comparison of frames. Histograms count every frame.

    Args:
        reference: RGB frames.
        generated: RGB frames of the other video, of the same size.
        counts: how many frames each has.
        lpips: what :func:`load_lpips` gave; left out without.
        ssim: whether structural similarity is wanted.

    Raises:
        InputError: videos of different sizes, frames too small for what is wanted (:data:`SSIM_LEAST`,
            :data:`LPIPS_LEAST`), or fewer frames than said.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    least = min(counts)
    tables = [np.zeros(BINS**3), np.zeros(BINS**3)]
    chosen = [
        _evenly(_counted(frames, table), count, least)
        for frames, table, count in zip((reference, generated), tables, counts, strict=True)
    ]
    needed = max(SSIM_LEAST if ssim else 1, LPIPS_LEAST if lpips is not None else 1)
    similar, distant, came = [], [], 0
    for one, other in itertools.zip_longest(*chosen):
        pair = _pair(one, other)
        check_sides(pair[0].shape[2], pair[0].shape[3], needed)
        came += 1
        if ssim:
            similar.append(float(structural_similarity_index_measure(*pair, data_range=1.0)))  # pyright: ignore
        if lpips is not None:
            with torch.inference_mode():
                distant.append(float(lpips(*pair).mean()))
    if came != least:
        raise InputError(f"{came} frames came of {least}; say how many frames each video has")
    shares = [table / table.sum() for table in tables]
    means = [float(np.mean(values)) if values else None for values in (similar, distant)]
    return Leakage(means[0], float(np.minimum(*shares).sum()), means[1])


def check_sides(height: int, width: int, least: int) -> None:
    """Refuse frames that are too small for a measure.

    Raises:
        InputError: a side is shorter than ``least`` pixels.
    """
    if min(height, width) < least:
        raise InputError(
            f"the frames are compared at {width}x{height} pixels and need sides of at least {least}; give larger videos"
        )


def load_lpips() -> Any:
    """The network of LPIPS, without a network connection: called with two batches of frames in 0..1.

    Raises:
        ModelError: torchvision or AlexNet's weights are not there.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS
    if not weights.is_file():
        raise ModelError(f"there is no {weights}; {HOW_TO_GET_LPIPS}")
    try:
        import torchvision  # noqa: F401 # pyright: ignore
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
    except Exception as error:  # a torchvision that does not go with this torch fails in ways of its own
        raise ModelError(f"{' '.join(str(error).split())[:200]}; {HOW_TO_GET_LPIPS}") from error


def _pair(
    one: Image | None, other: UInt8[np.ndarray, "rows columns 3"] | None
) -> tuple[Float[Tensor, "1 3 height width"], Float[Tensor, "1 3 height width"]]:
    """Two frames in 0..1."""
    if one is None or other is None:
        raise InputError("one of the videos has fewer frames than was said")
    if one.shape != other.shape:
        raise InputError(
            f"frames of {one.shape[1]}x{one.shape[0]} and {other.shape[1]}x{other.shape[0]} pixels came; give both one size"
        )
    first, second = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 for image in (one, other))
    return first, second


def _counted(frames: Iterable[Image], table: np.ndarray) -> Iterator[Image]:
    """The frames as they come, their colours added to a table."""
    for frame in frames:
        steps = (frame.reshape(-1, 3).astype(np.int64) * BINS) >> 8
        numbers = (steps[:, 0] * BINS + steps[:, 1]) * BINS + steps[:, 2]
        table += np.bincount(numbers, minlength=BINS**3)
        yield frame


def _evenly(frames: Iterable[Image], count: int, wanted: int) -> Iterator[Image]:
    """So many of the frames, spread evenly from the first to the last; goes through all of them."""
    places = set(np.linspace(0, count - 1, wanted).round().astype(int).tolist())
    for number, frame in enumerate(frames):
        if number in places:
            yield frame


_lpips = functools.lru_cache(maxsize=1)(load_lpips)
"""Loaded once for many videos; what was not to be had is looked for again the next time."""

NETWORK = Need("torchvision with AlexNet's weights", HOW_TO_GET_LPIPS)


def _measured(job: Job) -> Mapping[str, float]:
    ssim = job.wants("ssim") and _large_enough(job, "ssim", SSIM_LEAST)
    network = None
    if job.wants("lpips") and _large_enough(job, "lpips", LPIPS_LEAST):
        try:
            network = _lpips()
        except ModelError as error:
            job.leave_out(["lpips"], str(error))
    if not ssim and network is None and not job.wants("histogram"):
        return {}
    counts = job.reference.frames, job.generated.frames
    found = content_leakage(job.reference, job.generated, counts, network, ssim)
    return {name: value for name, value in asdict(found).items() if value is not None}


def _large_enough(job: Job, name: str, least: int) -> bool:
    """Whether the frames are, for a figure that is else left out."""
    try:
        check_sides(job.generated.height, job.generated.width, least)
    except InputError as error:
        job.leave_out([name], str(error))
    return job.wants(name)


METRIC = Metric(
    "leakage",
    60,
    (
        Figure(
            "ssim",
            "SSIM with reference",
            "structural similarity to the reference's frames, leaked looks if near 1",
            "-1 to 1",
            better=-1,
            column=180,
        ),
        Figure(
            "lpips",
            "LPIPS from reference",
            "perceptual distance from the reference's frames, leaked looks if near 0",
            "at least 0",
            better=1,
            needs=(NETWORK,),
            column=190,
        ),
        Figure(
            "histogram",
            "colours of reference",
            "colours in common with the reference, as the intersection of histograms; leaked looks if near 1",
            "0 to 1",
            better=-1,
            column=200,
        ),
    ),
    _measured,
)
"""How much of the reference's looks is left."""
