"""The tensors of an adapter, and their algebra.

An adapter is tensors by name: a layer's name and ``.lora_A.weight`` ``(rank, in)`` with ``.lora_B.weight`` ``(out, rank)``, whose
product is added to the layer's weight (LoRA, Hu et al., 2106.09685, by peft); or ``.difference`` ``(out, in)``, which is added
itself.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor

from motionlift.core.tensors import Tensors
from motionlift.errors import MotionError

DOWN, UP, DIFFERENCE = ".lora_A.weight", ".lora_B.weight", ".difference"
"""Ends of the names of an adapter's tensors; the first two are peft's."""
ENDS = (DOWN, UP, DIFFERENCE)


def with_end(adapter: Tensors, end: str) -> dict[str, Tensor]:
    """Tensors by their layer, of one kind."""
    return {name.removesuffix(end): tensor for name, tensor in adapter.items() if name.endswith(end)}


def layer_of(name: str) -> str:
    """The layer of a tensor's name, with the part of the pipeline before it."""
    for end in ENDS:
        if name.endswith(end):
            return name.removesuffix(end)
    return name


def check_adapter(sizes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse what is no adapter; nothing at all is allowed.

    Args:
        sizes: of its tensors, by their names.

    Raises:
        MotionError: a name without a layer or a known end, a tensor that is no matrix, a factor without the other, a layer with
            factors and a difference, or factors of different ranks.
    """
    for name, own in sizes.items():
        if not name.endswith(ENDS) or not layer_of(name):
            raise MotionError(
                f"the adapter holds {name[:100]!r}; allowed is the name of a layer with {', '.join(ENDS)}: lift it again"
            )
        if len(own) != 2 or not all(own):
            raise MotionError(f"the adapter's {name[:100]!r} is of {own}; allowed are rows and columns: lift it again")
    downs, ups, differences = (
        {name.removesuffix(end): own for name, own in sizes.items() if name.endswith(end)} for end in ENDS
    )
    for layer in {*downs, *ups} - ({*downs} & {*ups}):
        raise MotionError(f"the adapter's layer {layer[:100]!r} has one factor without the other; lift it again")
    for layer in {*downs} & {*differences}:
        raise MotionError(f"the adapter's layer {layer[:100]!r} has factors and a difference; lift it again")
    ranks = {own[0] for own in downs.values()} | {own[1] for own in ups.values()}
    if len(ranks) > 1:
        raise MotionError(
            f"the adapter's layers have factors of different ranks, {min(ranks)} to {max(ranks)}; lift it again"
        )


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
