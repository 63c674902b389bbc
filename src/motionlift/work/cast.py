"""From a motion and a prompt to a video."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from PIL import Image

from motionlift.core.cost import Advance
from motionlift.core.given import Whole, Wholes, check_given
from motionlift.core.lattice import Shape
from motionlift.core.method_settings import Sampled, Tuned
from motionlift.core.model import Model, Pictures
from motionlift.core.settings import with_values
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.errors import MotionError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, fitted
from motionlift.loops.cascade import Interpolation, Stage
from motionlift.loops.windows import first_pictures
from motionlift.methods import method as method_named
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion import names
from motionlift.motion.file import Motion
from motionlift.motion.names import POSITIONS, Name
from motionlift.video.clip import Clip
from motionlift.video.limits import Rate
from motionlift.video.part import GREY, Part
from motionlift.work.lift import Lifting, Referred, at_rate, finished, ignore, lifted, referred, resting, warn
from motionlift.work.moved import UNMOVED, unlike_lines
from motionlift.work.prepare import Job, ask, aspect_of, check_motion, loaded
from motionlift.work.record import Costs, cast_record
from motionlift.work.several import (
    Generators,
    OnStepEnd,
    Prompts,
    driven,
    is_several,
    step_end_of,
    wanted,
    with_negative,
)
from motionlift.work.video import Video


class CastOptions(TypedDict, total=False):
    """What :func:`cast` takes beside motion, prompt, model and seeds, for type checkers."""

    settings: Mapping[str, Any] | None
    negative_prompt: str | None
    generator: Generators | None
    callback_on_step_end: OnStepEnd | None
    callback_on_step_end_tensor_inputs: Sequence[str]
    advance: Advance
    mixed: Sequence[tuple[Motion, float]]
    stages: Sequence[Stage]
    cut_prompt: bool
    picture: "str | Path | Image.Image | Clip | None"
    memory: str | int | None


class TransferOptions(TypedDict, total=False):
    """What :func:`transfer` takes beside reference, prompt, model and seeds, for type checkers."""

    method: str
    frames: Whole | None
    size: Wholes | None
    settings: Mapping[str, Any] | None
    negative_prompt: str | None
    generator: Generators | None
    callback_on_step_end: OnStepEnd | None
    callback_on_step_end_tensor_inputs: Sequence[str]
    cached: bool
    advance: Advance
    folder: str | Path | None
    previews: Whole
    slower: Whole
    fit: str | None
    every_frame: bool | None
    stages: Sequence[Stage]
    cut_prompt: bool
    picture: "str | Path | Image.Image | Clip | None"
    fps: Rate | None
    memory: str | int | None
    start: float | int
    duration: float | int | None
    crop: Sequence[float | int] | str | None
    background: str | tuple[int, int, int]


@overload
def cast(
    motion: Motion,
    prompt: str,
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: None = None,
    **options: Unpack[CastOptions],
) -> Video: ...
@overload
def cast(
    motion: Motion,
    prompt: Prompts,
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: Wholes,
    **options: Unpack[CastOptions],
) -> list[Video]: ...
@overload
def cast(
    motion: Motion,
    prompt: list[str] | tuple[str, ...],
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: Wholes | None = None,
    **options: Unpack[CastOptions],
) -> list[Video]: ...
def cast(
    motion: Motion,
    prompt: Prompts,
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: Wholes | None = None,
    settings: Mapping[str, Any] | None = None,
    negative_prompt: str | None = None,
    generator: Generators | None = None,
    callback_on_step_end: OnStepEnd | None = None,
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    advance: Advance = ignore,
    mixed: Sequence[tuple[Motion, float]] = (),
    stages: Sequence[Stage] = (),
    cut_prompt: bool = False,
    picture: "str | Path | Image.Image | Clip | None" = None,
    memory: str | int | None = None,
) -> Video | list[Video]:
    """Make a video that shows the prompt and moves like the motion; several of a list of prompts or of seeds.

    Args:
        motion: what :func:`motionlift.lift` gave.
        prompt: what the video shows; of a list, a video for each.
        model: what :func:`motionlift.load` takes or gives; the one that the motion was lifted with.
        seed: seed of the starting noise.
        seeds: several, for a video of each prompt with each of them, prompt after prompt.
        settings: settings to change from those of the motion.
        negative_prompt: what the video is not to show, as the setting of that name.
        generator: diffusers' word for where noise comes from: each video's seed is taken from it, of a fresh one the seed that it
            was made with; or one for each prompt.
        callback_on_step_end: diffusers' callback, called after every denoising step as ``callback(model, step, timestep,
            {"latents": latents})``; with latents that it gives back under that name is gone on. What it raises ends the work.
        callback_on_step_end_tensor_inputs: diffusers' word for what the callback gets by name: ``["latents"]``, or nothing.
        advance: called with every step, those of guidance too.
        mixed: other motions that were tuned, whose adapters are added with a strength each.
        stages: of a cascade, such as :func:`interpolation` and :func:`motionlift.super_resolution` give, which the video then goes
            through.
        cut_prompt: cut prompts that are longer than the model's text window.
        picture: what the video begins with, where the model's videos may: a file, a picture of Pillow's, or a clip, whose first
            frame is taken. Its middle is cut to the video's shape.
        memory: what it may use of the device, such as ``12GB``; by default what is free.

    Returns:
        A video; a list of them where ``prompt`` is a list or ``seeds`` are given.

    Raises:
        MemoryShortError: it does not fit, whatever is done.
        MotionliftError: another of its kinds.
        Stopped: the callback set ``_interrupt`` of its model.

    Warns:
        UserWarning: the model does not know some words, or a prompt was cut; the record's ``notices`` say so too.
    """
    from motionlift.work.planning import Asked, fitting_jobs  # which runs what is here

    check_motion(motion)
    check_given(advance=advance)
    on_step_end = step_end_of(callback_on_step_end, callback_on_step_end_tensor_inputs)
    values = with_negative(settings, negative_prompt)
    asked = [
        Asked(
            ask(motion.method, values, prompt=each.prompt, seed=each.seed, motion=motion, picture=picture),
            motion=motion,
            mixed=mixed,
            stages=lambda _: stages,
            cut_prompt=cut_prompt,
        )
        for each in wanted(prompt, seed, seeds, generator)
    ]
    jobs = fitting_jobs(asked, model, memory)
    warn(*jobs)
    with resting(jobs[0].model):
        videos = [
            casted(job, motion, Costs(job.model, plan=job.plan), advance, on_step_end=on_step_end) for job in jobs
        ]
    return videos if is_several(prompt, seeds) else videos[0]


@overload
def transfer(
    reference: Referred,
    prompt: str,
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: None = None,
    **options: Unpack[TransferOptions],
) -> Video: ...
@overload
def transfer(
    reference: Referred,
    prompt: Prompts,
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: Wholes,
    **options: Unpack[TransferOptions],
) -> list[Video]: ...
@overload
def transfer(
    reference: Referred,
    prompt: list[str] | tuple[str, ...],
    model: Any = DEFAULT_MODEL,
    *,
    seed: Whole = 0,
    seeds: Wholes | None = None,
    **options: Unpack[TransferOptions],
) -> list[Video]: ...
def transfer(
    reference: Referred,
    prompt: Prompts,
    model: Any = DEFAULT_MODEL,
    *,
    method: str = "ditflow",
    seed: Whole = 0,
    seeds: Wholes | None = None,
    frames: Whole | None = None,
    size: Wholes | None = None,
    settings: Mapping[str, Any] | None = None,
    negative_prompt: str | None = None,
    generator: Generators | None = None,
    callback_on_step_end: OnStepEnd | None = None,
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    cached: bool = True,
    advance: Advance = ignore,
    folder: str | Path | None = None,
    previews: Whole = 0,
    slower: Whole = 1,
    fit: str | None = None,
    every_frame: bool | None = None,
    stages: Sequence[Stage] = (),
    cut_prompt: bool = False,
    picture: "str | Path | Image.Image | Clip | None" = None,
    fps: Rate | None = None,
    memory: str | int | None = None,
    start: float | int = 0.0,
    duration: float | int | None = None,
    crop: Sequence[float | int] | str | None = None,
    background: str | tuple[int, int, int] = GREY,
) -> Video | list[Video]:
    """Lift once and cast, in one call; arguments, what is returned and warnings as of :func:`motionlift.lift` and :func:`cast`.

    Raises:
        MotionliftError: one of its kinds.
    """
    from motionlift.work.planning import Asked, fitting_jobs  # which runs what is here

    check_given(advance=advance, folder=folder)
    on_step_end = step_end_of(callback_on_step_end, callback_on_step_end_tensor_inputs)
    given, values = referred(reference, background), with_negative(settings, negative_prompt)
    aspect = aspect_of(given)
    asked = [
        Asked(
            ask(method, values, prompt=each.prompt, seed=each.seed, picture=picture),
            frames,
            size,
            stages=lambda _: stages,
            cut_prompt=cut_prompt,
            aspect=aspect,
        )
        for each in wanted(prompt, seed, seeds, generator)
    ]
    jobs = fitting_jobs(asked, model, memory)
    warn(*jobs)
    part = Part(start, duration, crop, background)
    how = Lifting.asked(cached, folder, previews, slower, fit, every_frame, fps, part)
    videos = [*transfers(jobs, at_rate(given, fps, jobs[0].model), how, advance, on_step_end)]
    return videos if is_several(prompt, seeds) else videos[0]


def transferred(job: Job, reference: str | Path | Clip, how: Lifting, advance: Advance = ignore) -> Video:
    """Lift and cast a prepared job.

    Raises:
        MotionliftError: one of its kinds.
    """
    (video,) = transfers([job], reference, how, advance)
    return video


def transfers(
    jobs: Sequence[Job],
    reference: str | Path | Clip,
    how: Lifting,
    advance: Advance = ignore,
    on_step_end: OnStepEnd | None = None,
) -> Iterator[Video]:
    """Lift once and cast prepared jobs that differ by prompt and seed alone; the first video's costs are with those of lifting.

    Raises:
        MotionliftError: one of its kinds.
    """
    costs = Costs(jobs[0].model, plan=jobs[0].plan)
    with resting(jobs[0].model):
        found = lifted(jobs[0], reference, how, costs, advance)
        with found.staying():
            for number, job in enumerate(jobs):
                own = Costs(job.model, plan=job.plan) if number else costs
                yield casted(job, found.motion, own, advance, found.reference, on_step_end)


def interpolation(model: Any, factor: int) -> Stage:
    """A stage that makes one frame into ``factor``, by a model that keeps frames apart.

    Raises:
        ModelError: the model cannot be had, or joins frames.
        SettingError: the factor is out of range.
    """
    stage = Interpolation(loaded(model), factor)
    stage.check()
    return stage


def casted(
    job: Job,
    motion: Motion,
    costs: Costs,
    advance: Advance = ignore,
    reference: Clip | None = None,
    on_step_end: OnStepEnd | None = None,
) -> Video:
    """Cast a motion as a prepared job says.

    Args:
        job: what is asked for.
        motion: the motion.
        costs: of what was done before; the record tells all.
        advance: called with every step.
        reference: at the model's size, where the motion was lifted just now.
        on_step_end: diffusers' callback, called after every denoising step.

    Raises:
        MotionliftError: one of its kinds.
    """
    model = job.model if job.picture is None else job.model.pictured(job.picture.pixels())
    costs.note(job.notices)
    advance = costs.logged(advance)
    with costs.phase("cast"):
        result = driven(sample.cast(casting_of(job, model, motion)), job, advance, on_step_end)
    costs.losses.extend(result.losses)
    with costs.phase("decode"):
        keyframes = Clip.from_pixels(model.codec.decoded(result.latents), motion.source.fps)
    costs.keep(job)
    costs.note(_compared(job, motion, keyframes, reference))
    clip, cascade = keyframes, []
    for stage in [stage.counted() for stage in job.stages]:
        told = clip.notices
        with costs.phase(stage.name, stage.passes):
            clip = finished(stage.run(clip, job.prompt, job.seed), advance)
        made = {"stage": stage.name, "shape": asdict(Shape(*clip.frames.shape[:3])), "fps": clip.fps}
        notices = [notice for notice in clip.notices if notice not in told]
        cascade.append(made | ({"notices": notices} if notices else {}))
    told = (motion.notices or None) if reference is None else reference.notices
    return Video(
        clip=clip,
        record=cast_record(job, motion, costs, clip, cascade, told),
        motion=_with_positions(motion, result.positions, job.settings),
        reference=reference,
        keyframes=keyframes if job.stages else None,
    )


def _compared(job: Job, motion: Motion, video: Clip, reference: Clip | None) -> list[str]:
    """What is to be said of a video that is to move like a motion; nothing of one that was edited, which its reference is not."""
    if job.method.name == UNMOVED or motion.edits:
        return []
    if reference is None:
        reference = Clip.from_pixels(job.model.codec.decoded(motion.tensors[names.LATENTS]), motion.source.fps)
    return unlike_lines(motion, reference, video)


def casting_of(job: Job, model: Model, motion: Motion) -> sample.Casting:
    """What the sampling loop is given.

    Args:
        job: a prepared one.
        model: its model, as it begins with the job's picture where there is one.
        motion: what is cast.
    """
    adapter, seeing = fitted(model, _additions(job, motion)), _seeing_the_reference(job, motion)
    must = job.model.about.pictures is Pictures.MUST  # else the windows after the first begin with no picture
    return sample.Casting(
        *(model, job.method, job.settings, motion.tensors, job.shape, job.prompt, job.seed, adapter, seeing[0]),
        windows=motion.windows,
        later=[(model if must else job.model, own) for own in seeing[1:]],
    )


def _seeing_the_reference(job: Job, motion: Motion) -> list[Model | None]:
    """The model as it sees each window of the reference of a video that begins with a picture: with its first frame, or none.

    The frames are those that the windows were lifted with, as the autoencoder gives them back of the whole reference.
    """
    count = 1 if motion.windows is None or job.picture is None else len(motion.windows)
    if job.picture is None or job.model.about.pictures is not Pictures.MUST:
        return [None if job.picture is None else job.model] * count
    pixels = job.model.codec.decode(motion.tensors[names.LATENTS])
    pictures = [] if motion.windows is None else first_pictures(job.model, pixels, motion.windows, job.shape)
    return [job.model.pictured(picture) for picture in pictures or [pixels[:1]]]


def _additions(job: Job, motion: Motion) -> list[Addition]:
    """What was tuned, of a motion and those that are mixed with it, each with its strength, and on where it was tuned.

    Raises:
        MotionError: one holds no adapter.
    """
    if not isinstance(job.settings, Tuned):
        return []
    others = [
        _addition(job, other, with_values(method_named(other.method).Settings(), other.settings), strength)
        for other, strength in job.mixed
    ]
    return [_addition(job, motion, job.settings, job.settings.strength), *others]


def _addition(job: Job, motion: Motion, settings: Tuned, strength: float) -> Addition:
    adapter = names.adapter(motion.tensors)
    if not adapter:
        raise MotionError(
            f"a motion of {motion.method} holds no adapter; lift one with a method that tunes, such as vmc"
        )
    return Addition(adapter, strength, tuning.lowest_noise(job.model, settings, job.windows.shape))


def _with_positions(motion: Motion, positions: Tensors, settings: Sampled) -> Motion:
    """The motion with a run's positions in the place of older ones, and that run's settings, which say their steps.

    Noise that was inverted in another number of steps goes: a motion says one.
    """
    if not positions:
        return motion
    replaced = {POSITIONS} if settings.steps == motion.settings.get("steps") else {POSITIONS, INVERTED}
    others = {name: tensor for name, tensor in motion.tensors.items() if Name.parsed(name).word not in replaced}
    saved = {name: tensor.cpu() for name, tensor in positions.items()}
    return replace(motion, tensors={**others, **saved}, settings=asdict(settings))
