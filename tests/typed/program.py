"""A user's program, for type checkers alone: it is never run. ``make typed`` checks it against the wheel."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import torch

import motionlift as ml


def watch(step: ml.Step) -> None:
    """What a user does with steps."""
    print(step.phase, step.index + 1, step.total, step.loss)


def on_step_end(model: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """diffusers' callback."""
    return kwargs


def main() -> None:
    """One call of everything that the package offers, and what each gives."""
    model = ml.load("tiny-dit", loras=["star.safetensors:0.8"], measures=ml.Measures(weights=ml.Weights.FP8))
    assert_type(model, ml.Model)
    shape: ml.Shape = model.about.shape
    frames = np.zeros((shape.frames, shape.height, shape.width, 3), dtype=np.uint8)
    motion = ml.lift(frames, model, "ditflow", settings={"read": "flow"}, advance=watch)
    assert_type(motion, ml.Motion)
    assert_type(ml.edit(motion, "mirror"), ml.Motion)
    assert_type(ml.cast(motion, "a red star", model, seed=1), ml.Video)
    assert_type(ml.cast(motion, "a red star", model, seeds=[1, 2]), list[ml.Video])
    assert_type(ml.cast(motion, ["a red star", "a green ring"], model), list[ml.Video])
    generator = torch.Generator().manual_seed(3)
    stages = [ml.interpolation("tiny-unet", 2), ml.super_resolution()]
    video = ml.transfer(
        Path("clip.mp4"),
        "a red star",
        negative_prompt="a dog",
        generator=generator,
        callback_on_step_end=on_step_end,
        stages=stages,
    )
    assert_type(video, ml.Video)
    assert_type(video.clip, ml.Clip)
    assert_type(ml.transfer(ml.Clip.of(frames, 8), ["a red star"]), list[ml.Video])
    assert_type(ml.score("clip.mp4", video.clip, start=3.0, crop="motion").figures["ssim"], float)
    part: ml.Part = ml.Part(start=3.0, crop=(0.2, 0.5))
    clip = ml.Clip.read("clip.mp4", frames=9, fps=8, aspect=(1, 1), part=part)
    taken: ml.Taken | None = clip.taken
    video.save("out.mp4", sound=ml.Sound(Path("clip.mp4"), 0.0, 2.0))
    source: ml.Source = motion.source
    lattice: ml.Lattice = motion.lattice
    windows: ml.Windows | None = motion.windows
    added: tuple[ml.Added, ...] = model.about.added
    print(taken, source, lattice, windows, added, model.about.pictures is ml.Pictures.MUST)
    try:
        assert_type(ml.export_adapter(motion, "lora.safetensors"), ml.Exported)
    except (ml.MotionError, ml.SettingError, ml.OutputError) as error:
        print(error, ml.__version__)
    except ml.Stopped as stop:
        assert_type(stop.stays, str)
