"""The sampling loop: denoise, and in the first steps pull what is being made toward a motion, where a method guides.

One loop for every method: a guiding one says which blocks it reads and how far their record is from the motion; a tuned one has
its adapter on where it was tuned.
"""

import math
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Aim, Guide, Method
from motionlift.core.method_settings import Guided, Sampled
from motionlift.core.model import Backbone
from motionlift.core.tensors import INVERTED, Latents, Positions, Tensors, Text
from motionlift.errors import DivergenceError, MotionError, SettingError
from motionlift.loops.adapters import Switch
from motionlift.models.schedules import mixed_noise
from motionlift.motion import names


@dataclass(frozen=True)
class Casting:
    """One video to be made."""

    backbone: Backbone
    """The model."""
    method: Method
    """The method."""
    settings: Sampled
    """Settings of the method."""
    motion: Tensors
    """Tensors of the motion, on any device."""
    shape: Shape
    """Size of the video."""
    prompt: str
    """What the video shows."""
    seed: int
    """Seed of the starting noise."""
    adapter: Switch | None = None
    """What was tuned, on the model's network, where a method tunes."""


@dataclass
class Cast:
    """What a run of the loop leaves behind."""

    latents: Latents
    """Latents of the finished video."""
    losses: list[float] = field(default_factory=list)
    """Loss of every inner step."""
    positions: dict[str, Tensor] = field(default_factory=dict)
    """Optimised positions of every guided step, named as a motion saves them."""


def starting_noise(casting: Casting) -> Latents:
    """The noise that sampling starts from; drawn on the CPU, so that a seed means the same everywhere.

    Raises:
        MotionError: a share of inverted noise is asked for and the motion holds none.
    """
    generator = torch.Generator().manual_seed(casting.seed)
    fresh = torch.randn(casting.backbone.latent_shape(casting.shape), generator=generator)
    beta = casting.settings.beta
    if not beta:
        return fresh
    if INVERTED not in casting.motion:
        raise MotionError(f"beta is {beta}, but the motion holds no inverted noise: lift it again with inversion=true")
    return mixed_noise(casting.motion[INVERTED].to(fresh), fresh, beta)


def guided_steps(settings: Sampled) -> int:
    """How many of the steps are guided: none where a method does not guide."""
    return round(settings.share * settings.steps) if isinstance(settings, Guided) else 0


def cast(casting: Casting) -> Generator[Step, None, Cast]:
    """Make one video; yields a step for every optimiser step and every denoising step.

    Raises:
        DivergenceError: a loss or the latents stopped being finite.
        MotionError: saved positions are asked for and the motion has none for these steps, or none that fit.
    """
    backbone, settings = casting.backbone, casting.settings
    texts = backbone.text(""), backbone.text(casting.prompt)
    noise = starting_noise(casting).to(texts[0].device)
    result = Cast(noise)
    positions: Positions | None = None
    for index, timestep in enumerate(backbone.timesteps(settings.steps)):
        with casting.adapter.at(timestep) if casting.adapter else nullcontext():
            if index < guided_steps(settings):
                positions = yield from _guided_step(casting, result, noise, (index, timestep), texts, positions)
            else:
                result.latents = _denoise(casting, result.latents, timestep, texts, None)
        if not result.latents.isfinite().all():
            raise DivergenceError(f"the latents are no longer finite after step {index + 1}: lower lr, cfg or strength")
        yield Step("sample", index, settings.steps, latents=result.latents)
    return result


def _guided_step(
    casting: Casting,
    result: Cast,
    noise: Latents,
    when: tuple[int, int],
    texts: tuple[Text, Text],
    positions: Positions | None,
) -> Generator[Step, None, Positions | None]:
    """One guided step, of a number and a timestep; changes the latents in ``result`` and returns positions to go on with."""
    settings: Any = casting.settings
    index, timestep = when
    with _injection(casting, noise, timestep, texts[1]) if settings.inject else nullcontext():
        if settings.target == "saved":
            positions = _saved_positions(casting, index)
        elif casting.method.blocks(settings):
            positions = yield from _optimise(casting, result, index, timestep, texts[1], positions)
        result.latents = _denoise(casting, result.latents, timestep, texts, positions)
    return positions


def _injection(casting: Casting, noise: Latents, timestep: int, text: Text) -> AbstractContextManager[None]:
    """Hold the first block's keys and values at those of the reference, noised with the starting noise."""
    backbone = casting.backbone
    reference = casting.motion[names.LATENTS].to(noise)
    with torch.no_grad():
        seen = backbone.record(backbone.add_noise(reference, noise, timestep), timestep, text, [0])
    return backbone.injecting(seen)


def _saved_positions(casting: Casting, index: int) -> Positions:
    found = names.saved_positions(casting.motion, index)
    if not found:
        raise MotionError(
            f"the motion holds no saved positions for guided step {index + 1}; make them with target=positions and the same "
            "steps and share, and keep that run's motion"
        )
    needed = casting.backbone.positions(casting.shape)
    if {name: saved.shape for name, saved in found.items()} != {name: own.shape for name, own in needed.items()}:
        raise MotionError(
            f"the saved positions of guided step {index + 1} do not fit {casting.backbone.name}: it needs "
            f"{', '.join(f'{name} {tuple(own.shape)}' for name, own in needed.items())}; make them anew with target=positions"
        )
    return {name: saved.to(needed[name].device) for name, saved in found.items()}


def _aim(casting: Casting, index: int) -> Aim:
    """What a guided step aims at.

    Raises:
        SettingError: a word that the method asks for is not in the prompt.
    """
    backbone, method = casting.backbone, casting.method
    grids = {number: backbone.grid(casting.shape, number) for number in method.blocks(casting.settings)}
    return Aim(casting.motion, grids, index, word_places(backbone, method, casting.settings, casting.prompt))


def word_places(backbone: Backbone, method: Method, settings: Sampled, prompt: str) -> dict[str, tuple[int, ...]]:
    """Places in the encoded prompt of the words that a method asks for.

    Raises:
        SettingError: one is not in the prompt.
    """
    places = {word: backbone.word_places(prompt, word) for word in method.words(settings)}
    lacking = [word for word, found in places.items() if not found]
    if lacking:
        raise SettingError(f"{', '.join(lacking)} is not in the prompt {prompt!r}; name words that are")
    return places


def learning_rate(settings: Guided, index: int) -> float:
    """Learning rate of a guided step: falls on a line from ``lr`` to ``lr_end``."""
    last = max(guided_steps(settings) - 1, 1)
    return settings.lr + (settings.lr_end - settings.lr) * index / last


def _optimise(
    casting: Casting, result: Cast, index: int, timestep: int, text: Text, positions: Positions | None
) -> Generator[Step, None, Positions | None]:
    """The inner steps of one guided step; changes the latents in ``result``, or returns new positions."""
    settings: Any = casting.settings
    backbone, method = casting.backbone, casting.method
    assert isinstance(method, Guide)
    moving = settings.target == "positions"
    start = (positions or backbone.positions(casting.shape)) if moving else {"latents": result.latents}
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.items()}
    update = _Update(settings.optimizer, list(leaves.values()), learning_rate(settings, index))
    for inner in range(settings.inner):
        with torch.enable_grad():
            latents = result.latents if moving else leaves["latents"]
            record = backbone.record(latents, timestep, text, method.blocks(settings), leaves if moving else None)
            loss = method.loss(record, _aim(casting, index), settings)
            gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        backbone.passes.backward += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergenceError(f"the loss is {value} in guided step {index + 1}: lower lr, or use another block")
        update(gradients)
        result.losses.append(value)
        yield Step("guide", index * settings.inner + inner, guided_steps(settings) * settings.inner, value)
    finished = {name: leaf.detach() for name, leaf in leaves.items()}
    if not moving:
        result.latents = finished["latents"]
        return None
    result.positions |= {names.position_name(index, name): tensor for name, tensor in finished.items()}
    return finished


class _Update:
    """One optimiser over the leaves of one guided step."""

    def __init__(self, kind: str, leaves: Sequence[Tensor], rate: float):
        self.leaves = leaves
        self.rate = rate
        self.scaled = kind == "rms"
        self.adam = torch.optim.Adam(leaves, lr=rate) if kind == "adam" else None

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor | None]) -> None:
        for leaf, gradient in zip(self.leaves, gradients, strict=True):
            if gradient is None:
                continue
            leaf.grad = gradient
            if self.adam is None:
                leaf -= self.rate * (gradient / _size(gradient) if self.scaled else gradient)
        if self.adam is not None:
            self.adam.step()


def _size(gradient: Tensor) -> Tensor:
    """Root mean square, never zero."""
    return gradient.square().mean().sqrt().clamp(min=1e-12)


def prompt_weight(settings: Sampled, timestep: int) -> float:
    """Weight of the prompt at a timestep; the growing form is that of the published CogVideoX pipeline."""
    if not settings.dynamic_cfg:
        return settings.cfg
    progress = ((settings.steps - timestep) / settings.steps) ** 5.0
    return 1 + settings.cfg * (1 - math.cos(math.pi * progress)) / 2


@torch.no_grad()
def _denoise(
    casting: Casting, latents: Latents, timestep: int, texts: tuple[Text, Text], positions: Positions | None
) -> Latents:
    """One denoising step with the prompt weighted against the empty one, both in one batch."""
    backbone, settings = casting.backbone, casting.settings
    weight = prompt_weight(settings, timestep)
    output = backbone.predict(torch.cat([latents, latents]), timestep, torch.cat(texts), positions)
    plain, prompted = output.chunk(2)
    return backbone.step(plain + weight * (prompted - plain), timestep, latents)
