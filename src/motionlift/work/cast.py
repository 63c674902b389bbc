"""From a motion and a prompt to a video."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from motionlift.core.cost import Advance
from motionlift.core.lattice import Shape
from motionlift.core.method import Guide, Tuner
from motionlift.core.method_settings import Sampled, Tuned
from motionlift.core.model import Backbone
from motionlift.core.settings import with_values
from motionlift.core.tensors import Tensors
from motionlift.errors import MotionError, SettingError
from motionlift.loops import sample, tuning
from motionlift.loops.adapters import Addition, applied
from motionlift.loops.cascade import Interpolation, Stage
from motionlift.methods import method as method_named
from motionlift.motion.file import Motion
from motionlift.motion.names import POSITIONS, Name
from motionlift.video.clip import Clip
from motionlift.work.lift import Lifting, checked_method, finished, ignore, lifted, loaded
from motionlift.work.prepare import check_blocks, check_fit, check_lifted, check_prompt, check_seed, settings_for
from motionlift.work.record import Run, Video, costs, record_of

MOST_STRENGTH = 1.5
"""Greatest strength of an adapter, as :class:`motionlift.core.method_settings.Tuned` has it."""


def cast(
    motion: Motion,
    prompt: str,
    model: Any = "tiny-dit",
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    advance: Advance = ignore,
    mixed: Sequence[tuple[Motion, float]] = (),
    stages: Sequence[Stage] = (),
) -> Video:
    """Make a video that shows the prompt and moves like the motion.

    Args:
        motion: what :func:`lift` gave.
        prompt: what the video shows.
        model: what :func:`load` takes or gives; the one that the motion was lifted with.
        seed: seed of the starting noise.
        settings: settings to change from those of the motion.
        advance: called with every step.
        mixed: other motions that were tuned, whose adapters are added with a strength each.
        stages: of a cascade, such as :func:`interpolation` and :func:`super_resolution` give, which the video then goes through.

    Raises:
        MotionliftError: one of its kinds.
    """
    checked_method(motion.method, settings)
    check_prompt(prompt)
    check_seed(seed)
    run = Run(loaded(model))
    _check_stages(stages, motion.source.shape, prompt)
    return _staged(run, _cast(run, motion, prompt, seed, settings, advance, mixed), stages, advance)


def interpolation(model: Any, factor: int) -> Stage:
    """A stage that makes one frame into ``factor``, by a model that keeps frames apart.

    Raises:
        ModelError: the model cannot be had, or joins frames.
        SettingError: the factor is out of range.
    """
    stage = Interpolation(loaded(model), factor)
    stage.check()
    return stage


def _staged(run: Run, video: Video, stages: Sequence[Stage], advance: Advance) -> Video:
    """The video after the stages of a cascade, which its record then names."""
    if not stages:
        return video
    prompt, seed = video.record["prompt"], video.record["seed"]
    found = []
    clip = video.clip
    for stage in stages:
        with run.phase(stage.name, stage.passes):
            clip = finished(stage.run(clip, prompt, seed), advance)
        count, height, width = clip.frames.shape[:3]
        found.append({"stage": stage.name, "shape": asdict(Shape(count, height, width)), "fps": clip.fps})
    return replace(video, clip=clip, keyframes=video.clip, record={**video.record, "cascade": found, **costs(run)})


def _check_stages(stages: Sequence[Stage], shape: Shape, prompt: str) -> None:
    """Refuse before long work what a stage could not take."""
    for stage in stages:
        shape = stage.shaped(shape, prompt)


def _cast(
    run: Run,
    motion: Motion,
    prompt: str,
    seed: int,
    values: Mapping[str, Any] | None,
    advance: Advance,
    mixed: Sequence[tuple[Motion, float]] = (),
) -> Video:
    backbone, method = run.backbone, method_named(motion.method)
    check_fit(motion, backbone)
    settings = settings_for(method, backbone, {**motion.settings, **(values or {})})
    if isinstance(method, Guide):
        check_blocks(motion, method.blocks(settings))
    check_lifted(motion, settings)
    lifted_steps = motion.settings.get("steps", settings.steps)
    if settings.beta and settings.steps != lifted_steps:
        raise SettingError(
            f"steps is {settings.steps}, but the motion was inverted in {lifted_steps} steps, and beta asks for its noise: "
            f"lift it again with steps={settings.steps}"
        )
    shape = backbone.fitting(motion.source.shape.frames)
    job = sample.Casting(backbone, method, settings, motion.tensors, shape, prompt, seed)
    backbone.network.to(backbone.device)
    with run.phase("cast"), applied(backbone.network, _adapters(motion, settings, mixed, backbone)) as switch:
        result = finished(sample.cast(replace(job, adapter=switch)), advance)
    with run.phase("decode"):
        clip = Clip.from_pixels(backbone.decode(result.latents), motion.source.fps)
    record = record_of(run, motion, settings, prompt, seed, result.losses)
    if mixed:
        record["mixed"] = [{"motion_sha256": other.digest(), "strength": strength} for other, strength in mixed]
    return Video(clip, record, _with_positions(motion, result.positions, settings))


def _adapters(
    motion: Motion, settings: Sampled, mixed: Sequence[tuple[Motion, float]], backbone: Backbone
) -> list[Addition]:
    """What was tuned, of a motion and those that are mixed with it, each with its strength, and on where it was tuned.

    Raises:
        MotionError: one was tuned on another model, or holds no adapter.
        SettingError: a strength out of range, or a motion that is guided and cannot be mixed.
    """
    if not isinstance(settings, Tuned):
        if mixed:
            raise SettingError(
                f"the motion is of {motion.method}, which tunes nothing; only tuned motions can be mixed"
            )
        return []
    found = []
    for own, strength in [(motion, settings.strength), *mixed]:
        method, adapter = method_named(own.method), tuning.adapter_of(own.tensors, backbone)
        if not isinstance(method, Tuner) or not adapter:
            raise MotionError(
                f"a motion of {own.method} holds no adapter; lift one with a method that tunes, such as vmc"
            )
        if own.identity != backbone.identity:
            raise MotionError(
                f"the motion was tuned on {own.model} and does not fit {backbone.name}; mix motions of one model"
            )
        if not 0 <= strength <= MOST_STRENGTH:
            raise SettingError(f"strength is {strength}; allowed is a number from 0 to {MOST_STRENGTH:g}")
        tuned = with_values(method.Settings(), own.settings)
        assert isinstance(tuned, Tuned)
        found.append(Addition(adapter, strength, tuned.lowest_timestep(backbone.levels)))
    return found


def _with_positions(motion: Motion, positions: Tensors, settings: Sampled) -> Motion:
    """The motion with a run's positions in the place of older ones, and that run's settings, which say their steps."""
    if not positions:
        return motion
    others = {name: tensor for name, tensor in motion.tensors.items() if Name.parsed(name).word != POSITIONS}
    saved = {name: tensor.cpu() for name, tensor in positions.items()}
    return replace(motion, tensors={**others, **saved}, settings=asdict(settings))


def transfer(
    reference: str | Path | Clip,
    prompt: str,
    model: Any = "tiny-dit",
    *,
    method: str = "ditflow",
    seed: int = 0,
    frames: int | None = None,
    settings: Mapping[str, Any] | None = None,
    cached: bool = True,
    advance: Advance = ignore,
    slower: int = 1,
    stages: Sequence[Stage] = (),
) -> Video:
    """Lift and cast in one call; arguments as of :func:`lift` and :func:`cast`.

    Raises:
        MotionliftError: one of its kinds.
    """
    chosen = checked_method(method, settings)
    check_prompt(prompt)
    check_seed(seed)
    run = Run(loaded(model))
    check_prompt(prompt, run.backbone)
    sample.word_places(run.backbone, chosen, settings_for(chosen, run.backbone, settings), prompt)
    _check_stages(stages, run.backbone.fitting(frames), prompt)
    motion, clip = lifted(run, reference, Lifting(chosen, frames, settings, cached, slower=slower), advance)
    video = _staged(run, _cast(run, motion, prompt, seed, settings, advance), stages, advance)
    return replace(video, reference=clip, record={**video.record, "reference_notices": list(clip.notices)})
