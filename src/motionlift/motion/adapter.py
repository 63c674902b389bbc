"""The tensors of an adapter, and their algebra.

An adapter is tensors by name: a layer's name and ``.lora_A.weight`` ``(rank, in)`` with ``.lora_B.weight`` ``(out, rank)``, whose
product is added to the layer's weight (LoRA, Hu et al., 2106.09685, by peft); or ``.difference`` ``(out, in)``, which is added
itself.
"""

import torch
import torch.nn.functional as functional
from torch import Tensor

from motionlift.core.tensors import Tensors

DOWN, UP, DIFFERENCE = ".lora_A.weight", ".lora_B.weight", ".difference"
"""Ends of the names of an adapter's tensors; the first two are peft's."""


def with_end(adapter: Tensors, end: str) -> dict[str, Tensor]:
    """Tensors by their layer, of one kind."""
    return {name.removesuffix(end): tensor for name, tensor in adapter.items() if name.endswith(end)}


def low_rank(adapter: Tensors, rank: int) -> tuple[dict[str, Tensor], float]:
    """The best factors of a rank for an adapter's differences (Eckart and Young), and what they miss.

    Args:
        adapter: differences, and factors, which are kept.
        rank: rank of the factors; layers of a smaller one are filled with zeros.

    Returns:
        The adapter with factors alone, and the root of the missing squares over all squares of the differences: 0 where nothing is
        missed, 1 where all is.
    """
    factors = {name: tensor for name, tensor in adapter.items() if not name.endswith(DIFFERENCE)}
    missed = total = 0.0
    for name, difference in with_end(adapter, DIFFERENCE).items():
        left, values, right = torch.linalg.svd(difference.double(), full_matrices=False)
        total += float(values.square().sum())
        missed += float(values[rank:].square().sum())
        roots = values[:rank].sqrt()
        lacking = rank - len(roots)
        factors[name + DOWN] = functional.pad(roots[:, None] * right[:rank], (0, 0, 0, lacking)).float()
        factors[name + UP] = functional.pad(left[:, :rank] * roots, (0, lacking)).float()
    return factors, (missed / total) ** 0.5 if total else 0.0
