"""No motion at all: plain sampling, the baseline that every method must beat."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.method import Aim, Reference
from motionlift.core.method_settings import Guided
from motionlift.core.model import Backbone
from motionlift.core.seen import Record
from motionlift.core.tensors import Tensors


class Unguided:
    """The :class:`motionlift.core.method.Method` that ignores its reference."""

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
