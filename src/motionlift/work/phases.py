"""What every phase of a job takes: the job is run on a model without weights, by the same code, and what it makes is counted."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import torch

from motionlift.core.cost import Passes, Step, all_of
from motionlift.core.lattice import Shape
from motionlift.core.method_settings import Guided, Sampled, Tuned
from motionlift.core.model import Codec, Model, Text
from motionlift.core.tensors import Latents, Pixels
from motionlift.loops import sample
from motionlift.loops.sample import guided_steps
from motionlift.models.counting import META, Count
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.work.cast import casting_of
from motionlift.work.lift import LONGEST_SIDE, finished, taken
from motionlift.work.prepare import Job
from motionlift.work.record import Costs

PHASES = ("text", "encode", "invert", "lift", "tune", "guide", "sample", "decode")
"""Phases in the order in which they come."""
LIFTED = {"steps": 4, "share": 0.5, "tuning_steps": 2}
"""Settings of the run in which a motion is lifted: enough steps to see what each leaves behind (ours)."""
CAST = {"steps": 2, "share": 0.5, "inner": 2}
"""Settings of the run in which it is cast: a guided step, whose second inner step has the optimiser's state, and one without."""


@dataclass
class Stretches:
    """Peaks by phase: prompts and autoencoder say when they are at work, and all else goes by the step that ends it."""

    count: Count
    passes: Passes
    """Of the model's view that is watched."""
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

    def encode(self, pixels: Pixels) -> Latents:
        with self.stretches.of("encode"):
            return self.own.encode(pixels)

    def decode(self, latents: Latents) -> Pixels:
        with self.stretches.of("decode"):
            return self.own.decode(latents)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)


def _watched(model: Model, stretches: Stretches) -> Model:
    """A view of a model whose prompts and autoencoder say when they are at work."""
    pictured = model.pictured
    view = model.counted()
    view.passes = stretches.passes
    view.text = cast(Text, _Text(model.text, stretches))
    view.codec = cast(Codec, _Codec(model.codec, stretches))

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


def phases(job: Job, count: Count, is_main: bool, wide: tuple[int, int] | None = None) -> Taken:
    """What a job takes by phase.

    Args:
        job: prepared on a model without weights; with a motion where one is cast, and without a prompt where one is lifted alone.
        count: of the meta device.
        is_main: whether that stands for main memory.
        wide: height and width at which a reference is read; by default the most that they can be.
    """
    stretches = Stretches(count, Passes())
    job = replace(job, model=_watched(job.model, stretches))
    motion = _lifted(job, stretches, is_main, wide) if job.motion is None else job.motion
    if job.prompt:
        _cast(job, motion, stretches)
    peaks = {name: stretches.peaks[name] for name in PHASES if name in stretches.peaks}
    return Taken(peaks, _all_passes(job.settings, stretches.ran))


def _all_passes(settings: Sampled, ran: Mapping[str, list[Passes]]) -> Passes:
    """Passes of the whole job by those of the steps that were run."""
    guided = guided_steps(settings)
    inner = guided * max(0, settings.inner - 1) if isinstance(settings, Guided) else 0
    steps = {  # first ones and later ones: guided steps begin with the reference, and are sampled before those that are not
        "invert": (1, settings.steps - 1),
        "lift": (1, guided - 1 if len(ran.get("lift", ())) > 1 else 0),
        "tune": (1, settings.tuning_steps - 1 if isinstance(settings, Tuned) else 0),
        "guide": (guided, inner),
        "sample": (guided, settings.steps - guided),
    }
    total = Passes()
    for phase, passes in ran.items():
        for own, times in zip((passes[0], passes[-1]), steps[phase], strict=True):
            total = all_of([total, Passes(own.forward * times, own.backward * times, own.work * times)])
    return total


def _lifted(job: Job, stretches: Stretches, is_main: bool, wide: tuple[int, int] | None) -> Motion:
    """Lift a motion in few steps; what more steps would leave behind is counted."""
    few = _short_job(job, LIFTED, stretches)
    tensors = taken(
        few, *_frames(job.shape, None if is_main else stretches.count, wide), Costs(job.model), stretches.advance
    )
    stretches.end()
    peaks, held = stretches.peaks, 0
    if "invert" in peaks:
        held = stretches.growth("invert") * max(0, job.settings.steps - few.settings.steps)
    more = guided_steps(job.settings) - guided_steps(few.settings)
    for phase, steps in {
        "invert": 0,
        "lift": 2 * max(0, more),
        "tune": 0,
    }.items():  # the steps' own, and all of them as one
        if phase in peaks:
            is_before = phase == "tune" and isinstance(job.settings, Tuned) and job.settings.inverts_when_tuned
            peaks[phase] += (0 if is_before else held) + stretches.growth(phase) * steps
    about = job.model.about
    return Motion(
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


def _short_job(job: Job, values: Mapping[str, Any], stretches: Stretches) -> Job:
    """A job of few steps, whose levels are known, as those of the whole one are when its work begins."""
    few = replace(job, settings=_shortened(job.settings, values))
    with stretches.of("text"):
        few.model.schedule(few.settings.steps, few.windows.shape)
    return few


def _frames(shape: Shape, apart: Count | None, wide: tuple[int, int] | None) -> tuple[Pixels, Clip]:
    """The reference at the model's size, and at the reader's; both lie in main memory, apart from a device that is counted."""
    longest = max(LONGEST_SIDE, shape.height, shape.width) / max(shape.height, shape.width)
    height, width = wide or (round(shape.height * longest), round(shape.width * longest))
    size = shape.frames, 3, shape.height, shape.width
    own = torch.empty(size, device=META) if apart is None else torch.zeros(()).expand(size)
    frames = torch.empty(shape.frames, height, width, 3, dtype=torch.uint8, device=META)
    if apart is not None:
        apart.leave_out([frames])
    return own, _Wide(frames, 1.0, "", apart=apart)


@dataclass(frozen=True)
class _Wide(Clip):
    """A reference at the reader's size, without values, whose pixels lie where its frames do."""

    apart: Count | None = None

    def pixels(self) -> Pixels:
        made = torch.empty(self.frames.permute(0, 3, 1, 2).shape, device=META)
        if self.apart is not None:
            self.apart.leave_out([made])
        return made


def _cast(job: Job, motion: Motion, stretches: Stretches) -> None:
    """Cast a motion in few steps, and decode."""
    few = replace(_short_job(job, CAST, stretches), motion=motion)
    model = few.model if job.picture is None else few.model.pictured(job.picture.pixels())
    result = finished(sample.cast(casting_of(few, model, motion)), stretches.advance)
    stretches.end()
    model.codec.decode(result.latents)
