"""A twin and a reference for the tests of methods."""

import torch

from motionlift.core.lattice import Lattice
from motionlift.core.method import Aim, Reference
from motionlift.models.families.cogvideox import CogVideoX
from tests.twins import cogvideox


def backbone() -> CogVideoX:
    """A twin with rotary positions."""
    return CogVideoX(cogvideox(), "twin", torch.device("cpu"))


def reference(model: CogVideoX, frames: int = 9) -> Reference:
    """A smooth pattern that drifts right by two pixels a frame at the wide size of 64x64."""
    shape = model.fitting(frames)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    moved = torch.stack([columns - 2.0 * number for number in range(frames)])
    pattern = torch.sin(moved / 5) * torch.cos(rows / 4) + torch.sin(rows / 7 - moved / 9)
    wide = (pattern / 2)[:, None].expand(-1, 3, -1, -1).contiguous()
    pixels = torch.nn.functional.interpolate(wide, size=(shape.height, shape.width), mode="area")
    return Reference(model.encode(pixels), pixels, wide, shape)


def lifted(method, given: Reference, model: CogVideoX, settings):
    """The tensors that a method lifts, and its steps."""
    steps, seen = method.lift(given, model, settings), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


def aim(motion: dict[str, torch.Tensor], grid: Lattice, step: int = 0, **places: tuple[int, ...]) -> Aim:
    """What a guided step aims at, with one lattice in all blocks."""
    return Aim(motion, dict.fromkeys(range(20), grid), step, places)
