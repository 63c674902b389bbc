"""Load a model, lift a motion, cast it onto a prompt; from names and paths to finished videos."""

import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch

from motionlift import cache, guide, run_folder, tuning
from motionlift.adapters import Addition, applied
from motionlift.cascade import FACTORS, Interpolation, Stage
from motionlift.checks import (
    check_blocks,
    check_fit,
    check_lifted,
    check_prompt,
    check_seed,
    check_source_prompt,
    settings_for,
)
from motionlift.core import (
    INVERTED,
    Advance,
    Backbone,
    Guide,
    Method,
    Passes,
    Phase,
    Reference,
    Sampled,
    Shape,
    Source,
    Step,
    Tensors,
    Tuned,
    Tuner,
)
from motionlift.errors import InputError, MotionError, OutputError, SettingError
from motionlift.invert import invert
from motionlift.loading import load
from motionlift.media import FRAMES, Clip, replacing
from motionlift.methods import method as method_named
from motionlift.motion import Motion
from motionlift.run_folder import RunFolder
from motionlift.settings import with_values
from motionlift.tune import precision_of

LONGEST_SIDE = 512
"""Longest side, in pixels, at which a reference is read for optical flow (ours)."""
MOST_STRENGTH = 1.5
"""Greatest strength of an adapter, as :class:`motionlift.core.Tuned` has it."""
MOST_PREVIEWS = 100
"""Most videos that are sampled while tuning (ours)."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Video:
    """A finished video and how it came about."""

    clip: Clip
    """The frames."""
    record: Mapping[str, Any]
    """Settings, versions, seconds, passes, memory and hashes, JSON-ready."""
    motion: Motion
    """The motion it was cast from, with the positions that this run optimised, if it did."""
    reference: Clip | None = None
    """The reference at the model's size, where the run began with one."""
    keyframes: Clip | None = None
    """The frames before the stages of a cascade, where there were any."""

    def save(self, path: str | Path) -> None:
        """Write the video, and its record beside it with the suffix ``.json``.

        Raises:
            OutputError: one of them cannot be written.
        """
        with replacing(Path(path).with_suffix(".json"), (".json",)) as partial:
            self.clip.save(path)
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            partial.write_text(json.dumps({**self.record, "output": {"path": str(path), "sha256": digest}}, indent=2))


@dataclass
class Run:
    """Seconds and passes of a run, phase by phase."""

    backbone: Backbone
    """The model that works."""
    phases: list[Phase] = field(default_factory=list)
    """Phases so far."""
    reference: Clip | None = None
    """The reference at the model's size, once it was read."""
    from_cache: bool = False
    """Whether the motion came from the cache."""
    losses: list[float] = field(default_factory=list)
    """Loss of every tuning step of this run."""

    @contextmanager
    def phase(self, name: str, counted: Passes | None = None) -> Iterator[None]:
        """Measure one phase; its passes are those of the model, or as they are counted elsewhere."""
        counted = counted or self.backbone.passes
        started, forward, backward = time.perf_counter(), counted.forward, counted.backward
        yield
        passes = Passes(counted.forward - forward, counted.backward - backward)
        self.phases.append(Phase(name, time.perf_counter() - started, passes))


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
    chosen = _checked(method, settings)
    run = run or Run(_loaded(model))
    return _lift(run, reference, Lifting(chosen, frames, settings, cached, folder, previews, slower), advance)[0]


def _loaded(model: Any) -> Backbone:
    return model if isinstance(model, Backbone) else load(model)


def _checked(name: str, values: Mapping[str, Any] | None) -> Method:
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


def _lift(run: Run, reference: str | Path | Clip, lifting: Lifting, advance: Advance) -> tuple[Motion, Clip]:
    backbone, method = run.backbone, lifting.method
    settings = settings_for(method, backbone, lifting.values)
    _check_lifting(lifting, settings, backbone)
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
            raise KeyboardInterrupt(told) from stop


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
        given = replace(given, trajectory=_finished(invert(backbone, given.latents, text, settings.steps), advance))
    if isinstance(method, Guide):
        found = _finished(method.lift(given, backbone, settings), advance)
    else:
        assert isinstance(method, Tuner) and isinstance(settings, Tuned)

        def logged(step: Step) -> None:
            if step.phase == "tune" and step.loss is not None:
                run.losses.append(step.loss)
            advance(step)

        steps = tuning.tuned(backbone, method, settings, given, folder, lifting.previews)
        found = {"latents": given.latents, **_finished(steps, logged)}
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


def _finished(steps: Generator[Step, None, Result], advance: Advance) -> Result:
    """Run a loop to its end, passing its steps on; returns what the loop returns."""
    with closing(steps):  # on Ctrl-C too, so that nothing stays injected into the model
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value
            advance(step)


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
    _checked(motion.method, settings)
    check_prompt(prompt)
    check_seed(seed)
    run = Run(_loaded(model))
    _check_stages(stages, motion.source.shape, prompt)
    return _staged(run, _cast(run, motion, prompt, seed, settings, advance, mixed), stages, advance)


def interpolation(model: Any, factor: int) -> Stage:
    """A stage that makes one frame into ``factor``, by a model that keeps frames apart.

    Raises:
        ModelError: the model cannot be had, or joins frames.
        SettingError: the factor is out of range.
    """
    stage = Interpolation(_loaded(model), factor)
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
            clip = _finished(stage.run(clip, prompt, seed), advance)
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
    job = guide.Casting(backbone, method, settings, motion.tensors, shape, prompt, seed)
    backbone.network.to(backbone.device)
    with run.phase("cast"), applied(backbone.network, _adapters(motion, settings, mixed, backbone)) as switch:
        result = _finished(guide.cast(replace(job, adapter=switch)), advance)
    with run.phase("decode"):
        clip = Clip.from_pixels(backbone.decode(result.latents), motion.source.fps)
    record = _record(run, motion, settings, prompt, seed, result.losses)
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
    others = {name: tensor for name, tensor in motion.tensors.items() if name.split(".")[0] != guide.SAVED}
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
    chosen = _checked(method, settings)
    check_prompt(prompt)
    check_seed(seed)
    run = Run(_loaded(model))
    check_prompt(prompt, run.backbone)
    guide.word_places(run.backbone, chosen, settings_for(chosen, run.backbone, settings), prompt)
    _check_stages(stages, run.backbone.fitting(frames), prompt)
    motion, clip = _lift(run, reference, Lifting(chosen, frames, settings, cached, slower=slower), advance)
    video = _staged(run, _cast(run, motion, prompt, seed, settings, advance), stages, advance)
    return replace(video, reference=clip, record={**video.record, "reference_notices": list(clip.notices)})


def _record(run: Run, motion: Motion, settings: Sampled, prompt: str, seed: int, losses: list[float]) -> dict[str, Any]:
    """All that it takes to repeat a run, and what it cost."""
    backbone = run.backbone
    return {
        "prompt": prompt,
        "seed": seed,
        "method": motion.method,
        "settings": asdict(settings),
        "model": {"name": backbone.name, "identity": backbone.identity, "fingerprint": backbone.fingerprint},
        "frames": motion.source.shape.frames,
        "source": asdict(motion.source),
        "motion_sha256": motion.digest(),
        "device": str(backbone.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **costs(run),
        **tuning_prompt(motion),
        "losses": [*run.losses, *losses],
    }


def tuning_prompt(motion: Motion) -> dict[str, str]:
    """The prompt that a motion was tuned with, for records; nothing where nothing was tuned."""
    method = method_named(motion.method)
    if not isinstance(method, Tuner):
        return {}
    return {"tuning_prompt": method.caption(with_values(method.Settings(), motion.settings))}


def costs(run: Run) -> dict[str, Any]:
    """Seconds, passes and memory of a run, as its record says them."""
    return {
        "seconds": round(sum(phase.seconds for phase in run.phases), 3),
        "passes": {
            "forward": sum(phase.passes.forward for phase in run.phases),
            "backward": sum(phase.passes.backward for phase in run.phases),
        },
        "phases": [asdict(phase) for phase in run.phases],
        "peak_memory_bytes": peak_memory(str(run.backbone.device)),
    }


def versions() -> dict[str, str]:
    """Versions of all that decides the numbers."""
    names = ("motionlift", "torch", "diffusers", "transformers", "av", "opencv-python-headless")
    return {name: metadata.version(name) for name in names} | {
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def peak_memory(device: str = "cpu") -> int:
    """Most bytes held so far: by tensors on a GPU, or by this process where the device is none."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
