"""From a reference to a motion."""

import json
import logging
import math
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from motionlift.core.cost import Advance, Step
from motionlift.core.given import Whole, Wholes, as_int, check_given
from motionlift.core.lattice import Shape
from motionlift.core.method import Guide, Reference, Tuner
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model, Pictures
from motionlift.core.tensors import INVERTED, Pixels
from motionlift.environment import launched
from motionlift.errors import OutputError, SettingError, Stopped, staying
from motionlift.loops import run_folder, tuning
from motionlift.loops.cascade import FACTORS
from motionlift.loops.invert import invert
from motionlift.loops.run_folder import RunFolder
from motionlift.loops.windows import conditions_of, first_pictures, lifted_in
from motionlift.models.parallel import for_all
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion import cache
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.video.files import existing
from motionlift.video.given import Frames, Given, frames_of
from motionlift.video.limits import RATES, Rate, check_rate, plain
from motionlift.video.part import GREY, WHOLE, Part, check_part
from motionlift.video.reading import seconds_of
from motionlift.work.code import code_of
from motionlift.work.moved import found_lines
from motionlift.work.prepare import Job, ask, aspect_of, check_stages
from motionlift.work.record import Costs

LOG = logging.getLogger(__name__)
LONGEST_SIDE = 512
"""Longest side, in pixels, at which a reference is read for optical flow (ours)."""
MOST_WIDE = 1025 * LONGEST_SIDE**2
"""Most pixels of a reference that is read so (ours: those of the longest one that was read before there were windows)."""
MOST_PREVIEWS = 100
"""Most videos that are sampled while tuning (ours)."""

Referred = str | Path | Clip | Frames
"""A reference: a video file, a clip, or frames in memory."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Lifting:
    """How a reference is lifted, beside what the job says."""

    cached: bool = True
    """Use and fill the cache."""
    folder: Path | None = None
    """Where a tuning run is kept."""
    previews: int = 0
    """Videos that are sampled while tuning."""
    slower: int = 1
    """By what the rate is divided for reading."""
    fit: str | None = None
    """How frames are brought to the model's shape; by default as the preset says."""
    every_frame: bool | None = None
    """Whether frames are taken as they come, whatever their rate; by default as the preset says."""
    fps: float | None = None
    """Frames a second at which it is read by time, and which the video has; by default the model's own. Of a folder of pictures,
    which say none, how many they are a second."""
    part: Part = WHOLE
    """What of it is read."""

    @classmethod
    def asked(
        cls,
        cached: bool,
        folder: str | Path | None,
        previews: Whole,
        slower: Whole,
        fit: str | None,
        every_frame: bool | None,
        fps: Rate | None,
        part: Part,
    ) -> "Lifting":
        """The same of what programs give: numbers and paths of any kind."""
        place, rate = None if folder is None else Path(folder), None if fps is None else plain(fps)
        return cls(cached, place, as_int(previews), as_int(slower), fit, every_frame, rate, part)

    def of(self, reference: str | Path | Clip) -> "Lifting":
        """The same for a reference: what is asked for of the rate of a folder is said of its pictures; a crop has its place."""
        fit = "crop" if self.fit is None and self.part.crop is not None else self.fit
        if self.fps is None or isinstance(reference, Clip) or not Path(reference).is_dir():
            return replace(self, fit=fit)
        return replace(self, fit=fit, fps=None, part=replace(self.part, rate=self.fps))

    def rate(self, model: Model) -> float:
        """Frames a second of the motion, where it is read by time."""
        return (model.about.fps if self.fps is None else float(self.fps)) / self.slower

    @property
    def by_time(self) -> bool:
        """Whether it is asked for in a way that means time."""
        return self.slower > 1 or self.fps is not None


@dataclass(frozen=True)
class Lifted:
    """A motion and the reference that it was lifted from."""

    motion: Motion
    """The motion."""
    reference: Clip
    """The reference at the model's size."""
    from_cache: bool
    """Whether the motion came from the cache."""
    stays: str = ""
    """What is kept of it apart from this, where something is, should the work that follows be stopped."""

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Say what stays of the motion where the work within, which is to write it or what it makes, is stopped.

        Raises:
            Stopped: it was, and something stays.
        """
        if not self.stays:
            yield
            return
        with staying(lambda: f"nothing was written, but {self.stays}; the same command goes on from there"):
            yield


def ignore(step: Step) -> None:
    """The progress callback of those who want none."""


def lift(
    reference: Referred,
    model: Any = DEFAULT_MODEL,
    method: str = "ditflow",
    *,
    frames: Whole | None = None,
    size: Wholes | None = None,
    settings: Mapping[str, Any] | None = None,
    cached: bool = True,
    advance: Advance = ignore,
    folder: str | Path | None = None,
    previews: Whole = 0,
    slower: Whole = 1,
    fit: str | None = None,
    every_frame: bool | None = None,
    cut_prompt: bool = False,
    fps: Rate | None = None,
    memory: str | int | None = None,
    start: float | int = 0.0,
    duration: float | int | None = None,
    crop: Sequence[float | int] | str | None = None,
    background: str | tuple[int, int, int] = GREY,
) -> Motion:
    """Lift the motion out of a reference.

    Args:
        reference: a video file, an animated picture, a folder of pictures, a clip, or frames as :meth:`motionlift.Clip.of` takes
            them. All but the last are read by time, at the model's rate where no other is given; frames have no rate of their own
            and are taken to be at that rate.
        model: what :func:`motionlift.models.loading.load` takes or gives.
        method: name of a method.
        frames: length in frames, to 10,000; the model's own by default. What is longer than the setting ``window`` is lifted in
            overlapping windows, and cast in them.
        size: width and height in pixels; the model's own by default.
        settings: the method's settings by name.
        cached: use and fill the cache of lifted motions.
        advance: called with every step.
        folder: for methods that tune, where checkpoint, losses and previews stay; by default the checkpoint lies beside the cache
            and goes when the motion is there.
        previews: how many videos are sampled into the folder while tuning.
        slower: read the reference at its rate divided by this, so that its frames cover as many times the time; frames
            between them are for a cascade to make.
        fit: how frames are brought to the model's shape: ``crop``, ``pad`` or ``stretch``; by default as the preset says, else the
            middle is cropped.
        every_frame: take the first frames as they come, whatever their rate; by default as the preset says, else by time.
        cut_prompt: cut prompts that are longer than the model's text window.
        fps: frames a second, 0.1 to 240, at which the reference is read, and which the video then has: it moves as fast as the
            reference. By default the model's own. Of a folder of pictures, how many they are a second; 24 where that is not said.
        memory: what it may use of the device, such as ``12GB``; by default what is free.
        start: seconds after the reference's first frame from which on it is read.
        duration: seconds of it that are read. Where the frames at the model's rate are too few for that, they are spread over it.
        crop: where the middle of the crop lies, as shares of width and height, or ``"motion"``: where things move. By default the
            middle.
        background: what lies behind what is transparent: the name of a colour, ``#rrggbb``, or red, green and blue of 0 to 255.

    Raises:
        MemoryShortError: it does not fit, whatever is done.
        MotionliftError: another of its kinds, for a bad reference, model, method or setting.

    Warns:
        UserWarning: the model does not know some words, or a prompt was cut.
    """
    from motionlift.work.planning import Asked, fitting_job  # which runs what is here

    check_given(advance=advance, folder=folder)
    given = referred(reference, background)
    asked = Asked(ask(method, settings), frames, size, cut_prompt=cut_prompt, aspect=aspect_of(given))
    job = fitting_job(asked, model, memory)
    warn(job)
    part = Part(start, duration, crop, background)
    how = Lifting.asked(cached, folder, previews, slower, fit, every_frame, fps, part)
    with resting(job.model):
        return lifted_alone(job, at_rate(given, fps, job.model), how, Costs(job.model, plan=job.plan), advance).motion


def referred(reference: Referred, background: str | tuple[int, int, int]) -> str | Path | Clip | Given:
    """A reference, with frames in memory as clips hold them.

    Args:
        reference: the reference.
        background: what lies behind what is transparent in frames in memory.

    Raises:
        InputError: they are no frames.
        SettingError: the background is no colour.
    """
    return reference if isinstance(reference, str | Path | Clip) else frames_of(reference, background)


def at_rate(reference: str | Path | Clip | Given, fps: Rate | None, model: Model) -> str | Path | Clip:
    """A reference, with frames in memory as a clip at the rate that is asked for, or the model's own, which a notice tells.

    Raises:
        SettingError: the rate is out of range, or no number.
    """
    if not isinstance(reference, Given):
        return reference
    rate = plain(model.about.fps if fps is None else fps)
    check_rate(rate)
    notice = f"frames in memory have no rate of their own and were taken as {rate:g} a second: Clip.of(frames, fps) says another"
    told = () if fps is not None else (notice,)
    return replace(Clip.of(reference.frames, rate), notices=(*reference.notices, *told))


def warn(*jobs: Job) -> None:
    """Tell whoever called the caller what is to be known of jobs before they are done."""
    for notice in dict.fromkeys(notice for job in jobs for notice in job.notices):
        warnings.warn(notice, stacklevel=3)


@contextmanager
def resting(model: Model) -> Iterator[None]:
    """Put the parts of a pipeline back where they were once the work is done."""
    try:
        yield
    finally:
        model.rest()


def longest_side(shape: Shape) -> int:
    """Pixels of a reference's longer side: at most :data:`LONGEST_SIDE`, of long ones less, and never less than the video's."""
    return max(min(LONGEST_SIDE, math.isqrt(MOST_WIDE // shape.frames)), shape.height, shape.width)


def read_reference(
    reference: str | Path | Clip,
    model: Model,
    shape: Shape,
    slower: int = 1,
    fit: str = "crop",
    every_frame: bool = False,
    fps: float | None = None,
    part: Part = WHOLE,
) -> Clip:
    """The reference with the frames, rate and aspect of a video, at most :data:`LONGEST_SIDE` wide or high, long ones less.

    A rate that is so many times slower takes as many times fewer frames of every second. A clip in memory is read as a file is.
    How frames are fitted, and that they are taken as they come, :meth:`motionlift.Clip.read` says. A part that lasts longer than
    the frames at the model's own rate has them spread over it, as far as the reference and the lowest rate reach.

    Raises:
        InputError: it cannot be read.
    """
    asked = Lifting(slower=slower, fps=fps)
    aspect, own = (shape.height, shape.width), asked.rate(model)
    longest = longest_side(shape)
    read = partial(
        reference.sampled if isinstance(reference, Clip) else partial(Clip.read, reference),
        frames=shape.frames,
        aspect=aspect,
        longest=longest,
        fit=fit,
        every_frame=every_frame,
        part=part,
    )
    spread = not every_frame and not asked.by_time
    if not spread or part.duration is None or shape.frames >= own * part.duration:
        return read(fps=own)
    return _covering(
        part.duration, lambda rate: read(fps=rate), partial(_seconds_of, reference, part), shape.frames, own
    )


def _covering(
    duration: float | int, read: Callable[[float], Clip], seconds: Callable[[], float], frames: int, own: float
) -> Clip:
    """A reference whose frames are spread over a duration, or over what there is of it.

    Args:
        duration: seconds, more than the frames cover at their own rate.
        read: reads it at a rate.
        seconds: gives how long it is where it is shorter.
        frames: how many there are.
        own: their own rate.
    """
    rate = max(frames / duration, RATES[0])
    clip, covered = read(rate), f"{duration:g} s"
    if rate > frames / duration:
        covered = f"{frames / rate:g} s of the {duration:g} s that are asked for, at the lowest rate"
    if clip.fps != rate:  # it ends before that
        shown = seconds()
        rate, covered = min(frames / shown, own), f"the {shown:.4g} s that there are"
        clip = read(rate)
        if rate == own:
            return clip
    told = f"{frames} frames cover {covered}, {clip.fps:.3g} a second; more --frames keep {own:g}"
    return replace(clip, notices=(*clip.notices, told))


def _seconds_of(reference: str | Path | Clip, part: Part) -> float:
    """How long a part is seen that a reference is too short for, seconds."""
    if isinstance(reference, Clip):
        return len(reference.frames) / reference.fps - part.start
    return seconds_of(existing(reference), part)


def lifted(job: Job, reference: str | Path | Clip, how: Lifting, costs: Costs, advance: Advance = ignore) -> Lifted:
    """Lift the motion of a prepared job.

    Raises:
        MotionliftError: one of its kinds.
    """
    how = how.of(reference)
    _check_lifting(job, how)
    costs.note(job.notices)
    advance = costs.logged(advance)
    model, settings = job.model, job.settings
    check_stages(job, how.rate(model))
    windows = job.windows
    with costs.phase("read"):
        wide = _read(job, reference, how)
        _check_rate(job, how, wide)
    for notice in wide.notices:
        LOG.info("note: %s", notice)
    clip = wide.resized(job.shape.height, job.shape.width)
    source = Source(wide.sha256, float(wide.fps), job.shape)
    content = _content(job, source, wide)
    name = cache.key(content)
    with costs.phase("lift"), _kept_run(job, how, content, costs) as folder:
        # A named folder is to hold the run, so that a motion that was lifted before does not serve.
        found = cache.find(name) if how.cached and how.folder is None else cache.Found(None)
        costs.note(found.notices)
        if model.about.processes > 1 and not for_all(found.motion is not None):
            found = replace(found, motion=None)  # else some would wait for others, which have nothing to do
        if found.motion is not None:
            LOG.info("this motion was lifted before and came from the cache")
            motion = replace(found.motion, model=model.about.name, settings=asdict(settings))
        else:
            motion = Motion(
                tensors=taken(job, clip.pixels(), wide, costs, advance, folder, how.previews),
                method=job.method.name,
                settings=asdict(settings),
                model=model.about.name,
                identity=model.about.identity,
                lattice=model.lattice(job.shape),
                source=source,
                version=metadata.version("motionlift"),
                fingerprint=model.about.fingerprint,
                family=model.about.family,
                windows=windows if windows.several else None,
            )
            if how.cached:
                costs.note(cache.keep(name, motion))
        if isinstance(settings, Tuned):
            LOG.info("tuned with the prompt %r", settings.tuning_prompt)
        if folder is not None and how.folder is None:
            folder.remove()
    motion = _with_what_is_known(motion, job, wide)
    costs.note(motion.notices[len(wide.notices) :])
    return Lifted(motion, clip, found.motion is not None, _staying(how, name))


def lifted_alone(
    job: Job, reference: str | Path | Clip, how: Lifting, costs: Costs, advance: Advance = ignore
) -> Lifted:
    """Lift the motion of a prepared job that ends with it; later plans know how long a pass took.

    Raises:
        MotionliftError: one of its kinds.
    """
    found = lifted(job, reference, how, costs, advance)
    if not found.from_cache:
        costs.keep(job)
    return found


def is_kept(job: Job, reference: str | Path | Clip, how: Lifting) -> bool:
    """Whether the cache has the motion that a prepared job would lift.

    Raises:
        InputError: the reference cannot be read.
    """
    wide = _read(job, reference, how.of(reference))
    return cache.holds(cache.key(_content(job, Source(wide.sha256, float(wide.fps), job.shape), wide)))


def _read(job: Job, reference: str | Path | Clip, how: Lifting) -> Clip:
    """The reference as a job has it read; what is asked for slower, or at a rate, by time, whatever a preset says."""
    every_frame = (job.every_frame and not how.by_time) if how.every_frame is None else how.every_frame
    fit = how.fit or job.fit
    return read_reference(reference, job.model, job.shape, how.slower, fit, every_frame, how.fps, how.part)


def _with_what_is_known(motion: Motion, job: Job, wide: Clip) -> Motion:
    """A motion with what is known of it beside what it is: the notices of its reference, then its own, and how both were made."""
    settings = job.settings
    noises = job.model.schedule(settings.steps, job.windows.shape).noises if settings.inversion else ()
    return replace(motion, notices=(*wide.notices, *found_lines(motion, wide)), taken=wide.taken, noises=noises)


def _staying(how: Lifting, name: str) -> str:
    """What is kept of a motion that was lifted."""
    if how.folder is not None:
        return f"what was tuned stays in {how.folder}"
    return "the lifted motion stays in the cache" if how.cached and cache.holds(name) else ""


def _check_lifting(job: Job, how: Lifting) -> None:
    """Refuse before the network runs what can be refused then."""
    check_given(cached=how.cached, folder=how.folder, previews=how.previews, fit=how.fit, every_frame=how.every_frame)
    launched()  # refuses what makes no sense now, not once the work is done
    if how.cached:
        cache.most_bytes()  # likewise
    if how.folder is not None and not isinstance(job.method, Tuner):
        raise SettingError(f"{job.method.name} tunes nothing, so that there is no run to keep in {how.folder}")
    if how.previews and how.folder is None:
        raise SettingError("previews are kept in the folder of a run; name one")
    if type(how.slower) is not int or not 1 <= how.slower <= FACTORS[1]:
        raise SettingError(f"slower is {how.slower}; allowed is a whole number from 1 to {FACTORS[1]}")
    check_part(how.part, how.fit or job.fit)
    if how.fps is not None:
        check_rate(how.fps)
        check_rate(how.rate(job.model))
    if how.every_frame and how.by_time:
        asked = f"slower is {how.slower}" if how.slower > 1 else f"fps is {how.fps:g}"
        raise SettingError(f"{asked}, which is by time, and every frame is to be taken; ask for one of them")
    if not 0 <= how.previews <= MOST_PREVIEWS:
        raise SettingError(f"previews is {how.previews}; allowed is a whole number from 0 to {MOST_PREVIEWS}")


def _check_rate(job: Job, how: Lifting, reference: Clip) -> None:
    """Refuse a reference too short or too fast for a cascade: its frames are spread over it, or taken as they come."""
    if reference.fps == how.rate(job.model):
        return
    try:
        check_stages(job, reference.fps)
    except SettingError as error:
        raise SettingError(
            f"the reference is too short or too fast for the cascade: {error}, or another reference"
        ) from error


@contextmanager
def _kept_run(job: Job, how: Lifting, content: Mapping[str, Any], costs: Costs) -> Iterator[RunFolder | None]:
    """The folder of a tuning run: the named one, or one of its own beside the cache; none where nothing is tuned or kept."""
    if not isinstance(job.method, Tuner) or not (how.folder or how.cached):
        yield None
        return
    own = json.loads(json.dumps(content))
    with ExitStack() as stack:
        if how.folder is not None:
            own["settings"]["tuning_steps"] = None  # such a run may go on for longer
            folder = stack.enter_context(run_folder.opened(how.folder, own))
        else:
            try:
                place, is_alone = cache.run_place(cache.key(content)), run_folder.processes() == 1
                folder = stack.enter_context(run_folder.opened(place, own, wait=is_alone, is_needed=False))
            except OutputError as error:  # a cache that cannot be written is no reason to fail
                costs.note([str(error)])
                folder = None
        try:
            yield folder
            costs.note([] if folder is None else folder.notices)
        except KeyboardInterrupt as stop:
            if folder is None or not folder.checkpoint.exists():
                raise
            told = f"what was tuned so far stays in {folder.path}; the same command goes on from there"
            raise Stopped(told) from stop


def taken(
    job: Job,
    pixels: Pixels,
    wide: Clip,
    costs: Costs,
    advance: Advance = ignore,
    folder: RunFolder | None = None,
    previews: int = 0,
) -> dict[str, Tensor]:
    """Encode, invert where settings ask for it before or after tuning, and take the motion, in windows where there are several.

    Args:
        job: a prepared one.
        pixels: of the reference at the model's size.
        wide: the same frames at the reader's size.
        costs: take the losses.
        advance: called with every step.
        folder: of a run that tunes, where it is kept.
        previews: how many videos are sampled into it.

    Returns:
        The tensors of the motion, in main memory.

    Raises:
        MotionliftError: one of its kinds.
    """
    model, method, settings, windows = job.model, job.method, job.settings, job.windows
    if model.about.pictures is Pictures.MUST:
        model = model.pictured(pixels[:1])
    # What is wide is cut for each window where there are several.
    given = Reference(model.codec.encode(pixels), pixels, pixels if windows.several else wide.pixels(), job.shape)
    if settings.inversion and not (isinstance(settings, Tuned) and settings.inverts_when_tuned):
        pictures = first_pictures(model, pixels, windows, job.shape)
        conditions = conditions_of(model, settings.inversion_prompt, windows, pictures)
        steps = invert(model, given.latents, conditions, settings.steps, windows.shape, windows)
        given = replace(given, trajectory=finished(steps, advance))
    if isinstance(method, Guide):
        found = finished(lifted_in(windows, method, given, wide, model, settings), advance)
    else:
        assert isinstance(method, Tuner) and isinstance(settings, Tuned)

        def logged(step: Step) -> None:
            if step.phase == "tune" and step.loss is not None:
                costs.losses.append(step.loss)
            advance(step)

        steps = tuning.tuned(model, method, settings, given, folder, previews, windows)
        found = {"latents": given.latents, **finished(steps, logged)}
    inverted = {INVERTED: given.trajectory[0]} if given.trajectory else {}
    return {name: tensor.detach().cpu() for name, tensor in {**found, **inverted}.items()}


def _content(job: Job, source: Source, wide: Clip) -> dict[str, Any]:
    """All that a lifted motion depends on."""
    several = {"processes": run_folder.processes()} if isinstance(job.method, Tuner) else {}
    about = job.model.about
    return several | {
        "source": asdict(source),
        "frames": Clip.of(wide.frames, wide.fps).sha256,  # clips of one file may be cut out of it differently
        "method": job.method.name,
        "settings": job.settings.lifting_values(),
        "model": about.fingerprint,
        "code": code_of(job.method.name, about.family),
        "version": metadata.version("motionlift"),
    }


def finished(steps: Generator[Step, None, Result], advance: Advance) -> Result:
    """Run a loop to its end, passing its steps on; returns what the loop returns."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value
            advance(step)
