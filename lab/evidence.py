"""What shows of a model that it is its pipeline, that its gradients are right, and that its schedule can be gone backwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import ClassifierFreeGuidance
from torch import Tensor

from lab.pipelines import OwnRun, first_order, own_run
from motionlift.core.condition import Condition
from motionlift.core.lattice import Shape
from motionlift.core.model import Model
from motionlift.core.tensors import Latents, Pixels
from motionlift.loops.invert import invert
from motionlift.loops.sample import Casting, cast
from motionlift.methods import methods
from motionlift.models.picturing import remade, shown
from motionlift.models.transformer import Row
from motionlift.signals.displacement import displacement, displacement_loss

PROMPT = "a red star on the field"
SEED = 1
"""Of the noise that videos begin with."""


def noise_of(model: Model, shape: Shape, seed: int = SEED) -> Latents:
    """Noise, drawn as the loop draws it."""
    return torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(seed))


def own_video(
    pipeline: Any,
    row: Row,
    model: Model,
    shape: Shape,
    steps: int,
    call: Mapping[str, Any],
    noise: Latents | None = None,
) -> OwnRun:
    """What a pipeline makes by itself with the scheduler that the row's steps are equal to; the scheduler stays so.

    Args:
        pipeline: the pipeline.
        row: its family's.
        model: a model of its kind.
        shape: size of the video.
        steps: number of steps.
        call: arguments of its call beside the row's.
        noise: that it begins with; by default :func:`noise_of` its size.
    """
    first_order(pipeline, row, steps)
    call = {**row.call, **call}
    if row.family == "cogvideox":
        call["max_sequence_length"] = row.window(pipeline) if row.window else None
    if row.family == "hunyuan15":
        pipeline.guider = ClassifierFreeGuidance(guidance_scale=call.pop("guidance_scale", 1.0))
    with torch.no_grad():
        return own_run(pipeline, row, shape, noise_of(model, shape) if noise is None else noise, PROMPT, steps, call)


def picture_of(shape: Shape, seed: int = 7) -> Pixels:
    """One frame of coarse coloured fields, as a file would hold it."""
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    pixels = torch.nn.functional.interpolate(coarse, (shape.height, shape.width))
    return ((pixels + 1) * 127.5).round() / 127.5 - 1


def own_pictured(pipeline: Any, row: Row, model: Model, shape: Shape, steps: int, call: Mapping[str, Any]) -> OwnRun:
    """What a pipeline makes by itself of :func:`picture_of` its size.

    Args:
        pipeline: any of the family's.
        row: its family's.
        model: a model that begins with that picture.
        shape: size of the video.
        steps: number of steps.
        call: arguments of its call beside the row's.
    """
    assert row.picturing is not None
    call = {**call, "image": shown(picture_of(shape), shape)}
    noise, given = noise_of(model, shape), model.text.encode(PROMPT, shape).given
    if (
        row.axes == "bnc" and given is not None
    ):  # latents that are given are taken as they are, with the picture in them
        noise = given.within(noise)
    return own_video(remade(pipeline, row.picturing.pipeline), row, model, shape, steps, call, noise)


def video(model: Model, shape: Shape, steps: int, cfg: float, second_cfg: float = 0.0) -> Latents:
    """What the library's loop makes of the same noise."""
    method = methods()["none"]
    settings = replace(method.settings(model), steps=steps, cfg=cfg, second_cfg=second_cfg, dynamic_cfg=False)
    running = cast(Casting(model, method, settings, {}, shape, PROMPT, SEED))
    return finished(running).latents


def finished(steps: Any) -> Any:
    """What a loop returns."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def difference(found: Tensor, wanted: Tensor) -> float:
    """Largest difference, by the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max())


@dataclass(frozen=True)
class Loss:
    """How far the displacement in a block is from one drawn at random."""

    model: Model
    shape: Shape
    block: int

    def of_latents(self, given: "Tensors") -> Tensor:
        """By the latents."""
        return self(given["latents"])

    def of_positions(self, given: "Tensors") -> Tensor:
        """By the positions, of noise."""
        return self(noise_of(self.model, self.shape), given)

    def __call__(self, latents: Latents, positions: Mapping[str, Tensor] | None = None) -> Tensor:
        """The loss at the second level of four."""
        model, lattice = self.model, self.model.lattice(self.shape)
        level, condition = model.schedule(4, self.shape).levels[1], model.text.encode(PROMPT, self.shape)
        seen = model.record(latents, level, condition, [self.block], positions, features=False)[self.block]
        sizes = lattice.frames, lattice.frames, lattice.height * lattice.width, 2
        goal = torch.randn(sizes, generator=torch.Generator().manual_seed(2))
        return displacement_loss(displacement(seen.query[0].float(), seen.key[0].float(), lattice), goal)


Tensors = Mapping[str, Tensor]
"""What a loss goes by: latents, or positions."""


def gradient(model: Model, loss: Callable[[Tensors], Tensor], at: Tensors) -> dict[str, Tensor]:
    """A loss's gradient, of a model that is held as loops hold it."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in at.items()}
    with model.turn():
        found = torch.autograd.grad(loss(leaves), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def slope_error(
    model: Model, loss: Callable[[Tensors], Tensor], at: Tensors, direction: Tensors, stride: float
) -> float:
    """How far the slope along a direction by autograd is from that by differences, as a share of the latter.

    Args:
        model: the model that the loss asks.
        loss: of tensors.
        at: where.
        direction: of any length.
        stride: how far the differences reach, each way.
    """
    length = sum(float(tensor.square().sum()) for tensor in direction.values()) ** 0.5
    unit = {name: tensor / length for name, tensor in direction.items()}
    exact = sum(float((found * unit[name]).sum()) for name, found in gradient(model, loss, at).items())
    with torch.no_grad():
        ends = [float(loss({name: own + way * unit[name] for name, own in at.items()})) for way in (stride, -stride)]
    found = (ends[0] - ends[1]) / (2 * stride)
    return abs(exact - found) / abs(found)


def round_trip(model: Model, shape: Shape, steps: int) -> float:
    """Share of clean latents that is lost on the way to noise and back."""
    latents, condition = noise_of(model, shape, seed=4), model.text.encode(PROMPT, shape)
    latents = latents if condition.given is None else condition.given.within(latents)
    trajectory = finished(invert(model, latents, condition, steps, shape))
    back = sampled(model, trajectory[0], condition, steps, shape)
    return float((back - latents).norm() / latents.norm())


@torch.no_grad()
def sampled(model: Model, latents: Latents, condition: Condition, steps: int, shape: Shape) -> Latents:
    """Latents carried from noise to clean ones."""
    schedule = model.schedule(steps, shape)
    for index, level in enumerate(schedule.levels):
        latents = schedule.step(index, model.predict(latents, level, condition), latents)
    return latents
