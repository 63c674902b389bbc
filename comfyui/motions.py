"""The nodes that lift, edit, read and write motions."""

from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from motionlift.core.edit_names import EDITS
from motionlift.core.model import Model
from motionlift.errors import MotionliftError, SettingError
from motionlift.methods import methods
from motionlift.motion.export import MOST_RANK
from motionlift.motion.file import Motion
from motionlift.video.limits import FRAMES, RATES, SIDES
from motionlift.work.edit import edit as edited
from motionlift.work.export import export_adapter
from motionlift.work.lift import lift

from .pictures import clip_of, frames_of
from .places import motion_at, motion_names, new_file
from .running import CPU, Progress, working
from .settings import Chosen, values_of
from .words import CATEGORY, MODEL, MOTION, SETTINGS, Inputs, described

METHOD = "ditflow"
"""The method of :func:`motionlift.lift` where none is named."""
READER = "comfyui"
"""Who reads what :class:`SaveAdapter` writes, by the name that ``motionlift export`` has for it."""


class LiftMotion:
    """Lift the motion out of a video."""

    TITLE = "Lift Motion"
    DESCRIPTION = (
        "Reads how things move in a video, as a method sees it in a model. It is kept on this machine, and read from there "
        "the next time."
    )
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = (MOTION,)
    RETURN_NAMES: ClassVar = ("motion",)
    OUTPUT_TOOLTIPS: ClassVar = ("The motion, to edit, to save and to cast.",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        side = {"default": 0, "min": 0, "max": SIDES[1]}
        told = "\n".join(f"{name}: {each.summary}" for name, each in sorted(methods().items()))
        return {
            "required": {
                "model": described(MODEL, "The model that the motion is for."),
                "images": described("IMAGE", "The frames of the reference."),
                "fps": described(
                    "FLOAT",
                    "Frames a second of the reference, such as Get Video Components gives; 0: the model's own.",
                    **{"default": 0.0, "min": 0.0, "max": RATES[1], "step": 0.01, "round": False},
                ),
                "method": described(sorted(methods()), f"How motion is read, or learned.\n{told}", default=METHOD),
            },
            "optional": {
                "frames": described("INT", "Length in frames; 0: the model's own.", default=0, min=0, max=FRAMES[1]),
                "width": described("INT", "Width in pixels; 0: the model's own.", **side),
                "height": described("INT", "Height in pixels; 0: the model's own.", **side),
                "settings": described(SETTINGS, "Settings of the method, from the node of its name."),
            },
        }

    def run(
        self,
        model: Model,
        images: Tensor,
        fps: float,
        method: str,
        frames: int = 0,
        width: int = 0,
        height: int = 0,
        settings: Chosen | None = None,
    ) -> tuple[Motion]:
        """Lift it.

        Raises:
            MotionliftError: one of its kinds.
        """
        if bool(width) != bool(height):
            raise SettingError(f"width is {width} and height {height}; give both, or 0 for both")
        with working(model.about.device):
            motion = lift(
                clip_of(images, fps) if fps else frames_of(images),
                model,
                method,
                frames=frames or None,
                size=(width, height) if width else None,
                settings=values_of(settings, method),
                advance=Progress().step,
            )
        return (motion,)


class EditMotion:
    """Change a motion."""

    TITLE = "Edit Motion"
    DESCRIPTION = "Makes of a motion what it would be of an edited reference. No model is needed."
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = (MOTION,)
    RETURN_NAMES: ClassVar = ("motion",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        told = "; ".join(f"{name}: {own.summary}" for name, own in EDITS.items())
        share = {"default": 0.0, "min": -1.0, "max": 1.0, "step": 0.01, "round": False}
        return {
            "required": {
                "motion": described(MOTION, "The motion; not yet cast with target=positions."),
                "edit": described([*EDITS], f"What is changed. {told}."),
            },
            "optional": {
                "right": described("FLOAT", "Of move: how far to the right, as a share of the width.", **share),
                "down": described("FLOAT", "Of move: how far down, as a share of the height.", **share),
            },
        }

    def run(self, motion: Motion, edit: str, right: float = 0.0, down: float = 0.0) -> tuple[Motion]:
        """Edit it.

        Raises:
            MotionliftError: one of its kinds.
        """
        own = EDITS.get(edit)
        amounts = f"={right},{down}" if own is not None and own.amounts else ""
        with working(CPU):
            return (edited(motion, edit + amounts),)


class LoadMotion:
    """Read a motion from ComfyUI's input or output folder."""

    TITLE = "Load Motion"
    DESCRIPTION = (
        "Reads a motion that was saved, from ComfyUI's input folder, or its output folder, where Save Motion writes."
    )
    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = (MOTION,)
    RETURN_NAMES: ClassVar = ("motion",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        return {"required": {"motion": described(motion_names(), "The file: of motionlift lift, or of Save Motion.")}}

    @classmethod
    def IS_CHANGED(cls, motion: str) -> str:
        """Tells a file from what it was when it was last read."""
        try:
            state = motion_at(motion).stat()
        except (MotionliftError, OSError) as error:
            return str(error)
        return f"{state.st_mtime_ns} {state.st_size}"

    @classmethod
    def VALIDATE_INPUTS(cls, motion: str) -> bool | str:
        """Whether it can be read, or what is wrong; a file that came after the list was made may be."""
        try:
            motion_at(motion)
        except MotionliftError as error:
            return str(error)
        return True

    def run(self, motion: str) -> tuple[Motion]:
        """Read it.

        Raises:
            MotionliftError: one of its kinds.
        """
        with working(CPU):
            return (Motion.load(motion_at(motion)),)


class SaveMotion:
    """Write a motion into ComfyUI's output folder."""

    TITLE = "Save Motion"
    DESCRIPTION = "Writes a motion into ComfyUI's output folder, for Load Motion and for motionlift cast."
    CATEGORY = CATEGORY
    FUNCTION = "run"
    OUTPUT_NODE = True
    RETURN_TYPES: ClassVar = ()

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        return {
            "required": {
                "motion": described(MOTION, "The motion."),
                "filename_prefix": described(
                    "STRING", "Folder within the output folder, and how the name begins.", default="motions/motion"
                ),
            }
        }

    def run(self, motion: Motion, filename_prefix: str) -> dict[str, Any]:
        """Write it.

        Raises:
            OutputError: it cannot be written there.
        """
        path, told = new_file(filename_prefix)
        motion.save(path)
        return {"ui": {"motions": [told]}}


class SaveAdapter:
    """Write what was tuned as an adapter that ComfyUI's own nodes load."""

    TITLE = "Save Motion as LoRA"
    DESCRIPTION = (
        "Writes what a method that tunes (vmc, motionmatcher, motiondirector) changed in the model, by the names that "
        "ComfyUI's own nodes Load LoRA know. They look into output/loras too: press R, and it is in their list."
    )
    CATEGORY = CATEGORY
    FUNCTION = "run"
    OUTPUT_NODE = True
    RETURN_TYPES: ClassVar = ()

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """What it takes."""
        return {
            "required": {
                "motion": described(MOTION, "A motion that was tuned."),
                "filename_prefix": described(
                    "STRING", "Folder within the output folder, and how the name begins.", default="loras/motion"
                ),
                "rank": described(
                    "INT",
                    "Rank of the factors that differences of weights are written as; 0: as they are. What has factors already "
                    "takes 0.",
                    **{"default": 0, "min": 0, "max": MOST_RANK},
                ),
            }
        }

    def run(self, motion: Motion, filename_prefix: str, rank: int) -> dict[str, Any]:
        """Write it.

        Raises:
            MotionliftError: one of its kinds.
        """
        path, told = new_file(filename_prefix)
        written = export_adapter(motion, path, READER, rank or None)
        return {"ui": {"adapters": [{**told, "filename": Path(each).name} for each in written.paths]}}
