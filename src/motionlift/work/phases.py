"""What every phase of a job takes: the job is run on a model without weights, by the same code, and what it makes is counted."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast

import torch
from torch import Tensor

from motionlift.core.cost import Passes, Step, all_of
from motionlift.core.lattice import Shape
from motionlift.core.method_settings import Guided, Sampled, Tuned
from motionlift.core.model import Codec, Model, Text
from motionlift.core.tensors import Latents, Pixels
from motionlift.core.windows import Windows
from motionlift.loops import sample
from motionlift.loops.sample import guided_steps
from motionlift.models.counting import META, Count
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.work.cast import casting_of
from motionlift.work.lift import finished, longest_side, taken
from motionlift.work.prepare import Job
from motionlift.work.record import Costs

PHASES = ("text", "encode", "invert", "lift", "tune", "guide", "sample", "decode")
"""Phases in the order in which they come."""
CASTING = ("guide", "sample", "decode")
"""Those in which a motion is there that was lifted."""
LIFTED = {"steps": 4, "share": 0.5, "tuning_steps": 2}
"""Settings of the run in which a motion is lifted: enough steps to see what each leaves behind (ours)."""
CAST = {"steps": 2, "share": 0.5, "inner": 2}
"""Settings of the run in which it is cast: a guided step, whose second inner step has the optimiser's state, and one without."""
FEW_WINDOWS = (3, 4)
"""Of a video of more windows than the second, so many are run, and what one more takes is counted for all others (ours: each
takes as long to run as a video of one, seconds of a large model, and there may be hundreds). From the third on all are alike: an
autoencoder may code the first frame alone."""


GROWING = ("invert", "lift")
"""Phases whose steps leave something behind each."""


@dataclass(frozen=True)
class Coding:
    """What a video or its latents took to be coded."""

    peak: int
    """Most bytes beside what was held before."""
    shape: torch.Size
    """Of what came of it."""
    kind: torch.dtype
    """Of its numbers."""


Codings = dict[tuple[object, ...], Coding]
"""By what is coded and how, of one model."""


@dataclass
class Stretches:
    """Peaks by phase: prompts and autoencoder say when they are at work, and all else goes by the step that ends it."""

    count: Count
    passes: Passes
    """Of the model's view that is watched."""
    is_exact: bool = False
    """Whether what waits in circles to be collected, more after one step and less after another, is none of what a step leaves: it
    is collected, which takes longer than a step of a tiny model."""
    codings: Codings = field(default_factory=dict)
    """Those that are known: what is coded once more in the same way is not run again."""
    peaks: dict[str, int] = field(default_factory=dict)
    """Most bytes of tensors beyond the weights, by phase."""
    left: dict[str, list[int]] = field(default_factory=dict)
    """Bytes that were held after each step, by phase."""
    ran: dict[str, list[Passes]] = field(default_factory=dict)
    """Passes of each step, by phase."""
    _before: Passes = field(default_factory=Passes)
    _open: int = 0
    _last: str = ""

    def __post_init__(self) -> None:
        self.count.again()

    def _close(self) -> int:
        peak = max(self._open, self.count.peak)
        self.count.again()
        self._open = 0
        return peak

    def _take(self, phase: str, peak: int) -> None:
        self.peaks[phase] = max(self.peaks.get(phase, 0), peak)

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """What is done within is of a phase."""
        before = self._close()
        try:
            yield
        finally:
            self._take(phase, self._close())
            self._open = before

    def advance(self, step: Step) -> None:
        """All since the last step is of this one's phase."""
        self._last = step.phase
        self._take(step.phase, self._close())
        if self.is_exact and step.phase in GROWING and step.index >= step.total - 2:
            gc.collect()
        self.left.setdefault(step.phase, []).append(self.count.live)
        now = replace(self.passes)
        self.ran.setdefault(step.phase, []).append(now.since(self._before))
        self._before = now

    def end(self) -> None:
        """What comes after a loop's last step is of its phase too."""
        peak = self._close()
        if self._last:
            self._take(self._last, peak)
        self._last = ""

    def growth(self, phase: str) -> int:
        """Bytes that one more step of a phase leaves behind."""
        left = self.left.get(phase, [])
        return max(0, left[-1] - left[-2]) if len(left) > 1 else 0


@dataclass(frozen=True)
class _Text:
    """A model's text encoder that says when it is at work."""

    own: Text
    stretches: Stretches

    def encode(self, prompt: str, shape: Shape | None = None) -> Any:
        with self.stretches.of("text"):
            return self.own.encode(prompt, shape)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


@dataclass(frozen=True)
class _Codec:
    """A model's autoencoder that says when it is at work."""

    own: Codec
    stretches: Stretches
    in_parts: bool
    """Whether it works in parts."""

    def encode(self, pixels: Pixels) -> Latents:
        return self._coded("encode", self.own.encode, pixels)

    def decode(self, latents: Latents) -> Pixels:
        return self._coded("decode", self.own.decode, latents)

    def decoded(self, latents: Latents) -> Pixels:
        return self._coded("decode", self.own.decoded, latents)

    def _coded(self, phase: str, call: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """What comes of a call; of what has no values it may be known already."""
        count, known = self.stretches.count, self.stretches.codings
        key = (call.__name__, self.in_parts, given.shape, given.dtype)
        with self.stretches.of(phase):
            before = count.live
            if key in known:
                count.peak = max(count.peak, before + known[key].peak)
                return torch.empty(known[key].shape, dtype=known[key].kind, device=META)
            made = call(given)
            if made.device == META:
                known[key] = Coding(count.peak - before, made.shape, made.dtype)
            return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def _watched(model: Model, stretches: Stretches) -> Model:
    """A view of a model whose prompts and autoencoder say when they are at work."""
    pictured = model.pictured
    view = model.counted()
    view.passes = stretches.passes
    view.text = cast(Text, _Text(model.text, stretches))
    view.codec = cast(Codec, _Codec(model.codec, stretches, model.about.measures.parts))

    def shown(picture: Pixels) -> Model:
        with stretches.of("text"):
            return _watched(pictured(picture), stretches)

    view.pictured = shown
    return view


def _shortened(settings: Sampled, few: Mapping[str, Any]) -> Sampled:
    """Settings of a run of few steps, as many of which are guided as there are in the whole: none, some, or all."""
    known = {name: value for name, value in few.items() if hasattr(settings, name)}
    for name in ("steps", "inner", "tuning_steps"):
        if name in known:
            known[name] = min(known[name], getattr(settings, name))
    if isinstance(settings, Guided):
        guided = guided_steps(settings)
        known["share"] = 0.0 if not guided else 1.0 if guided == settings.steps else few["share"]
    if isinstance(settings, Tuned) and settings.precision == "fp16":
        known["precision"] = "bf16"  # as large, and every machine has it
    return replace(settings, **known)


@dataclass(frozen=True)
class Taken:
    """What a job takes."""

    peaks: Mapping[str, int]
    """Most bytes of tensors beyond the weights, by phase."""
    passes: Passes
    """Passes of the network."""


@dataclass(frozen=True)
class _InFew(Job):
    """A job in the first windows of its video."""

    first: int = 1
    """How many."""

    @property
    def windows(self) -> Windows:
        """Those."""
        own = super().windows
        return replace(own, starts=own.starts[: self.first])


def phases(
    job: Job,
    count: Count,
    is_main: bool,
    wide: tuple[int, int] | None = None,
    codings: Codings | None = None,
) -> Taken:
    """What a job takes by phase.

    Args:
        job: prepared on a model without weights; with a motion where one is cast, and without a prompt where one is lifted alone.
        count: of the meta device.
        is_main: whether that stands for main memory.
        wide: height and width at which a reference is read; by default the most that they can be.
        codings: what is known of the model's autoencoder; what is seen of it is added.
    """
    codings = {} if codings is None else codings
    windows = len(job.windows)
    if windows <= FEW_WINDOWS[1]:
        return _run(job, count, is_main, wide, codings)
    given = {item.name: getattr(job, item.name) for item in fields(Job)}
    fewer, more = (_InFew(**given, first=first) for first in FEW_WINDOWS)
    before = _collected(count)
    runs = [_run(fewer, count, is_main, wide, codings)]
    if _collected(count) > before:  # prompts and tables are remembered from now on, and are none of what a window takes
        runs.append(_run(fewer, count, is_main, wide, codings))
        _collected(count)
    runs.append(_run(more, count, is_main, wide, codings))
    return _in_all(runs, windows)


def _collected(count: Count) -> int:
    """Bytes that are held once what was left in circles is gone: in the difference of two runs it would count."""
    gc.collect()
    return count.live


def _in_all(runs: Sequence[Taken], windows: int) -> Taken:
    """What a video takes in all its windows, by what it takes in few of them: each one more takes the same again.

    Args:
        runs: in as many as the first of :data:`FEW_WINDOWS` says, once or twice, and then in as many as the second.
        windows: how many there are.
    """
    fewer, more = runs[-2:]
    between, others = FEW_WINDOWS[1] - FEW_WINDOWS[0], windows - FEW_WINDOWS[1]

    def peak(name: str) -> int:
        own = [each.peaks.get(name, 0) for each in runs]
        return max(own) + max(0, own[-1] - own[-2]) * others // between

    each = more.passes.since(fewer.passes)
    added = Passes(each.forward * others // between, each.backward * others // between, each.work * others / between)
    return Taken({name: peak(name) for name in runs[0].peaks}, all_of([more.passes, added]))


def _run(job: Job, count: Count, is_main: bool, wide: tuple[int, int] | None, codings: Codings) -> Taken:
    """What a job takes in all windows that it has."""
    stretches = Stretches(count, Passes(), is_exact=True, codings=codings)
    job = replace(job, model=_watched(job.model, stretches))
    beside: Mapping[str, int] = {}
    if job.motion is None:
        motion, beside = _lifted(job, stretches, is_main, wide)
    else:
        motion = replace(job.motion, windows=job.windows if job.windows.several else None)
    if job.prompt:
        _cast(job, motion, stretches)
    peaks = {name: stretches.peaks[name] + beside.get(name, 0) for name in PHASES if name in stretches.peaks}
    return Taken(peaks, _all_passes(job.settings, stretches.ran, len(job.windows)))


def _all_passes(settings: Sampled, ran: Mapping[str, list[Passes]], windows: int) -> Passes:
    """Passes of the whole job by those of the steps that were run.

    Args:
        settings: of the whole job.
        ran: passes of each step, by phase.
        windows: how many there are. A motion is lifted in one after the other; all other steps are of all of them.
    """
    guided = guided_steps(settings)
    inner = guided * max(0, settings.inner - 1) if isinstance(settings, Guided) else 0
    by_step = len(ran.get("lift", ())) > windows
    steps = {  # first ones and later ones: guided steps begin with the reference, and are sampled before those that are not
        "invert": (1, settings.steps - 1),
        "lift": (windows, windows * (guided - 1) if by_step else 0),
        "tune": (1, settings.tuning_steps - 1 if isinstance(settings, Tuned) else 0),
        "guide": (guided, inner),
        "sample": (guided, settings.steps - guided),
    }
    total = Passes()
    for phase, passes in ran.items():
        for own, times in zip((passes[0], passes[-1]), steps[phase], strict=True):
            total = all_of([total, Passes(own.forward * times, own.backward * times, own.work * times)])
    return total


def _lifted(
    job: Job, stretches: Stretches, is_main: bool, wide: tuple[int, int] | None
) -> tuple[Motion, Mapping[str, int]]:
    """Lift a motion in few steps; gives it, and by phase what more steps would leave behind."""
    few = _short_job(job, LIFTED, stretches)
    tensors = taken(few, *_frames(job.shape, is_main, wide), Costs(job.model), stretches.advance)
    stretches.end()
    beside = _left_unrun(stretches, job, few, is_main)
    about = job.model.about
    motion = Motion(
        tensors=tensors,
        method=job.method.name,
        settings=asdict(few.settings),
        model=about.name,
        identity=about.identity,
        lattice=job.model.lattice(job.shape),
        source=Source("", about.fps, job.shape),
        version="",
        family=about.family,
        windows=few.windows if few.windows.several else None,
    )
    return motion, beside


def _left_unrun(stretches: Stretches, job: Job, few: Job, is_main: bool) -> dict[str, int]:
    """Bytes that are held in each phase beside its peak, of the steps of lifting that were not run."""
    windows, steps = len(job.windows), job.settings.steps - few.settings.steps
    inverted = stretches.growth("invert") * max(0, steps)
    more = max(0, guided_steps(job.settings) - guided_steps(few.settings))
    is_by_step = len(stretches.left.get("lift", ())) > windows
    lifted = stretches.growth("lift") * more if is_by_step else 0
    before = lifted * (windows - 1) if is_main else 0  # what was lifted in the windows before waits in main memory
    is_after = isinstance(job.settings, Tuned) and job.settings.inverts_when_tuned
    lifting = {
        "invert": inverted,
        "lift": inverted + before + 2 * lifted,  # each step's, and all of them as one
        "tune": 0 if is_after else inverted,
    }
    return lifting | dict.fromkeys(CASTING, before + lifted if is_main else 0)


def _short_job(job: Job, values: Mapping[str, Any], stretches: Stretches) -> Job:
    """A job of few steps, whose levels are known, as those of the whole one are when its work begins."""
    few = replace(job, settings=_shortened(job.settings, values))
    with stretches.of("text"):
        few.model.schedule(few.settings.steps, few.windows.shape)
    return few


def _frames(shape: Shape, is_main: bool, wide: tuple[int, int] | None) -> tuple[Pixels, Clip]:
    """The reference at the model's size, and at the reader's; both lie in main memory, which is not counted for a device."""
    larger = longest_side(shape) / max(shape.height, shape.width)
    height, width = wide or (round(shape.height * larger), round(shape.width * larger))
    size = shape.frames, 3, shape.height, shape.width
    own = torch.empty(size, device=META) if is_main else torch.zeros(()).expand(size)
    return own, _Wide(_without_values((shape.frames, height, width, 3), torch.uint8, is_main), 1.0, "", is_main=is_main)


def _without_values(size: Sequence[int], kind: torch.dtype, is_counted: bool) -> torch.Tensor:
    """A tensor without values; of one that is not counted it is one place over and over."""
    return torch.empty(size if is_counted else (), dtype=kind, device=META).expand(*size)


@dataclass(frozen=True)
class _Wide(Clip):
    """A reference at the reader's size, without values, whose pixels lie where its frames do."""

    is_main: bool = True

    def pixels(self) -> Pixels:
        if self.is_main:
            return super().pixels()
        return _without_values(self.frames.permute(0, 3, 1, 2).shape, torch.float32, is_counted=False)


def _cast(job: Job, motion: Motion, stretches: Stretches) -> None:
    """Cast a motion in few steps, and decode."""
    few = replace(_short_job(job, CAST, stretches), motion=motion)
    model = few.model if job.picture is None else few.model.pictured(job.picture.pixels())
    result = finished(sample.cast(casting_of(few, model, motion)), stretches.advance)
    stretches.end()
    model.codec.decoded(result.latents)
