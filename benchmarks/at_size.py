"""Time, passes and memory of lifting and casting at the true sizes of published models, of random weights made on the device.

Run from the root of a checkout: ``python -m benchmarks.at_size``. Each cell is a model, a method, and a way to run it: within the
memory of a card of so many GiB, by what of motionlift's measures that takes; or ``plain``, DiTFlow as released programs do it:
every head's map of all tokens by all, gradients through a network that runs to its end and keeps its activations, two prompts in
one batch, and every part on the device. A cell is a line of a JSON-lines file and never run twice; what matters most comes first,
and no cell begins after ``--minutes``. ``--table`` writes the file as Markdown and runs nothing.

A cell lifts and casts in few steps, of which half are guided, and tells the least seconds of a step of each kind; minutes and
passes of a whole video are reckoned from these by the method's own numbers of steps. Without a GPU, tiny twins of the models are
run at small sizes: that tells that it runs, and nothing of true sizes.
"""

import argparse
import gc
import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import nn

from motionlift.core.cost import Step
from motionlift.core.lattice import Lattice, Shape
from motionlift.core.memory import Measures
from motionlift.errors import MotionliftError
from motionlift.loops.sample import guided_steps
from motionlift.methods import method as method_named
from motionlift.methods.ditflow import DiTFlow
from motionlift.models.loading import load
from motionlift.signals.displacement import displacement_loss
from motionlift.video.clip import Clip
from motionlift.work.cast import casted
from motionlift.work.lift import Lifting, lifted
from motionlift.work.prepare import Job, Request, ask, prepare, settings_for
from motionlift.work.record import Costs
from tests.twins import TRANSFORMERS, unet3d
from tests.twins.whole import ZEROSCOPE, ZEROSCOPE_SHAPE, whole
from tests.twins.wide import WIDE

GIB = 2**30
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
LADDER = (
    Measures(),
    Measures(one_by_one=True),
    Measures(one_by_one=True, parts=True),
    Measures(one_by_one=True, parts=True, recomputed=True),
    Measures(one_by_one=True, parts=True, recomputed=True, waiting=True),
    Measures(one_by_one=True, parts=True, recomputed=True, waiting=True, offloaded=True),
)
"""Measures by their price in time: the first that fit are a cell's."""
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
    """A budget in GiB, or :data:`PLAIN`."""


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


def true(name: str, device: str) -> Subject:
    """A published model of random weights, made on a device."""
    return Subject(whole(name, device), ZEROSCOPE_SHAPE if name == ZEROSCOPE else WIDE[name].shape)


def tiny(name: str, _device: str = "cpu") -> Subject:
    """Its tiny twin."""
    if name == ZEROSCOPE:
        return Subject(unet3d(), Shape(4, 32, 32))
    twin = TRANSFORMERS[WIDE[name].twin]
    return Subject(twin.build(), twin.shape)


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
    """A pattern that moves to the right."""
    rows, columns = torch.meshgrid(torch.arange(shape.height), torch.arange(shape.width), indexing="ij")
    frames = [(columns - 4 * number) // 16 % 2 * 128 + rows // 16 % 2 * 64 for number in range(shape.frames)]
    return Clip.of(torch.stack(frames)[..., None].expand(-1, -1, -1, 3).to(torch.uint8), fps)


# What is measured


@dataclass
class Meter:
    """Seconds and most bytes since it was last read."""

    device: str

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> tuple[float, int]:
        """Both since the last time; bytes of tensors on a GPU, weights included, and elsewhere none."""
        peak = 0
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
        if peak:
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


def watched(job: Job, device: str) -> tuple[Job, Watch]:
    """A job whose model is watched."""
    view: Any = job.model.counted()
    job = replace(job, model=view)
    watch = Watch(job, Meter(device))
    view.text = Telling(view.text, watch, {"encode": "text"})
    view.codec = Telling(view.codec, watch, {"encode": "encode", "decode": "decode"})
    return job, watch


def asked(cell: Cell) -> Request:
    """What a cell asks for."""
    known = {item.name for item in fields(method_named(cell.method).Settings)}
    return ask(cell.method, {name: value for name, value in GIVEN.items() if name in known}, prompt=PROMPT)


def measured(cell: Cell, subject: Subject, measures: Measures, device: str) -> dict[str, Any]:
    """Lift and cast once.

    Raises:
        MotionliftError: the model cannot do what the method needs, or what it makes is not finite.
        torch.OutOfMemoryError: it does not fit.
    """
    pipeline = subject.placed("cpu" if measures.waiting or measures.offloaded else device)
    model, shape = load(pipeline, device, measures=measures), subject.shape
    request = asked(cell)
    if cell.way == PLAIN:
        request = replace(request, method=PlainDiTFlow(model.about.blocks - 1))
    job = prepare(request, model, frames=shape.frames, size=(shape.width, shape.height))
    job, watch = watched(job, device)
    costs = Costs(job.model)
    found = lifted(job, reference(shape, model.about.fps), Lifting(cached=False), costs, watch.advance)
    casted(job, found.motion, costs, watch.advance)
    return {
        "measures": list(model.about.measures.taken),
        "tokens": model.lattice(shape).tokens,
        **told(job, watch),
        **{"gib": {phase: round(count / GIB, 2) for phase, count in watch.bytes.items()}},
    }


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
def within(budget: int | None, device: str) -> Iterator[None]:
    """Let the process have so many GiB of the device until left, and then all of it again."""
    is_gpu = device.startswith("cuda")
    if is_gpu and budget is not None:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, budget * GIB / whole))
    yield
    gc.collect()
    if is_gpu:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def run(cell: Cell, subject: Subject, device: str, least: int = 0) -> dict[str, Any]:
    """A cell with the first measures that fit its budget, or as it is where it has none."""
    is_plain = cell.way == PLAIN
    found: dict[str, Any] = {}
    for rung, measures in enumerate(LADDER[:1] if is_plain else LADDER):
        if rung < least:
            continue
        with within(None if is_plain else int(cell.way), device):
            tried = attempt(cell, subject, measures, device)
        if found and tried["ended"] == "refused":  # a measure that is not there: what was said before stands
            break
        found = {**tried, "rung": rung}
        if found["ended"] != OUT_OF_MEMORY:
            break
    return found


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


def fill(
    records: Path, wanted: Sequence[Cell], device: str, minutes: float, make: Callable[[str, str], Subject]
) -> int:
    """Run the cells that have no line, in order, for so long; returns how many were run.

    A cell that was begun and never ended, as where the system killed it, comes last.
    """
    records.parent.mkdir(parents=True, exist_ok=True)
    lines, ends = read(records), time.monotonic() + 60 * minutes
    done = {cell_of(line): line for line in lines if line.get("card") == card(device)}
    begun = {cell_of(line) for line in lines} - done.keys()
    subject: tuple[str, Subject] | None = None
    count = 0
    for cell in sorted((cell for cell in wanted if cell not in done), key=lambda cell: cell in begun):
        if time.monotonic() > ends:
            break
        with records.open("a") as file:
            file.write(json.dumps({**asdict(cell), "begun": True}) + "\n")
        if subject is None or subject[0] != cell.model:
            subject = None
            gc.collect()
            subject = cell.model, make(cell.model, device)
        line = {**asdict(cell), **run(cell, subject[1], device, _least(cell, done)), "card": card(device)}
        line |= {"torch": torch.__version__, "shape": list(asdict(subject[1].shape).values()), "form": make.__name__}
        with records.open("a") as file:
            file.write(json.dumps(line) + "\n")
        done[cell] = line
        count += 1
        print(
            f"{cell.model}, {cell.method}, {cell.way}: {line['ended']} {line.get('step', line.get('why', ''))}",
            flush=True,
        )
    return count


def _least(cell: Cell, done: Mapping[Cell, Mapping[str, Any]]) -> int:
    """The rung to begin at: what did not fit a larger card does not fit a smaller one."""
    if cell.way == PLAIN:
        return 0
    larger = [replace(cell, way=str(budget)) for budget in BUDGETS if budget > int(cell.way)]
    return max((done[other].get("rung", 0) for other in larger if other in done), default=0)


# The table


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """All that was run, as Markdown."""
    ended = [line for line in lines if "ended" in line]
    order = {cell: number for number, cell in enumerate(in_order())}
    ended.sort(key=lambda line: order.get(cell_of(line), len(order)))
    cards = ", ".join(dict.fromkeys(line["card"] for line in ended))
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
    rows += [_row(line) for line in ended]
    text = [f"Measured on: {cards}. PyTorch {', '.join(dict.fromkeys(line['torch'] for line in ended))}.", ""]
    text += ["| " + " | ".join(row) + " |" for row in rows]
    text.insert(3, "|" + "---|" * len(rows[0]))
    return "\n".join(text)


def in_order() -> list[Cell]:
    """Cells as a reader looks for them."""
    ways = (*map(str, BUDGETS), PLAIN)
    return [Cell(model, method, way) for model in MODELS for method in METHODS for way in ways]


def _row(line: Mapping[str, Any]) -> tuple[str, ...]:
    frames, height, width = line["shape"]
    way = line["way"] if line["way"] == PLAIN else f"{line['way']} GiB"
    size = (
        f"{width}x{height}x{frames}" if line["form"] == true.__name__ else f"a tiny twin at {width}x{height}x{frames}"
    )
    start = (f"{line['model']}, {size}", line["method"], way)
    if line["ended"] != "done":
        return (*start, *([""] * (5 + len(PHASES))), line.get("why", line["ended"]))
    steps, (forward, backward) = line["step"], line["passes"]
    seconds = [f"{steps[kind]:.3g}" if kind in steps else "" for kind in ("plain step", "guided step", "tuning step")]
    held = [f"{line['gib'][phase]:.1f}" if phase in line["gib"] else "" for phase in PHASES]
    return (*start, *seconds, f"{forward} + {backward}", f"{line['minutes']:.3g}", *held, ", ".join(line["measures"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="the JSON-lines file (default runs/at_size/CARD.jsonl)")
    parser.add_argument("--minutes", type=float, default=9, help="no cell begins later (default 9)")
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
        fill(records, wanted, device, given.minutes, true if device == "cuda" else tiny)
    print(table(read(records)))


def kept(cell: Cell, only: Sequence[str]) -> bool:
    """Whether a cell is among those that are asked for: of models, methods and ways, each as far as some are named."""
    named = [{*only} & {*kind} for kind in (MODELS, METHODS, (*map(str, BUDGETS), PLAIN))]
    own = (cell.model, cell.method, cell.way)
    return all(not names or value in names for names, value in zip(named, own, strict=True))


if __name__ == "__main__":
    main()
