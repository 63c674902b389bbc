"""No files: frames from an array, diffusers' words for noise and steps, and stopping when it has been enough.

python examples/frames_in_memory.py
"""

import sys
from typing import Any

import numpy as np
import torch

import motionlift as ml


class EnoughError(Exception):
    """What the callback ends the work with."""


def square_that_moves(frames: int = 17, side: int = 64) -> np.ndarray:
    """A bright square that crosses a dark picture, ``(frames, side, side, 3)`` of floats from 0 to 1."""
    pixels = np.full((frames, side, side, 3), 0.2)
    for number in range(frames):
        left = 4 + number * (side - 24) // frames
        pixels[number, 24:40, left : left + 16] = 0.9
    return pixels


def main(steps: int = 20) -> None:
    """Make a video of an array, and stop another one halfway."""
    model = ml.load("tiny-wan")
    reference = ml.Clip.of(square_that_moves(), fps=8)  # an array alone would be taken at the model's own rate
    settings = {"read": "flow", "steps": steps}

    def watch(pipe: Any, step: int, timestep: torch.Tensor, kwargs: dict[str, Any]) -> dict[str, Any]:
        print(f"step {step + 1} of {steps}, timestep {float(timestep):.0f}")
        return kwargs

    def stop_halfway(pipe: Any, step: int, timestep: torch.Tensor, kwargs: dict[str, Any]) -> dict[str, Any]:
        if step + 1 >= steps // 2:
            raise EnoughError  # or pipe._interrupt = True, which raises motionlift.Stopped
        return kwargs

    prompt = "a yellow fish in the sea"
    generator = torch.Generator().manual_seed(3)
    video = ml.transfer(reference, prompt, model, settings=settings, generator=generator, callback_on_step_end=watch)
    print(video)  # in a notebook the last line of a cell, `video`, plays it
    try:
        ml.transfer(reference, prompt, model, settings=settings, callback_on_step_end=stop_halfway)
    except EnoughError:
        print("stopped halfway; the model is as it was, and the motion is in the cache")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
