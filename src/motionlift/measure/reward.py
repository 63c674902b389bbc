"""ImageReward: how people would like the frames of a video for a sentence.

Source: ImageReward (2304.05977), by the authors' package ``image-reward``, which is optional. It downloads its weights when it
is first used; here it only runs once they are there.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, util
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Picture

from motionlift.errors import InputError, ModelError
from motionlift.measure.metric import PROMPT, Figure, Job, Metric, Need
from motionlift.video.limits import Image

CACHE = Path("~/.cache/ImageReward")
"""Where the package keeps what it downloads."""
FILES = ("ImageReward.pt", "med_config.json")
"""Its weights and their settings, by the package's names."""
HOW_TO_GET = (
    "install it (pip install image-reward) and fetch its weights once, with a network, by: "
    "python -c \"import ImageReward; ImageReward.load('ImageReward-v1.0')\""
)
"""What to do where it is missing."""


def load_reward() -> Any:
    """The package's model, without a network.

    Raises:
        ModelError: the package or its weights are not there.
    """
    if util.find_spec("ImageReward") is None:
        raise ModelError(f"the package image-reward is not installed; {HOW_TO_GET}")
    weights, settings = ((CACHE / name).expanduser() for name in FILES)
    if not (weights.is_file() and settings.is_file()):
        raise ModelError(f"its weights are not in {CACHE.expanduser()}; {HOW_TO_GET}")
    try:
        with _offline():
            return import_module("ImageReward").load(str(weights), device="cpu", med_config=str(settings))
    except Exception as error:  # whatever a foreign package raises
        raise ModelError(f"it cannot be loaded ({' '.join(str(error).split())[:200]}); {HOW_TO_GET}") from error


@torch.inference_mode()
def image_reward(frames: Iterable[Image], prompt: str, model: Any) -> float:
    """Mean over frames of the model's score, unbounded, about 0 for an average picture.

    Args:
        frames: RGB frames.
        prompt: the sentence.
        model: what :func:`load_reward` gave, or anything with ``score(prompt, picture)``.

    Raises:
        InputError: no frame came.
        ModelError: the model fails.
    """
    scores = [_score(model, prompt, Picture.fromarray(frame)) for frame in frames]
    if not scores:
        raise InputError("no frame came; give a video")
    return sum(scores) / len(scores)


def _score(model: Any, prompt: str, picture: Picture.Image) -> float:
    try:
        return float(model.score(prompt, picture))
    except Exception as error:  # whatever a foreign package raises
        raise ModelError(f"image-reward failed ({' '.join(str(error).split())[:200]}); {HOW_TO_GET}") from error


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the Hugging Face libraries, by which the package finds its tokenizer, off the network meanwhile."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


_reward = functools.lru_cache(maxsize=1)(load_reward)
"""Loaded once for many videos; what was not to be had is looked for again the next time."""

PACKAGE = Need("the package image-reward with its weights", HOW_TO_GET)


def _measured(job: Job) -> Mapping[str, float]:
    return {"image_reward": image_reward(job.generated, job.prompt, _reward())}


METRIC = Metric(
    "reward",
    40,
    (
        Figure(
            "image_reward",
            "ImageReward",
            "how people would like the frames for the prompt, the mean over frames",
            "unbounded, about 0 on average",
            better=1,
            needs=(PROMPT, PACKAGE),
            column=150,
        ),
    ),
    _measured,
)
"""ImageReward."""
