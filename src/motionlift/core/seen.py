"""What was seen of a network while it ran. Axes as in :mod:`motionlift.core.tensors`."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Projections:
    """Queries and keys of one kind of attention: to the text, to a token's own frame, or to its own place in other frames.

    The kinds are modules apart in a UNet. In a transformer over whole videos the attention within frames and over time are slices
    of one map, and so is that to the text where attention is joint.
    """

    query: Float[Tensor, "b heads tokens d"]
    """Queries of the video tokens."""
    key: Float[Tensor, "b heads keys d"]
    """Keys: of the text tokens, or of all video tokens, of which each query meets only its frame's or its place's."""
    joint_keys: tuple[Float[Tensor, "b heads _ d"], ...] = ()
    """All keys that share one softmax with these where the kind is a slice, these included; none where it is by itself."""


@dataclass(frozen=True)
class Recorded:
    """What a probe saw of one layer in one pass; video tokens are in frame-row-column order."""

    query: Float[Tensor, "b heads tokens d"]
    """Queries, after normalisation and rotary positions."""
    key: Float[Tensor, "b heads tokens d"]
    """Keys, after normalisation and rotary positions."""
    value: Float[Tensor, "b heads tokens d"]
    """Values."""
    features: Float[Tensor, "b tokens channels"]
    """Output of the layer's block; of no channels where it was not asked for."""
    cross: Projections
    """Attention to the text."""
    spatial: Projections
    """Attention to the token's own frame."""
    temporal: tuple[Projections, ...]
    """Attention to the token's own place in other frames: one, or more where the layer has more."""


Record = Mapping[int, Recorded]
"""Recorded layers by block number."""
