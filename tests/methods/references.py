"""A twin and a reference for the tests of methods."""

from collections.abc import Generator, Mapping
from typing import Any

import torch

from motionlift.core.cost import Step
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.method import Aim, Guide, Observed, Reference
from motionlift.core.model import Model
from motionlift.core.schedule import Level
from motionlift.core.seen import Record
from motionlift.models.families.cogvideox import MODEL
from motionlift.models.families.unet3d import UNet3D
from tests.twins import TRANSFORMERS, cogvideox, unet3d

CLEAN = Level(0.0, 1.0, 0.0)
"""What a network is told of clean latents."""


def twin() -> Model:
    """A twin with rotary positions."""
    return MODEL(cogvideox(), "twin", torch.device("cpu"))


def flow_twin() -> Model:
    """A twin of Wan 2.1, which predicts a flow."""
    return TRANSFORMERS["wan-2.1"].model()


def unet_twin(name: str = "twin") -> UNet3D:
    """A twin of a UNet."""
    return UNet3D(unet3d(), name, torch.device("cpu"))


def reference(model: Model, frames: int = 9) -> Reference:
    """A smooth pattern that drifts right by two pixels a frame at the wide size of 64x64."""
    shape = model.codec.fitting(frames)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    moved = torch.stack([columns - 2.0 * number for number in range(frames)])
    pattern = torch.sin(moved / 5) * torch.cos(rows / 4) + torch.sin(rows / 7 - moved / 9)
    wide = (pattern / 2)[:, None].expand(-1, 3, -1, -1).contiguous()
    pixels = torch.nn.functional.interpolate(wide, size=(shape.height, shape.width), mode="area")
    return Reference(model.codec.encode(pixels), pixels, wide, shape)


def level(model: Model, timestep: int) -> Level:
    """The level of training of a timestep."""
    return model.schedule(10).trained[timestep]


def record(
    model: Model,
    latents: torch.Tensor,
    blocks: Any,
    at: Level = CLEAN,
    prompt: str = "",
    shape: Shape | None = None,
) -> Record:
    """What the blocks show, without gradients."""
    with torch.no_grad():
        return model.record(latents, at, model.text.encode(prompt, shape), list(blocks))


def seen(record: Record) -> Observed:
    """A record as a loss gets it."""
    return Observed(torch.zeros(1, 1, 1, 1, 1), CLEAN, record)


def lifted(
    method: Guide[Any], given: Reference, model: Model, settings: Any
) -> tuple[dict[str, torch.Tensor], list[Step]]:
    """The tensors that a method lifts, and its steps."""
    steps, told = method.lift(given, model, settings), []
    return finished(steps, told), told


def finished(steps: Generator[Step, None, Any], told: list[Step] | None = None) -> Any:
    """Run a loop to its end; returns what it returns."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        if told is not None:
            told.append(step)


def aim(
    motion: Mapping[str, torch.Tensor], lattice: Lattice | Mapping[int, Lattice], step: int = 0, **places: Any
) -> Aim:
    """What a guided step aims at, with one lattice in all blocks or one for each."""
    lattices = lattice if isinstance(lattice, Mapping) else dict.fromkeys(range(20), lattice)
    return Aim(motion, lattices, step, places)
