"""What is predicted of each phase beside what is measured of a real run: of every family, on the CPU."""

import gc
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from motionlift.core.cost import Passes
from motionlift.loops import sample
from motionlift.methods import method as method_named
from motionlift.models.blank import emptied_pipeline
from motionlift.models.counting import META, Count, counting
from motionlift.models.families import serving
from motionlift.motion.file import Motion, Source
from motionlift.video.clip import Clip
from motionlift.work import phases
from motionlift.work.cast import casting_of
from motionlift.work.lift import finished, taken
from motionlift.work.phases import Stretches
from motionlift.work.prepare import Job, ask, prepare
from motionlift.work.record import Costs
from tests.models.test_counting import profiled
from tests.twins import EVERY_TWIN, TRANSFORMERS

PROMPT = "a red ring"
TRIED = {"source_prompt": "a red star", "subjects": ("star",), "targets": ("ring",)}
SHORT = {"steps": 2, "share": 0.5, "inner": 2, "tuning_steps": 2}
WITHIN = 0.15
"""The promise."""
QUICK = {("wan-2.1", "ditflow")}
METHODS = ("ditflow", "flowmotion", "motionflow", "vmc", "motionmatcher")


def slow_where(method: str, twin: str = "cogvideox-table") -> bool:
    return (twin, method) not in QUICK


def built(twin: str) -> tuple[Any, Any]:
    """A twin's pipeline, and what makes a model of it."""
    if twin in TRANSFORMERS:
        return TRANSFORMERS[twin].build(), TRANSFORMERS[twin].row
    made = EVERY_TWIN[twin]()
    return made, serving(type(made).__name__)


def job(pipeline: Any, family: Any, method: str, device: torch.device, values: dict[str, Any], count: Count) -> Job:
    model: Any = family(pipeline, "twin", device)
    for own in model.held.values():
        count.leave_out(weight for part in own for weight in (*part.parameters(), *part.buffers()))
    known = {name: value for name, value in values.items() if hasattr(method_named(method).Settings(), name)}
    return prepare(ask(method, known, prompt=PROMPT), model)


def predicted(twin: str, method: str, values: dict[str, Any]) -> phases.Taken:
    pipeline, family = built(twin)
    gc.collect()  # what earlier tests left, whenever Python collects it, would count
    with counting(is_main=True) as count:
        own = job(emptied_pipeline(pipeline), family, method, META, values, count)
        return phases.phases(own, count, True, (own.shape.height, own.shape.width))


def run(own: Job, stretches: Stretches) -> None:
    """A real run by the library's own steps, whose phases are told by the same marks."""
    own = replace(own, model=phases._watched(own.model, stretches))
    pixels = torch.rand(own.shape.frames, 3, own.shape.height, own.shape.width)
    found = taken(own, pixels, Clip.from_pixels(pixels, 8.0), Costs(own.model), stretches.advance)
    del pixels
    stretches.end()
    about = own.model.about
    source, lattice = Source("", about.fps, own.shape), own.model.lattice(own.shape)
    motion = Motion(found, own.method.name, asdict(own.settings), about.name, about.identity, lattice, source, "")
    casting = casting_of(own, own.model, motion)
    result = finished(sample.cast(casting), stretches.advance)
    stretches.end()
    own.model.codec.decode(result.latents)


def measured(twin: str, method: str, values: dict[str, Any]) -> tuple[dict[str, int], Passes]:
    """What is counted of a real run, by phases."""
    pipeline, family = built(twin)
    with counting("cpu") as count:
        own = job(pipeline, family, method, torch.device("cpu"), values, count)
        stretches = Stretches(count, Passes())
        run(own, stretches)
        return stretches.peaks, stretches.passes


@pytest.mark.parametrize(
    ("twin", "method"),
    [
        *[(twin, "ditflow") for twin in (*TRANSFORMERS, "unet3d")],
        *[("cogvideox-table", method) for method in METHODS if method != "ditflow"],
    ],
)
def test_the_peak_is_within_fifteen_percent_and_passes_are_counted(twin: str, method: str):
    told, (found, passes) = predicted(twin, method, TRIED | SHORT), measured(twin, method, TRIED | SHORT)
    assert max(told.peaks.values()) == pytest.approx(max(found.values()), rel=WITHIN)
    assert told.peaks.keys() == found.keys()
    largest = max(found.values())
    for phase, bytes_ in found.items():
        if phase != "text" and bytes_ > largest / 3:
            assert told.peaks[phase] == pytest.approx(bytes_, rel=WITHIN), phase
    assert (told.passes.forward, told.passes.backward) == (passes.forward, passes.backward)
    assert told.passes.work == pytest.approx(passes.work)


@pytest.mark.parametrize(
    ("twin", "method"), [("wan-2.2", "ditflow"), ("unet3d", "ditflow"), ("cogvideox-table", "vmc")]
)
def test_the_peak_is_that_of_the_allocator(twin: str, method: str):
    """PyTorch's own profiler sees every allocation, and knows nothing of how we count."""
    told = predicted(twin, method, TRIED | SHORT)
    pipeline, family = built(twin)
    count = Count()
    own = job(pipeline, family, method, torch.device("cpu"), TRIED | SHORT, count)
    found = profiled(lambda: run(own, Stretches(count, Passes())))
    assert max(told.peaks.values()) == pytest.approx(found, rel=WITHIN)


def test_what_the_tuned_network_inverts_is_not_held_while_it_is_tuned():
    values = TRIED | SHORT | {"steps": 100, "inverted_by": "tuned"}
    told, (found, passes) = predicted("cogvideox-table", "vmc", values), measured("cogvideox-table", "vmc", values)
    assert told.peaks["invert"] == pytest.approx(found["invert"], rel=WITHIN)
    assert told.peaks["tune"] == pytest.approx(found["tune"], rel=WITHIN)
    assert told.passes.work == pytest.approx(passes.work)


@pytest.mark.parametrize("method", ["vmc", "motionflow"])
def test_steps_that_are_not_run_are_counted(method: str):
    """The inverted latents of all steps, and the maps of all guided ones, are held together.

    Far more steps, since what Python has not collected yet is a tenth of so small a network's peak.
    """
    few, many = (predicted("cogvideox-table", method, TRIED | SHORT | {"steps": steps}) for steps in (10, 100))
    found, passes = measured("cogvideox-table", method, TRIED | SHORT | {"steps": 100})
    assert many.peaks["invert"] > few.peaks["invert"]
    assert many.peaks["invert"] == pytest.approx(found["invert"], rel=WITHIN)
    assert many.passes.work == pytest.approx(passes.work)
