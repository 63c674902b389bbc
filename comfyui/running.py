"""How work runs within ComfyUI: with gradients, in the memory that is there, with its progress bar and its button to stop."""

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management
import comfy.utils
import torch

from motionlift.core.cost import Step

CPU = torch.device("cpu")
"""Where nothing of ComfyUI's needs to make room."""
WITHIN = "guide"
"""The phase whose steps lie within those of another, which the bar shows."""


@contextmanager
def working(device: torch.device) -> Iterator[None]:
    """Run what is within as the library needs it.

    ComfyUI runs nodes in PyTorch's inference mode, in which nothing has gradients. Motion is lifted and cast by gradients, and
    weights that are read in that mode can never have any.

    Args:
        device: where the work is done; of a GPU ComfyUI's own models are moved away first, as they are where one of its own needs
            the room.
    """
    if device.type != "cpu":
        comfy.model_management.unload_all_models()
        comfy.model_management.soft_empty_cache()
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Progress:
    """ComfyUI's bar of a node, which begins anew with each phase; its button stops the work at the next step."""

    def __init__(self) -> None:
        self._bar: comfy.utils.ProgressBar | None = None
        self._phase = ""

    def step(self, step: Step) -> None:
        """Take in a step of the library.

        Raises:
            InterruptProcessingException: ComfyUI's own, where somebody stopped the work.
        """
        if step.phase == WITHIN:
            comfy.model_management.throw_exception_if_processing_interrupted()
            return
        self.show(step.phase, step.index + 1, step.total)

    def show(self, phase: str, done: int, total: int) -> None:
        """Take in how much of a phase is done.

        Raises:
            InterruptProcessingException: as :meth:`step`.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        if self._bar is None or phase != self._phase:
            self._bar, self._phase = comfy.utils.ProgressBar(total), phase
        self._bar.update_absolute(done, total)
