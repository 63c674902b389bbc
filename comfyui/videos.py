"""The nodes that make videos of motions, and measure them."""

import json
import math
from typing import ClassVar

from torch import Tensor

from motionlift.core.model import Model
from motionlift.measure import metrics
from motionlift.measure.score import Scores, score
from motionlift.motion.file import Motion
from motionlift.video.limits import RATES
from motionlift.work.cast import cast
from motionlift.work.prepare import SEEDS

from .pictures import clip_of, frames_of, images_of
from .running import CPU, Progress, working
from .settings import Chosen, values_of
from .words import CATEGORY, MODEL, MOTION, SETTINGS, Inputs, described

PROMPT = "a red car on a grey road"
"""A prompt that the bundled model paints."""
FIDELITY = "motion_fidelity"
"""The figure that has an output of its own."""


class CastMotion:
    """Make a video that shows a prompt and moves like a motion."""

    TITLE = "Cast Motion"
    DESCRIPTION = (
        "Makes a video that shows the prompt and moves like the motion; with a picture, one that begins with it."
    )
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = ("IMAGE", "FLOAT", MOTION, "STRING")
    RETURN_NAMES: ClassVar = ("images", "fps", "motion", "record")
    OUTPUT_TOOLTIPS: ClassVar = (
        "The frames of the video.",
        "Frames a second at which they play, for Create Video.",
        "The motion, with the positions that were optimised, where target=positions did.",
        "How the video came about, as JSON: settings, versions, seconds, memory, what is to be known.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        text = {"multiline": True, "dynamicPrompts": True}
        return {
            "required": {
                "motion": described(MOTION, "The motion, from Lift Motion or Load Motion."),
                "model": described(MODEL, "The model that it was lifted with."),
                "prompt": described("STRING", "What the video shows.", default=PROMPT, **text),
                "seed": described(
                    "INT",
                    "Seed of the starting noise.",
                    **{"default": 0, "min": SEEDS[0], "max": SEEDS[1], "control_after_generate": True},
                ),
            },
            "optional": {
                "negative_prompt": described("STRING", "What the video is not to show.", default="", **text),
                "cut_prompt": described(
                    "BOOLEAN", "Cut prompts that are longer than the model's text window.", default=False
                ),
                "picture": described(
                    "IMAGE", "What the video begins with, of models that take pictures, such as Wan 2.2 TI2V and LTX."
                ),
                "settings": described(SETTINGS, "Settings to change from those that the motion was lifted with."),
            },
        }

    def run(
        self,
        motion: Motion,
        model: Model,
        prompt: str,
        seed: int,
        negative_prompt: str = "",
        cut_prompt: bool = False,
        picture: Tensor | None = None,
        settings: Chosen | None = None,
    ) -> tuple[Tensor, float, Motion, str]:
        """Make it.

        Raises:
            MotionliftError: one of its kinds.
        """
        with working(model.about.device):
            video = cast(
                motion,
                prompt,
                model,
                seed=seed,
                settings=values_of(settings, motion.method),
                negative_prompt=negative_prompt or None,
                advance=Progress().step,
                cut_prompt=cut_prompt,
                picture=None if picture is None else clip_of(frames_of(picture)[:1], model.about.fps),
            )
        return images_of(video.clip), video.clip.fps, video.motion, json.dumps(video.record, indent=2)


class ScoreVideo:
    """Measure a video beside its reference."""

    TITLE = "Score Motion"
    DESCRIPTION = "Measures a generated video beside its reference: motion, looks, consistency, and what leaked."
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = ("FLOAT", "STRING")
    RETURN_NAMES: ClassVar = (FIDELITY, "scores")
    OUTPUT_TOOLTIPS: ClassVar = (
        "How alike they move, from -1 to 1; not a number where nothing can be followed.",
        "Every figure, what was left out and why, and what is to be known, as JSON.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        rate = {"default": 24.0, "min": RATES[0], "max": RATES[1], "step": 0.01, "round": False}
        return {
            "required": {
                "reference": described("IMAGE", "The frames of the reference."),
                "reference_fps": described("FLOAT", "Frames a second of the reference.", **rate),
                "generated": described("IMAGE", "The frames of the generated video."),
                "generated_fps": described("FLOAT", "Frames a second of the generated video.", **rate),
            },
            "optional": {
                "prompt": described("STRING", "What the generated video is to show.", default="", multiline=True),
                "from_start": described(
                    "BOOLEAN",
                    "Take the reference only as far as the generated video plays, as Lift Motion does.",
                    default=True,
                ),
            },
        }

    def run(
        self,
        reference: Tensor,
        reference_fps: float,
        generated: Tensor,
        generated_fps: float,
        prompt: str = "",
        from_start: bool = True,
    ) -> tuple[float, str]:
        """Measure it.

        Raises:
            MotionliftError: one of its kinds.
        """
        progress, names = Progress(), [metric.name for metric in metrics()]
        with working(CPU):
            found = score(
                clip_of(reference, reference_fps),
                clip_of(generated, generated_fps),
                prompt=prompt,
                from_start=from_start,
                advance=lambda name: progress.show("score", names.index(name), len(names)),
            )
        return found.figures.get(FIDELITY, math.nan), json.dumps(_told(found), indent=2)


def _told(found: Scores) -> dict[str, object]:
    """Scores as JSON has them, which knows no numbers that are none."""
    return {
        "figures": {name: value if math.isfinite(value) else None for name, value in found.figures.items()},
        "left_out": dict(found.left_out),
        "notices": list(found.notices),
    }
