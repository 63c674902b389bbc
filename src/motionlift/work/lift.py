"""From a reference to a motion."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from motionlift.core.cost import Advance, Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Guide, Method, Reference, Tuner
from motionlift.core.method_settings import Sampled, Tuned
from motionlift.core.model import Backbone
from motionlift.core.settings import with_values
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.errors import InputError, OutputError, SettingError, Stopped
from motionlift.loops import run_folder, tuning
from motionlift.loops.cascade import FACTORS
from motionlift.loops.invert import invert
from motionlift.loops.run_folder import RunFolder
from motionlift.loops.tune import precision_of
from motionlift.methods import method as method_named
from motionlift.models.loading import load
from motionlift.motion import cache
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.video.limits import FRAMES
from motionlift.work.prepare import check_source_prompt, settings_for
from motionlift.work.record import Run

LONGEST_SIDE = 512
"""Longest side, in pixels, at which a reference is read for optical flow (ours)."""
MOST_PREVIEWS = 100
"""Most videos that are sampled while tuning (ours)."""

Result = TypeVar("Result")


def ignore(step: Step) -> None:
    """The progress callback of those who want none."""


def lift(
    reference: str | Path | Clip,
    model: Any = "tiny-dit",
    method: str = "ditflow",
    *,
    frames: int | None = None,
    settings: Mapping[str, Any] | None = None,
    cached: bool = True,
    advance: Advance = ignore,
    run: Run | None = None,
    folder: Path | None = None,
    previews: int = 0,
    slower: int = 1,
) -> Motion:
    """Lift the motion out of a reference.

    Args:
        reference: a video file or a clip.
        model: what :func:`load` takes or gives.
        method: name of a method.
        frames: length in frames; the model's own by default.
        settings: the method's settings by name.
        cached: use and fill the cache of lifted motions.
        advance: called with every step.
        run: where seconds and passes are kept, if they are wanted; its model is then the one that lifts.
        folder: for methods that tune, where checkpoint, losses and previews stay; by default the checkpoint lies beside the cache
            and goes when the motion is there.
        previews: how many videos are sampled into the folder while tuning.
        slower: read the reference at the model's rate divided by this, so that its frames cover as many times the time; frames
            between them are for a cascade to make.

    Raises:
        MotionliftError: one of its kinds, for a bad reference, model, method or setting.
    """
    chosen = checked_method(method, settings)
    run = run or Run(loaded(model))
    return lifted(run, reference, Lifting(chosen, frames, settings, cached, folder, previews, slower), advance)[0]


def loaded(model: Any) -> Backbone:
    return model if isinstance(model, Backbone) else load(model)


def checked_method(name: str, values: Mapping[str, Any] | None) -> Method:
    """The method of a name, its settings checked as far as that goes before a model is loaded."""
    method = method_named(name)
    with_values(method.Settings(), values or {})
    return method


def read_reference(reference: str | Path | Clip, backbone: Backbone, frames: int | None, slower: int = 1) -> Clip:
    """The reference with the model's frame count, rate and aspect, at most :data:`LONGEST_SIDE` wide or high.

    A rate that is so many times slower takes as many times fewer frames of every second.

    Raises:
        InputError: it cannot be read.
        SettingError: the model cannot make so many frames.
    """
    if frames is not None and (type(frames) is not int or not FRAMES[0] <= frames <= FRAMES[1]):
        raise SettingError(f"frames is {str(frames)[:40]}; allowed is a whole number from {FRAMES[0]} to {FRAMES[1]}")
    shape = backbone.fitting(frames)
    aspect = (shape.height, shape.width)
    longest = max(LONGEST_SIDE, *aspect)
    if not isinstance(reference, Clip):
        rate = backbone.fps / slower
        return Clip.read(reference, frames=shape.frames, fps=rate, aspect=aspect, longest=longest)
    if slower > 1:
        reference = Clip.of(reference.frames[::slower], reference.fps / slower)
    if len(reference.frames) < 2:
        raise InputError("the clip holds one frame; a motion needs at least two: give a longer clip")
    clip = reference.fitted(shape.frames, aspect)
    height, width = clip.frames.shape[1:3]
    scale = min(1, longest / max(height, width))
    return clip.resized(max(1, round(height * scale)), max(1, round(width * scale)))


@dataclass(frozen=True)
class Lifting:
    """How a reference is lifted."""

    method: Method
    """The method."""
    frames: int | None
    """Length in frames, or the model's own."""
    values: Mapping[str, Any] | None
    """Settings by name, where they differ from the method's."""
    cached: bool = True
    """Use and fill the cache."""
    folder: Path | None = None
    """Where a tuning run is kept."""
    previews: int = 0
    """Videos that are sampled while tuning."""
    slower: int = 1
    """By what the model's rate is divided for reading."""


def lifted(run: Run, reference: str | Path | Clip, lifting: Lifting, advance: Advance) -> tuple[Motion, Clip]:
    backbone, method = run.backbone, lifting.method
    settings = settings_for(method, backbone, lifting.values)
    _check_lifting(lifting, settings, backbone)
    if isinstance(method, Tuner) and isinstance(settings, Tuned):
        settings = replace(settings, tuning_prompt=method.caption(settings))  # so that a cast reduces nothing
    with run.phase("read"):
        wide = read_reference(reference, backbone, lifting.frames, lifting.slower)
    shape = backbone.fitting(lifting.frames)
    clip = run.reference = wide.resized(shape.height, shape.width)
    source = Source(wide.sha256, float(wide.fps), shape)
    content = _content(source, wide, method, settings, backbone)
    name = cache.key(content)
    with run.phase("lift"), _kept_run(lifting, content) as folder:
        # A named folder is to hold the run, so that a motion that was lifted before does not serve.
        kept = cache.find(name) if lifting.cached and lifting.folder is None else None
        if kept is not None:
            run.from_cache = True
            motion = replace(kept, model=backbone.name, settings=asdict(settings))
        else:
            motion = Motion(
                tensors=_tensors(run, clip, wide, lifting, settings, folder, advance),
                method=method.name,
                settings=asdict(settings),
                model=backbone.name,
                identity=backbone.identity,
                grid=backbone.grid(shape),
                source=source,
                version=metadata.version("motionlift"),
                fingerprint=backbone.fingerprint,
            )
            if lifting.cached:
                cache.keep(name, motion)
        if folder is not None and lifting.folder is None and cache.find(name) is not None:
            folder.remove()
    return motion, clip


@contextmanager
def _kept_run(lifting: Lifting, content: Mapping[str, Any]) -> Iterator[RunFolder | None]:
    """The folder of a tuning run: the named one, or one of its own beside the cache; none where nothing is tuned or kept."""
    if not isinstance(lifting.method, Tuner) or not (lifting.folder or lifting.cached):
        yield None
        return
    own = json.loads(json.dumps(content))
    with ExitStack() as stack:
        if lifting.folder is not None:
            own["settings"]["tuning_steps"] = None  # such a run may go on for longer
            folder = stack.enter_context(run_folder.opened(lifting.folder, own))
        else:
            try:
                place = cache.runs() / cache.key(content)
                folder = stack.enter_context(run_folder.opened(place, own, wait=run_folder.processes() == 1))
            except OutputError:  # a cache that cannot be written is no reason to fail
                folder = None
        try:
            yield folder
        except KeyboardInterrupt as stop:
            if folder is None or not folder.checkpoint.exists():
                raise
            told = f"what was tuned so far stays in {folder.path}; the same command goes on from there"
            raise Stopped(told) from stop


def _tensors(
    run: Run,
    clip: Clip,
    wide: Clip,
    lifting: Lifting,
    settings: Sampled,
    folder: RunFolder | None,
    advance: Advance,
) -> Tensors:
    """Encode, invert where settings ask for it, and take the motion."""
    backbone, method, pixels = run.backbone, lifting.method, clip.pixels()
    shape = Shape(*clip.frames.shape[:3])
    given = Reference(backbone.encode(pixels), pixels, wide.pixels(), shape)
    if settings.inversion:
        text = backbone.text(settings.inversion_prompt)
        given = replace(given, trajectory=finished(invert(backbone, given.latents, text, settings.steps), advance))
    if isinstance(method, Guide):
        found = finished(method.lift(given, backbone, settings), advance)
    else:
        assert isinstance(method, Tuner) and isinstance(settings, Tuned)

        def logged(step: Step) -> None:
            if step.phase == "tune" and step.loss is not None:
                run.losses.append(step.loss)
            advance(step)

        steps = tuning.tuned(backbone, method, settings, given, folder, lifting.previews)
        found = {"latents": given.latents, **finished(steps, logged)}
    inverted = {INVERTED: given.trajectory[max(given.trajectory)]} if given.trajectory else {}
    return {name: tensor.detach().cpu() for name, tensor in {**found, **inverted}.items()}


def _check_lifting(lifting: Lifting, settings: Sampled, backbone: Backbone) -> None:
    """Refuse before the network runs what can be refused then."""
    lifting.method.check(backbone, settings)
    check_source_prompt(settings, backbone)
    if isinstance(settings, Tuned):
        precision_of(settings, backbone)
    if lifting.cached:
        cache.most_bytes()  # refuses a bad cap now, not once the work is done
    if lifting.folder is not None and not isinstance(lifting.method, Tuner):
        raise SettingError(f"{lifting.method.name} tunes nothing, so that there is no run to keep in {lifting.folder}")
    if lifting.previews and lifting.folder is None:
        raise SettingError("previews are kept in the folder of a run; name one")
    if type(lifting.slower) is not int or not 1 <= lifting.slower <= FACTORS[1]:
        raise SettingError(f"slower is {lifting.slower}; allowed is a whole number from 1 to {FACTORS[1]}")
    if not 0 <= lifting.previews <= MOST_PREVIEWS:
        raise SettingError(f"previews is {lifting.previews}; allowed is a whole number from 0 to {MOST_PREVIEWS}")


def _content(source: Source, wide: Clip, method: Method, settings: Sampled, backbone: Backbone) -> dict[str, Any]:
    """All that a lifted motion depends on."""
    several = {"processes": run_folder.processes()} if isinstance(method, Tuner) else {}
    return several | {
        "source": asdict(source),
        "frames": Clip.of(wide.frames, wide.fps).sha256,  # clips of one file may be cut out of it differently
        "method": method.name,
        "settings": {
            item.name: getattr(settings, item.name) for item in fields(settings) if not item.metadata.get("cast")
        },
        "model": backbone.fingerprint,
        "version": metadata.version("motionlift"),
    }


def finished(steps: Generator[Step, None, Result], advance: Advance) -> Result:
    """Run a loop to its end, passing its steps on; returns what the loop returns."""
    with closing(steps):  # on Ctrl-C too, so that nothing stays injected into the model
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value
            advance(step)
