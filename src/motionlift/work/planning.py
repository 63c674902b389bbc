"""Plan a job before work: what each phase takes, and the least measures with which all of them fit.

The job is run on a model without weights (:mod:`motionlift.work.phases`), with no measure first, and then with one more after the
other, in the order of their price.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from motionlift.core.given import Whole, Wholes
from motionlift.core.lattice import Shape
from motionlift.core.memory import QUANTIZERS, Measures, Weights
from motionlift.core.model import Model
from motionlift.errors import MemoryShortError, ModelError, MotionliftError, SettingError
from motionlift.loops.cascade import Stage
from motionlift.methods import method as method_named
from motionlift.models.blank import blank, blank_of, is_here
from motionlift.models.counting import Count, counting
from motionlift.models.loading import check_measures, check_parallel, device_named, load
from motionlift.models.lora_files import LoraFile
from motionlift.models.offloading import cast_layers
from motionlift.models.parallel import check_same
from motionlift.models.precision import AUTO, check_weights
from motionlift.models.quantized import bytes_of
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import joined_sources
from motionlift.motion.file import Motion
from motionlift.work import measured
from motionlift.work.lift import LONGEST_SIDE, MOST_WIDE
from motionlift.work.memory import Room, own_memory, room, told
from motionlift.work.phases import Codings, Taken, phases
from motionlift.work.plan import ALLOWED, LEAST, Phase, Plan
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
    frames: Whole | None = None
    """As of :func:`motionlift.work.prepare.prepare`, as are the others."""
    size: Wholes | None = None
    motion: Motion | None = None
    mixed: Sequence[tuple[Motion, float]] = ()
    stages: Callable[[Model], Sequence[Stage]] = lambda _: ()
    """Gives the stages of a cascade, which are not planned, of the model."""
    cut_prompt: bool = False
    aspect: float | None = None
    parallel: int = 1
    """How many processes share the video's tokens in passes for sampling, as :func:`motionlift.models.loading.load` has it. That is
    not in a plan, which is that of one process alone."""
    compiled: bool = False
    """Whether a model that is loaded for it samples compiled, as :func:`motionlift.models.loading.load` has it. That is not in a
    plan, but that weights stay as and where they are is."""
    weights: Weights | str | None = None
    """How the weights of the network of a model that is loaded for it are held; None where the plan decides."""

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        object.__setattr__(self, "weights", Measures(weights=self.weights).weights)
        if self.compiled and self.weights is not Weights.OWN:
            raise SettingError(
                f"weights in {self.weights} change while a pass runs, and a compiled network's cannot: leave one of them out"
            )

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
    tell: Callable[[Sequence[str]], None] = lambda lines: None,
    explained: bool = True,
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
        tell: called with what is to be known of the job, where it is known before weights are read.
        explained: whether a refusal of a model that is loaded says what would fit, for which other jobs are planned.

    Raises:
        MemoryShortError: it does not fit, whatever is done.
        MotionliftError: another of its kinds.
    """
    if not isinstance(model, str | Path):
        own = loaded(model)
        space = room(own.about.device, memory, held_on(own, own.about.device))
        return _together(_on_loaded(asked, own, space, explained))
    check_parallel(str(model), device_named(device), asked.parallel, asked.compiled)
    read = partial(load, model, device, loras, dtype, compiled=asked.compiled, parallel=asked.parallel)
    space = room(device_named(device), memory)
    if asked.weights in (None, Weights.OWN) and is_small(str(model)):
        with suppress(MemoryShortError):  # more can be done with one that is yet to be loaded
            return _together(_on_loaded(asked, read(), space, explained=False))
    try:
        plan = planned(asked, str(model), space, dtype)
    except MemoryShortError:
        raise
    except Exception as error:
        if space.asked or isinstance(error, MotionliftError):
            raise
        held = None if asked.weights is None else Measures(waiting=True, weights=asked.weights)
        return _together(_unplanned(asked.job(read(measures=held)), error))
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


def kind_named(device: str) -> torch.device:
    """A device by its name, which need not be here; ``auto`` is one that is.

    Raises:
        SettingError: there is no such kind of device.
    """
    try:
        place = torch.device(device)
    except RuntimeError:
        return device_named(device)
    return device_named(device) if is_here(place.type) else place


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


def _on_loaded(asked: Asked, model: Model, space: Room, explained: bool) -> Job:
    """A job on a model that is there, in a view of it that fits; whether a refusal is explained is as of :func:`fitting_job`."""
    job = asked.job(model)
    if not isinstance(model, PipelineModel) or _is_plenty(job, space):
        return job
    try:
        plan = _plan_on(model, asked, space, explained)
    except MotionliftError:
        raise
    except Exception as error:
        if space.asked:
            raise _unpredicted(model.about.name, error) from error
        return _unplanned(job, error)
    return _with(asked.job(model.saving(plan.measures)), plan)


def _plan_on(model: PipelineModel, asked: Asked, space: Room, explained: bool = True) -> Plan:
    """The plan of a job on a model that is there; what was settled when it was loaded stays."""
    away = held_on(cast(Model, model), model.about.device) if model.about.measures.waiting else 0
    return _Planner(lambda: blank_of(model), asked, space, _Settled(model.about.measures, away)).plan(explained)


def _is_plenty(job: Job, space: Room) -> bool:
    """Whether there is far more memory than a job can need."""
    shape = job.shape
    most = 4 * _held(job.model) + MOST_PER_PIXEL * shape.frames * shape.height * shape.width
    return 2 * most * measured.factor(space.name, job.model.about.identity) <= space.bytes


def _held(model: Model) -> int:
    """Bytes of the weights of a model, wherever they are."""
    return sum(map(bytes_of, _tensors(model)))


def held_on(model: Model, device: torch.device) -> int:
    """Bytes of the weights of a model that lie on a device; of main memory those that are not in files alone."""
    size = sum(bytes_of(tensor) for tensor in _tensors(model) if tensor.device == device)
    return min(size, own_memory()) if device.type == "cpu" else size


def _tensors(model: Model) -> Iterator[torch.Tensor]:
    """The weights of a model."""
    parts = model.held.values() if isinstance(model, PipelineModel) else ([model.network],)
    for part in (part for own in parts for part in own):
        yield from (*part.parameters(), *part.buffers())


def is_small(name: str) -> bool:
    """Whether a model's files of weights are here and hold at most :data:`SMALL`.

    Raises:
        ModelError: there is no such model.
    """
    source, adapter = joined_sources(name)
    files = [*Path(source.place).rglob("*.safetensors")] if Path(source.place).is_dir() and adapter is None else []
    return bool(files) and sum(file.stat().st_size for file in files) <= SMALL


def planned(asked: Asked, model: str | PipelineModel, space: Room, dtype: str = AUTO) -> Plan:
    """The plan of a job on a model by its name, of whose weights nothing is read, or on one that is loaded.

    Raises:
        MemoryShortError: nothing fits.
        MotionliftError: another of its kinds, for what cannot be asked for.
    """
    try:
        if not isinstance(model, str):
            return _plan_on(model, asked, space)
        if asked.weights is not None:
            source, adapter = joined_sources(model)
            held = Measures(weights=asked.weights)
            check_measures(held, torch.device(space.kind), source, animated=adapter is not None)
        is_full = dtype == "fp32" or (dtype == AUTO and space.is_main)
        halved = partial(blank, model, space.kind, HALF) if is_full else None
        return plan_of(partial(blank, model, space.kind, dtype), asked, space, halved)
    except MotionliftError:
        raise
    except Exception as error:
        raise _unpredicted(model if isinstance(model, str) else model.about.name, error) from error


def plan_of(
    make: Callable[[], Model | PipelineModel],
    asked: Asked,
    space: Room,
    halved: Callable[[], Model | PipelineModel] | None = None,
) -> Plan:
    """The plan of a job on a model that has no weights.

    Args:
        make: gives the model, whose parts are on the meta device.
        asked: the job.
        space: what it may use.
        halved: gives the same model in :data:`HALF`, which is told of where nothing fits.

    Raises:
        MemoryShortError: nothing fits.
        MotionliftError: another of its kinds, for what cannot be asked for.
    """
    return _Planner(make, asked, space, halved=halved).plan()


def _unpredicted(model: str, error: Exception) -> ModelError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ModelError(f"what {model} takes of memory cannot be predicted: {reason}")


def _layers(network: Any, held: Weights | str) -> Collection[nn.Module]:
    """The layers of a network whose weights are held otherwise than they compute: by quantizers all linear ones, and no others.

    Those that a network keeps in single precision beside others they leave as they are.
    """
    if held == Weights.OWN:
        return ()
    if held == Weights.FP8:
        return frozenset(cast_layers(network))
    kept = getattr(network, "_keep_in_fp32_modules", None) or ()
    linear = ((name.split("."), own) for name, own in network.named_modules() if isinstance(own, nn.Linear))
    return frozenset(own for words, own in linear if not any(word in kept for word in words))


def _size(part: nn.Module, held: Weights | str = Weights.OWN, layers: Collection[nn.Module] | None = None) -> int:
    """Bytes of a part's weights; of its layers as they are held, those of :func:`_layers` of it where no others are given."""
    layers = _layers(part, held) if layers is None else layers
    total = sum(buffer.nbytes for buffer in part.buffers())
    by = QUANTIZERS.get(Weights(held))
    per = 1.0 if by is None else by.size
    for module in part.modules():
        for name, weight in module.named_parameters(recurse=False):
            is_held = module in layers and (by is None or name == "weight")
            total += round(weight.numel() * per) if is_held else weight.nbytes
    return total


def _levels(job: Job) -> int:
    """Bytes of main memory in which the levels of an inversion wait, of a reference in several windows; their numbers are of 4."""
    if job.motion is not None or not job.settings.inversion or not job.windows.several:
        return 0
    return 4 * math.prod(job.model.codec.latent_shape(job.shape)) * job.settings.steps


def _at_once(network: nn.Module, held: Weights | str, by_block: bool) -> int:
    """Bytes of a network's weights that are on the device together where its blocks come one after the other, or its leaves.

    Of blocks the largest, and all that is in no list of blocks.
    """
    if not by_block:
        return _largest_leaf(network, held)
    layers, lists = _layers(network, held), [own for own in network.children() if isinstance(own, nn.ModuleList)]
    blocks = [[_size(block, held, layers) for block in own] for own in lists]
    every = [size for own in blocks for size in own]
    return _size(network, held) - sum(every) + max(every, default=0)


def _largest_leaf(part: nn.Module, held: Weights | str = Weights.OWN) -> int:
    """Bytes of the weights of the largest module that has no others in it."""
    layers, leaves = _layers(part, held), [own for own in part.modules() if not [*own.children()]]
    return max((_size(leaf, held, layers) for leaf in leaves), default=0)


def resident(model: PipelineModel, phase: str, measures: Measures) -> int:
    """Bytes of weights on a device in a phase.

    Args:
        model: the model, without weights or with.
        phase: one of :data:`motionlift.work.phases.PHASES`.
        measures: what is done.
    """
    networks = [
        _at_once(network, measures.weights, model.by_block) if measures.offloaded else _size(network, measures.weights)
        for network in model.held["network"]
    ]
    if measures.weights is not Weights.OWN and phase not in ("text", "encode", "decode"):
        networks = [size + _widest(network) for size, network in zip(networks, model.held["network"], strict=True)]
    autoencoder, text = (sum(_size(part) for part in model.held[use]) for use in ("autoencoder", "text"))
    if measures.offloaded:  # of text encoders leaf after leaf
        text = max(map(_largest_leaf, model.held["text"]), default=0)
    if not measures.waiting:
        return sum(networks) + autoencoder + text
    if phase == "text":
        return text
    return autoencoder if phase in ("encode", "decode") else max(networks)


def _pinned(part: nn.Module, held: Weights | str = Weights.OWN) -> int:
    """Bytes of pinned memory in which a part's weights wait, as they are or in 8 bits.

    PyTorch rounds each allocation of it up to a power of two (``ATen/core/CachingHostAllocator.h``).
    """
    total, layers = 0, _layers(part, held)
    for module in part.modules():
        sizes = [own.numel() if module in layers else own.nbytes for own in module.parameters(recurse=False)]
        sizes += [own.nbytes for own in module.buffers(recurse=False)]
        total += sum(1 << (size - 1).bit_length() for size in sizes if size)
    return total


def _widest(network: Any) -> int:
    """Bytes of the largest layer of a network as it computes: while it runs, its weights are there so, too."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d)]
    most = max((sum(weight.numel() for weight in layer.parameters()) for layer in layers), default=0)
    return most * network.dtype.itemsize


def beside(model: PipelineModel, measures: Measures, space: Room) -> int:
    """Most bytes of main memory that the weights of a model take beside a device: while they are read, and while they wait.

    Weights that are still as in their files are not in it: the system drops what it holds of files. Where it is not known how files
    hold them, they are taken to be so.

    Args:
        model: the model, without weights.
        measures: what is done.
        space: of the device.
    """
    size = _pinned if measures.offloaded and space.kind == "cuda" else _size
    networks = [size(network, measures.weights) for network in model.held["network"]]
    text, autoencoder = sum(size(part) for part in model.held["text"]), sum(map(_size, model.held["autoencoder"]))
    waits = 0 if measures.weights is Weights.OWN else sum(networks)
    if measures.offloaded or space.is_shared:
        waits = sum(networks) + text + autoencoder
    elif measures.waiting:  # all but what is used
        waits = sum(networks) + text + autoencoder - min(autoencoder, *networks)
    return max(model.anew or 0, waits)


def _pixels(shape: Shape, is_lifted: bool) -> int:
    """Most bytes of pixels in main memory beside a device: of a reference as it is read and as it is lifted, or of what was made.

    Of a reference each is there as whole numbers of a byte, and, while these become numbers in single precision, as two of such.
    What is made is beside its reference as whole numbers, and some models see that reference in single precision.
    """
    own = 3 * shape.frames * shape.height * shape.width
    wide = 3 * max(min(shape.frames * LONGEST_SIDE**2, MOST_WIDE), shape.frames * shape.height * shape.width)
    return 9 * (own + wide) if is_lifted else 6 * own


@dataclass(frozen=True)
class _Settled:
    """What is settled of a model that is loaded."""

    measures: Measures
    """What is done with it."""
    away: int
    """Bytes of its weights on the device that go into main memory while others are used."""


class _Planner:
    """Plans one job on one model without weights."""

    def __init__(
        self,
        make: Callable[[], Model | PipelineModel],
        asked: Asked,
        space: Room,
        settled: _Settled | None = None,
        halved: Callable[[], Model | PipelineModel] | None = None,
    ):
        """Nothing is planned yet.

        Args:
            make: gives the model; called where what has no values may be asked for some.
            asked: the job.
            space: what it may use.
            settled: of a model that is loaded, what cannot be chosen any more; else everything can.
            halved: gives the model in :data:`HALF`, where it is in numbers of twice the size.
        """
        self.make, self.asked, self.space, self.settled, self.halved = make, asked, space, settled, halved

    def plan(self, explained: bool = True) -> Plan:
        """The plan with the fewest measures.

        Args:
            explained: whether a refusal says what would fit.

        Raises:
            MemoryShortError: none fits.
        """
        with counting(is_main=self.space.is_main) as count:
            model = _made(self.make, count)
            plan = self._least(model, self.asked, count)
            if plan.short:
                raise MemoryShortError(self._refusal(model, plan, count) if explained else "it does not fit")
            return plan

    def _least(self, model: PipelineModel, asked: Asked, count: Count) -> Plan:
        """The plan with the fewest measures, or with all that help where none fits."""
        trial = _Trial(model, asked, self.space, count, self.settled)
        names = [*self._choices(model, asked)]
        plan = self._greedy(trial, names)
        if any(plan.lacks_main(phase) for phase in plan.short):  # it may be since weights wait there
            other = self._greedy(trial, [name for name in names if name not in ("waiting", "offloaded")])
            plan = plan if other.short else other
        return plan

    def _greedy(self, trial: "_Trial", names: Sequence[str]) -> Plan:
        """The plan with the first measures of some that help, until all fits."""
        plan = trial.plan(trial.first)
        for name in names:
            if not plan.short:
                break
            if name in USES and not any(phase.name in USES[name] for phase in plan.short):
                continue
            try:
                more = trial.plan(trial.possible(_with_measure(plan.measures, name)))
            except (RuntimeError, SettingError):  # such as of an autoencoder that cannot tile, or not this size
                continue
            if _helps(plan, more):
                plan = more
        return plan

    def _choices(self, model: PipelineModel, asked: Asked) -> Iterator[str]:
        """The measures that can be chosen here, in the order of their price."""
        for item in fields(Measures):
            if item.name in BY_VIEW or (self.settled is None and self._goes(item.name, model, asked)):
                yield item.name

    def _goes(self, name: str, model: PipelineModel, asked: Asked) -> bool:
        """Whether a measure that is taken as a model is loaded can be, and may help."""
        if name == "waiting":
            return not self.space.is_main
        if name == "offloaded":
            can_move = not asked.compiled and asked.parallel == 1 and asked.weights not in QUANTIZERS
            return not self.space.is_main and can_move
        if asked.weights is not None:
            return False
        anew = 0 if not self.space.is_main else self.space.bytes if model.anew is None else model.anew
        if asked.compiled or anew > ALLOWED * self.space.bytes:  # weights are read before they are cast
            return False
        with suppress(SettingError):
            check_weights(Weights.FP8, torch.device(self.space.kind))
            return True
        return False

    def _refusal(self, model: PipelineModel, plan: Plan, count: Count) -> str:
        """What is short, and what would fit."""
        worst = max(plan.short, key=lambda phase: phase.peak)
        done = f" with all that can be done ({plan.taken})" if plan.taken else ""
        needs, may = f"the phase {worst.name} needs {told(plan.need(worst))}{done}", self.space.bytes
        name, hint = "main memory" if self.space.is_main else self.space.name, "a smaller model or another device"
        if plan.lacks_main(worst) and self.space.main is not None:
            what = (
                f"the phase {worst.name} needs" if self.space.is_shared else "weights that wait there, and pixels, need"
            )
            needs, may = f"{what} {told(plan.main_need(worst))}{done}", self.space.main
            name, hint = "main memory", "a smaller model, or more main memory"
        fits = self._what_fits(model, plan, count)
        head = f"it does not fit: {needs}, and {told(may)} may be used of {name}"
        return f"{head}; what would fit: {' or '.join(fits)}" if fits else f"{head}; take {hint}"

    def _what_fits(self, model: PipelineModel, plan: Plan, count: Count) -> list[str]:
        """What would fit, as options: each by itself, or, where none does, with numbers of half the size."""
        found = [*self._other_method(model, plan, count), *self._smaller(model, plan, count)]
        if self.asked.compiled and self.settled is None:
            plain = self._least(model, replace(self.asked, compiled=False), count)
            found = [*([] if plain.short else ["leaving --compile out"]), *found]
        if self.halved is None:
            return found
        try:
            half = _made(self.halved, count)
            less = self._least(half, self.asked, count)
        except MotionliftError:  # it breaks the model, or the device lacks it
            return found
        if not less.short:
            return [f"--dtype {HALF}", *found]
        more = [] if found else [*self._other_method(half, less, count), *self._smaller(half, less, count)]
        return found or [f"--dtype {HALF} {option}" for option in more]

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
        hope = min(_hope(plan, phase) for phase in plan.short)
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


HALF = "bf16"
"""The type of half the size of single precision that every CPU computes with."""
KEPT = {"steps", "cfg", "second_cfg", "negative_prompt", "dynamic_cfg", "sampler", "source_prompt"}
"""Settings that another method takes over."""


def _made(make: Callable[[], Model | PipelineModel], count: Count) -> PipelineModel:
    """A model without weights, whose parts are not counted."""
    model = make()
    assert isinstance(model, PipelineModel)
    count.leave_out(_tensors(cast(Model, model)))
    count.again()
    return model


def _helps(plan: Plan, more: Plan) -> bool:
    """Whether a plan with another measure takes less of what one lacks in some phase."""
    after = {phase.name: phase for phase in more.phases}
    for phase in plan.short:
        new = after.get(phase.name, phase)
        if plan.need(phase) > plan.room.bytes and new.peak < phase.peak:
            return True
        if plan.lacks_main(phase) and more.main_need(new) < plan.main_need(phase):
            return True
    return False


def _hope(plan: Plan, phase: Phase) -> float:
    """The share of what a phase takes beyond the weights that would fit; at most nothing where the weights alone do not."""
    shares = [(plan.room.bytes * ALLOWED / plan.factor - phase.weights) / max(1, phase.beyond)]
    if plan.room.main is not None and plan.room.is_shared:
        shares.append((plan.room.main * ALLOWED - plan.main) / plan.factor / max(1, phase.beyond))
    elif plan.lacks_main(phase):
        shares.append(
            1 - (plan.main_need(phase) - (plan.room.main or 0)) * ALLOWED / _pixels(plan.shape, is_lifted=True)
        )
    return min(shares)


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
    multiple = model.codec.multiple
    sides = [max(1, int(side * share**0.5 / multiple)) * multiple for side in (plan.shape.width, plan.shape.height)]
    try:
        fitting = model.codec.fitting(None, sides[1], sides[0])
    except MotionliftError:
        return None
    return fitting.width, fitting.height


class _Trial:
    """Plans of one job with some measures and others; each view of the model is run once."""

    def __init__(self, model: PipelineModel, asked: Asked, space: Room, count: Count, settled: _Settled | None):
        self.model, self.asked, self.space, self.count = model, replace(asked, stages=lambda _: ()), space, count
        self.settled = settled
        own = Measures(weights=asked.weights or Weights.OWN) if settled is None else settled.measures
        self.first = self.possible(replace(own, **dict.fromkeys(BY_VIEW, False)))
        self.run: dict[Measures, tuple[Job, Taken]] = {}
        self.codings: Codings = {}

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
            self.run[view.about.measures] = job, phases(job, self.count, self.space.is_main, codings=self.codings)
        job, taken = self.run[view.about.measures]
        first = next(iter(self.run.values()))[1]  # prompts are encoded once, and remembered
        peaks = {"text": 0, **taken.peaks}
        peaks["text"] = max(peaks["text"], first.peaks.get("text", 0))
        found = tuple(Phase(name, resident(self.model, name, measures), size) for name, size in peaks.items())
        identity = self.model.about.identity
        return Plan(
            room=self.space,
            measures=measures,
            phases=found,
            main=self._main(measures, job),
            model=identity,
            shape=job.shape,
            tokens=self.model.lattice(job.shape).tokens,
            passes=taken.passes,
            before=job.notices,
            factor=measured.factor(self.space.name, identity),
            pace=measured.pace(measures, self.model.about.dtype, self.asked.compiled, self.asked.parallel),
            method=job.method.name,
            usual=self.first.taken,
        )

    def _main(self, measures: Measures, job: Job) -> int:
        """Most bytes of main memory beside the device: of a model that is loaded, what is not there yet."""
        if self.space.is_main:
            return 0
        own = _pixels(job.shape, job.motion is None) + _levels(job)
        if self.settled is None:
            return beside(self.model, measures, self.space) + own
        return own + (0 if self.space.is_shared else self.settled.away)
