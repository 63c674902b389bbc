"""Injection only: the first block's keys and values of the reference in the guided steps, nothing optimised.

DiTFlow's ablation (2412.07776): it keeps layout and place, and says little of motion.
"""

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


class Injection:
    """The :class:`motionlift.core.method.Method` that only injects."""

    name = "injection"
    summary = "keys and values of the reference in the first block, nothing optimised (baseline)"
    Settings = Guided

    def settings(self, backbone: Backbone) -> Guided:
        """The model's sampling with injection."""
        return replace(Guided(), **backbone.defaults)

    def check(self, backbone: Backbone, settings: Guided) -> None:
        """Nothing to refuse."""

    def lift(self, reference: Reference, backbone: Backbone, settings: Guided) -> Generator[Step, None, Tensors]:
        """The clean latents."""
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


METHOD = Injection()
