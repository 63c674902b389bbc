"""What an adapter adds to the weights of a network, worked out plainly."""

from collections.abc import Mapping

from torch import Tensor

from motionlift.motion.adapter import DIFFERENCE, DOWN, UP, with_end


def weight_changes(adapter: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What an adapter adds to the weight of every layer."""
    ups = with_end(adapter, UP)
    return with_end(adapter, DIFFERENCE) | {name: ups[name] @ down for name, down in with_end(adapter, DOWN).items()}
