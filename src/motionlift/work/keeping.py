"""A model that serves jobs which come one after the other, and is read anew where one of them fits only so."""

from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakSet

import torch

from motionlift.core.memory import Measures
from motionlift.core.model import Model
from motionlift.errors import MemoryShortError
from motionlift.models.loading import device_named, load
from motionlift.models.lora_files import LoraFile
from motionlift.models.precision import AUTO
from motionlift.work.memory import Room, let_go, room
from motionlift.work.planning import Asked, fitting_job, held_on, is_small, planned
from motionlift.work.prepare import Job


class Kept:
    """A model by its name, which is read as its first job asks for it.

    What that job needs settles where its weights are and how they are held. A later one that does not fit so, or that asks for
    weights that are held otherwise, has it read again.

    Args:
        name: as of :func:`motionlift.models.loading.load`.
        memory: as of :func:`motionlift.work.planning.fitting_job`, as are the others.
        device: likewise.
        loras: likewise.
        dtype: likewise.
    """

    model: Model | None = None
    """The model, once it was read."""
    reads: int = 0
    """How often it was read."""
    is_asked_only: bool = False
    """Whether it was read to be asked about, and not for a job."""

    def __init__(
        self,
        name: str,
        memory: str | int | None = None,
        device: str = "auto",
        loras: Sequence[str | Path | LoraFile] = (),
        dtype: str = AUTO,
    ):
        self.name, self.memory, self.device, self.loras, self.dtype = name, memory, device, loras, dtype
        _KEPT.add(self)

    def before_jobs(self) -> Model:
        """The model, which is read if need be; before its first job it is to be asked about, and nothing runs on it.

        The weights of a large one for a GPU stay in main memory until then. The first job has it read again, with what that needs.

        Raises:
            MotionliftError: as of :func:`motionlift.models.loading.load`.
        """
        if self.model is None:
            is_plain = device_named(self.device).type == "cpu" or is_small(self.name)
            measures = None if is_plain else Measures(waiting=True)
            self.model = load(self.name, self.device, self.loras, self.dtype, measures)
            self.reads, self.is_asked_only = self.reads + 1, not is_plain
        return self.model

    def job(self, asked: Asked, tell: Callable[[Sequence[str]], None] = lambda lines: None) -> Job:
        """A job on the model; nothing else is to hold the model of an earlier one by then.

        Args:
            asked: the job.
            tell: called with what is to be known of the job, where it is known before weights are read.

        Raises:
            MemoryShortError: it does not fit, whatever is done; the model is kept as it is.
            MotionliftError: another of its kinds.
        """
        found = self._on_kept(asked)
        if found is not None:
            return found
        job = fitting_job(asked, self.name, self.memory, self.device, self.loras, self.dtype, tell)
        self.model, self.reads, self.is_asked_only = job.model, self.reads + 1, False
        return job

    def forget(self) -> None:
        """Hold the model no more; what it took of the memory is free for others."""
        self.model = None
        let_go()

    def _on_kept(self, asked: Asked) -> Job | None:
        """A job on the model as it is; None where there is none, or none that serves."""
        if self.model is None:
            return None
        is_held_so = asked.weights in (None, self.model.about.measures.weights)
        if is_held_so and not self.is_asked_only:
            try:
                return fitting_job(asked, self.model, self.memory, explained=False)
            except MemoryShortError:
                pass  # its traceback holds the model, and goes with this
        planned(asked, self.name, room_without(self.model.about.device, self.memory), self.dtype)
        self.forget()
        return None


_KEPT: WeakSet[Kept] = WeakSet()
"""All that are kept in this process."""


def room_without(device: torch.device, memory: str | int | None = None) -> Room:
    """What may be used of a device's memory once the models that are kept in this process are let go.

    Args:
        device: as of :func:`motionlift.work.memory.room`, as is the other.
        memory: likewise.

    Raises:
        SettingError: as of that.
    """
    models, main = [kept.model for kept in _KEPT if kept.model is not None], torch.device("cpu")
    held = sum(held_on(model, device) for model in models)
    waiting = 0 if device == main else sum(held_on(model, main) for model in models)
    return room(device, memory, held, waiting)
