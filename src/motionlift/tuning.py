"""Tune a model to a reference: the adapter, the folder that keeps the run, and previews on the way."""

from collections.abc import Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift import guide, run_folder
from motionlift.adapters import tunable
from motionlift.core import INVERTED, Backbone, Reference, Step, Tensors, Tuned, Tuner
from motionlift.drawing import contact_sheet
from motionlift.media import Clip
from motionlift.tune import Tuning, tune

ADAPTER = "adapter."
"""Prefix of an adapter among the tensors of a motion; the part of the pipeline follows, then the layer's name in it."""


@dataclass(frozen=True)
class Keeping:
    """Where a tuning run keeps what it needs to go on, and what can be looked at."""

    folder: Path
    """The folder."""
    content: Mapping[str, Any]
    """All that decides the run, ready for JSON."""
    previews: int = 0
    """How many videos are sampled on the way, evenly spread, the last when it is done."""


def tuned(
    backbone: Backbone, method: Tuner, settings: Tuned, reference: Reference, keeping: Keeping | None
) -> Generator[Step, None, dict[str, Any]]:
    """Tune, yielding every step and those of the previews; returns the adapter as tensors of a motion.

    Raises:
        MotionliftError: as :func:`motionlift.tune.tune` and :func:`motionlift.run_folder.opened` say.
    """
    backbone.network.to(backbone.device)
    text = backbone.text(method.caption(settings))
    held = run_folder.opened(keeping.folder, keeping.content) if keeping else nullcontext()
    with tunable(backbone.network, method.plan(backbone, settings), settings.tuning_seed) as adapter, held as folder:
        job = Tuning(backbone, method, settings, adapter, reference.latents, text, reference.shape, folder)
        for step in tune(job):
            yield step
            if keeping is not None and run_folder.is_first_process() and _is_due(step, keeping.previews):
                yield from _preview(job, reference, keeping.folder / run_folder.PREVIEWS / f"{step.index + 1:06}.png")
        prefix = f"{ADAPTER}{backbone.adapter_prefix}."
        return {prefix + name: tensor for name, tensor in adapter.tensors().items()}


def _is_due(step: Step, previews: int) -> bool:
    """Whether a preview follows a step: where the number of those that are due grows."""
    return (step.index + 1) * previews // step.total > step.index * previews // step.total


def _preview(job: Tuning, reference: Reference, path: Path) -> Generator[Step, None, None]:
    """Sample the source prompt with what is tuned so far, and write the frames as one picture."""
    motion: Tensors = {INVERTED: reference.trajectory[max(reference.trajectory)]} if reference.trajectory else {}
    casting = guide.Casting(
        job.backbone, job.method, job.settings, motion, job.shape, job.settings.source_prompt, 0, job.adapter
    )
    result = yield from guide.cast(casting)
    path.parent.mkdir(exist_ok=True)
    contact_sheet(Clip.from_pixels(job.backbone.decode(result.latents), job.backbone.fps), path)


def adapter_of(tensors: Tensors, backbone: Backbone) -> dict[str, Any]:
    """The adapter among the tensors of a motion, by names of the model's network."""
    prefix = f"{ADAPTER}{backbone.adapter_prefix}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(ADAPTER)}
