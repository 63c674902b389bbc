"""Random adapters of the layers that methods tune, and what networks give with them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from motionlift.core.lattice import Lattice, Shape
from motionlift.loops.adapters import Addition, fitted
from motionlift.models.shared import PipelineModel
from motionlift.motion.adapter import DIFFERENCE, DOWN, UP
from motionlift.motion.file import Motion, Source
from motionlift.motion.names import adapter_name

RANK = 3
PROMPT = "a red star"


def adapter_of(layers: dict[str, nn.Linear], kind: str = "factors", seed: int = 1) -> dict[str, Tensor]:
    """A random adapter of layers by name: of factors, or of differences of the rank of these."""
    random = torch.Generator().manual_seed(seed)
    adapter = {}
    for name, layer in layers.items():
        down = 0.3 * torch.randn(RANK, layer.in_features, generator=random)
        up = 0.3 * torch.randn(layer.out_features, RANK, generator=random)
        adapter |= {name + DOWN: down, name + UP: up} if kind == "factors" else {name + DIFFERENCE: up @ down}
    return adapter


def linear_of(model: PipelineModel, kind: str = "linear") -> dict[str, nn.Linear]:
    """The layers that methods tune, by name."""
    layers = {name: model.network.get_submodule(name) for name in model.linear_layers(kind)}
    return {name: layer for name, layer in layers.items() if isinstance(layer, nn.Linear)}


def motion_of(model: Any, adapter: dict[str, Tensor]) -> Motion:
    """A motion of a model with an adapter in it."""
    tensors = {adapter_name(*name.split(".", 1)): tensor for name, tensor in adapter.items()}
    about = model.about
    source = Source("0", 8.0, about.shape)
    return Motion(tensors, "vmc", {}, about.name, about.identity, Lattice(3, 4, 4), source, "0", family=about.family)


def outputs(
    model: Any,
    adapter: dict[str, Tensor] | Sequence[Addition] | None = None,
    strength: float = 1.0,
    shape: Shape | None = None,
) -> list[Tensor]:
    """What the network gives at its noisiest level and at its cleanest, by a cast's adapters where there are some."""
    shape = shape or model.about.shape
    schedule, condition = model.schedule(4, shape), model.text.encode(PROMPT, shape)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(2))
    additions = [Addition(adapter, strength)] if isinstance(adapter, dict) else adapter or []
    switch = fitted(model, additions)
    found = []
    with torch.no_grad(), model.turn():
        for level in (schedule.levels[0], schedule.levels[-1]):
            if switch is None:
                found.append(model.predict(latents, level, condition))
            else:
                with switch.at(level):
                    found.append(model.predict(latents, level, condition))
    return found
