"""A prompt, encoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """A prompt as one model's network takes it. What is within, only the model that made it knows."""

    tensors: Mapping[str, Tensor]
    """Tensors by the names of the network's arguments; their first axis is the batch."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments, by the size of the video alone: the same for every video of a batch."""

    def fits(self, other: "Condition") -> bool:
        """Whether both prompts go into one batch: all tensors are of one size."""
        return {name: tensor.shape for name, tensor in self.tensors.items()} == {
            name: tensor.shape for name, tensor in other.tensors.items()
        }

    def joined(self, other: "Condition") -> "Condition":
        """Both prompts as one batch, this one first."""
        tensors = {name: torch.cat([tensor, other.tensors[name]]) for name, tensor in self.tensors.items()}
        return Condition(tensors, self.others)
