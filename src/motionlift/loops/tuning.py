"""Tune a model to a reference: the adapter, the folder that keeps the run, and previews on the way."""

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.core.cost import Step
from motionlift.core.method import Reference, Tuner
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Backbone
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.loops import sample
from motionlift.loops.adapters import Tunable, tunable
from motionlift.loops.run_folder import PREVIEWS, RunFolder, is_first_process
from motionlift.loops.tune import Tuning, tune
from motionlift.motion import names
from motionlift.video.clip import Clip
from motionlift.video.sheets import contact_sheet


def tuned(
    backbone: Backbone,
    method: Tuner,
    settings: Tuned,
    reference: Reference,
    folder: RunFolder | None = None,
    previews: int = 0,
) -> Generator[Step, None, dict[str, Any]]:
    """Tune, yielding every step and those of the previews; returns the adapter as tensors of a motion.

    Args:
        backbone: the model.
        method: the method.
        settings: its settings.
        reference: what it is tuned to.
        folder: where checkpoint and losses are kept, and previews.
        previews: how many videos are sampled on the way, evenly spread, the last when it is done.

    Raises:
        MotionliftError: as :func:`motionlift.loops.tune.tune` says.
    """
    backbone.network.to(backbone.device)
    text = backbone.text(method.caption(settings))
    with tunable(backbone.network, method.plan(backbone, settings), settings.tuning_seed) as adapter:
        job = Tuning(backbone, method, settings, adapter, reference.latents, text, reference.shape, folder)
        for step in tune(job):
            yield step
            if folder is not None and is_first_process() and _is_due(step, previews):
                with adapter.sampled():
                    yield from _preview(job, reference, folder.path / PREVIEWS / f"{step.index + 1:06}.png")
        part = backbone.adapter_prefix
        return {names.adapter_name(part, name): tensor for name, tensor in adapter.tensors().items()}


def _is_due(step: Step, previews: int) -> bool:
    """Whether a preview follows a step: where the number of those that are due grows."""
    return (step.index + 1) * previews // step.total > step.index * previews // step.total


@dataclass(frozen=True)
class _Previewed:
    """What is being tuned, as a switch of the sampling loop."""

    adapter: Tunable
    lowest: int

    def at(self, timestep: int) -> AbstractContextManager[None]:
        """On where it is tuned."""
        return nullcontext() if timestep >= self.lowest else self.adapter.off()


def _preview(job: Tuning, reference: Reference, path: Path) -> Generator[Step, None, None]:
    """Sample the source prompt with what is tuned so far, and write the frames as one picture."""
    motion: Tensors = {INVERTED: reference.trajectory[max(reference.trajectory)]} if reference.trajectory else {}
    backbone, settings = job.backbone, job.settings
    switch = _Previewed(job.adapter, settings.lowest_timestep(backbone.levels))
    casting = sample.Casting(backbone, job.method, settings, motion, job.shape, settings.source_prompt, 0, switch)
    result = yield from sample.cast(casting)
    path.parent.mkdir(exist_ok=True)
    contact_sheet(Clip.from_pixels(backbone.decode(result.latents), backbone.fps), path)


def adapter_of(tensors: Tensors, backbone: Backbone) -> dict[str, Any]:
    """The adapter among the tensors of a motion, by names of the model's network."""
    part = f"{backbone.adapter_prefix}."
    return {name.removeprefix(part): tensor for name, tensor in names.adapter(tensors).items()}
