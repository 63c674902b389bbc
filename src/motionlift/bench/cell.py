"""One cell of a run: lift, cast, keep the video, measure."""

import contextlib
import functools
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from motionlift.bench.completing import MEASURED_BY, completed, without
from motionlift.bench.frozen import FROZEN, held_clip
from motionlift.bench.measures import Measuring, measured
from motionlift.bench.run_file import HERE, MethodRun, ModelRun, Place
from motionlift.bench.sources import CONTENT, Asked, Opened, Source
from motionlift.bench.state import state_of
from motionlift.bench.words import NEEDED, untold
from motionlift.core.memory import Measures, Weights
from motionlift.core.model import About, Model
from motionlift.errors import MotionliftError, OutputError, SettingError
from motionlift.jobs.runner import MOST_TOLD, told_of
from motionlift.methods import method as method_named
from motionlift.models.loading import check_measures, device_named
from motionlift.models.sources import joined_sources
from motionlift.video.clip import Clip
from motionlift.work import planning
from motionlift.work.cast import casted
from motionlift.work.keeping import Kept, room_without
from motionlift.work.lift import Lifting, lifted, read_reference
from motionlift.work.prepare import Job, ask, prepare, settings_for
from motionlift.work.record import Costs, versions
from motionlift.work.unknown import unknown_line

VIDEOS = "videos"
"""Folder of the videos, beside the records."""
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")
"""What a file's name is spared."""
MOST_NAMED = 40
"""Most characters of a file's name that come from one word (ours)."""
OF_A_REFERENCE = ("model", "fingerprint", "source", "reference", CONTENT)
"""What the file of a reference as the model saw it depends on."""
CLEAR_PEAK = Path("/proc/self/clear_refs")
"""Where Linux forgets how much memory a process held at most, once ``5`` is written (proc(5))."""


COSTS = ("seconds", "phases", "passes", "peak_memory_bytes", "device", "threads", "versions")
"""What a cell's record takes over from that of its video."""


@dataclass(frozen=True)
class Cell:
    """One cell: what is run and where it goes."""

    model: ModelRun
    """The model."""
    method: MethodRun
    """The method with its settings."""
    source: Source
    """Where the reference comes from."""
    asked: Asked
    """Reference and prompt."""
    seed: int
    """Seed of the starting noise."""
    measuring: Measuring
    """What is measured, and by what."""
    state: Mapping[str, str]
    """Starts of hashes of the model, of the method's defaults, of the code and, where its name does not say all of it, of the
    reference's content: what is of other weights, defaults, code or references is measured anew."""
    folder: Path
    """Folder of the records and videos."""
    record: Mapping[str, Any] | None = None
    """The cell's record, where it is measured but for :attr:`lacking`."""
    lacking: tuple[str, ...] = ()
    """Figures that the record left out and that can be measured now, of the kept videos."""
    place: Place = HERE
    """Where it is measured, which no record is found by."""

    def stated(self) -> dict[str, Any]:
        """What a record says of the cell, and is found by."""
        return {
            "model": str(self.model),
            "method": self.method.name,
            "settings": dict(self.method.settings),
            "source": self.source.kind,
            "reference": self.asked.reference,
            "prompt": self.asked.prompt,
            "kind": self.asked.kind,
            "seed": self.seed,
            "metrics": None if self.measuring.metrics is None else list(self.measuring.metrics),
            "tracker": self.measuring.tracker,
            "clip_model": self.measuring.clip_model,
            **self.state,
        }

    def __str__(self) -> str:
        return label(self.stated())


def label(record: Mapping[str, Any]) -> str:
    """A cell in a line, by what its record says: two of one run never have the same."""
    title = MethodRun(record["method"], record["settings"]).title
    reference = f"{record['source']} {record['reference']}, prompt {record['kind']}"
    return f"{record['model']}, {title}, {reference}, seed {record['seed']}"


@dataclass(frozen=True)
class Survey:
    """What must be known of a model before the cells of a run are laid out."""

    frames: int
    """Frames of its videos."""
    states: Mapping[str, Mapping[str, str]]
    """For the title of every method that it runs, what :attr:`Cell.state` holds of the model and the method."""
    refused: Mapping[str, str]
    """For the titles of the others, why not."""
    refused_cells: Mapping[tuple[str, int], Mapping[tuple[str, str], str]] = field(default_factory=dict)
    """For the title of a method that it runs and the number of a source: why not on which reference with which kind of prompt."""
    unknown: str = ""
    """What is to be told of words that it does not know; nothing where it knows them all."""


@functools.lru_cache(maxsize=1)
def kept(model: ModelRun, place: Place) -> Kept:
    """The model, which is read when it is asked for; one at a time in each process."""
    return Kept(model.name, place.memory, place.device, model.loras, model.dtype)


def surveyed(
    model: ModelRun, methods: tuple[MethodRun, ...], references: tuple[Source, ...] = (), place: Place = HERE
) -> Survey:
    """Load a model and see which methods it runs, and on which references.

    Raises:
        InputError: references or prompts cannot be read.
        ModelError: there is no such model.
        SettingError: it cannot run so here.
    """
    _check_fits(model, place)
    backbone = kept(model, place).before_jobs()
    states, refused = {}, {}
    for each in methods:
        try:
            if each.name != FROZEN:
                settings_for(method_named(each.name), backbone, each.settings)
        except SettingError as error:
            refused[each.title] = str(error)
            continue
        states[each.title] = state_of(each.name, backbone)
    frames = backbone.about.shape.frames
    refused_cells, prompts = {}, set[str]()
    for number, source in enumerate(references):
        asked = source.asked(frames)
        for each in methods:
            if each.title in states and each.name != FROZEN:
                prompts.update(*[_prompts(each, source, one, frames) for one in asked])
                reasons = ((one, _refusal(each, source, one, backbone)) for one in asked)
                refused_cells[each.title, number] = {
                    (one.reference, one.kind): reason for one, reason in reasons if reason is not None
                }
    return Survey(frames, states, refused, refused_cells, unknown_line(backbone, sorted(prompts)))


def _check_fits(model: ModelRun, place: Place) -> None:
    """Refuse what may be used, or how weights are to be held, where that cannot be, before any are read."""
    device = device_named(place.device)
    room_without(device, place.memory)
    if model.weights is Weights.OWN:
        return
    source, adapter = joined_sources(model.name)
    measures = Measures(weights=model.weights)
    check_measures(measures, device, source, bool(model.loras), bool(adapter))


def _prompts(method: MethodRun, source: Source, asked: Asked, frames: int) -> set[str]:
    """All that a model reads for a reference and a prompt."""
    values = {**source.told(asked, method.name, method.settings, frames), **method.settings}
    return {asked.prompt, *[str(values.get(f"{kind}_prompt", "")) for kind in ("negative", "source", "tuning")]}


def _refusal(method: MethodRun, source: Source, asked: Asked, model: Model) -> str | None:
    """Why a method cannot run on a reference with a prompt, as far as that is seen before; None where it can."""
    told = source.told(asked, method.name, method.settings, model.about.shape.frames)
    values = {**told, **method.settings}
    lacking = untold(method.name, values)
    if lacking is not None:
        return f"it must be told {NEEDED[lacking]}: {source.advice.get(lacking, 'give it in the settings')}"
    try:
        for prompt in _prompts(method, source, asked, model.about.shape.frames):
            model.text.check(prompt)
        if not told:
            return None
        prepare(ask(method.name, values, prompt=asked.prompt), model)
    except MotionliftError as error:
        return str(error)
    return None


def record_of(cell: Cell, measure: Callable[[Cell], Mapping[str, Any]]) -> dict[str, Any]:
    """The record of a cell: what was measured, or the error that it ended with, after how long and with what versions.

    Raises:
        OutputError: nothing can be written, which is no fault of the cell.
    """
    began = time.perf_counter()
    try:
        return _completed(cell, cell.record) if cell.record is not None else {**cell.stated(), **measure(cell)}
    except OutputError:
        raise
    except Exception as error:  # whatever a cell ends with, the others go on
        if cell.record is not None:
            return without(cell.record, cell.lacking, " ".join(str(error).split())[:MOST_TOLD])
        seconds = round(time.perf_counter() - began, 3)
        return {**cell.stated(), "error": told_of(error), "seconds": seconds, "versions": versions()}


def _completed(cell: Cell, record: Mapping[str, Any]) -> dict[str, Any]:
    by = {"tracker": cell.measuring.tracker, "clip_model": cell.measuring.clip_model}
    return completed(record, cell.folder, cell.lacking, by)


def ended(cell: Cell, reason: str) -> dict[str, Any]:
    """The record of a cell whose process ended; of one that was to be completed, what was measured stays."""
    if cell.record is not None:
        return without(cell.record, cell.lacking, reason)
    return {**cell.stated(), "error": reason}


def measured_cell(cell: Cell) -> dict[str, Any]:
    """Lift, cast, write the video and that of the reference, and measure.

    Raises:
        MotionliftError: one of its kinds.
    """
    about = kept(cell.model, cell.place).before_jobs().about
    forget_peak_memory(about.device)
    opened = cell.source.open(cell.asked, about)
    if cell.method.name == FROZEN:
        return _held_still(cell, opened)
    job = _job(cell, opened, about)
    costs = Costs(job.model, plan=job.plan)
    taken = lifted(job, opened.reference, Lifting(fit=opened.fit, every_frame=opened.every_frame), costs)
    video = casted(job, taken.motion, costs, reference=taken.reference)
    found = measured(opened, taken.reference, video.clip, cell.asked.prompt, cell.measuring)
    return {
        "figures": dict(found.figures),
        "left_out": dict(found.left_out),
        MEASURED_BY: {name: dict(own) for name, own in found.measured_by.items()},
        "lifted_from_cache": taken.from_cache,
        **{name: video.record[name] for name in COSTS},
        **_held(job.model.about),
        "clip": video.record["source"],
        "all_settings": video.record["settings"],
        "notices": [*taken.reference.notices, *costs.notices],
        **_shape(video.clip),
        **_kept(cell, taken.reference, video.clip),
    }


def _job(cell: Cell, opened: Opened, about: About) -> Job:
    """The job of a cell, on a model that is held so that it fits."""
    own = about.shape  # all methods are to see the same of a reference, whatever their presets say of reading
    told = cell.source.told(cell.asked, cell.method.name, cell.method.settings, own.frames)
    settings = {**told, **cell.method.settings}
    request = ask(cell.method.name, settings, prompt=cell.asked.prompt, seed=cell.seed)
    frames, pixels = opened.frames or own.frames, opened.pixels or (own.width, own.height)
    asked = planning.Asked(request, frames, pixels, weights=cell.model.weights)
    return kept(cell.model, cell.place).job(asked)


def _held(about: About) -> dict[str, Any]:
    """What a model computes with and what was done so that it fits, where something was; not what the run file asks for."""
    taken = replace(about.measures, weights=Weights.OWN).taken
    return {"dtype": about.dtype, **({"measures": list(taken)} if taken else {})}


def _held_still(cell: Cell, opened: Opened) -> dict[str, Any]:
    """What a video that does not move is measured to be: of the prompt where it can be drawn, else of the reference."""
    backbone = kept(cell.model, cell.place).before_jobs()
    job = prepare(ask("none", prompt=cell.asked.prompt), backbone, frames=opened.frames, size=opened.pixels)
    costs, size = Costs(job.model), (job.shape.height, job.shape.width)
    with costs.phase("read"):
        read = read_reference(opened.reference, job.model, job.shape, 1, opened.fit, opened.every_frame)
        reference = read.resized(*size)
    made = held_clip(reference) if opened.still is None else opened.still.resized(*size)
    found = measured(opened, reference, made, cell.asked.prompt, cell.measuring)
    about = {**costs.told(), "device": "cpu", "threads": torch.get_num_threads(), "versions": versions()}
    return {
        "figures": dict(found.figures),
        "left_out": dict(found.left_out),
        MEASURED_BY: {name: dict(own) for name, own in found.measured_by.items()},
        "lifted_from_cache": False,
        **{name: about[name] for name in COSTS},
        "all_settings": {},
        "notices": list(reference.notices),
        **_shape(made),
        **_kept(cell, reference, made),
    }


def _shape(clip: Clip) -> dict[str, float]:
    """Size and rate of a video, as records say them."""
    count, height, width = clip.frames.shape[:3]
    return {"frames": count, "height": height, "width": width, "fps": clip.fps}


def _kept(cell: Cell, reference: Clip, video: Clip) -> dict[str, str]:
    """Write the video, and the reference as the model saw it where no other cell has; their places beside the records."""
    names = file_names(cell, len(reference.frames))
    video.save(cell.folder / VIDEOS / names["video"])
    if not (cell.folder / VIDEOS / names["reference_video"]).exists():
        reference.save(cell.folder / VIDEOS / names["reference_video"])
    return {what: f"{VIDEOS}/{name}" for what, name in names.items()}


def file_names(cell: Cell, frames: int) -> dict[str, str]:
    """Of the video, and of the reference as the model saw it, of so many frames, which the cells of one model share."""
    about = cell.stated()
    shared = {name: about[name] for name in OF_A_REFERENCE if name in about}
    return {
        "video": _file_name(about, cell.asked.reference, cell.method.title, f"seed {cell.seed}"),
        "reference_video": _file_name({**shared, "frames": frames}, cell.asked.reference, "reference"),
    }


def _file_name(about: Mapping[str, Any], *words: str) -> str:
    """Words that a person knows it by, and a hash of all that it depends on."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return "-".join([*[NOT_IN_NAMES.sub("-", word)[:MOST_NAMED].strip("-").lower() for word in words], f"{digest}.mp4"])


def forget_peak_memory(device: torch.device) -> None:
    """Begin to count anew the most memory that was held, where the system can; elsewhere it only grows from cell to cell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        CLEAR_PEAK.write_text("5", encoding="utf-8")
