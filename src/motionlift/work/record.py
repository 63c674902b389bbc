"""The records of how videos and motions came about, and what they cost. A record is made here alone."""

import logging
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any

import psutil
import torch

from motionlift.core.cost import Advance, Passes, Phase, Step, all_of
from motionlift.core.method import Method, Tuner
from motionlift.core.model import Model
from motionlift.core.presets import OURS, READING
from motionlift.core.progress import Lines
from motionlift.core.settings import with_values
from motionlift.core.shortage import shortage_behind
from motionlift.errors import MemoryShortError, MotionliftError
from motionlift.methods import method as method_named
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import measured
from motionlift.work.memory import room
from motionlift.work.plan import Plan, shortage
from motionlift.work.prepare import Job

LOG = logging.getLogger(__name__)


@dataclass
class Costs:
    """Seconds, passes and losses of a job, phase by phase."""

    model: Model
    """The view of the model that works for this job alone."""
    phases: list[Phase] = field(default_factory=list)
    """Phases so far."""
    losses: list[float] = field(default_factory=list)
    """Loss of every step that tuned or guided."""
    notices: list[str] = field(default_factory=list)
    """What a person should know of how it went."""
    plan: Plan | None = None
    """What the job is predicted to take, where that was planned."""
    at: str = ""
    """The phase that is at work, and the last step that it took, where there was one."""
    lines: Lines = field(default_factory=lambda: Lines(LOG.info))
    """How far it is, for the log."""
    loops: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each phase, seconds from step to step of its loops, and the work of the passes between."""
    _last: tuple[str, float, float] | None = None
    """The last step: of which loop, when, and the work that was done by then; none where a phase began since."""

    def note(self, notices: Sequence[str]) -> None:
        """Take in what a person should know, each once."""
        new = [notice for notice in dict.fromkeys(notices) if notice not in self.notices]
        self.notices += new
        for notice in new:
            LOG.info("note: %s", notice)

    def logged(self, advance: Advance) -> Advance:
        """A callback that passes steps on, and tells the log how far they are."""

        def told(step: Step) -> None:
            self._time(step)
            self.at = f"{self.at.partition(',')[0]}, after step {step.index + 1} of {step.phase}"
            self.lines.show(step.phase, step.index + 1, step.total, step.loss)
            advance(step)

        return told

    def _time(self, step: Step) -> None:
        """Take in a step that follows another of its loop."""
        now, work, name = time.perf_counter(), self.model.passes.work, self.at.partition(",")[0]
        if self._last is not None and self._last[0] == step.phase:
            seconds, done = self.loops.get(name, (0.0, 0.0))
            self.loops[name] = seconds + now - self._last[1], done + work - self._last[2]
        self._last = step.phase, now, work

    @contextmanager
    def phase(self, name: str, counted: Passes | None = None) -> Iterator[None]:
        """Measure one phase; its passes are those of the model, or as they are counted elsewhere.

        Raises:
            MemoryShortError: an allocation within failed.
        """
        counted = counted or self.model.passes
        self.lines.show(name)
        self.at, self._last = name, None
        started, before = time.perf_counter(), replace(counted)
        try:
            yield
        except Exception as error:
            failed = shortage_behind(error)
            if failed is None or isinstance(error, MotionliftError):
                raise
            raise MemoryShortError(shortage(self.at, self.model.about, self.plan, failed)) from error
        self.phases.append(Phase(name, time.perf_counter() - started, counted.since(before)))

    def keep(self, job: Job) -> None:
        """Keep for later plans what a pass of a job took, and what is beside passes, and that its memory was enough."""
        looped, work = (sum(each) for each in zip(*self.loops.values(), strict=True)) if self.loops else (0.0, 0.0)
        if work:
            pace, key = looped / work, pace_key(job)
            measured.keep_seconds(key, pace)
            for part, names in measured.BESIDE.items():
                beside = [phase.seconds - pace * phase.passes.work for phase in self.phases if phase.name in names]
                if beside and sum(beside) > 0:
                    measured.keep_seconds(f"{key} {part}", sum(beside))
        if self.plan is not None and self.plan.factor > 1 and self._was_enough(self.plan):
            measured.keep_enough(measured.factor_key(self.plan.room.name, self.plan.model))

    def _was_enough(self, plan: Plan) -> bool:
        """Whether a job that came to its end took no more than was predicted without a factor, as far as that is measured."""
        device = self.model.about.device
        return device.type != "cuda" or peak_memory(str(device)) <= plan.largest.peak

    def told(self) -> dict[str, Any]:
        """Seconds, passes, memory and notices, as records say them."""
        return {
            **({"notices": list(self.notices)} if self.notices else {}),
            "seconds": round(sum(phase.seconds for phase in self.phases), 3),
            "passes": asdict(all_of([phase.passes for phase in self.phases])),
            "phases": [asdict(phase) for phase in self.phases],
            "peak_memory_bytes": peak_memory(str(self.model.about.device)),
            **({} if self.plan is None else {"plan": self.plan.record()}),
        }


def pace_key(job: Job) -> str:
    """Under which seconds of a pass are kept of a job, planned or not."""
    about = job.model.about
    pace = measured.pace(about.measures, about.dtype, about.compiled, about.processes)
    return measured.seconds_key(room(about.device).name, about.identity, job.shape, pace)


def lift_record(model: Model, motion: Motion, costs: Costs, notices: Sequence[str], from_cache: bool) -> dict[str, Any]:
    """All that it takes to lift a motion again, and what it cost."""
    return {
        "reference_notices": list(notices),
        "method": motion.method,
        "settings": dict(motion.settings),
        **preset_told(method_named(motion.method), model, motion.settings),
        "model": _model(model),
        "source": asdict(motion.source),
        **_part(motion),
        "grid": asdict(motion.lattice),
        **({} if motion.windows is None else motion.windows.told()),
        "from_cache": from_cache,
        **tuning_prompt(motion),
        "losses": costs.losses,
        "versions": versions(),
        **costs.told(),
    }


def cast_record(
    job: Job,
    motion: Motion,
    costs: Costs,
    clip: Clip,
    cascade: Sequence[Mapping[str, Any]],
    notices: Sequence[str] | None,
) -> dict[str, Any]:
    """All that it takes to make a video again, and what it cost.

    Args:
        job: what was asked for.
        motion: what was cast.
        costs: of all phases.
        clip: what was made.
        cascade: what each stage gave, where there were any.
        notices: what was done to make the reference fit, where that is known.
    """
    digests = [{"motion_sha256": other.digest(), "strength": strength} for other, strength in job.mixed]
    return {
        "prompt": job.prompt,
        "seed": job.seed,
        "method": motion.method,
        "settings": asdict(job.settings),
        **preset_told(job.method, job.model, asdict(job.settings)),
        "model": _model(job.model),
        "frames": motion.source.shape.frames,
        **({} if motion.windows is None else motion.windows.told()),
        "source": asdict(motion.source),
        **_part(motion),
        "motion_sha256": motion.digest(),
        "frames_sha256": Clip.of(clip.frames, clip.fps).sha256,  # not of what it was made from
        "device": str(job.model.about.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **costs.told(),
        **tuning_prompt(motion),
        "losses": costs.losses,
        **({} if job.picture is None else {"picture_sha256": job.picture.sha256}),
        **({"edits": list(motion.edits)} if motion.edits else {}),
        **({"mixed": digests} if digests else {}),
        **({"cascade": list(cascade)} if cascade else {}),
        **({} if notices is None else {"reference_notices": list(notices)}),
    }


def preset_told(method: Method[Any], model: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """For records, what a preset said: by each constant its source, what was changed, and what is published of other models alone.

    Nothing of our own constants.
    """
    name = settings.get("preset", OURS)
    if name not in method.published:
        return {}
    preset, about = method.published[name], model.about
    constants = {key: own for key, own in preset.of(about.family, about.variant).items() if key not in READING}
    kept = {key: own.source for key, own in constants.items() if settings.get(key) == own.value}
    unpublished = preset.unpublished(about.family, about.variant)
    return {
        "preset": {
            "name": name,
            "constants": kept,
            "changed": [key for key in constants if key not in kept],
            "not_published": list(unpublished),
            "lacks": list(preset.lacks),
        }
    }


def _part(motion: Motion) -> dict[str, Any]:
    """For records, what was read of the reference, as far as the motion says it."""
    return {} if motion.taken is None else {"part": motion.taken.told()}


def _model(model: Model) -> dict[str, Any]:
    about = model.about
    added = {"loras": [asdict(each) for each in about.added]} if about.added else {}
    how = {"dtype": about.dtype, "measures": list(about.measures.taken)} | (
        {"compiled": True} if about.compiled else {}
    )
    how |= {"parallel": {"context": about.processes}} if about.processes > 1 else {}
    return {"name": about.name, "identity": about.identity, "fingerprint": about.fingerprint, **how, **added}


def tuning_prompt(motion: Motion) -> dict[str, str]:
    """The prompt that a motion was tuned with, for records; nothing where nothing was tuned."""
    method, written = method_named(motion.method), motion.settings.get("tuning_prompt")
    if not isinstance(method, Tuner):
        return {}
    if written is None:  # a motion of version 0.1, which says only from what the prompt was made
        written = method.caption(with_values(method.Settings(), motion.settings))
    return {"tuning_prompt": str(written)}


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
    try:
        import resource
    except ImportError:  # Windows has none
        held = psutil.Process().memory_info()
        return getattr(held, "peak_wset", held.rss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
