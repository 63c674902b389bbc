"""Everything that is asked for, read once and refused where it can be refused: for Python, the command line and batches alike.

:func:`ask` looks at what needs no model; :func:`prepare` at the rest, and gives a job that can be lifted and cast.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

from PIL import Image

from motionlift.core.given import Whole, Wholes, as_int, as_list, came, check_given
from motionlift.core.lattice import Shape
from motionlift.core.method import AnySettings, Guide, Method, Tuner
from motionlift.core.method_settings import MOST_STRENGTH, Guided, Sampled, Tuned
from motionlift.core.model import Model, Pictures, checked_model
from motionlift.core.presets import OURS, Constants, check_published
from motionlift.core.prompts import check_prompt
from motionlift.core.schedule import Schedule
from motionlift.core.settings import read_values, unsaid, with_values
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.core.windows import Windows
from motionlift.errors import InputError, MotionError, SettingError
from motionlift.loops.adapters import check_fit as check_adapter_fit
from motionlift.loops.cascade import Stage, checked_stage
from motionlift.loops.sample import guided_steps, saved_positions, word_places
from motionlift.loops.samplers import ANCESTRAL
from motionlift.loops.tune import precision_of
from motionlift.loops.windows import windows_over
from motionlift.methods import method as method_named
from motionlift.models.loading import load
from motionlift.motion import names
from motionlift.motion.adapter import layer_of
from motionlift.motion.checking import check_block, check_held
from motionlift.motion.file import Motion
from motionlift.settings import check_choices
from motionlift.video import reading
from motionlift.video.clip import Clip
from motionlift.video.files import existing
from motionlift.video.given import Given
from motionlift.video.limits import FRAMES, SIDES
from motionlift.video.part import WHOLE, Part
from motionlift.video.picture import fitted, read_picture
from motionlift.work.foreseen import far_lines, unpaintable_lines
from motionlift.work.plan import Plan
from motionlift.work.unknown import unknown_lines

LEAST_SIGNAL = 1e-3
"""A first level with less of the signal is pure noise, as far as what of it is kept goes (ours)."""
SAME_NOISE = 0.005
"""How far shares of noise of one level may be apart and still be the same (ours: rounding is a thousandth of it)."""
SEEDS = (0, 2**63 - 1)
"""Least and greatest seed: what PyTorch's generators take."""
PROMPTS = ("source_prompt", "negative_prompt", "tuning_prompt")
"""Settings that are prompts."""


@dataclass(frozen=True)
class Request:
    """What is asked for, before a model is there."""

    method: Method[Any]
    """The method."""
    values: Mapping[str, Any]
    """Its settings that were given, each of its type."""
    prompt: str | None = None
    """What the video shows; none where a motion is lifted alone."""
    seed: int = 0
    """Seed of the starting noise."""
    picture: Clip | None = None
    """What the video begins with, one frame at its own size."""


@dataclass(frozen=True)
class Job:
    """What is to be done with a model, checked."""

    model: Model
    """A view of the model that counts this job's passes."""
    method: Method[Any]
    """The method."""
    settings: Sampled
    """Its settings."""
    shape: Shape
    """Size of the video at the model."""
    prompt: str = ""
    """What the video shows; empty where a motion is lifted alone."""
    seed: int = 0
    """Seed of the starting noise."""
    motion: Motion | None = None
    """The motion to be cast, where it was lifted before."""
    mixed: tuple[tuple[Motion, float], ...] = ()
    """Other tuned motions, whose adapters are added with a strength each."""
    stages: tuple[Stage, ...] = field(default=())
    """Stages of a cascade that the video goes through."""
    fit: str = "crop"
    """How the preset has a reference brought to that size, where nothing else is asked for."""
    every_frame: bool = False
    """Whether it has its frames taken as they come."""
    notices: tuple[str, ...] = ()
    """What was done to make prompts and picture fit, which words the model does not know, and what a preset does not say of it,
    each a plain sentence."""
    picture: Clip | None = None
    """What the video begins with, one frame of its size."""
    plan: Plan | None = None
    """What it is predicted to take, where that was planned."""

    @property
    def windows(self) -> Windows:
        """Windows over the video, one where the model sees it whole: those of the motion, or those that it will be lifted in."""
        if self.motion is None:
            return windows_over(self.model, self.shape, self.settings)
        return _windows_of(self.motion, self.model, self.shape)


def ask(
    method: str,
    values: Mapping[str, Any] | None = None,
    *,
    prompt: str | None = None,
    seed: Whole = 0,
    motion: Motion | None = None,
    called: Mapping[str, str] | None = None,
    picture: Any = None,
) -> Request:
    """Read what is asked for, and refuse what can be refused without a model.

    Args:
        method: name of the method.
        values: settings by name; strings are read as the setting's type.
        prompt: what the video shows, where one is to be made.
        seed: seed of the starting noise.
        motion: one that is to be cast, whose settings are taken where none are given.
        called: what settings are called in messages, where that is not their name.
        picture: what the video begins with: what :func:`motionlift.video.picture.read_picture` takes.

    Raises:
        InputError: an empty prompt, or a picture that cannot be read.
        MotionError: the motion lacks what its method reads.
        SettingError: an unknown method or setting, a value that is not allowed, or a bad seed.
    """
    check_given(method=method, settings=values)
    chosen, seed = method_named(method), as_int(seed)
    lifted = motion.settings if motion is not None else {}
    given = {**unsaid(chosen.Settings, lifted), **lifted, **(values or {})}
    check_choices(chosen.Settings, given, called)
    read = read_values(chosen.Settings, given, called)
    if prompt is not None:
        check_prompt(prompt)
    check_seed(seed)
    check_published(read.get("preset", OURS), chosen.name, chosen.published)
    if motion is not None:
        check_held(motion.part(0), chosen.holds, read.get("block", ()))
        if read.get("inversion"):
            _check_inverted(read.get("beta", 0), motion.tensors)
    return Request(chosen, read, prompt, seed, None if picture is None else _picture(picture))


def _picture(given: Any) -> Clip:
    """What a video begins with."""
    if not isinstance(given, str | Path | Image.Image | Clip):
        raise InputError(f"picture is {came(given)}; give a file, a picture of Pillow's, or a Clip")
    return read_picture(given)


def loaded(model: Any) -> Model:
    """A model of what :func:`motionlift.models.loading.load` takes or gives.

    Raises:
        ModelError: it is none, or lacks some of a model's words.
    """
    if isinstance(model, Model):
        return model
    if hasattr(model, "about") or hasattr(model, "predict"):  # meant as a model
        return checked_model(model)
    return load(model)


def prepare(
    request: Request,
    model: Model,
    *,
    frames: Whole | None = None,
    size: Wholes | None = None,
    motion: Motion | None = None,
    mixed: Sequence[tuple[Motion, float]] = (),
    stages: Sequence[Stage] = (),
    cut_prompt: bool = False,
    aspect: float | None = None,
    parallel: int = 1,
) -> Job:
    """A job for a model, with everything refused that can be refused before the network runs.

    Args:
        request: what is asked for.
        model: the model.
        frames: length in frames of a motion to be lifted; the model's own by default.
        size: width and height in pixels of one to be lifted; by default the model's own, or another that it was made for and that
            is nearer to the shape of the reference.
        motion: the motion to be cast; none where one is lifted first.
        mixed: other tuned motions and their strengths.
        stages: of a cascade.
        cut_prompt: cut prompts that are longer than the model's text window, and say so in the job's notices.
        aspect: width by height of the reference, where it is known.
        parallel: how many processes are to share the video's tokens, where the model is not that which they share.

    Raises:
        MotionliftError: one of its kinds.
    """
    check_given(stages=stages, mixed=mixed, cut_prompt=cut_prompt)
    stages = tuple(checked_stage(stage) for stage in stages)
    frames, size = as_int(frames), None if size is None else _sides(size)
    view = model.counted()
    notices = _left_out(view)
    if motion is not None:
        check_fit(motion, view)
        notices += _of_other_weights(motion, view)
    if cut_prompt:
        request, notices = _cut(request, view)
    if motion is None:
        preset = _Preset.of(request, view)
        notices += preset.notices
        reading = {name: preset.value(name) for name in ("fit", "every_frame") if preset.value(name) is not None}
        length = preset.value("frames") if frames is None else frames
        asked = preset.value("size") if size is None else size
        chosen = asked or nearest_size(view, aspect)
        shape = _fitting(view, length, chosen)
        if asked is None and chosen is not None:
            own = view.about.shape
            notices += (
                f"made at {shape.width}x{shape.height}, nearer to the shape of the reference than {own.width}x{own.height}: "
                f"--size {own.width}x{own.height} for that",
            )
    else:
        shape, reading = fitting_motion(motion, view), {}
    windows = None if motion is None else _windows_of(motion, view, shape)
    settings = _settled(request.method, view, request.values, shape, windows)
    windows = windows or windows_over(view, shape, settings)
    if motion is None:
        settings = _lifting(request.method, view, settings)
        if request.prompt is not None:
            _check_holding(settings, {}, view, windows.shape)
    else:
        _check_casting(request.method, motion, settings)
        _check_noises(request.method, motion, settings, view.about.name, view.schedule(settings.steps, windows.shape))
        _check_tensors(request.method, motion, settings, view, windows)
    _check_mixed(request.method, mixed, view)
    processes = max(parallel, view.about.processes)
    if processes > 1:
        _check_shared(request.method, settings, motion is not None)
        _check_shares(view, windows.shape, processes, motion is not None)
    picture = _begun_with(request, view, shape)
    if request.prompt is not None:
        _check_words(request, view, settings)
        _check_positions(request.method, view, settings, windows.shape)
    notices += _windows_told(windows, view) + _length_told(shape, view) + _noise_told(settings)
    notices += _forgotten_told(settings, view.schedule(settings.steps, windows.shape)) + _two_told(
        request.method, view, settings
    )
    job = Job(view, request.method, settings, shape, request.prompt or "", request.seed, motion, tuple(mixed), stages)
    cut = () if picture is None else picture.notices
    job = replace(job, notices=(*_painting(job), *notices, *_unknown_words(job), *cut), picture=picture, **reading)
    if motion is not None:  # the rate of a reference is settled when it is lifted, which checks them then
        check_stages(job, motion.source.fps)
    return job


def _left_out(model: Model) -> tuple[str, ...]:
    """What is to be known of adapters of others that fit the model in part."""
    about = model.about
    return tuple(
        f"{each.left_out} layers of {each.file} are not in {about.name} and were left out"
        for each in about.added
        if each.left_out
    )


def _of_other_weights(motion: Motion, model: Model) -> tuple[str, ...]:
    """What is to be known of a motion that was tuned on other weights than those it is cast with."""
    about = model.about
    if motion.fingerprint in ("", about.fingerprint) or not isinstance(method_named(motion.method), Tuner):
        return ()
    return (f"the motion was tuned on other weights than these of {about.name}, or in another precision",)


def _windows_of(motion: Motion, model: Model, shape: Shape) -> Windows:
    """The windows that a motion was lifted in, one where it was lifted whole."""
    return motion.windows or Windows.whole(model.lattice(shape).frames, shape)


def _windows_told(windows: Windows, model: Model) -> tuple[str, ...]:
    """What is to be known of a video that is made in windows."""
    if not windows.several:
        return ()
    again = ", each of which begins with the picture" if model.about.pictures is Pictures.MUST else ""
    return (f"made in {len(windows)} overlapping windows of {windows.shape.frames} frames{again}",)


def _noise_told(settings: Sampled) -> tuple[str, ...]:
    """What a strength that is less than all does not lessen: the reference's own noise, which holds some of its looks."""
    if not (isinstance(settings, Tuned) and settings.strength < 1 and settings.beta):
        return ()
    return (
        f"strength is {settings.strength:g} of what was tuned; the video begins with the reference's own noise all the same "
        f"(beta is {settings.beta:g}): --set beta=0 for none of it",
    )


def _forgotten_told(settings: Sampled, schedule: Schedule) -> tuple[str, ...]:
    """Where a sampler leaves nothing of the noise that is asked for."""
    if not (settings.beta and settings.sampler in ANCESTRAL and schedule.levels[0].signal < LEAST_SIGNAL):
        return ()
    return (
        f"sampler={settings.sampler} draws new noise in every step, and the first leaves nothing of the inverted noise that "
        f"beta={settings.beta:g} asks for: take another sampler, or beta=0",
    )


def _two_told(method: Method[Any], model: Model, settings: Sampled) -> tuple[str, ...]:
    """Where features of two networks are compared, whose channels need not mean the same."""
    if not (model.about.second_below and isinstance(method, Guide) and method.needs(settings).features):
        return ()
    return (
        f"{model.about.name} has two networks, and {method.name} compares features that the second gives of the reference with "
        "those that the first gives of the video: ditflow, motionflow and flowmotion compare none",
    )


def _length_told(shape: Shape, model: Model) -> tuple[str, ...]:
    """What is to be known of a video that is far longer than those that the model was made for."""
    return tuple(far_lines(model.about.name, model.about.shape.frames, shape.frames))


@dataclass(frozen=True)
class _Preset:
    """What the preset of a request says of a model."""

    constants: Constants
    notices: tuple[str, ...]

    @classmethod
    def of(cls, request: Request, model: Model) -> "_Preset":
        method, name, about = request.method, request.values.get("preset", OURS), model.about
        preset = method.published.get(name)
        own = () if preset is None else preset.unpublished(about.family, about.variant)
        told = (
            (f"of {about.name} the preset {name} of {method.name} has no {', '.join(own)}: the model's own hold",)
            if own
            else ()
        )
        return cls(method.constants(name, model), told)

    def value(self, name: str) -> Any:
        """A constant of reading; None where the preset has none."""
        return self.constants[name].value if name in self.constants else None


def _begun_with(request: Request, model: Model, shape: Shape) -> Clip | None:
    """The picture that a video begins with, at its size.

    Raises:
        SettingError: the model begins with none, or wants one that is not there.
    """
    about = model.about
    if request.picture is None:
        if about.pictures is Pictures.MUST and request.prompt is not None:
            raise SettingError(
                f"{about.name} makes videos that begin with a picture: give one: --picture FILE, picture of a job, in Python "
                "picture=..., on the page Begin with a picture"
            )
        return None
    picture = fitted(request.picture, shape.height, shape.width)
    model.pictured(picture.pixels())  # refuses where the model reads text alone
    return picture


def _cut(request: Request, model: Model) -> tuple[Request, tuple[str, ...]]:
    """A request whose prompts fit the model's text window, and what was cut."""
    given = {"prompt": request.prompt, **{name: request.values.get(name) for name in PROMPTS}}
    cut = {name: model.text.cut(text) for name, text in given.items() if text}
    changed = {name: text for name, text in cut.items() if text != given[name]}
    notices = tuple(f"the {name.replace('_', ' ')} was cut to {text!r}" for name, text in changed.items())
    prompt = changed.pop("prompt", request.prompt)
    return replace(request, prompt=prompt, values={**request.values, **changed}), notices


def settings_for(method: Method[AnySettings], model: Model, values: Mapping[str, Any] | None) -> AnySettings:
    """The method's defaults for a model with some values changed, checked.

    Raises:
        SettingError: an unknown name, a value that is not allowed, or something to be tuned that the model has not.
    """
    return _settled(method, model, read_values(method.Settings, values or {}), model.about.shape)


def _settled(
    method: Method[AnySettings], model: Model, read: Mapping[str, Any], shape: Shape, windows: Windows | None = None
) -> AnySettings:
    """The method's defaults for a model, or its preset, with some values changed, which were read, checked against the model.

    Those of windows are checked where there are none yet.
    """
    settings = replace(method.with_preset(read.get("preset", OURS), model, read), **read)
    blocks, about = method.blocks(settings), model.about
    if not all(0 <= number < about.blocks for number in blocks):
        raise SettingError(
            f"block {', '.join(map(str, blocks))} does not exist in {about.name}; allowed are 0 to {about.blocks - 1}"
        )
    seen = (windows or windows_over(model, shape, settings)).shape
    if isinstance(settings, Guided) and settings.target != "latents" and not model.positions(seen):
        raise SettingError(
            f"target is {settings.target!r}, but {about.name} has no positional tensors; allowed is target=latents"
        )
    if settings.beta and not settings.inversion:
        raise SettingError(f"beta is {settings.beta}, which needs the inverted noise: give inversion=true too")
    allowed = model.schedule(settings.steps, seen).samplers
    if settings.sampler not in allowed:
        raise SettingError(
            f"sampler is {settings.sampler!r}, which the schedule of {about.name} has not; allowed are {', '.join(allowed)}"
        )
    if settings.sampler in ANCESTRAL and isinstance(method, Guide) and method.needs(settings).output:
        raise SettingError(
            f"sampler is {settings.sampler!r}, which draws new noise in every step, and {method.name} follows the course of the "
            "noise that the video begins with: take another"
        )
    if isinstance(method, Tuner):
        method.plan(model, settings)
    return settings


def aspect_of(reference: str | Path | Clip | Given) -> float | None:
    """Width by height of a reference; none where it cannot be read, which reading it says."""
    if isinstance(reference, Clip | Given):
        height, width = reference.frames.shape[1:3]
        return width / height
    try:
        return reading.aspect_of(existing(reference))
    except InputError:
        return None


def nearest_size(model: Model, aspect: float | None) -> tuple[int, int] | None:
    """Width and height, of those that a model was made for, whose shape is nearest to a reference's; none where that is its own.

    Args:
        model: the model.
        aspect: width by height, where it is known.
    """
    own = model.about.shape
    if aspect is None:
        return None
    sizes = [(own.height, own.width), *model.about.sizes]
    height, width = min(sizes, key=lambda size: abs(math.log(size[1] / size[0] / aspect)))
    return None if (height, width) == sizes[0] else (width, height)


def _fitting(model: Model, frames: int | None, size: tuple[int, int] | None) -> Shape:
    """The size of a video to be made; ``size`` is width and height.

    Raises:
        SettingError: no whole number of frames, out of range, or such as the model cannot make.
    """
    if frames is not None and (type(frames) is not int or not FRAMES[0] <= frames <= FRAMES[1]):
        raise SettingError(f"frames is {str(frames)[:40]}; allowed is a whole number from {FRAMES[0]} to {FRAMES[1]}")
    if size is None:
        return model.codec.fitting(frames)
    width, height = size
    return model.codec.fitting(frames, height, width)


def _sides(size: Wholes) -> tuple[int, int]:
    """Width and height as Python's numbers.

    Raises:
        SettingError: they are no two whole numbers, or out of range.
    """
    (low, high), sides = SIDES, [as_int(side) for side in as_list(size) or ()]
    if len(sides) != 2 or not all(type(side) is int and low <= side <= high for side in sides):
        raise SettingError(
            f"size is {str(size)[:40]}; allowed are width and height, whole numbers from {low} to {high}"
        )
    return sides[0], sides[1]


def _lifting(method: Method[Any], model: Model, settings: Sampled) -> Sampled:
    """Settings to lift with, which say what prompt is tuned with, so that a cast reduces none; refuses what lifting cannot use."""
    method.check(model, settings)
    prompts = {"source": settings.source_prompt}
    if isinstance(method, Tuner) and isinstance(settings, Tuned):
        precision_of(settings, model)
        settings = replace(settings, tuning_prompt=method.caption(settings))
        prompts["tuning"] = settings.tuning_prompt
    for kind, prompt in prompts.items():
        _check_length(model, prompt, f"the {kind} prompt does not fit: ")
    return settings


def _check_length(model: Model, prompt: str, head: str = "") -> None:
    """Refuse a prompt that the model cannot read whole, unless it is cut."""
    try:
        model.text.check(prompt)
    except InputError as error:
        raise InputError(f"{head}{error}, or give --cut-prompt (in Python cut_prompt=True)") from error


def _check_words(request: Request, model: Model, settings: Sampled) -> None:
    """Refuse prompts that the model cannot read whole, and a prompt without the words that the method asks for."""
    prompt = request.prompt or ""
    _check_length(model, prompt)
    _check_length(model, settings.negative_prompt, "the negative prompt does not fit: ")
    if isinstance(request.method, Guide):
        word_places(model, request.method.needs(settings).words, prompt)


def _check_positions(method: Method[Any], model: Model, settings: Sampled, shape: Shape) -> None:
    """Refuse positions that the method is to change and cannot.

    Raises:
        SettingError: it cannot.
    """
    if isinstance(method, Guide) and method.needs(settings).positions:
        method.check_positions(model.positions(shape), model.lattice(shape))


def _check_casting(method: Method[Any], motion: Motion, settings: Sampled) -> None:
    """Refuse settings that do not go with a motion."""
    check_lifted(motion, settings)
    lifted_steps = motion.settings.get("steps", settings.steps)
    if settings.beta and settings.steps != lifted_steps:
        raise SettingError(
            f"steps is {settings.steps}, but the motion was inverted in {lifted_steps} steps, and beta asks for its noise: "
            f"lift it again with steps={settings.steps}"
        )
    _check_inverted(settings.beta, motion.tensors)
    if isinstance(settings, Guided) and settings.target == "saved" and settings.steps != lifted_steps:
        raise MotionError(
            f"the motion holds positions saved in {lifted_steps} steps, and steps is {settings.steps}, whose noise levels are "
            f"others: give steps={lifted_steps}, or make them anew with target=positions"
        )


def _check_noises(method: Method[Any], motion: Motion, settings: Sampled, name: str, schedule: Schedule) -> None:
    """Refuse noise, or maps of guided steps, that were found at other levels of noise than those of sampling.

    Args:
        method: that of the motion.
        motion: a motion; where it does not say at which levels it was inverted, nothing is refused.
        settings: of the cast.
        name: the model's.
        schedule: of the cast.

    Raises:
        MotionError: so they were, as with another shift of the model's schedule.
    """
    is_read = settings.beta or {names.MAPS, names.TEMPORAL} & {*method.holds}
    if not is_read or len(motion.noises) != len(schedule):
        return
    apart = [abs(own - other) for own, other in zip(motion.noises, schedule.noises, strict=True)]
    if max(apart, default=0.0) > SAME_NOISE:
        number = apart.index(max(apart))
        raise MotionError(
            f"the motion was inverted at other levels of noise than {name} samples at, in step {number + 1} "
            f"{motion.noises[number]:.3g} and not {schedule.noises[number]:.3g}, as with another shift of its scheduler: cast it "
            "with the scheduler that it was lifted with, or lift it again"
        )


def _check_inverted(beta: float, motion: Tensors) -> None:
    """Refuse to begin with inverted noise that a motion has not."""
    if beta and INVERTED not in motion:
        raise MotionError(f"beta is {beta}, but the motion holds no inverted noise: lift it again with inversion=true")


def _check_tensors(method: Method[Any], motion: Motion, settings: Sampled, model: Model, windows: Windows) -> None:
    """Refuse tensors that a model cannot take: of other lattices than its blocks', of other channels, positions or layers.

    Raises:
        MotionError: there is one, or one is missing.
    """
    if isinstance(method, Tuner):
        _check_adapter(method, motion, settings, model)
        return
    for number in range(len(windows)):
        _check_part(method, motion.part(number), settings, model, windows.shape)


def _check_part(method: Method[Any], tensors: Tensors, settings: Sampled, model: Model, shape: Shape) -> None:
    """Refuse tensors of a window that a model cannot take."""
    blocks = method.blocks(settings)
    check_held(tensors, method.holds, blocks)
    for word in method.holds:
        for block in blocks if names.KINDS[word].of == ("block",) else ():
            tensor, width = names.of_block(tensors, word, block), model.about.widths[block]
            name = names.field_name(word, block)
            check_block(name, tuple(tensor.shape), model.lattice(shape, block), width)
            if word == names.CHANNELS and int(tensor.max()) >= width:
                raise MotionError(
                    f"the motion holds channels to {int(tensor.max())} in {name!r}, of {width}: lift it again"
                )
    _check_holding(settings, tensors, model, shape)


def _check_adapter(method: Tuner[Any], motion: Motion, settings: Sampled, model: Model) -> None:
    """Refuse an adapter that is not of the layers that its method tunes."""
    adapter = motion.adapter()
    check_adapter_fit(model.network, adapter)
    wanted, layers = set(method.plan(model, settings).layers), {layer_of(name) for name in adapter}
    if layers != wanted:
        raise MotionError(
            f"the adapter holds {len(layers)} layers, of which {len(layers & wanted)} are among the {len(wanted)} that "
            f"{method.name} tunes of {model.about.name}: lift the motion again"
        )


def _check_holding(settings: Sampled, motion: Tensors, model: Model, shape: Shape) -> None:
    """Refuse to reuse saved positions that a motion has not; one that is about to be lifted has none.

    Raises:
        MotionError: it lacks those of a guided step, or has those of another model.
    """
    if isinstance(settings, Guided) and settings.target == "saved":
        for step in range(guided_steps(settings)):
            saved_positions(motion, step, model, shape)


def _check_shared(method: Method[Any], settings: Sampled, is_lifted: bool) -> None:
    """Refuse a method that does more than sample, where several processes are to share the tokens of a video.

    Raises:
        SettingError: it tunes, or reads or changes what goes on in the network.
    """
    able = "without --parallel (parallel= in Python)"
    if isinstance(method, Tuner) and not is_lifted:
        raise SettingError(
            f"{method.name} tunes, and processes that share a sequence cannot: lift the motion {able}, then cast it with it"
        )
    if isinstance(method, Guide):
        needs = method.needs(settings)
        if needs.blocks or needs.features or needs.inject or needs.positions:
            raise SettingError(
                f"{method.name} reads or changes attention, of which each process would see its share: do it {able}; with it go "
                "none, inverted, flowmotion with inject=false, and motions that were tuned"
            )


def _check_shares(model: Model, shape: Shape, processes: int, is_lifted: bool) -> None:
    """Refuse a video whose tokens cannot be shared evenly, as gloo needs it.

    Raises:
        SettingError: they cannot.
    """
    tokens = _tokens(model, shape)
    if tokens % processes == 0:
        return
    near = sorted(range(2, 2 * shape.frames + 8 * processes), key=lambda frames: abs(frames - shape.frames))
    fitting = (frames for frames in near if _is_even(model, replace(shape, frames=frames), processes))
    fits = next(fitting, None)
    instead = "another --size" if fits is None else f"--frames {fits}, or another --size"
    raise SettingError(
        f"{processes} processes cannot share the {tokens} tokens of {shape} evenly: "
        f"{'lift the motion again with' if is_lifted else 'take'} {instead}"
    )


def _tokens(model: Model, shape: Shape) -> int:
    lattice = model.lattice(shape)
    return lattice.frames * lattice.area


def _is_even(model: Model, shape: Shape, processes: int) -> bool:
    """Whether a model makes videos of a size, whose tokens can be shared evenly."""
    try:
        model.codec.fitting(shape.frames, shape.height, shape.width)
    except SettingError:
        return False
    return _tokens(model, shape) % processes == 0


def _check_mixed(method: Method[Any], mixed: Sequence[tuple[Motion, float]], model: Model) -> None:
    """Refuse motions that cannot be mixed with another.

    Raises:
        MotionError: one was not tuned, or on another model.
        SettingError: a strength out of range, or a method that tunes nothing.
    """
    if len(mixed) and not isinstance(method, Tuner):
        raise SettingError(f"the motion is of {method.name}, which tunes nothing; only tuned motions can be mixed")
    for pair in mixed:
        if not isinstance(pair, Sequence) or len(pair) != 2 or not isinstance(pair[0], Motion):
            raise MotionError(f"mixed holds what is {came(pair)}; give pairs of a motion and its strength")
        motion, strength = pair
        if not isinstance(strength, Real):
            raise SettingError(f"strength is {came(strength)}; allowed is a number from 0 to {MOST_STRENGTH:g}")
        tuner = method_named(motion.method)
        if not isinstance(tuner, Tuner):
            raise MotionError(
                f"a motion of {motion.method} holds no adapter; lift one with a method that tunes, such as vmc"
            )
        if motion.identity not in (model.about.identity, model.about.former_identity):
            raise MotionError(
                f"the motion was tuned on {motion.model} and does not fit {model.about.name}; mix motions of one model"
            )
        check_held(motion.tensors, tuner.holds, ())
        _check_adapter(tuner, motion, with_values(tuner.Settings(), motion.settings), model)
        if not 0 <= strength <= MOST_STRENGTH:
            raise SettingError(f"strength is {strength}; allowed is a number from 0 to {MOST_STRENGTH:g}")


def check_stages(job: Job, fps: float) -> None:
    """Refuse before long work what a stage of a cascade could not take of a video at a rate.

    Raises:
        MotionliftError: one of its kinds.
    """
    shape = job.shape
    for stage in job.stages:
        shape, fps = stage.shaped(shape, fps, job.prompt)


def _painting(job: Job) -> list[str]:
    """What is to be said of a prompt that the model cannot paint."""
    return unpaintable_lines(job.model.about.name, job.model.text.known_words(), job.prompt) if job.prompt else []


def _unknown_words(job: Job) -> list[str]:
    """A line for each prompt of a job with words that the model does not know."""
    settings = job.settings
    prompts = {"": job.prompt, " of the negative prompt": settings.negative_prompt} if job.prompt else {}
    if job.motion is None:
        prompts |= {" of the source prompt": settings.source_prompt}
        prompts |= {" of the tuning prompt": settings.tuning_prompt} if isinstance(settings, Tuned) else {}
    return unknown_lines(job.model, prompts)


def check_motion(motion: Motion) -> None:
    """Refuse what is no motion, such as the path of one.

    Raises:
        MotionError: so it is.
    """
    if not isinstance(motion, Motion):
        raise MotionError(
            f"motion is {came(motion)}; give what motionlift.lift gave, or motionlift.Motion.load(path) of its file"
        )


def check_reference(path: str | Path, part: Part = WHOLE) -> None:
    """Refuse what is plainly no video before a model is loaded, by decoding the first two frames of the part that is read.

    Raises:
        InputError: it cannot be read, or holds one frame only.
    """
    reading.check_moves(path, part)


def check_seed(seed: int) -> None:
    """Refuse a seed that PyTorch does not take.

    Raises:
        SettingError: it is no whole number, or out of range.
    """
    if type(seed) is not int or not SEEDS[0] <= seed <= SEEDS[1]:
        raise SettingError(f"seed is {str(seed)[:40]}; allowed is a whole number from {SEEDS[0]} to {SEEDS[1]}")


def check_fit(motion: Motion, model: Model) -> None:
    """Refuse a motion that is not for this model.

    Raises:
        MotionError: another model, another lattice, or no latents.
    """
    about = model.about
    if motion.identity not in (about.identity, about.former_identity):
        raise MotionError(
            f"the motion was lifted with {motion.model} (lattice {motion.lattice}) and does not fit {about.name}: "
            "cast it with that model, or lift it again with this one"
        )
    shape = fitting_motion(motion, model)
    lattice, latents = model.lattice(shape), motion.tensors.get("latents")
    if lattice != motion.lattice:
        raise MotionError(f"the motion has the lattice {motion.lattice} and {about.name} {lattice}: lift it again")
    if latents is None or tuple(latents.shape) != model.codec.latent_shape(shape):
        raise MotionError(f"the motion does not hold the latents of {shape} that {about.name} needs: lift it again")


def fitting_motion(motion: Motion, model: Model) -> Shape:
    """The size at which a model casts a motion: that at which it was lifted.

    Raises:
        SettingError: the model cannot make it.
    """
    shape = motion.source.shape
    return model.codec.fitting(shape.frames, shape.height, shape.width)


def check_castable(request: Request, motion: Motion) -> None:
    """Refuse settings that do not go with a motion, as far as no model is needed to say so.

    Raises:
        MotionError: they ask for what the motion does not hold.
        SettingError: they change what was settled when it was lifted.
    """
    _check_casting(request.method, motion, replace(request.method.Settings(), **request.values))


def settled_steps(method: str, lifted: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> int | None:
    """In how many steps a motion is cast, where that was settled when it was lifted; none where any number will do.

    Args:
        method: of the motion.
        lifted: settings of the motion.
        values: settings to change from those.

    Raises:
        SettingError: an unknown method or setting, or a value that is not allowed.
    """
    kind = method_named(method).Settings
    settings = with_values(kind(), {**lifted, **(values or {})})
    is_lifted = any(item.name == "steps" and item.metadata["when"] == "lift" for item in fields(kind))
    is_saved = isinstance(settings, Guided) and settings.target == "saved"
    return lifted.get("steps", settings.steps) if is_lifted or settings.beta or is_saved else None


def check_lifted(motion: Motion, settings: Sampled) -> None:
    """Refuse to change what was settled when the motion was lifted, with settings that came later at their defaults."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        lifted = motion.settings.get(item.name, item.default if item.metadata["later"] else value)
        if item.metadata["when"] == "lift" and lifted != value:
            raise SettingError(
                f"{item.name} is {value!r}, but the motion was lifted with {lifted!r}: lift it again with {item.name}={value}"
            )
