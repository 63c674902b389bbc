"""No motion at all: plain sampling, the baseline that every method must beat."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core import Aim, Backbone, Guided, Record, Reference, Step, Tensors


class Unguided:
    """The :class:`motionlift.core.Method` that ignores its reference."""

    name = "none"
    summary = "plain sampling, no motion taken (baseline)"
    Settings = Guided

    def settings(self, backbone: Backbone) -> Guided:
        """The model's sampling, with nothing guided or injected."""
        return replace(Guided(), **{**backbone.defaults, "share": 0.0, "inject": False})

    def check(self, backbone: Backbone, settings: Guided) -> None:
        """Nothing to refuse."""

    def lift(self, reference: Reference, backbone: Backbone, settings: Guided) -> Generator[Step, None, Tensors]:
        """The clean latents, so that a motion file is never empty."""
        yield Step("lift", 0, 1)
        return {"latents": reference.latents}

    def blocks(self, settings: Guided) -> Sequence[int]:
        """None: nothing is optimised."""
        return ()

    def words(self, settings: Guided) -> Sequence[str]:
        """None: the loss asks for no word."""
        return ()

    def loss(self, record: Record, aim: Aim, settings: Guided) -> Float[Tensor, ""]:
        """Zero."""
        return torch.zeros(())


METHOD = Unguided()
