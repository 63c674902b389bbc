"""Tune a model to a reference: the adapter, the folder that keeps the run, and previews on the way."""

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Reference, Stills, Tuner
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model
from motionlift.core.tensors import INVERTED, Latents, Tensors
from motionlift.core.windows import Windows
from motionlift.loops import sample
from motionlift.loops.adapters import Addition, Tunable, fitted
from motionlift.loops.invert import invert
from motionlift.loops.run_folder import RunFolder, is_first_process
from motionlift.loops.tune import Tuning, tune
from motionlift.loops.windows import conditions_of, first_pictures
from motionlift.motion import names
from motionlift.motion.run_files import PREVIEWS
from motionlift.video.clip import Clip
from motionlift.video.sheets import contact_sheet

LOG = logging.getLogger(__name__)
PREVIEW_SEED = 0
"""Seed of the noise of previews, the command's own default (ours)."""


def tuned(
    model: Model,
    method: Tuner[Any],
    settings: Tuned,
    reference: Reference,
    folder: RunFolder | None = None,
    previews: int = 0,
    windows: Windows | None = None,
) -> Generator[Step, None, dict[str, Tensor]]:
    """Tune, yielding every step and those of the previews; returns the adapter as tensors of a motion.

    Where the tuned network is to invert the reference, that comes after, and the noise is among them.

    Args:
        model: the model.
        method: the method.
        settings: its settings.
        reference: what it is tuned to.
        folder: where checkpoint and losses are kept, and previews.
        previews: how many videos are sampled on the way, evenly spread, the last when it is done.
        windows: of the reference, where it is longer than the model sees at once.

    Raises:
        MotionliftError: as :func:`motionlift.loops.tune.tune` and :func:`motionlift.loops.invert.invert` say.
    """
    caption, plan = method.caption(settings), method.plan(model, settings)
    windows = windows or Windows.whole(model.lattice(reference.shape).frames, reference.shape)
    pictures = first_pictures(model, reference.pixels, windows, reference.shape)
    condition, *later = conditions_of(model, caption, windows, pictures)
    with model.turn():
        adapter = Tunable(model.network, plan, settings.tuning_seed, model.about.device)
    stills = stills_of(model, reference, caption) if plan.looks else None
    job = Tuning(
        *(model, method, settings, adapter, reference.latents, condition, windows.shape, folder, stills),
        windows,
        later,
    )

    def previewed(done: int, resumed: bool) -> Iterator[Step]:
        if folder is None or not is_first_process() or not _is_due(done, settings.tuning_steps, previews):
            return
        path = folder.path / PREVIEWS / f"{done:06}.png"
        if not (resumed and path.exists()):  # else the run was stopped while it was made
            yield from _preview(job, reference, path, done)

    with closing(tune(job, previewed)) as steps:  # so that its checkpoint is written before anything else is put away
        yield from steps
    found = {names.adapter_name(*name.split(".", 1)): tensor for name, tensor in adapter.tensors().items()}
    if not settings.inverts_when_tuned:
        return found
    return {INVERTED: (yield from _inverted(job, reference)), **found}


def _inverted(job: Tuning, reference: Reference) -> Generator[Step, None, Latents]:
    """The noise that the reference came from by the network as it is tuned so far, at full strength and at every level."""
    model, settings, windows = job.model, job.settings, job.windows
    assert windows is not None  # as tuned makes the job
    pictures = first_pictures(model, reference.pixels, windows, reference.shape)
    conditions = conditions_of(model, settings.inversion_prompt, windows, pictures)
    adapter = fitted(model, [Addition(job.adapter.tensors())])
    trajectory = yield from invert(
        model, reference.latents, conditions, settings.steps, windows.shape, windows, adapter
    )
    return trajectory[0]


def stills_of(model: Model, reference: Reference, caption: str) -> Stills:
    """The reference's frames, each by itself, with the prompt of tuning."""
    held = model.codec.fewest
    frames = [model.codec.encode(frame.expand(held, -1, -1, -1)) for frame in reference.pixels.split(1)]
    return Stills(torch.cat(frames), model.text.encode(caption, replace(reference.shape, frames=held)))


def _is_due(done: int, total: int, previews: int) -> bool:
    """Whether a preview follows a step: where the number of those that are due grows."""
    return done * previews // total > (done - 1) * previews // total


def _preview(job: Tuning, reference: Reference, path: Path, done: int) -> Generator[Step, None, None]:
    """Cast the source prompt with what is tuned so far, and write the frames as one picture, which says of what it is.

    It is a cast as any other, so that a later one of the same prompt and seed shows the same.
    """
    model, settings = job.model, job.settings
    motion: Tensors = {INVERTED: reference.trajectory[0]} if reference.trajectory else {}
    if settings.inverts_when_tuned:
        motion = {INVERTED: (yield from _inverted(job, reference))}
    tuned_so_far = Addition(job.adapter.tensors(), settings.strength, lowest_noise(model, settings, job.shape))
    casting = sample.Casting(
        *(model, job.method, settings, motion, reference.shape, settings.source_prompt, PREVIEW_SEED),
        adapter=fitted(model, [tuned_so_far]),
        windows=job.windows,
    )
    result = yield from sample.cast(casting)
    path.parent.mkdir(exist_ok=True)
    said = {"step": str(done), "seed": str(PREVIEW_SEED), "prompt": settings.source_prompt}
    told = f"step {done} of {settings.tuning_steps}, seed {PREVIEW_SEED}, prompt: {settings.source_prompt}"
    clip = Clip.from_pixels(model.codec.decoded(result.latents), model.about.fps)
    contact_sheet(clip, path, said={"Description": f"preview of tuning, {told}", **said})
    LOG.info("wrote preview %s, %s", path, told)


def lowest_noise(model: Model, settings: Tuned, shape: Shape) -> float:
    """Share of noise of the cleanest level that is tuned, and cast with the adapter."""
    trained = model.schedule(settings.steps, shape).trained
    return trained[settings.lowest(len(trained))].noise
