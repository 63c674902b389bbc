"""Diversity over seeds: how different the videos are that one method makes of one prompt with several seeds.

Ours: one less the structural similarity (SSIM, Wang et al. 2004, by torchmetrics), the mean over frames of the same number and
over all pairs of seeds. 0 where every seed gives the same picture, as a method does that leaks its reference; about 1 for noise.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from motionlift.errors import InputError
from motionlift.measure.leakage import SSIM_LEAST, check_sides
from motionlift.measure.metric import Figure, Metric
from motionlift.video.limits import Image


def diversity(videos: Sequence[Iterable[Image]]) -> float:
    """How different videos are that differ in their seed alone; they are gone through side by side, frame by frame.

    Args:
        videos: RGB frames of each; equally many, of one size.

    Returns:
        0 where all are the same, at most 2.

    Raises:
        InputError: fewer than two videos, videos of different lengths or sizes, or frames too small for SSIM
            (:data:`motionlift.measure.leakage.SSIM_LEAST`).
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    if len(videos) < 2:
        raise InputError(f"{len(videos)} video(s) came; diversity is between at least two seeds")
    found: list[float] = []
    for frames in itertools.zip_longest(*videos):
        shapes = {None if frame is None else frame.shape for frame in frames}
        if len(shapes) != 1 or None in shapes:
            raise InputError("the videos differ in length or size; give those of one model and setting")
        check_sides(frames[0].shape[0], frames[0].shape[1], SSIM_LEAST)
        batch = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
        for one, other in itertools.combinations(batch, 2):
            alike = structural_similarity_index_measure(one[None], other[None], data_range=1.0)
            found.append(1 - float(alike))  # pyright: ignore[reportArgumentType]
    if not found:
        raise InputError("the videos hold no frame; give videos")
    return float(np.mean(found))


METRIC = Metric(
    "diversity",
    80,
    (
        Figure(
            "diversity",
            "diversity over seeds",
            "one less the structural similarity of the videos of two seeds, the mean over all pairs",
            "0 where all are the same, at most 2",
            better=1,
            column=160,
            scored=False,
        ),
    ),
)
"""Diversity over seeds, which reports make of the videos of several records."""
