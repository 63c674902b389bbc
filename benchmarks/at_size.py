"""Time, passes and memory of lifting and casting at the true sizes of published models, of random weights made on the device.

Run from the root of a checkout: ``python -m benchmarks.at_size``. Each cell is a model, a method, and a way to run it: within the
memory of a card of so many GiB, with the measures that a plan takes for it; or ``plain``, DiTFlow as released programs do it: every
head's map of all tokens by all, gradients through a network that runs to its end and keeps its activations, two prompts in one
batch, and every part on the device. A cell is a line of a JSON-lines file and never run twice; what matters most comes first, and
no cell begins after ``--minutes``. ``--predict`` plans cells and runs none, for which no GPU is needed; a file that is taken to a
GPU then has its plans. ``--table`` writes the file as Markdown and runs nothing.

A cell lifts and casts in few steps, of which half are guided, and tells the least seconds of a step of each kind; minutes and
passes of a whole video are reckoned from these by the method's own numbers of steps. Without a GPU, tiny twins of the models are
run at small sizes, within so many MiB: that tells that it runs, and nothing of true sizes.
"""

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import nn

from motionlift.core.cost import Step
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures, Weights
from motionlift.core.model import Model
from motionlift.errors import MotionliftError
from motionlift.loops.sample import guided_steps
from motionlift.methods import method as method_named
from motionlift.methods.ditflow import DiTFlow
from motionlift.models.blank import emptied_pipeline
from motionlift.models.counting import META, Count, counting
from motionlift.models.families import serving
from motionlift.models.loading import device_named, load
from motionlift.models.shared import PipelineModel
from motionlift.signals.displacement import displacement_loss
from motionlift.video.clip import Clip
from motionlift.work.cast import casted
from motionlift.work.lift import LONGEST_SIDE, Lifting, lifted
from motionlift.work.memory import Room
from motionlift.work.planning import Asked, plan_of
from motionlift.work.prepare import Job, ask, settings_for
from motionlift.work.record import Costs
from tests.twins import TRANSFORMERS, Twin, unet3d
from tests.twins.whole import ZEROSCOPE, ZEROSCOPE_SHAPE, weights, whole
from tests.twins.wide import WIDE

GIB, MIB = 2**30, 2**20
MODELS = ("wan-2.1-1.3b", "cogvideox-5b", "cogvideox-2b", "ltx-2b", "hunyuan-1.5", ZEROSCOPE)
METHODS = ("none", "ditflow", "flowmotion", "motionflow", "motionmatcher", "vmc")
BUDGETS = (80, 24, 16, 12, 8)
"""Memory of cards, in GiB."""
PLAIN = "plain"
PROMPT, SOURCE = "a red star on the field", "a blue ring on the field"
GIVEN: Mapping[str, Any] = {
    **{"steps": 4, "share": 0.5, "tuning_steps": 3, "source_prompt": SOURCE, "tuning_prompt": SOURCE},
    **{"subjects": ("ring",), "targets": ("star",)},
}
"""Settings of a cell, of the methods that have them: enough steps for one of each kind after the first, which is slower."""
FEW = ("steps", "share", "tuning_steps")
"""Those of them that make a cell short."""
PHASES = ("text", "encode", "invert", "lift", "tune", "guide", "sample", "decode")
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Cell:
    """One line of the file."""

    model: str
    method: str
    way: str
    """The memory that it may use, or :data:`PLAIN`."""


def cells() -> list[Cell]:
    """All of them, what matters most first: the two models that most papers use, plain sampling and DiTFlow, the largest card."""
    first = MODELS[:2]
    rounds = [
        (first, METHODS[:3], ("80",)),
        (first, ("ditflow",), (PLAIN, *map(str, BUDGETS[1:]))),
        (MODELS[2:], METHODS[:2], ("80", PLAIN)),
        (MODELS, METHODS, ("80",)),
        (MODELS, METHODS, tuple(map(str, BUDGETS[1:]))),
    ]
    found = [
        Cell(model, method, way)
        for models, methods, ways in rounds
        for model in models
        for method in methods
        for way in ways
        if way != PLAIN or method == "ditflow"
    ]
    return list(dict.fromkeys(found))


# What is run


@dataclass(frozen=True)
class Subject:
    """A pipeline and the size of the videos that it is run at."""

    pipeline: Any
    shape: Shape

    def placed(self, device: str) -> Any:
        """Its pipeline with all parts on a device."""
        for part in self.pipeline.components.values():
            if isinstance(part, nn.Module):
                part.to(device)
        return self.pipeline


@dataclass(frozen=True)
class Form:
    """Models as they are run: of true size, or tiny twins."""

    name: str
    make: Callable[[str, str], Subject]
    """Gives a model by its name, made on a device."""
    unit: int
    """Bytes in one of a budget."""
    title: str = ""
    """What rows say beside the size."""


def _true(name: str, device: str) -> Subject:
    """A published model of random weights."""
    return Subject(whole(name, device), ZEROSCOPE_SHAPE if name == ZEROSCOPE else WIDE[name].shape)


def _tiny(name: str, device: str) -> Subject:
    """Its tiny twin."""
    twin = Twin(unet3d, Shape(4, 32, 32)) if name == ZEROSCOPE else TRANSFORMERS[WIDE[name].twin]
    pipeline = twin.build()
    return Subject(emptied_pipeline(pipeline) if device == "meta" else pipeline, twin.shape)


TRUE, TINY = Form("true", _true, GIB), Form("tiny", _tiny, MIB, "a tiny twin at ")
FORMS = {form.name: form for form in (TRUE, TINY)}


class PlainDiTFlow(DiTFlow):
    """DiTFlow as its program computes it; what it finds is the same."""

    def __init__(self, last: int):
        self.last = last

    def needs(self, settings: Any) -> Any:
        """The network runs to its last block."""
        own = super().needs(settings)
        return replace(own, blocks=tuple(dict.fromkeys((*own.blocks, self.last))))

    @torch.no_grad()
    def lift(self, reference: Any, model: Any, settings: Any) -> Generator[Step, None, dict[str, torch.Tensor]]:
        """The displacement by the largest of a whole map."""
        clean, condition = model.schedule(settings.steps, reference.shape).clean, model.text.encode("", reference.shape)
        record = model.record(reference.latents, clean, condition, self.needs(settings).blocks, features=False)
        lattices = {number: model.lattice(reference.shape, number) for number in settings.block}
        found = {
            f"displacement.{number}": by_whole_map(
                record[number].query[0], record[number].key[0], lattices[number], None
            )
            for number in settings.block
        }
        yield Step("lift", 0, 1)
        return {"latents": reference.latents, **found}

    def loss(self, observed: Any, aim: Any, settings: Any) -> torch.Tensor:
        """That of the method, by whole maps."""
        losses = []
        for number in settings.block:
            seen = observed.record[number]
            soft = by_whole_map(seen.query[0], seen.key[0], aim.lattices[number], settings.temperature)
            losses.append(displacement_loss(soft, aim.motion[f"displacement.{number}"].to(soft), settings.threshold))
        return torch.stack(losses).mean()


def by_whole_map(q: torch.Tensor, k: torch.Tensor, lattice: Lattice, temperature: float | None) -> torch.Tensor:
    """The displacement of :func:`motionlift.signals.displacement.displacement`, by logits of every head, all tokens by all.

    Without a temperature it is that of the largest logit.
    """
    area = lattice.height * lattice.width
    logits = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).mean(dim=0).float()
    logits = logits.reshape(lattice.tokens, lattice.frames, area)
    tokens = torch.arange(area, device=q.device)
    places = torch.stack([tokens % lattice.width, tokens // lattice.width], dim=-1).float()
    reached = places[logits.argmax(-1)] if temperature is None else torch.softmax(temperature * logits, -1) @ places
    return reached.reshape(lattice.frames, area, lattice.frames, 2).transpose(1, 2) - places


def reference(shape: Shape, fps: float) -> Clip:
    """A pattern that moves to the right, as large as references are read."""
    larger = max(1, LONGEST_SIDE // max(shape.height, shape.width))
    height, width = larger * shape.height, larger * shape.width
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = [(columns - 4 * number) // 16 % 2 * 128 + rows // 16 % 2 * 64 for number in range(shape.frames)]
    return Clip.of(torch.stack(frames)[..., None].expand(-1, -1, -1, 3).to(torch.uint8), fps)


# What is measured


@dataclass
class Meter:
    """Seconds and most bytes since it was last read."""

    device: str
    count: Count
    """Of tensors in main memory beyond the weights, where that is the device."""
    weights: int
    """Bytes of the weights, there."""

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> tuple[float, int]:
        """Both since the last time; bytes of tensors on the device, weights included."""
        peak = self.count.peak + self.weights
        self.count.again()
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        now = time.perf_counter()
        seconds, self._last = now - getattr(self, "_last", now), now
        return seconds, peak


@dataclass
class Watch:
    """What phases take: prompts and autoencoder say when they are at work, and all else goes by the step that ends it."""

    job: Job
    meter: Meter
    seconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    passes: dict[str, list[int]] = field(default_factory=dict)
    _counted: tuple[int, int] = (0, 0)
    _open: tuple[float, int] = (0.0, 0)

    def take(self, phase: str, begins: bool = True) -> None:
        """All since the last time is of a phase, and what was left open before where that began there."""
        seconds, peak = self.meter.read()
        if begins:
            seconds, peak, self._open = seconds + self._open[0], max(peak, self._open[1]), (0.0, 0)
        self.seconds.setdefault(phase, []).append(seconds)
        self.bytes[phase] = max(peak, self.bytes.get(phase, 0))
        now = self.job.model.passes.forward, self.job.model.passes.backward
        told = self.passes.setdefault(phase, [0, 0])
        for index in range(2):
            told[index] += now[index] - self._counted[index]
        self._counted = now

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        """What is done within is of a phase; what was done since the last step stays open, but for the reading of the reference."""
        seconds, peak = self.meter.read()
        self._open = (0.0, 0) if phase == "encode" else (self._open[0] + seconds, max(self._open[1], peak))
        yield
        self.take(phase, begins=False)

    def advance(self, step: Step) -> None:
        """A step ends."""
        self.take(step.phase)

    def end(self, phase: str) -> None:
        """What came after a loop's last step is of its phase too."""
        seconds, peak = self.meter.read()
        self.seconds[phase][-1] += seconds + self._open[0]
        self.bytes[phase] = max(self.bytes[phase], peak, self._open[1])
        self._open = (0.0, 0)


@dataclass(frozen=True)
class Telling:
    """A model's prompts or autoencoder, of which some calls are watched."""

    own: Any
    watch: Watch
    calls: Mapping[str, str]
    """Phases by the name of the call."""

    def __getattr__(self, name: str) -> Any:
        made = getattr(self.own, name)
        if name not in self.calls:
            return made

        def watched(*given: Any, **named: Any) -> Any:
            with self.watch.of(self.calls[name]):
                return made(*given, **named)

        return watched


def watched(job: Job, meter: Meter) -> tuple[Job, Watch]:
    """A job whose model is watched."""
    view: Any = job.model.counted()
    job = replace(job, model=view)
    watch = Watch(job, meter)
    view.text = Telling(view.text, watch, {"encode": "text"})
    view.codec = Telling(view.codec, watch, {"encode": "encode", "decode": "decode", "decoded": "decode"})
    return job, watch


def asked(cell: Cell, blocks: int, shape: Shape) -> Asked:
    """What a cell asks for, of a model of so many blocks."""
    known = {item.name for item in fields(method_named(cell.method).Settings)}
    request = ask(cell.method, {name: value for name, value in GIVEN.items() if name in known}, prompt=PROMPT)
    if cell.way == PLAIN:
        request = replace(request, method=PlainDiTFlow(blocks - 1))
    return Asked(request, frames=shape.frames, size=(shape.width, shape.height))


def planned(cell: Cell, form: Form, kind: str) -> dict[str, Any]:
    """What a cell is predicted to take, and the measures with which it fits, on a kind of device; nothing is run."""
    subject = form.make(cell.model, "meta")
    family, name = serving(type(subject.pipeline).__name__), subject.pipeline.name_or_path or cell.model

    def make() -> PipelineModel:
        return family(subject.pipeline, name, META)

    allowed = PLENTY if cell.way == PLAIN else int(cell.way) * form.unit
    blocks = 0
    if cell.way == PLAIN:
        with counting():
            blocks = make().about.blocks
    told = {"shape": list(asdict(subject.shape).values())}
    try:
        plan = plan_of(make, asked(cell, blocks, subject.shape), Room(kind, kind, allowed, asked=True))
    except MotionliftError as error:
        return told | {"why": " ".join(str(error).split())[:300]}
    return told | {
        "measures": list(plan.measures.taken),
        "gib": {phase.name: round(phase.peak / GIB, 6) for phase in plan.phases},
    }


PLENTY = 2**50
"""Bytes that are more than any cell takes."""


def measured(cell: Cell, subject: Subject, measures: Measures, device: str) -> dict[str, Any]:
    """Lift and cast once.

    Raises:
        MotionliftError: the model cannot do what the method needs, or what it makes is not finite.
        torch.OutOfMemoryError: it does not fit.
    """
    model, shape = loaded(subject, measures, device), subject.shape
    job, clip = asked(cell, model.about.blocks, shape).job(model), reference(shape, model.about.fps)
    with counting("cpu") if device == "cpu" else nullcontext(Count()) as count:
        count.leave_out([clip.frames])
        job, watch = watched(job, Meter(device, count, sum(weights(subject.pipeline).values())))
        costs = Costs(job.model)
        found = lifted(job, clip, Lifting(cached=False), costs, watch.advance)
        watch.end("tune" if "tune" in watch.seconds else "lift")
        casted(job, found.motion, costs, watch.advance)
    return {
        "measures": list(model.about.measures.taken),
        "tokens": model.lattice(shape).tokens,
        **told(job, watch),
        **{"gib": {phase: round(count / GIB, 6) for phase, count in watch.bytes.items()}},
    }


def loaded(subject: Subject, measures: Measures, device: str) -> Model:
    """A model of the pipeline; where its weights are changed, as one that is read from files."""
    settled = measures.offloaded or measures.weights is not Weights.OWN
    pipeline = subject.placed("cpu" if measures.waiting or settled else device)
    if not settled:
        return load(pipeline, device, measures=measures)
    name = pipeline.name_or_path or type(pipeline).__name__
    return serving(type(pipeline).__name__)(pipeline, name, device_named(device), measures=measures)


def measures_of(names: Sequence[str]) -> Measures:
    """Measures by the names of those that are taken."""
    kinds = [Weights(name) for name in names if name in {str(kind) for kind in Weights}]
    own = {item.name: True for item in fields(Measures) if item.name in names}
    return Measures(**own, **({"weights": kinds[0]} if kinds else {}))


def told(job: Job, watch: Watch) -> dict[str, Any]:
    """Seconds by phase and of a step of each kind; minutes and passes of a whole video."""
    guide, sample = watch.seconds.get("guide", []), watch.seconds["sample"]
    guided = guided_steps(job.settings) if guide else 0
    inner = len(guide) // guided if guided else 0
    both = [sum(guide[index * inner : (index + 1) * inner]) + sample[index] for index in range(guided)]
    kinds = {"plain step": sample[guided:], "guided step": both, "tuning step": watch.seconds.get("tune", [])}
    step = {kind: min(each) for kind, each in kinds.items() if each}
    scales = _scales(job, watch)
    whole = {"plain step": scales["sample"] * len(sample) - scales["guide"] * guided}
    whole |= {"guided step": scales["guide"] * guided, "tuning step": scales["tune"] * len(kinds["tuning step"])}
    seconds = {phase: sum(each) for phase, each in watch.seconds.items()}
    once = sum(seconds[phase] * scales[phase] for phase in seconds.keys() - {"tune", "guide", "sample"})
    passes = [sum(watch.passes[phase][index] * scales[phase] for phase in seconds) for index in range(2)]
    return {
        "seconds": {phase: round(each, 4) for phase, each in seconds.items()},
        "step": {kind: round(each, 4) for kind, each in step.items()},
        "minutes": round((once + sum(step[kind] * whole[kind] for kind in step)) / 60, 3),
        "passes": [round(count) for count in passes],
    }


def _scales(job: Job, watch: Watch) -> dict[str, float]:
    """How often each phase comes in a whole video, by the method's own numbers of steps, of how often it came."""
    few = job.settings
    given = {name: value for name, value in GIVEN.items() if hasattr(few, name) and name not in FEW}
    whole = settings_for(job.method, job.model, given)
    steps, guided = whole.steps / few.steps, guided_steps(whole) / max(1, guided_steps(few))
    return {
        **dict.fromkeys(PHASES, 1.0),
        **{"invert": steps, "sample": steps, "guide": guided},
        "lift": guided if len(watch.seconds.get("lift", [])) > 1 else 1.0,
        "tune": getattr(whole, "tuning_steps", 0) / getattr(few, "tuning_steps", 1),
    }


# What is written


def card(device: str) -> str:
    """The name of the device, as records say it."""
    return torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"


def attempt(cell: Cell, subject: Subject, measures: Measures, device: str) -> dict[str, Any]:
    """What a cell gives, or why it gives nothing."""
    try:
        return {"ended": "done", **measured(cell, subject, measures, device)}
    except Exception as error:
        behind: BaseException | None = error
        while behind is not None and not isinstance(behind, torch.OutOfMemoryError):
            behind = behind.__cause__
        if behind is not None:
            return {"ended": OUT_OF_MEMORY, "measures": list(measures.taken)}
        if isinstance(error, MotionliftError):
            return {"ended": "refused", "why": " ".join(str(error).split())[:300]}
        raise


@contextmanager
def within(cell: Cell, device: str) -> Iterator[None]:
    """Let the process have as much of a GPU as a cell may use until left, and then all of it again."""
    is_gpu = device.startswith("cuda")
    if is_gpu and cell.way != PLAIN:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, int(cell.way) * GIB / whole))
    yield
    gc.collect()
    if is_gpu:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def read(records: Path) -> list[dict[str, Any]]:
    """Lines of the file; one that was cut off is left out."""
    found = []
    for line in records.read_text().splitlines() if records.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def cell_of(line: Mapping[str, Any]) -> Cell:
    """The cell of a line."""
    return Cell(line["model"], line["method"], line["way"])


def append(records: Path, cell: Cell, **told: Any) -> dict[str, Any]:
    """A line more, of a cell; returns it."""
    records.parent.mkdir(parents=True, exist_ok=True)
    line = {**asdict(cell), **told}
    with records.open("a") as file:
        file.write(json.dumps(line) + "\n")
    return line


def predict(records: Path, wanted: Sequence[Cell], form: Form, kind: str, minutes: float) -> int:
    """Plan the cells that have no plan, in order, for so long; returns how many were planned."""
    there = {cell_of(line) for line in read(records) if line.get("form") == form.name and "plan" in line}
    ends, count = time.monotonic() + 60 * minutes, 0
    for cell in wanted:
        if cell in there:
            continue
        if time.monotonic() > ends:
            break
        plan = planned(cell, form, kind)
        append(records, cell, form=form.name, plan=plan)
        count += 1
        print(f"{cell.model}, {cell.method}, {cell.way}: planned {plan.get('gib', plan.get('why'))}", flush=True)
    return count


def fill(records: Path, wanted: Sequence[Cell], device: str, minutes: float, form: Form) -> int:
    """Run the cells that have no line, in order, for so long; returns how many were run.

    A cell that was begun and never ended, as where the system killed it, comes last.
    """
    lines, ends = read(records), time.monotonic() + 60 * minutes
    done = {cell_of(line) for line in lines if line.get("card") == card(device)}
    begun = {cell_of(line) for line in lines if "begun" in line} - done
    subject: tuple[str, Subject] | None = None
    count = 0
    for cell in sorted((cell for cell in wanted if cell not in done), key=lambda cell: cell in begun):
        if time.monotonic() > ends:
            break
        predict(records, [cell], form, device, minutes)
        plan = plans(read(records), form)[cell]
        if "why" in plan:
            continue
        append(records, cell, begun=True)
        if subject is None or subject[0] != cell.model:
            subject = None
            gc.collect()
            subject = cell.model, form.make(cell.model, device)
        measures = measures_of(plan["measures"])
        with within(cell, device):
            found = attempt(cell, subject[1], measures, device)
        shape = list(asdict(subject[1].shape).values())
        line = append(records, cell, **found, form=form.name, card=card(device), torch=torch.__version__, shape=shape)
        if measures.offloaded or measures.weights is not Weights.OWN:  # its weights are no longer as they were
            subject = None
        count += 1
        print(
            f"{cell.model}, {cell.method}, {cell.way}: {line['ended']} {line.get('step', line.get('why', ''))}",
            flush=True,
        )
    return count


def plans(lines: Sequence[Mapping[str, Any]], form: Form) -> dict[Cell, Mapping[str, Any]]:
    """What was planned of cells."""
    return {cell_of(line): line["plan"] for line in lines if line.get("form") == form.name and "plan" in line}


# The table


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """All that was run or planned, as Markdown; GiB as they were measured, and after a stroke as they were predicted."""
    ended = [line for line in lines if "ended" in line]
    cards = ", ".join(dict.fromkeys(line["card"] for line in ended)) or "nothing"
    versions = ", ".join(dict.fromkeys(line["torch"] for line in ended))
    head = (
        "model",
        "method",
        "memory",
        "plain step, s",
        "guided step, s",
        "tuning step, s",
        "video, passes",
        "video, min",
    )
    rows = [(*head, *(f"{phase}, GiB" for phase in PHASES), "measures")]
    for form in FORMS.values():
        found = {cell_of(line): line for line in ended if line["form"] == form.name}
        told = plans(lines, form)
        rows += [
            _row(cell, form, found.get(cell, {}), told.get(cell, {}))
            for cell in in_order()
            if cell in found or cell in told
        ]
    text = [f"Measured on: {cards}. {f'PyTorch {versions}. ' if versions else ''}GiB: measured / predicted.", ""]
    text += ["| " + " | ".join(row) + " |" for row in rows]
    text.insert(3, "|" + "---|" * len(rows[0]))
    return "\n".join(text)


def in_order() -> list[Cell]:
    """Cells as a reader looks for them."""
    ways = (*map(str, BUDGETS), PLAIN)
    return [Cell(model, method, way) for model in MODELS for method in METHODS for way in ways]


def _row(cell: Cell, form: Form, line: Mapping[str, Any], plan: Mapping[str, Any]) -> tuple[str, ...]:
    frames, height, width = {**plan, **line}["shape"]
    way = cell.way if cell.way == PLAIN else f"{cell.way} {'GiB' if form.unit == GIB else 'MiB'}"
    start = (f"{cell.model}, {form.title}{width}x{height}x{frames}", cell.method, way)
    steps, passes = line.get("step", {}), line.get("passes")
    seconds = [f"{steps[kind]:.3g}" if kind in steps else "" for kind in ("plain step", "guided step", "tuning step")]
    counted = f"{passes[0]} + {passes[1]}" if passes else ""
    minutes = f"{line['minutes']:.3g}" if "minutes" in line else ""
    held = [_both(line.get("gib", {}).get(phase), plan.get("gib", {}).get(phase)) for phase in PHASES]
    ended = [word for word in (line.get("ended"), line.get("why"), plan.get("why")) if word and word != "done"]
    taken = line.get("measures", plan.get("measures", ()))
    return (*start, *seconds, counted, minutes, *held, "; ".join([", ".join(taken), *ended]).removeprefix("; "))


def _both(measured: float | None, predicted: float | None) -> str:
    """A figure as it was measured and predicted, with a dash for one that is not there."""
    if measured is None and predicted is None:
        return ""
    return " / ".join("-" if each is None else f"{each:.3g}" for each in (measured, predicted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="the JSON-lines file (default runs/at_size/CARD.jsonl)")
    parser.add_argument("--minutes", type=float, default=9, help="no cell begins later (default 9)")
    parser.add_argument("--predict", action="store_true", help="plan cells at true size for a GPU, and run none")
    parser.add_argument("--only", nargs="*", default=[], help="models, methods and ways to keep to")
    parser.add_argument("--table", action="store_true", help="write the file as Markdown, and run nothing")
    given = parser.parse_args()
    diffusers.utils.logging.set_verbosity(
        diffusers.utils.logging.CRITICAL
    )  # of pipelines that are old, and guiders that are new
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = card(device).replace(" ", "-").lower()
    records = given.records or Path("runs") / "at_size" / f"{name}.jsonl"
    if not given.table:
        print(f"{card(device)}; records in {records}", flush=True)
        wanted = [cell for cell in cells() if not given.only or kept(cell, given.only)]
        if given.predict:
            predict(records, wanted, TRUE, "cuda", given.minutes)
        else:
            fill(records, wanted, device, given.minutes, TRUE if device == "cuda" else TINY)
    print(table(read(records)))


def kept(cell: Cell, only: Sequence[str]) -> bool:
    """Whether a cell is among those that are asked for: of models, methods and ways, each as far as some are named."""
    named = [{*only} & {*kind} for kind in (MODELS, METHODS, (*map(str, BUDGETS), PLAIN))]
    own = (cell.model, cell.method, cell.way)
    return all(not names or value in names for names, value in zip(named, own, strict=True))


if __name__ == "__main__":
    main()
