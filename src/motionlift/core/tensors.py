"""Names of the tensors that pass between rooms.

Legend of axes: ``b`` batch, ``c`` latent channels, ``f`` latent frames, ``h w`` latent rows and columns, ``tokens`` the
video tokens of a model in frame-row-column order, ``heads`` attention heads, ``d`` the size of one head.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

Latents = Float[Tensor, "b c f h w"]
Pixels = Float[Tensor, "frames 3 height width"]
"""Video frames, RGB in -1..1."""
Tensors = Mapping[str, Tensor]
"""The tensors of a motion by name."""
INVERTED = "inverted"
"""Name of the inverted noise among the tensors of a motion."""
Positions = Mapping[str, Tensor]
"""A model's positional tensors by name, every one of them open to optimisation."""
