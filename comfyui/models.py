"""The node that loads a model."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import comfy.model_management
import folder_paths

from motionlift.core.memory import Measures, Weights
from motionlift.core.model import Model
from motionlift.errors import ModelError
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL, INDEX

from .running import working
from .words import CATEGORY, MODEL, Inputs, described

BUNDLED = "bundled"
"""Stands for the bundled model that the library takes where none is named."""
SAVING = Measures(one_by_one=True, recomputed=True, waiting=True)
"""What costs little time, and goes with every way to hold the weights (ours)."""
MEMORY: Mapping[str, Measures | None] = {
    "usual": None,
    "offloaded": replace(SAVING, offloaded=True),
    **{str(weights): replace(SAVING, weights=weights) for weights in Weights if weights is not Weights.OWN},
}
"""What is done so that a model takes less memory, by what the node calls it."""
DTYPES = ("auto", "bf16", "fp16", "fp32")
"""Types of numbers, as :func:`motionlift.load` takes them."""


class LoadModel:
    """Load a model that comes with motionlift, or one of ComfyUI's diffusers folder."""

    TITLE = "Load Motion Model"
    DESCRIPTION = (
        "Loads a video model: the small one that comes with motionlift, or a pipeline from ComfyUI's folder "
        "models/diffusers."
    )
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = (MODEL,)
    RETURN_NAMES: ClassVar = ("model",)
    OUTPUT_TOOLTIPS: ClassVar = ("The model, to lift motion with and to cast it.",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        return {
            "required": {
                "model": described(
                    model_names(),
                    "A small model that comes with motionlift, or a diffusers pipeline in ComfyUI's folder models/diffusers.",
                    default=BUNDLED,
                ),
                "dtype": described(
                    [*DTYPES],
                    "What it computes with: auto is fp32 on a CPU, else what the model was made for.",
                    default="auto",
                ),
                "memory": described(
                    [*MEMORY],
                    "What is done so that it fits: usual goes by the model's size; offloaded keeps blocks in main memory, slower; "
                    "the others hold weights in fewer bits: fp8 by itself, int8 and nf4 by bitsandbytes, and those named for a "
                    "package by that.",
                    default="usual",
                ),
            }
        }

    def run(self, model: str, dtype: str, memory: str) -> tuple[Model]:
        """Load it.

        Raises:
            MotionliftError: one of its kinds.
        """
        device = comfy.model_management.get_torch_device()
        with working(device):
            return (load(model_path(model), str(device), dtype=dtype, measures=MEMORY[memory]),)


def model_names() -> list[str]:
    """What can be loaded: bundled models, and pipelines of diffusers in ComfyUI's folders for them."""
    return [*dict.fromkeys([BUNDLED, *BUNDLED_MODELS, *_folders()])]


def model_path(name: str) -> str:
    """A model as :func:`motionlift.load` takes it.

    Raises:
        ModelError: it is none of :func:`model_names`.
    """
    if name in (BUNDLED, *BUNDLED_MODELS):
        return DEFAULT_MODEL if name == BUNDLED else name
    found = _folders().get(name)
    if found is None:
        raise ModelError(
            f"there is no model {name[:100]!r} in ComfyUI's folder models/diffusers; press R to read the list again"
        )
    return str(found)


def _folders() -> dict[str, Path]:
    """Folders of pipelines by where they lie; the first of a name counts."""
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for start in folder_paths.get_folder_paths("diffusers"):
        for root, folders, files in os.walk(start, followlinks=True):
            real = os.path.realpath(root)
            if INDEX in files:
                found.setdefault(Path(root).relative_to(start).as_posix(), Path(root))
            if INDEX in files or real in seen:  # parts of a pipeline are no pipelines, and links may go in a circle
                folders.clear()
            seen.add(real)
    return dict(sorted(found.items()))
