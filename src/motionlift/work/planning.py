"""Plan a job before work: what each phase takes, and the least measures with which all of them fit.

The job is run on a model without weights (:mod:`motionlift.work.phases`), with no measure first, and then with one more after the
other, in the order of their price.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from motionlift.core.memory import Measures, Weights
from motionlift.core.model import Model
from motionlift.errors import MemoryShortError, ModelError, MotionliftError, SettingError
from motionlift.loops.cascade import Stage
from motionlift.methods import method as method_named
from motionlift.models.blank import blank, blank_of
from motionlift.models.counting import Count, counting
from motionlift.models.loading import check_parallel, device_named, load
from motionlift.models.lora_files import LoraFile
from motionlift.models.parallel import check_same
from motionlift.models.precision import AUTO
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import joined_sources
from motionlift.motion.file import Motion
from motionlift.work import measured
from motionlift.work.memory import Room, room, told
from motionlift.work.phases import Taken, phases
from motionlift.work.plan import Phase, Plan
from motionlift.work.prepare import Job, Request, loaded, prepare

USES: Mapping[str, tuple[str, ...]] = {
    "one_by_one": ("guide", "sample"),
    "parts": ("encode", "decode"),
    "recomputed": ("tune", "guide"),
}
"""The phases in which a measure may help, of those that do not help in all."""
BY_VIEW = tuple(USES)
"""Measures that a view of a model can choose."""
SMALL = 2**28
"""Bytes of weights below which a model is loaded before its job is planned, if it is at all (ours: loaded in a second)."""
MOST_PER_PIXEL = 2**14
"""Bytes for each pixel of a video that no phase of a published model takes as many of (ours: decoding with CogVideoX takes 7 KiB,
guidance with Wan 14B 6 KiB), below which nothing is planned."""
GRADIENTS = ("tune", "guide", "lift", "invert")
"""Phases that another method may do without, or do with less."""
LESS = (1.0, 0.8, 0.5)
"""Where nothing fits: shares, of what a video may take by its pixels, that are planned one after the other (ours)."""


@dataclass(frozen=True)
class Asked:
    """How a job is made on a model."""

    request: Request
    """What is asked for."""
    frames: int | None = None
    """As of :func:`motionlift.work.prepare.prepare`, as are the others."""
    size: tuple[int, int] | None = None
    motion: Motion | None = None
    mixed: Sequence[tuple[Motion, float]] = ()
    stages: Callable[[Model], Sequence[Stage]] = lambda _: ()
    """Gives the stages of a cascade, which are not planned, of the model."""
    cut_prompt: bool = False
    aspect: float | None = None
    parallel: int = 1
    """How many processes share the video's tokens in passes for sampling, as :func:`motionlift.models.loading.load` has it. That is
    not in a plan, which is that of one process alone."""

    def job(self, model: Model) -> Job:
        """The job on a model.

        Raises:
            MotionliftError: one of its kinds.
        """
        return prepare(
            self.request,
            model,
            frames=self.frames,
            size=self.size,
            motion=self.motion,
            mixed=self.mixed,
            stages=self.stages(model),
            cut_prompt=self.cut_prompt,
            aspect=self.aspect,
            parallel=self.parallel,
        )


def fitting_job(
    asked: Asked,
    model: Any,
    memory: str | int | None = None,
    device: str = "auto",
    loras: Sequence[str | Path | LoraFile] = (),
    dtype: str = AUTO,
    compiled: bool = False,
    tell: Callable[[Sequence[str]], None] = lambda lines: None,
) -> Job:
    """A job on a model that is loaded with what it takes to fit; its plan is with it, where it was planned.

    Nothing is planned where a model is small and the memory plenty. Where nobody said what may be used, and planning fails, it is
    done without, and a notice says so.

    Args:
        asked: the job.
        model: what :func:`motionlift.models.loading.load` takes or gives.
        memory: what it may use of the device, such as ``12GB``; by default what is free.
        device: of a model that is given by its name.
        loras: adapters of such a model.
        dtype: what such a model computes with.
        compiled: whether such a model samples compiled. That is not in the plan.
        tell: called with what is to be known of the job, where it is known before weights are read.

    Raises:
        MemoryShortError: it does not fit, whatever is done.
        MotionliftError: another of its kinds.
    """
    if not isinstance(model, str | Path):
        own = loaded(model)
        return _together(_on_loaded(asked, own, room(own.about.device, memory, _held(own))))
    check_parallel(str(model), device_named(device), asked.parallel, compiled)
    read = partial(load, model, device, loras, dtype, compiled=compiled, parallel=asked.parallel)
    space = room(device_named(device), memory)
    if _weights_of(str(model)) <= SMALL:
        return _together(_on_loaded(asked, read(), space))
    try:
        plan = planned(asked, str(model), space, dtype)
    except MemoryShortError:
        raise
    except Exception as error:
        if space.asked or isinstance(error, MotionliftError):
            raise
        return _together(_unplanned(asked.job(read()), error))
    tell(plan.before)
    return _together(_with(asked.job(read(measures=plan.measures)), plan))


def fitting_jobs(asked: Sequence[Asked], model: Any, memory: str | int | None = None) -> list[Job]:
    """Jobs of one model that differ by prompt and seed alone: planned once, by the first.

    Raises:
        MotionliftError: as :func:`fitting_job`.
    """
    first = fitting_job(asked[0], model, memory)
    others = [each.job(first.model) for each in asked[1:]]
    return [first, *(others if first.plan is None else [_with(job, first.plan) for job in others])]


def pace_key(job: Job) -> str:
    """Under which seconds of a pass are kept of a job, planned or not."""
    about = job.model.about
    return measured.seconds_key(room(about.device).name, about.identity, job.shape)


def kind_named(device: str) -> torch.device:
    """A device by its name, which need not be here; ``auto`` is one that is.

    Raises:
        SettingError: there is no such kind of device.
    """
    try:
        place = torch.device(device)
    except RuntimeError:
        return device_named(device)
    return place if place.type == "cuda" and not torch.cuda.is_available() else device_named(device)


def _together(job: Job) -> Job:
    """A job of which all processes that share it have the same.

    Raises:
        SettingError: another process has another model, or takes other measures.
    """
    about = job.model.about
    if about.processes > 1:
        measures = ", ".join(about.measures.taken) or "no measures"
        check_same(f"{about.name} {about.fingerprint[:12]} in {about.dtype} at {job.shape} with {measures}")
    return job


def _with(job: Job, plan: Plan) -> Job:
    return replace(job, plan=plan, notices=(*job.notices, *plan.notices))


def _unplanned(job: Job, error: Exception) -> Job:
    """A job that could not be planned, which says so."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
    return replace(job, notices=(*job.notices, f"what it takes of memory could not be predicted ({reason})"))


def _on_loaded(asked: Asked, model: Model, space: Room) -> Job:
    """A job on a model that is there, in a view of it that fits."""
    job = asked.job(model)
    if not isinstance(model, PipelineModel) or _is_plenty(job, space):
        return job
    try:
        plan = _Planner(lambda: blank_of(model), asked, space, model.about.measures).plan()
    except MotionliftError:
        raise
    except Exception as error:
        if space.asked:
            raise _unpredicted(model.about.name, error) from error
        return _unplanned(job, error)
    return _with(asked.job(model.saving(plan.measures)), plan)


def _is_plenty(job: Job, space: Room) -> bool:
    """Whether there is far more memory than a job can need."""
    shape = job.shape
    most = 4 * _held(job.model) + MOST_PER_PIXEL * shape.frames * shape.height * shape.width
    return 2 * most <= space.bytes


def _held(model: Model) -> int:
    """Bytes of the weights of a model."""
    parts = model.held.values() if isinstance(model, PipelineModel) else ([model.network],)
    return sum(_size(part) for own in parts for part in own)


def _weights_of(name: str) -> int:
    """Bytes of a model's files of weights that are here; more than :data:`SMALL` where they are not known."""
    source, adapter = joined_sources(name)
    files = [*Path(source.place).rglob("*.safetensors")] if Path(source.place).is_dir() and adapter is None else []
    return sum(file.stat().st_size for file in files) if files else SMALL + 1


def planned(asked: Asked, model: str, space: Room, dtype: str = AUTO) -> Plan:
    """The plan of a job on a model by its name; nothing of its weights is read.

    Raises:
        MemoryShortError: nothing fits.
        MotionliftError: another of its kinds, for what cannot be asked for.
    """
    try:
        return plan_of(lambda: blank(model, space.kind, dtype), asked, space)
    except MotionliftError:
        raise
    except Exception as error:
        raise _unpredicted(model, error) from error


def plan_of(make: Callable[[], Model | PipelineModel], asked: Asked, space: Room) -> Plan:
    """The plan of a job on a model that has no weights.

    Args:
        make: gives the model, whose parts are on the meta device.
        asked: the job.
        space: what it may use.

    Raises:
        MemoryShortError: nothing fits.
        MotionliftError: another of its kinds, for what cannot be asked for.
    """
    return _Planner(make, asked, space).plan()


def _unpredicted(model: str, error: Exception) -> ModelError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ModelError(f"what {model} takes of memory cannot be predicted: {reason}")


def _size(part: nn.Module, held: Weights | str = Weights.OWN) -> int:
    """Bytes of a part's weights; of its layers as they are held."""
    total = sum(buffer.nbytes for buffer in part.buffers())
    per = {Weights.FP8: 1.0, Weights.INT8: 1.0, Weights.NF4: 0.5}.get(Weights(held))
    for module in part.modules():
        is_layer = isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d)
        for weight in module.parameters(recurse=False):
            total += round(weight.numel() * per) if per is not None and is_layer else weight.nbytes
    return total


def _at_once(network: nn.Module, held: Weights | str) -> int:
    """Bytes of a network's weights that are on the device together where its blocks come one after the other.

    The largest, and all that is in no list of blocks.
    """
    blocks = [[_size(block, held) for block in own] for own in network.children() if isinstance(own, nn.ModuleList)]
    every = [size for own in blocks for size in own]
    return _size(network, held) - sum(every) + max(every, default=0)


def resident(model: PipelineModel, phase: str, measures: Measures) -> int:
    """Bytes of weights on a device in a phase.

    Args:
        model: the model, without weights or with.
        phase: one of :data:`motionlift.work.phases.PHASES`.
        measures: what is done.
    """
    networks = [
        _at_once(network, measures.weights) if measures.offloaded else _size(network, measures.weights)
        for network in model.held["network"]
    ]
    autoencoder, text = (sum(_size(part) for part in model.held[use]) for use in ("autoencoder", "text"))
    if measures.offloaded:  # of text encoders leaf after leaf
        text = max(
            (_size(leaf) for part in model.held["text"] for leaf in part.modules() if not [*leaf.children()]), default=0
        )
    if not measures.waiting:
        return sum(networks) + autoencoder + text
    if phase == "text":
        return text
    return autoencoder if phase in ("encode", "decode") else max(networks)


class _Planner:
    """Plans one job on one model without weights."""

    def __init__(
        self, make: Callable[[], Model | PipelineModel], asked: Asked, space: Room, settled: Measures | None = None
    ):
        """Nothing is planned yet.

        Args:
            make: gives the model; called where what has no values may be asked for some.
            asked: the job.
            space: what it may use.
            settled: of a model that is loaded, what is done with it; else everything can be chosen.
        """
        self.make, self.asked, self.space, self.settled = make, asked, space, settled

    def plan(self) -> Plan:
        """The plan with the fewest measures.

        Raises:
            MemoryShortError: none fits.
        """
        with counting(is_main=self.space.is_main) as count:
            model = self.make()
            assert isinstance(model, PipelineModel)
            for parts in model.held.values():
                count.leave_out(tensor for part in parts for tensor in (*part.parameters(), *part.buffers()))
            count.again()
            plan = self._least(model, self.asked, count)
            if plan.short:
                raise MemoryShortError(self._refusal(model, plan, count))
            return plan

    def _least(self, model: PipelineModel, asked: Asked, count: Count) -> Plan:
        """The plan with the fewest measures, or with all that help where none fits."""
        trial = _Trial(model, asked, self.space, count, self.settled)
        plan = trial.plan(trial.first)
        for name in self._choices():
            if not plan.short:
                break
            if name in USES and not any(phase.name in USES[name] for phase in plan.short):
                continue
            try:
                more = trial.plan(trial.possible(_with_measure(plan.measures, name)))
            except (RuntimeError, SettingError):  # such as of an autoencoder that cannot tile, or not this size
                continue
            before = {phase.name: phase.peak for phase in plan.short}
            if any(phase.peak < before.get(phase.name, 0) for phase in more.phases):
                plan = more
        return plan

    def _choices(self) -> Iterator[str]:
        """The measures that can be chosen here, in the order of their price."""
        for item in fields(Measures):
            if item.name in BY_VIEW or (self.settled is None and not self.space.is_main):
                yield item.name

    def _refusal(self, model: PipelineModel, plan: Plan, count: Count) -> str:
        """What is short, and what would fit."""
        worst = max(plan.short, key=lambda phase: phase.peak)
        done = f" with all that can be done ({plan.taken})" if plan.taken else ""
        fits = [*self._other_method(model, plan, count), *self._smaller(model, plan, count)]
        head = (
            f"it does not fit: the phase {worst.name} needs {told(plan.need(worst))}{done}, and {told(self.space.bytes)} may be "
            f"used of {'main memory' if self.space.is_main else self.space.name}"
        )
        return (
            f"{head}; what would fit: {' or '.join(fits)}"
            if fits
            else f"{head}; take a smaller model or another device"
        )

    def _fits(self, model: PipelineModel, asked: Asked, measures: Measures, count: Count) -> bool:
        try:
            return not _Trial(model, asked, self.space, count, self.settled).plan(measures).short
        except MotionliftError:  # what cannot be asked for
            return False

    def _other_method(self, model: PipelineModel, plan: Plan, count: Count) -> Iterator[str]:
        """A method without gradients, where gradients are what is short."""
        request = self.asked.request
        if self.asked.motion is not None or not _names(plan.short) <= set(GRADIENTS) or request.method.name == LEAST:
            return
        values = {name: value for name, value in request.values.items() if name in KEPT}
        other = replace(self.asked, request=replace(request, method=method_named(LEAST), values=values))
        if self._fits(model, other, plan.measures, count):
            yield f"--method {LEAST}"

    def _smaller(self, model: PipelineModel, plan: Plan, count: Count) -> Iterator[str]:
        """A shorter and a smaller video that fit, as large as what tensors take by the pixel lets hope."""
        hope = min(
            (self.space.bytes * phase.peak / plan.need(phase) - phase.weights) / phase.beyond for phase in plan.short
        )
        if self.asked.motion is not None or hope <= 0:
            return
        for option, made in (("frames", _shorter), ("size", _narrower)):
            for share in LESS:
                value = made(model, plan, min(1, hope * share))
                if value is not None and self._fits(
                    model, replace(self.asked, **{option: value}), plan.measures, count
                ):
                    yield f"--frames {value}" if isinstance(value, int) else f"--size {value[0]}x{value[1]}"
                    break


LEAST = "flowmotion"
"""The method that takes least memory of those that guide: no gradient goes through the network."""
KEPT = {"steps", "cfg", "second_cfg", "negative_prompt", "dynamic_cfg", "sampler", "source_prompt"}
"""Settings that another method takes over."""


def _names(found: Sequence[Phase]) -> set[str]:
    return {phase.name for phase in found}


def _with_measure(measures: Measures, name: str) -> Measures:
    return replace(measures, **{name: Weights.FP8 if name == "weights" else True})


def _shorter(model: PipelineModel, plan: Plan, share: float) -> int | None:
    """The longest length of a model that is no longer than a share of a job's."""
    for frames in range(round(plan.shape.frames * share), 1, -1):
        try:
            return model.codec.fitting(frames).frames
        except MotionliftError:
            continue
    return None


def _narrower(model: PipelineModel, plan: Plan, share: float) -> tuple[int, int] | None:
    """Width and height of at most a share of the pixels of a job's."""
    multiple = model.codec.side * model.codec.tokens
    sides = [max(1, int(side * share**0.5 / multiple)) * multiple for side in (plan.shape.width, plan.shape.height)]
    try:
        fitting = model.codec.fitting(None, sides[1], sides[0])
    except MotionliftError:
        return None
    return fitting.width, fitting.height


class _Trial:
    """Plans of one job with some measures and others; each view of the model is run once."""

    def __init__(self, model: PipelineModel, asked: Asked, space: Room, count: Count, settled: Measures | None):
        self.model, self.asked, self.space, self.count = model, replace(asked, stages=lambda _: ()), space, count
        self.settled = settled
        self.first = self.possible(Measures() if settled is None else replace(settled, **dict.fromkeys(BY_VIEW, False)))
        self.run: dict[Measures, tuple[Job, Taken]] = {}

    def possible(self, measures: Measures) -> Measures:
        """Some measures, with those that the model cannot do without."""
        view = self._viewed(measures).about.measures
        return replace(measures, **{name: getattr(view, name) for name in BY_VIEW})

    def _viewed(self, measures: Measures) -> PipelineModel:
        own = self.model.about.measures
        return self.model.saving(replace(own, **{name: getattr(measures, name) for name in BY_VIEW}))

    def plan(self, measures: Measures) -> Plan:
        """The plan with some measures."""
        view = self._viewed(measures)
        if view.about.measures not in self.run:
            job = self.asked.job(cast(Model, view))
            self.run[view.about.measures] = job, phases(job, self.count, self.space.is_main)
        job, taken = self.run[view.about.measures]
        first = next(iter(self.run.values()))[1]  # prompts are encoded once, and remembered
        peaks = {**{name: size for name, size in first.peaks.items() if name == "text"}, **taken.peaks}
        found = tuple(Phase(name, resident(self.model, name, measures), size) for name, size in peaks.items())
        identity = self.model.about.identity
        return Plan(
            room=self.space,
            measures=measures,
            phases=found,
            model=identity,
            shape=job.shape,
            tokens=self.model.lattice(job.shape).tokens,
            passes=taken.passes,
            before=job.notices,
            factor=measured.kept().factors.get(measured.factor_key(self.space.name, identity), 1.0),
        )
