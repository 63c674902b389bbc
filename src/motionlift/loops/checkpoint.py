"""Training state on disk: modules, optimiser moments and step, as safetensors, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors import safe_open
from torch import Tensor

from motionlift.motion.file import write_tensors
from motionlift.video.marks import CHECKPOINT, KEY
from motionlift.video.writing import replacing


@runtime_checkable
class Stateful(Protocol):
    """What is trained: a module, or whatever keeps its tensors as modules do."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Its tensors by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], /) -> Any:
        """Take over tensors by name; raises RuntimeError where they do not fit."""
        ...


@runtime_checkable
class Optimizer(Protocol):
    """PyTorch's optimisers, and what accelerate puts around them."""

    def state_dict(self) -> dict[str, Any]:
        """Moments and groups, as PyTorch's optimisers give them."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Take them over."""
        ...


def save_checkpoint(
    path: Path,
    step: int,
    modules: Mapping[str, Stateful],
    optimizers: Mapping[str, Optimizer],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write modules, optimisers and the step to one file; a reader sees the old file or the new one, never a part.

    Args:
        path: the file.
        step: steps that are done.
        modules: what is trained.
        optimizers: what trains it.
        about: what else to say, ready for JSON.

    Raises:
        OutputError: the file cannot be written, or would replace one that is no checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
    told = {"step": json.dumps(step), "about": json.dumps(dict(about or {})), KEY: CHECKPOINT.name}
    with replacing(path, CHECKPOINT) as partial:
        write_tensors(partial, tensors, told)


def about_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint says besides its tensors.

    Raises:
        safetensors.SafetensorError: the file is damaged.
        KeyError: it is no checkpoint.
    """
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {})["about"])


def load_checkpoint(path: Path, modules: Mapping[str, Stateful], optimizers: Mapping[str, Optimizer]) -> int:
    """Restore modules and optimisers in place; returns the number of steps already done.

    Raises:
        RuntimeError: the tensors do not fit the modules.
    """
    with safe_open(path, framework="pt") as file:
        step = json.loads(file.metadata()["step"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    for name, module in modules.items():
        prefix = f"module.{name}."
        module.load_state_dict({key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)})
    for name, optimizer in optimizers.items():
        prefix = f"optimizer.{name}."
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                number, field = key[len(prefix) :].split(".", 1)
                state.setdefault(int(number), {})[field] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step
