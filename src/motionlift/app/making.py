"""Does what the page is asked for, by the library: one model is held, and each step is told as it comes."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from motionlift.app.tasks import LIFT, Task, command_of, held_in
from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace
from motionlift.core.cost import Step
from motionlift.errors import MotionliftError
from motionlift.motion.drawing import draw_lifted
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.marks import DRAWING
from motionlift.work import cast as casting
from motionlift.work import prepare
from motionlift.work.keeping import Kept
from motionlift.work.lift import Lifting, lifted_alone, resting
from motionlift.work.planning import Asked
from motionlift.work.previews import Projection, projection_of
from motionlift.work.record import Costs

PREVIEW_EVERY = 1.0
"""Seconds between pictures of what comes into being (ours)."""
SHOWN_HEIGHT = 96
"""Height of those pictures, pixels, where latents have fewer rows (ours)."""


class CancelledError(Exception):
    """Somebody does not want it any more."""


@dataclass
class Live:
    """How far a task is; written by the one who works on it, read by those who look on."""

    phase: str = "waiting"
    """What is being done."""
    done: int = 0
    """Steps of it that are done."""
    total: int = 0
    """Its steps."""
    first: int = 0
    """Steps of it that were done before it was shown."""
    losses: list[float] = field(default_factory=list)
    """Loss after each step of this phase that has one."""
    preview: UInt8[np.ndarray, "high wide 3"] | None = None
    """The last picture of the latents, a row of frames; none yet."""
    began: float = field(default_factory=time.monotonic)
    """When the phase began."""
    unwanted: threading.Event = field(default_factory=threading.Event)
    """Set when somebody cancels it."""

    def enter(self, phase: str, first: int = 0) -> None:
        """Begin a phase, of which some steps may be done.

        Raises:
            CancelledError: it is not wanted any more.
        """
        if self.unwanted.is_set():
            raise CancelledError
        self.phase, self.first, self.done, self.total, self.losses = phase, first, first, 0, []
        self.began = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds that the phase still takes, at its own pace; not known at its beginning."""
        if self.done <= self.first or not self.total:
            return None
        return (time.monotonic() - self.began) / (self.done - self.first) * (self.total - self.done)


class Maker:
    """Lifts and casts; holds the model that it used last.

    Args:
        device: where models run, as :func:`motionlift.models.loading.load` has it.
        weights: how the weights of models that are not bundled are held; by default as it fits.
    """

    def __init__(self, device: str = "auto", weights: str | None = None):
        self._device, self._weights = device, weights
        self._kept: Kept | None = None
        self._projection: Projection | None = None

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        """Do a task.

        Returns:
            Names of its files in the workspace, the most important first.

        Raises:
            CancelledError: it was not wanted any more.
            MotionliftError: one of its kinds.
        """
        live.enter("reading")
        place = workspace.kept(task.source)
        workspace.check_room(0)
        if task.kind == LIFT:
            return self._lifted(task, place, workspace, live)
        return self._cast(task, place, workspace, live)

    def _lifted(self, task: Task, clip: Path, workspace: Workspace, live: Live) -> tuple[str, ...]:
        request = prepare.ask(task.method, task.settings)
        prepare.check_reference(clip, task.part)
        job = self._job(
            task.model, Asked(request, aspect=prepare.aspect_of(clip), weights=held_in(task.model, self._weights)), live
        )
        costs = Costs(job.model, plan=job.plan)
        found = lifted_alone(job, clip, Lifting(part=task.part), costs, self._watching(live))
        with workspace.placed(task.name, MOTION) as motion:
            live.enter("drawing")
            files = [motion.name]
            with suppress(MotionliftError):  # some motions have nothing that can be drawn
                files.append(_saved(draw_lifted(found.motion, found.reference), motion, DRAWN))
            files.append(_saved(found.reference, motion, REFERENCE))
            found.motion.save(motion)  # last: once it is seen, it may be called otherwise, and its pictures with it
        return tuple(files)

    def _cast(self, task: Task, place: Path, workspace: Workspace, live: Live) -> tuple[str, ...]:
        motion = Motion.load(place)
        picture = workspace.kept(task.picture) if task.picture else None
        request = prepare.ask(
            motion.method, task.settings, prompt=task.prompt, seed=task.seed, motion=motion, picture=picture
        )
        job = self._job(task.model, Asked(request, motion=motion, weights=held_in(task.model, self._weights)), live)
        costs = Costs(job.model, plan=job.plan)
        with resting(job.model):
            video = casting.casted(job, motion, costs, self._watching(live))
        with workspace.placed(task.name, ".mp4") as output:
            video.save(output, {"command": command_of(task, workspace.folder, self._weights)})
        return output.name, output.with_suffix(".json").name

    def _job(self, name: str, asked: Asked, live: Live) -> prepare.Job:
        """The job on the model that is held, or on another, which is then held in its place."""
        live.enter("loading the model")
        if self._kept is None or self._kept.name != name:
            self.forget()
            self._kept = Kept(name, device=self._device)
        before = self._kept.reads
        job = self._kept.job(asked)
        if self._kept.reads > before:
            self._projection = None
            with suppress(MotionliftError):
                self._projection = projection_of(job.model)
        return job

    def forget(self) -> None:
        """Hold no model any more; what it took of the memory is free for others."""
        self._projection = None
        if self._kept is not None:
            self._kept.forget()
        self._kept = None

    def _watching(self, live: Live) -> Callable[[Step], None]:
        """What is called with every step."""
        shown = 0.0

        def watch(step: Step) -> None:
            nonlocal shown
            if live.unwanted.is_set():
                raise CancelledError
            # Guiding and sampling take turns: until it is guided to its end, that is what is being done.
            if not (step.phase == "sample" and live.phase == "guide" and live.done < live.total):
                if step.phase != live.phase:
                    live.enter(step.phase, step.index)
                live.done, live.total = step.index + 1, step.total
            if step.loss is not None:
                live.losses.append(step.loss)
            if step.latents is not None and self._projection is not None and time.monotonic() - shown > PREVIEW_EVERY:
                live.preview = _strip(self._projection.pictures(step.latents))
                shown = time.monotonic()

        return watch


def _strip(pictures: UInt8[Tensor, "frames height width 3"]) -> UInt8[np.ndarray, "high wide 3"]:
    """The frames beside each other, each place of the latents a square that can be seen."""
    beside = pictures.permute(1, 0, 2, 3).flatten(1, 2).numpy()
    scale = max(1, SHOWN_HEIGHT // len(beside))
    return beside.repeat(scale, axis=0).repeat(scale, axis=1)


def _saved(clip: Clip, motion: Path, kind: str) -> str:
    place = motion.with_name(motion.stem + kind)
    clip.save(place, DRAWING)
    return place.name
